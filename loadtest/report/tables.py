"""Pure: the tables of the page."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from loadtest.report.families import family_of
from loadtest.report.figures import clock, column, count, percent, plural, shortened
from loadtest.report.headline import row
from loadtest.report.result import Request, Result

ROWS_MAX = 200
TEXT_MAX = 400
DROPPED, SLOW_LINK = "dropped", " over a slow link"


class Cell(NamedTuple):
    """
    What a cell shows; *value* is what a number is sorted by. *colour* is one of the page's, *good* whether all is well.

    *share* of 1 is drawn as a bar.
    """

    text: str
    value: float | None = None
    colour: str = ""
    good: bool | None = None
    share: float | None = None


class Column(NamedTuple):
    """A column; the cells of one of numbers are to the right, and one of prose is as wide as there is room."""

    title: str
    number: bool = False
    code: bool = False
    prose: bool = False


class Table(NamedTuple):
    """*empty* is said in its place if it has no rows, *more* beneath it. A *folded* one opens by a press."""

    id: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    empty: str
    more: str = ""
    folded: bool = False


def tables_of(result: Result) -> list[Table]:
    """All of them, in order."""
    made: list[Request] = []
    spoiled: list[Request] = []
    for each in result.requests:
        (spoiled if _is_spoiled(each.name) else made).append(each)
    return [
        _bounded(table)
        for table in (
            _checks(result),
            _campaigns(result),
            _outcomes(result),
            _requests("requests", "Requests", made),
            *([_spoiled(spoiled)] if spoiled else []),
            _failures(result),
            _marks(result),
            _settings(result),
        )
    ]


def _bounded(table: Table) -> Table:
    over = len(table.rows) - ROWS_MAX
    if over <= 0:
        return table
    return table._replace(rows=table.rows[:ROWS_MAX], more=f"{plural(over, 'row')} more: see result.json.")


def _number(value: float | None) -> Cell:
    return Cell(count(value), value)


def _measures(values: Sequence[float | None]) -> list[Cell]:
    return [Cell(text, value) for text, value in zip(column(values), values, strict=True)]


def _text(text: str) -> Cell:
    return Cell(shortened(text, TEXT_MAX))


def _checks(result: Result) -> Table:
    columns = [Column("Check", code=True), Column("Holds"), Column("Checked", number=True),
               Column("Violated", number=True), Column("Says", prose=True),
               Column("First row that violates it", code=True, prose=True)]  # fmt: skip
    checks = result.verdict.checks if result.verdict else []
    rows = [
        [
            _text(check.name),
            Cell("yes" if check.holds else "no", good=check.holds),
            _number(check.checked),
            _number(check.violated),
            _text(check.says),
            _text(row(check.first)),
        ]
        for check in sorted(checks, key=lambda check: check.holds)
    ]
    why = f": {result.unjudged}" if result.unjudged else ""
    if all(check.holds for check in checks):
        columns, rows = columns[:-1], [cells[:-1] for cells in rows]
    return Table("checks", "Checks of the verdict", columns, rows, f"Nothing was checked{why}.")


def _campaigns(result: Result) -> Table:
    columns = [Column("Campaign", code=True), Column("Stock at first", number=True), Column("Limit", number=True),
               Column("Granted", number=True), Column("Left", number=True)]  # fmt: skip
    rows = [
        [
            _text(campaign.id),
            _number(campaign.stock),
            _number(campaign.limit),
            _number(campaign.granted),
            _number(campaign.left),
        ]
        for campaign in result.campaigns
    ]
    return Table("campaigns", "Campaigns", columns, rows, "There was none.")


def _outcomes(result: Result) -> Table:
    columns = [Column("Outcome", code=True), Column("Claims", number=True), Column("Share", number=True),
               Column("Is", prose=True)]  # fmt: skip
    total = sum(result.outcomes.values())
    rows = []
    for name, number in sorted(result.outcomes.items(), key=lambda item: -item[1]):
        family, share = family_of(name), number / total if total else 0
        rows.append(
            [
                Cell(shortened(name, TEXT_MAX), colour=family.colour),
                _number(number),
                Cell(percent(share), share, colour=family.colour, share=share),
                Cell(family.says),
            ]
        )
    return Table("outcome-table", "What claims were told", columns, rows, "No claim was answered.")


def _is_spoiled(name: str) -> bool:
    """Whether the load test itself spoiled a request of this name: threw its answer away, or held it up."""
    ask, _, outcome = name.partition(": ")
    return outcome == DROPPED or ask.endswith(SLOW_LINK)


def _spoiled(requests: Sequence[Request]) -> Table:
    return _requests("spoiled", "Requests that the load test spoiled itself", requests)._replace(folded=True)


def _requests(name: str, title: str, requests: Sequence[Request]) -> Table:
    """Those with most requests first, and the outcomes of one thing that is asked together."""
    measures = ("Per s", "p50 ms", "p95 ms", "p99 ms", "Slowest ms")
    columns = [Column("Request", code=True), Column("Count", number=True), Column("Failures", number=True),
               *(Column(title, number=True) for title in measures)]  # fmt: skip
    asked = Counter[str]()
    for each in requests:
        asked[_asked(each)] += each.count
    ranked = sorted(requests, key=lambda each: (-asked[_asked(each)], _asked(each), -each.count))
    figures = [(each.per_s, each.p50_ms, each.p95_ms, each.p99_ms, each.max_ms) for each in ranked]
    measured = [_measures(values) for values in zip(*figures, strict=True)]
    rows = [
        [
            _text(each.name),
            _number(each.count),
            Cell(count(each.failures), each.failures, good=False if each.failures else None),
            *(cells[at] for cells in measured),
        ]
        for at, each in enumerate(ranked)
    ]
    return Table(name, title, columns, rows, "None was made.")


def _asked(request: Request) -> str:
    return request.name.partition(": ")[0]


def _failures(result: Result) -> Table:
    columns = [Column("Request", code=True), Column("Failed because", prose=True), Column("Count", number=True)]
    rows = [
        [_text(each.name), _text(each.says), _number(each.count)]
        for each in sorted(result.failures, key=lambda each: -each.count)
    ]
    return Table("failures", "Failures", columns, rows, "None.")


def _marks(result: Result) -> Table:
    columns = [Column("At", number=True), Column("What was done to the sale", prose=True)]
    rows = [[Cell(clock(mark.at_s), mark.at_s), _text(mark.says)] for mark in result.marks]
    return Table("marks", "What was done, and when", columns, rows, "Nothing.")


def _settings(result: Result) -> Table:
    columns = [Column("Setting", code=True), Column("Value", code=True, prose=True)]
    rows = [[_text(name), _text(_shown(value))] for name, value in result.settings.items()]
    return Table("settings", "Settings", columns, rows, "None are known.")


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "not set" if value is None or value == "" else str(value)
