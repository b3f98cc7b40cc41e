"""The docs say what the program does: each page's table is compared with the code, both ways."""

import re
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
import typer
from starlette.routing import Route

from gateway.app import create_app
from gateway.cli import app as command_line
from gateway.cli.output import EXIT_CODES
from gateway.console.page import Page
from gateway.console.routes import PAGES
from gateway.environment import OTHER_PREFIXES, OTHER_VARIABLES
from gateway.errors import PROBLEMS
from gateway.gauges import GAUGES
from gateway.settings import PREFIX, Settings
from gateway.telemetry import METRICS
from lua.entries import Adjusted, Attached, Changed, Claimed, Issued, Published
from lua.keys import PARTS
from lua.outcomes import Outcome
from lua.scripts import SCRIPTS, load_script
from reconciler.periods.checks import SAYS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


def page(name: str) -> str:
    """The text of a page."""
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def tables(text: str, *header: str) -> list[list[list[str]]]:
    """The rows of each table with *header*, cells stripped."""
    lines = text.splitlines()
    starts = [at + 2 for at, line in enumerate(lines) if cells(line) == list(header)]
    return [[cells(line) for line in takewhile(lambda line: line.startswith("|"), lines[at:])] for at in starts]


def table(text: str, *header: str) -> list[list[str]]:
    """The rows of the one table with *header*."""
    [rows] = tables(text, *header)
    return rows


def cells(line: str) -> list[str]:
    """The cells of a line of a table; none for another line."""
    if not line.startswith("|"):
        return []
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]


def names(rows: list[list[str]]) -> list[str]:
    """The first cell of each row, without its backquotes."""
    return [row[0].strip("`") for row in rows]


def setting_row(name: str) -> list[str]:
    """Variable, default, unit and bounds of a setting, as the page has to show them."""
    meta, default = Settings.__annotations__[name].__metadata__[0], getattr(Settings(), name)
    shown = str(default).lower() if isinstance(default, bool) else str(default) or "empty"
    bounds = "" if meta.ge is None else f"{meta.ge}–{meta.le}"
    return [f"`{PREFIX}{name.upper()}`", shown, meta.extra["unit"], bounds]


def test_every_setting_is_in_its_table_as_it_is() -> None:
    """docs/settings.md lists each setting once, in order, with its default, unit and bounds, and says why."""
    rows = table(page("settings"), "variable", "default", "unit", "bounds", "why")

    assert [row[:4] for row in rows] == [setting_row(name) for name in Settings.__struct_fields__]
    assert all(row[4] for row in rows)


def test_every_other_variable_is_in_its_table() -> None:
    """docs/settings.md lists the variables of the command line and the tests, and no others."""
    rows = table(page("settings"), "variable", "what")

    assert set(names(rows)) == OTHER_VARIABLES.keys() | {f"{prefix}…" for prefix in OTHER_PREFIXES}
    assert all(row[1] for row in rows)


def test_relations_name_settings_there_are() -> None:
    """The table of relations in docs/settings.md speaks of settings that exist, and of every one that is related."""
    rows = table(page("settings"), "this", "has to be", "that", "because")
    named = {name for row in rows for name in re.findall(r"FAIRCLAIM_\w+", row[0] + row[2])}
    source = (ROOT / "gateway" / "settings.py").read_text(encoding="utf-8")
    relations = source.partition("relations = (")[2].partition("for holds, left, right, how")[0]
    related = {PREFIX + name.upper() for name in re.findall(r"self\.(\w+)", relations)}

    assert named == related


def commands() -> Iterator[tuple[str, Any]]:
    """Every command that is shown, by its words."""
    waiting: list[tuple[str, Any]] = [("fairclaim", typer.main.get_command(command_line))]
    while waiting:
        path, command = waiting.pop()
        inner = getattr(command, "commands", None)
        if inner is None:
            yield path, command
        else:
            waiting += [(f"{path} {name}", each) for name, each in inner.items() if not each.hidden]


COMMANDS = dict(commands())


def sections() -> dict[str, str]:
    """The section of each command in docs/cli.md."""
    parts = re.split(r"^### `(fairclaim[^`]*)`$", page("cli"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_command_has_its_section() -> None:
    """docs/cli.md has one section a command, and none for a command that is gone."""
    assert sections().keys() == COMMANDS.keys()


@pytest.mark.parametrize("path", COMMANDS)
def test_every_flag_of_a_command_is_in_its_table(path: str) -> None:
    """A command's section lists exactly its arguments and flags, each flag with its variable."""
    documented = {row[0]: row[1] for row in table(sections()[path], "flag", "variable", "what")}
    flags, arguments = {}, set()
    for parameter in COMMANDS[path].params:
        if parameter.param_type_name == "argument":
            arguments.add(f"`{(parameter.metavar or parameter.name).upper()}`")
        elif parameter.name != "help":
            spelt = ", ".join(f"`{flag}`" for flag in (*parameter.opts, *parameter.secondary_opts))
            flags[spelt] = f"`{variable_of(parameter)}`"

    assert documented == flags | dict.fromkeys(arguments, "")


def variable_of(parameter: Any) -> str:
    """The environment variable of a flag: its own, else the setting's that its help names."""
    own = parameter.envvar
    if own:
        return own if isinstance(own, str) else own[0]
    named = re.search(rf"or ({PREFIX}\w+)\)$", parameter.help or "")
    assert named, f"{parameter.opts} has no variable"
    assert named[1][len(PREFIX) :].lower() in Settings.__struct_fields__
    return named[1]


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_shows_an_example_and_its_exit_codes(path: str) -> None:
    """--help of each command has an example of that very command and its exit codes; the page has the same example."""
    text = COMMANDS[path].help or ""
    example = re.search(r"Examples?:\n(.+?)\n\n", text, re.DOTALL)
    exits = re.search(r"Exit codes: (.+)", text, re.DOTALL)

    assert example, "no example"
    assert path in example[1]
    assert all(line.strip() in sections()[path] for line in example[1].splitlines())
    assert exits, "no exit codes"
    assert {int(code) for code in re.findall(r"(?:^|, )(\d+) ", exits[1])} <= EXIT_CODES.keys()
    assert " ".join(exits[0].split()) in sections()[path]


def test_every_exit_code_is_in_its_table() -> None:
    """docs/cli.md lists the exit codes as the program has them."""
    assert [(int(code), meaning) for code, meaning in table(page("cli"), "exit code", "meaning")] == [
        *EXIT_CODES.items()
    ]


def test_every_problem_is_in_its_table() -> None:
    """docs/errors.md lists each problem code with its status and whether a retry may help, and no code that is gone."""
    rows = table(page("errors"), "code", "status", "retryable", "where", "adds", "what to do")

    assert [row[:3] for row in rows] == [
        [f"`{code}`", str(problem.status), "yes" if problem.retryable else "no"] for code, problem in PROBLEMS.items()
    ]
    assert all(row[3] and row[5] for row in rows)


def test_every_metric_is_in_its_page() -> None:
    """docs/metrics.md names each metric that /metrics shows, and none that is gone."""
    documented = {
        re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"\bfairclaim_[a-z_]+\b", page("metrics"))
    }

    assert documented == {metric.name for metric in METRICS} | GAUGES.keys()


def test_every_route_has_its_section() -> None:
    """docs/http.md has one section a route and method, and none for a route that is gone, but for pages."""
    settings = Settings(redis_url="redis://x", postgres_url="postgresql://x", jwt_keys="k=" + 32 * "s")
    routes = {
        f"{method} {route.path_format}"
        for route in create_app(settings).routes
        if isinstance(route, Route) and route.path not in {page.path for page in PAGES}
        for method in (route.methods or set()) - {"HEAD"}
    }
    documented = re.findall(r"^### `([A-Z]+ /[^`]*)`$", page("http"), flags=re.MULTILINE)

    assert sorted(documented) == sorted(routes)


def test_every_page_is_in_its_table() -> None:
    """docs/console.md lists each path of the console in the order of the menu, who sees it and who may act."""

    def who(one: Page, roles: tuple[str, ...]) -> str:
        everybody = "anybody" if one.is_open else "everybody"
        return ", ".join(dict.fromkeys((*roles, "admin"))) if roles else everybody

    rows = table(page("console"), "path", "who sees", "who acts", "is")

    assert [row[:3] for row in rows] == [
        [f"`{one.path}`", who(one, one.roles), who(one, one.actors or one.roles) if one.act else "—"] for one in PAGES
    ]
    assert all(row[3] for row in rows)


def test_every_key_part_is_in_its_table() -> None:
    """docs/redis.md lists the parts of a shard, with type and content as lua/keys.py has them."""
    rows = table(page("redis"), "part", "type", "holds")

    assert {part.strip("`"): f"{kind}: {holds}" for part, kind, holds in rows} == PARTS


def test_every_script_is_in_its_table() -> None:
    """docs/redis.md lists each script with the keys of its header."""
    rows = table(page("redis"), "script", "does", "keys", "writes the entry")

    assert tuple(names(rows)) == SCRIPTS
    assert [tuple(re.findall(r"`(\w+)`", row[2])) for row in rows] == [load_script(name).parts for name in SCRIPTS]


def test_every_outcome_is_in_its_table() -> None:
    """docs/redis.md lists what a script may answer, with its number."""
    rows = table(page("redis"), "outcome", "number", "means", "the claim's problem")

    assert {row[0].strip("`"): int(row[1]) for row in rows} == {outcome.name: outcome.value for outcome in Outcome}
    assert {code for row in rows for code in re.findall(r"`(\w+)`", row[3])} <= PROBLEMS.keys()


def test_the_order_of_precedence_is_the_script_s() -> None:
    """The order docs/redis.md states is the ORDER line of claim.lua."""
    header = re.search(r"^-- ORDER +(.+?)^-- [A-Z]", (ROOT / "lua" / "claim.lua").read_text(), re.MULTILINE | re.DOTALL)
    quoted = " ".join(line[2:] for line in page("redis").splitlines() if line.startswith("> "))

    assert header
    assert quoted.split() == header[1].replace("-- ", " ").split()


def test_every_kind_of_entry_is_in_its_table() -> None:
    """docs/redis.md lists each kind of stream entry and what it adds, in the order of its type."""
    rows = {kind.strip("`"): re.sub(r":[^,]*(, .*)?$", "", adds) for kind, adds in table(page("redis"), "kind", "adds")}
    kinds: tuple[Any, ...] = (Claimed, Issued, Changed, Adjusted, Published, Attached)
    common = {"layout", "epoch", "version", "at_ms", "first_seq"}

    assert rows == {
        kind.__struct_config__.tag: ", ".join(name for name in kind.__struct_fields__ if name not in common)
        for kind in kinds
    }


def test_every_table_and_view_is_in_its_page() -> None:
    """docs/schema.md lists each table of schema.sql and names each view, and none that is gone."""
    schema = (ROOT / "reconciler" / "sql" / "schema.sql").read_text(encoding="utf-8")
    listed = [
        name
        for rows in tables(page("schema"), "table", "one row is", "written by", "may change")
        for name in names(rows)
    ]

    assert sorted(listed) == sorted(re.findall(r"^CREATE TABLE (\w+)", schema, flags=re.MULTILINE))
    assert set(re.findall(r"\bv_\w+", page("schema"))) == set(
        re.findall(r"^CREATE VIEW (\w+)", schema, flags=re.MULTILINE)
    )


def test_every_test_of_a_defect_exists() -> None:
    """docs/defects.md names tests, one or more a defect, and each of them is there."""
    rows = table(page("defects"), "defect", "here", "tests")
    named = [re.findall(r"`([\w/.]+)::(\w+)`", row[2]) for row in rows]
    absent = [
        f"{file}::{name}"
        for tests in named
        for file, name in tests
        if not re.search(rf"^(async )?def {name}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)
    ]

    assert all(named)
    assert absent == []


def test_every_page_is_reached_from_the_readme() -> None:
    """Each page of docs/ is linked from README.md, and no link inside the project leads nowhere."""
    pages = {path.name for path in DOCS.glob("*.md")}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    broken = [
        f"{path.name}: {link}"
        for path in [*DOCS.glob("*.md"), *ROOT.glob("*.md")]
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
        if not (path.parent / link).exists()
    ]

    assert broken == []
    assert pages <= {Path(link).name for link in re.findall(r"\]\(([^)#:]+)", readme)}


def test_every_check_of_a_close_is_in_its_table() -> None:
    """docs/accounting.md lists the checks of a close in the order they are made."""
    rows = table(page("accounting"), "check", "holds where", "what to do where it does not")

    assert names(rows) == list(SAYS)
