"""Tables for people: what a narrow terminal does to them."""

import pytest

from gateway.cli import tables

COLUMNS = ("currency", "what happened", "amount#", "at@")
ROWS = [["CNY", "a text of some words", "CN¥8,685.00", "2026-11-22T10:00:00Z"]]


def parted(lines: list[str]) -> tuple[list[str], list[str]]:
    """The lines above the rule, and those below it."""
    rule = next(at for at, line in enumerate(lines) if set(line) == {"─"})
    return lines[:rule], lines[rule + 1 :]


def test_a_number_is_never_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """However narrow the terminal is, amounts and times are whole on one line; texts are broken, and lose nothing."""
    monkeypatch.setattr(tables, "is_terminal", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    for width in (10, 30, 60, 200):
        monkeypatch.setenv("COLUMNS", str(width))
        [*_, head], [first, *more] = parted(tables.table(COLUMNS, ROWS).splitlines())
        assert "amount" in head
        assert "CN¥8,685.00" in first
        assert "2026-11-22 10:00:00" in first
        assert first.startswith("CNY ")
        words = first[: first.index("CN¥")].split()[1:] + [word for line in more for word in line.split()]
        assert words == ["a", "text", "of", "some", "words"]
        assert len(first) <= max(width, 60)


def test_a_table_in_a_file_is_not_broken() -> None:
    """One line a row, however long it is."""
    text = "word " * 200
    assert len(tables.table(("text", "number#"), [[text, 1]]).splitlines()) == 3
