"""What a list of single things comes to, above it: as the report that sums them says, or added up when asked for."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gateway.console.books.cells import Cell, figure
from gateway.console.books.naming import head
from gateway.console.page import Visit
from gateway.errors import Refusal
from gateway.finance.reports import Read, added_up, read_report
from reconciler.reports.catalog import REPORTS
from reconciler.reports.shape import Asked, Column, Report

_OF = {
    "merchant-statement": ("merchant-settlement",),
    "funder-statement": ("funder-settlement",),
    "entries": ("roll-forward", "roll-forward-money"),
}
"""Report of single things → those that sum them, which take as long however many there are."""
SHOWN_SUMMED = ("merchant-statement", "funder-statement")
"""What has its sums above it whether they are asked for or not: it is no statement without them."""

ROWS = Column("rows", "count", "how many there are", total=True)


class Line(NamedTuple):
    """A figure's *name*, and what it is in each column; *is_last* is what the others come to."""

    name: str
    cells: list[Cell]
    is_last: bool


class Summary(NamedTuple):
    """*units* are the heads of the columns: currencies, or empty for what is of none."""

    units: list[str]
    lines: list[Line]


async def summary_of(visit: Visit, report: Report, asked: Asked) -> Summary | None:
    """What the reports say that sum *report*; None where there is none. Errors: Refusal."""
    named = _OF.get(report.name, ())
    told = {name: getattr(asked, name) for name in ("entity", "campaign", "merchant", "funder", "since", "until")}
    found: list[tuple[str, str, Cell]] = []
    for name in named:
        read = await _read(visit, REPORTS[name], told)
        for sums in read.totals or ():
            found += _figures(visit, read.columns, sums)
    return _made(visit, found, named[0]) if named else None


async def sums_of(visit: Visit, report: Report, asked: Asked) -> Summary | None:
    """All rows of *report* added up; None where that takes too long. Errors: Refusal."""
    try:
        totals = await added_up(visit.here.pool, report, asked)
    except Refusal as refusal:
        if refusal.code != "overloaded":
            raise
        return None
    columns = (ROWS, *report.columns(asked))
    found = [each for sums in totals for each in _figures(visit, columns, sums)]
    return _made(visit, found)


async def _read(visit: Visit, report: Report, told: Mapping[str, Any]) -> Read:
    asked = Asked(**{name: value for name, value in told.items() if name in report.takes})
    return await read_report(visit.here.pool, report, asked, 1)


def _figures(visit: Visit, columns: Sequence[Column], sums: Mapping[str, Any]) -> list[tuple[str, str, Cell]]:
    """Name, unit and figure of each sum that there is."""
    currency, found = str(sums.get("currency") or ""), []
    for column in columns:
        if column.total and sums.get(column.name) is not None:
            of = currency if column.kind == "minor" else ""
            cell = figure(visit.words, int(sums[column.name]), of, column.name, prefix=currency)
            found.append((column.name, currency, cell))
    return found


def _made(visit: Visit, found: Sequence[tuple[str, str, Cell]], report: str = "") -> Summary:
    units = list(dict.fromkeys(unit for _, unit, _ in found))
    names = list(dict.fromkeys(name.removesuffix("_minor") for name, _, _ in found))
    of = {(name.removesuffix("_minor"), unit): cell for name, unit, cell in found}
    lines = [
        Line(
            visit.words.say(head(name, report)),
            [of.get((name, unit), Cell("", "minor")) for unit in units],
            name.endswith("closing"),
        )
        for name in names
    ]
    return Summary(units, [line for line in lines if any(cell.value for cell in line.cells) or line.is_last])
