"""Periods, their checks and their closes, for people."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gateway.cli.tables import facts, table, verdict
from gateway.cli.verdict_screen import figures_shown

if TYPE_CHECKING:
    from reconciler.periods.calendar import Period
    from reconciler.periods.closing import Closed
    from reconciler.periods.listing import Listed, Signed


def periods_shown(found: "Sequence[Listed]") -> str:
    """A line a period."""
    columns = ("period", "state", "changed by", "changed, UTC@")
    rows = [[_label(one), one.state, one.changed_by, one.changed_at and one.changed_at.isoformat()] for one in found]
    return table(columns, rows, none="no periods")


def seen_shown(found: "Listed", reports: "Sequence[Signed]") -> str:
    """A period and its closes."""
    told = facts(
        [
            ("period", f"{_label(found)} of {found.entity}"),
            ("days", f"{found.starts} to {found.ends}"),
            ("state", found.state),
            ("changed by", found.changed_by),
        ]
    )
    rows = [[str(one.id), one.closed_by, one.closed_at.isoformat()] for one in reports]
    return f"{told}\n\n{table(('report', 'closed by', 'closed, UTC@'), rows, none='it was never closed')}"


def checks_shown(period: "Period", done: "Closed") -> str:
    """Every check with its figures, what was found of those that don't hold, and what came of it."""
    rows = [
        [one.of, one.name, verdict(one.holds, "holds", "does not", ""), figures_shown(one.figures)]
        for one in done.checks
    ]
    lines = [table(("of", "check", "result", "figures"), rows), ""]
    broken = [one for one in done.checks if not one.holds]
    for one in broken:
        lines += [f"{one.name}: does not hold: {one.says}", *(f"  {each}" for each in one.found), ""]
    shown = "\n".join(lines)
    if broken:
        told = f"{len(broken)} of {len(rows)} checks do not hold"
        if not any(one.of == "books" for one in done.checks):
            told += "; the books were not judged, which --dry-run does all the same"
        return f"{shown}\n{period.label} of {period.entity} can't be closed: {told}"
    if done.number is None:
        return f"{shown}\n{period.label} of {period.entity} could be closed; nothing was changed"
    return f"{shown}\n{period.label} of {period.entity} is closed; its report is number {done.number}"


def _label(one: "Listed") -> str:
    return f"{one.starts:%Y-%m}" if one.kind == "month" else f"{one.starts}"
