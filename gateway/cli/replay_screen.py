"""How a replay looks while it runs, and what it came to, for a person."""

import sys
from time import monotonic
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from gateway.cli.tables import show, table
from reconciler.currencies import major_text

LINE_EVERY_S = 5.0
"""How often a log, which is nobody's terminal, has a line of where it is."""
FIGURES = {
    "claimed": "claimed",
    "limit_reached": "limit_reached",
    "sold_out": "sold_out",
    "other": "anything else",
    "face_minor": "face value of threshold coupons",
    "rates": "coupons of a rate",
    "redeemed": "redeemed",
    "redeemed_minor": "taken off their orders",
}


class Progress:
    """Bars on a terminal, a line now and then in a log, nothing where it is *quiet*; all of it on stderr."""

    def __init__(self, *, quiet: bool) -> None:
        console = Console(stderr=True)
        self._bars: Bars | None = None
        self._tasks: dict[str, TaskID] = {}
        self._said: dict[str, float] = {}
        self._quiet = quiet
        if not quiet and console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bars = Bars(*columns, console=console, transient=True)

    def __enter__(self) -> Self:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def __call__(self, what: str, done: int, total: int) -> None:
        """*done* of *total* is done of *what*."""
        if self._bars is not None:
            if what not in self._tasks:
                self._tasks[what] = self._bars.add_task(what, total=total)
            self._bars.update(self._tasks[what], completed=done)
        elif not self._quiet and (done == total or monotonic() - self._said.get(what, 0.0) > LINE_EVERY_S):
            self._said[what] = monotonic()
            print(f"fairclaim: {what} {done:,} of {total:,}", file=sys.stderr, flush=True)


def shown(report: dict[str, Any]) -> str:
    """The table of truth, how fast it was, and what the books and the verdict say."""
    currency, expected, found = report["currency"], report["expected"], report["found"]
    figures = [
        (about, *(_figure(name, side[name], currency) for side in (expected, found)))
        for name, about in FIGURES.items()
        if expected[name] or found[name] or name in ("claimed", "limit_reached", "sold_out")
    ]
    lines = [
        f"run {report['run']}: {report['rows']:,} claims on {_campaigns(report['campaigns'])}"
        + (f", {report['without_coupon']:,} rows without a coupon left out" if report["without_coupon"] else ""),
        "",
        table(("", "oracle#", "gateway#"), figures),
        "",
        f"campaigns made in {report['made_s']:,} s;"
        f" {report['answers_per_s']:,} answers/s for {report['elapsed_s']:,} s,"
        f" p50 {report['p50_ms']} ms, p99 {report['p99_ms']} ms",
        "every row is as the oracle says" if report["first"] is None else _differing(report),
    ]
    if report["books"] is not None:
        lines.append(f"the books differ: {report['books']}")
    if report["verdict"] is not None:
        lines.append(_verdict(report["verdict"]))
    return "\n".join(lines)


def _campaigns(count: int) -> str:
    return f"{count:,} campaign{'' if count == 1 else 's'}"


def _figure(name: str, figure: int, currency: str) -> str:
    return f"{currency} {major_text(figure, currency)}" if name.endswith("_minor") else show(figure)


def _differing(report: dict[str, Any]) -> str:
    return f"{report['differing']:,} rows are not as the oracle says, first {row(report['first'])}"


def row(difference: dict[str, Any]) -> str:
    """One row that differs."""
    return (
        f"line {difference['line']:,}: the {difference['step']} of user {difference['user']} on coupon"
        f" {difference['coupon']} should be {difference['expected']}, and is {difference['found']}"
    )


def _verdict(verdict: dict[str, Any]) -> str:
    of = "" if verdict["campaign"] else ", of everything in the books"
    broken = [each for each in verdict["invariants"] if not each["holds"]]
    if not broken:
        return f"verdict: {len(verdict['invariants'])} invariants hold{of}"
    first = broken[0]
    rows = ", ".join(f"{name} {value}" for name, value in (first["first"] or {}).items())
    return f"verdict: {', '.join(each['name'] for each in broken)} violated{of}; first {first['name']}: {rows}"
