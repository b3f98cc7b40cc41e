"""docs/loadtest.md says of the verdict after a run what the program does."""

import re

import pytest

from loadtest.told import KINDS, Attempt
from loadtest.verdict.__main__ import main
from loadtest.verdict.found import SAYS
from tests.test_docs import names, page, table, tables

PAGE = page("loadtest")


def test_every_check_is_in_its_table() -> None:
    """Name and words of each, in the order they are reported in."""
    rows = table(PAGE, "check", "holds when")

    assert [(name, row[1]) for name, row in zip(names(rows), rows, strict=True)] == [*SAYS.items()]


def test_every_column_of_what_was_told_is_in_its_table() -> None:
    """The columns in their order, and every kind of attempt."""
    [told] = [rows for rows in tables(PAGE, "column", "is") if names(rows) == [*Attempt._fields]]

    assert re.findall(r"`(\w+)`", told[0][1]) == [*KINDS]


def test_the_exit_codes_are_those_of_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    """--help and the page know the same exit codes."""
    with pytest.raises(SystemExit):
        main(["--help"])
    told = re.search(r"Exit codes: (.*?)\n\n", capsys.readouterr().out, re.DOTALL)

    assert told is not None
    codes = re.findall(r"(?:^|· )(\d)", told[1].replace("\n", " "))
    assert codes in [names(rows) for rows in tables(PAGE, "exit code", "means")]
