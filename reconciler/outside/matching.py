"""Runs: a file against the redemptions, order by order."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, Literal

import msgspec
from psycopg import AsyncConnection

from reconciler.audit import audit
from reconciler.outside.files import (
    QUERIES,
    Measure,
    OutsideFile,
    be_patient,
    current_file,
    see_file,
)
from reconciler.queries import rows_of

Outcome = Literal["missing_here", "missing_there", "amount_differs", "duplicate"]
OUTCOMES: tuple[Outcome, ...] = ("missing_here", "missing_there", "amount_differs", "duplicate")
"""What an order may be besides matched, in the order they are told in."""
SHOWN_MAX = 100
NAMED_MAX = 3
"""Orders that a sentence names."""
ROWS_PER_LOOK = 1000


class Group(msgspec.Struct, frozen=True):
    """The orders of one outcome, and what they come to on either side, in minor units."""

    orders: int = 0
    here_minor: int = 0
    there_minor: int = 0


class Summary(msgspec.Struct):
    """
    What a run came to; *differences* are the orders that don't match.

    *without_order* are redemptions that name no order, which nobody can match; they are no difference.
    """

    differences: int
    matched: Group
    missing_here: Group
    missing_there: Group
    amount_differs: Group
    duplicate: Group
    without_order: Group


class Difference(msgspec.Struct):
    """
    An order that does not match. *here_minor* is null where nothing was redeemed on it, *there_minor* where it is not
    in the file; *line* is its first line there, *lines* and *redemptions* how many there are.
    """

    order_id: str
    outcome: Outcome
    line: int | None
    lines: int
    redemptions: int
    here_minor: int | None
    there_minor: int | None
    note: str


class CorrectedFile(Exception):
    """The file is not run any more, because *by* counts in its place."""

    def __init__(self, by: str) -> None:
        super().__init__(f"It is corrected by {by}: run that one.")
        self.by = by


class Run(msgspec.Struct):
    """A run of *file*; *id* is null for a dry one, of which nothing is kept. *first* are its first differences."""

    id: int | None
    file: str
    ran_by: str
    ran_at: datetime
    summary: Summary
    first: list[Difference]


async def run_file(
    connection: AsyncConnection[Any], identity: str, actor: str, *, dry_run: bool, patience_s: int = 0
) -> Run:
    """
    Match the file *identity* with the redemptions as they are now.

    A dry run keeps nothing. Else the run is kept with every difference, and a break of the entity is opened where there
    is one: under the name of the first file, where this one corrects another.

    Shape: *connection* is in autocommit mode. Units: a statement may take *patience_s* seconds, 0 for any time. Errors:
    LookupError, CorrectedFile, psycopg.Error.
    """
    async with connection.transaction():
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        await be_patient(connection, patience_s)
        file = await see_file(connection, identity)
        current = await current_file(connection, identity)
        if current.id != identity:
            raise CorrectedFile(current.id)
        of_file: dict[str, Any] = {"file": identity}
        summary = _summary(
            await rows_of(connection, _on_compared("sum_up"), of_file),
            await rows_of(connection, QUERIES["count_without_order"], of_file),
        )
        shown = {**of_file, "rows_max": SHOWN_MAX}
        first = [_difference(row) for row in await rows_of(connection, _on_compared("first_differences"), shown)]
        [clock] = await rows_of(connection, b"SELECT now() AS now", {})
        found = Run(None, identity, actor, clock["now"], summary, first)
        if not dry_run:
            await _keep(connection, found, file)
    return found


async def _keep(connection: AsyncConnection[Any], run: Run, file: OutsideFile) -> None:
    told = msgspec.json.encode(run.summary).decode()
    values: dict[str, Any] = {"file": run.file, "actor": run.ran_by, "summary": told}
    [kept] = await rows_of(connection, QUERIES["add_run"], values)
    run.id = kept["id"]
    await rows_of(connection, _on_compared("keep_differences"), {"file": run.file, "run": run.id})
    if run.summary.differences:
        values = {"entity": file.entity, "first": file.first, "likely": likely(run.summary)}
        await rows_of(connection, QUERIES["open_break"], {**values, "expected": '{"differences": 0}', "found": told})
    detail = {"run": run.id, "differences": run.summary.differences}
    await audit(connection, run.ran_by, "outside.ran", f"outside:{run.file}", detail)


async def list_runs(connection: AsyncConnection[Any], identity: str, before: int | None, rows_max: int) -> list[Run]:
    """The runs of a file that are kept, newest first, without their differences. Errors: psycopg.Error."""
    values = {"file": identity, "before": before or 2**63 - 1, "rows_max": rows_max}
    return [_run(row) for row in await rows_of(connection, QUERIES["list_runs"], values)]


async def see_run(connection: AsyncConnection[Any], identity: str, number: int) -> Run:
    """Run *number* of a file, with its first differences. Errors: LookupError, psycopg.Error."""
    found = await rows_of(connection, QUERIES["see_run"], {"file": identity, "run": number})
    if not found:
        raise LookupError(number)
    run = _run(found[0])
    run.first = await page_differences(connection, number, "", SHOWN_MAX)
    return run


async def page_differences(
    connection: AsyncConnection[Any], number: int, after: str, rows_max: int
) -> list[Difference]:
    """At most *rows_max* differences of run *number*, those after the order *after*. Errors: psycopg.Error."""
    values = {"run": number, "after": after, "rows_max": rows_max}
    return [_difference(row) for row in await rows_of(connection, QUERIES["list_differences"], values)]


async def each_difference(connection: AsyncConnection[Any], number: int) -> AsyncIterator[list[Difference]]:
    """Every difference of run *number*, ROWS_PER_LOOK at a time. Errors: psycopg.Error."""
    after = ""
    while some := await page_differences(connection, number, after, ROWS_PER_LOOK):
        yield some
        after = some[-1].order_id


CAUSES = {
    "duplicate": "the other system sent the file, or a part of it, twice",
    "missing_here": "orders of another period, entity or currency are in the file, or a redemption never came here",
    "missing_there": "orders were cancelled there and not rolled back here, or the file is cut short",
    "amount_differs": "a refund was booked on one side only",
}
"""Outcome of an order → what is likely where there are such."""


def likely(summary: Summary) -> str:
    """Pure: what is likely where a run found differences."""
    return "; ".join(text for outcome, text in CAUSES.items() if getattr(summary, outcome).orders)


def remains(run: Run, measure: Measure) -> str:
    """Pure: what still differs by *run* of a file of *measure*, and what makes it good."""
    told = [
        f"{one.order_id} {one.outcome} (here {_side(one.here_minor)}, there {_side(one.there_minor)})"
        for one in run.first[:NAMED_MAX]
    ]
    more = run.summary.differences - len(told)
    rest = f" and {more} more" if more else ""
    ends = (
        "" if measure == "order" else f"a rollback, a redemption, a posted manual journal that settles {run.file}, or "
    )
    return (
        f"Run {run.id} of {run.file}: {run.summary.differences} orders differ: {'; '.join(told)}{rest}. "
        f"What makes it good is {ends}a file that corrects {run.file}."
    )


def _side(minor: int | None) -> str:
    return "nothing" if minor is None else str(minor)


def _on_compared(name: str) -> bytes:
    return QUERIES["compare"] + b"\n" + QUERIES[name]


def _summary(groups: list[dict[str, Any]], without: list[dict[str, Any]]) -> Summary:
    by = {row.pop("outcome"): Group(*map(int, row.values())) for row in groups}
    [left_out] = without
    return Summary(
        differences=sum(by[outcome].orders for outcome in OUTCOMES if outcome in by),
        matched=by.get("matched", Group()),
        **{outcome: by.get(outcome, Group()) for outcome in OUTCOMES},
        without_order=Group(left_out["redemptions"], int(left_out["minor"])),
    )


def _run(row: dict[str, Any]) -> Run:
    summary = msgspec.convert(row["summary"], Summary)
    return Run(row["id"], row["file"], row["ran_by"], row["ran_at"], summary, [])


def _difference(row: dict[str, Any]) -> Difference:
    for side in ("here_minor", "there_minor"):
        row[side] = None if row[side] is None else int(row[side])
    return Difference(**row)
