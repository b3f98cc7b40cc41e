"""What a run of the load test may be told: checked by name, from the command line and from Locust's web page alike."""

import argparse
import dataclasses
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import configargparse  # type: ignore[import-untyped]
import pytest

from loadtest.__main__ import ready_file_of
from loadtest.run.arguments import ARGUMENTS, Options, add_arguments
from loadtest.shapes import SHAPES

PAGE = (Path(__file__).parents[2] / "docs" / "loadtest.md").read_text(encoding="utf-8")
DEFAULTS = {argument.dest: argument.default for argument in ARGUMENTS}


def given(**changes: Any) -> SimpleNamespace:
    """What Locust parsed, with *changes*."""
    return SimpleNamespace(**{"num_users": None, "spawn_rate": None, "run_time": None, **DEFAULTS, **changes})


def test_the_table_and_the_options_are_the_same() -> None:
    """Every argument is a field of Options, and every field that Locust does not have itself is an argument."""
    fields = {field.name for field in dataclasses.fields(Options)} - {"users", "spawn_rate", "run_time_s"}

    assert {argument.dest for argument in ARGUMENTS} == fields


def test_the_defaults_hold() -> None:
    """Nothing has to be said; Locust's own size is one user then."""
    options = Options.of(given())

    assert {name: getattr(options, name) for name in DEFAULTS} == DEFAULTS
    assert (options.users, options.spawn_rate, options.run_time_s) == (1, 1.0, None)
    assert Options.of(given(num_users=50, spawn_rate=5.0, run_time=90)).run_time_s == 90


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("holders", 0, "from 1 to 10,000,000"),
        ("stock", 0, "from 1 to"),
        ("stock", "many", "from 1 to"),
        ("limit", 101, "from 1 to 100"),
        ("retry_rate", 1.5, "a share from 0 to 1"),
        ("retry_rate", float("nan"), "a share from 0 to 1"),
        ("drop_replies", -0.1, "a share from 0 to 1"),
        ("pause_after", float("inf"), "seconds, 0 or more"),
        ("patience", 0, "more than 0"),
        ("slow_ms", "1.5", "from 1 to"),
        ("shape", "square", "one of steady, "),
        ("campaign", "Flash 1", "1 to 63 of a-z"),
        ("campaign", "-x", "1 to 63 of a-z"),
    ],
)
def test_a_wrong_value_is_named(name: str, value: Any, allowed: str) -> None:
    """The error has the argument, what is allowed, and what was given."""
    with pytest.raises(ValueError, match=re.escape(f"--{name.replace('_', '-')} has to be ")) as refused:
        Options.of(given(**{name: value}))

    assert allowed in str(refused.value)
    assert repr(str(value)) in str(refused.value)


def test_every_argument_is_on_the_page() -> None:
    """docs/loadtest.md has each argument with its default and its text, in the order of the table, and no other."""
    section = PAGE.partition("## What it may be told\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `--([a-z-]+)` \|([^|]*)\| (.*) \|$", section, flags=re.MULTILINE)
    told = [
        (name, default.strip(" `"), says.removesuffix(" (not in the web page)").replace("`", ""))
        for name, default, says in rows
    ]

    assert told == [(each.name, f"{each.default}", each.says.replace("`", "")) for each in ARGUMENTS]


def test_a_shape_is_picked_from_a_list() -> None:
    """In Locust's web page it is a list and no field to type in; a shape that there is not is refused."""
    parser = configargparse.ArgumentParser()
    add_arguments(parser)
    [shape] = [action for action in parser._actions if action.dest == "shape"]

    assert [*(shape.choices or ())] == [*SHAPES]
    assert parser.parse_args(["--shape", "sale"]).shape == "sale"
    with pytest.raises(SystemExit):
        parser.parse_args(["--shape", "nosuch"])


def test_a_shell_takes_no_gate_for_a_file() -> None:
    """Make hands ARGS to a shell: whoever copies a line with p99<=300 from the page has it in quotes."""
    given = re.findall(r'ARGS="([^"]*)"', PAGE)

    assert any("<=" in each for each in given)
    assert not [each for each in given if re.search("[<>&|;]", re.sub("'[^']*'", "", each))]


def test_the_text_of_an_argument_can_be_shown() -> None:
    """argparse formats help: a lone per cent sign would end Locust's --help in a traceback."""
    parser = argparse.ArgumentParser()
    for argument in ARGUMENTS:
        parser.add_argument(f"--{argument.name}", help=argument.says)

    assert parser.format_help().count("--") >= len(ARGUMENTS)


def test_who_names_a_campaign_means_the_system_of_this_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as one runs here; what is named goes before, and without a campaign one is started for the run."""
    monkeypatch.chdir(tmp_path)
    for variable in ("FAIRCLAIM_READY_FILE", "FAIRCLAIM_DATA_DIR"):
        monkeypatch.delenv(variable, raising=False)
    assert ready_file_of(["--campaign", "flash"]) == ""
    (tmp_path / ".fairclaim").mkdir()
    (tmp_path / ".fairclaim/ready.json").touch()

    assert ready_file_of(["--campaign", "flash"]) == ready_file_of(["--campaign=flash"]) == ".fairclaim/ready.json"
    assert ready_file_of(["--users", "9"]) == ""
    assert ready_file_of(["--campaign", "flash", "--ready-file", "other.json"]) == "other.json"
    monkeypatch.setenv("FAIRCLAIM_READY_FILE", "named.json")
    assert ready_file_of(["--campaign", "flash"]) == "named.json"
