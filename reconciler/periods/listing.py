"""Periods and what became of them, also of those that nobody has touched."""

from collections.abc import Iterator
from datetime import date, datetime
from itertools import islice
from typing import Any

import msgspec
from psycopg import AsyncConnection

from reconciler.periods.calendar import DAY, Kind, Period, State, period_of, periods_between, periods_up
from reconciler.periods.closing import NoEntity, state_of
from reconciler.periods.report import CloseReport
from reconciler.periods.statements import read, row, rows


class Listed(msgspec.Struct, frozen=True):
    """A period. *changed_by* and *changed_at* are null where nobody has touched it."""

    entity: str
    kind: Kind
    starts: date
    ends: date
    state: State
    changed_by: str | None
    changed_at: datetime | None


class Signed(msgspec.Struct, frozen=True):
    """One close of a period."""

    id: int
    closed_by: str
    closed_at: datetime


async def list_periods(
    connection: AsyncConnection[Any],
    entity: str,
    kind: Kind,
    today: date,
    *,
    behind: date | None,
    limit: int,
    is_down: bool = True,
) -> list[Listed]:
    """
    At most *limit* periods from the first day of the books on, the newest first where it goes down.

    They come behind the one that starts on *behind*.

    Errors: NoEntity; psycopg.Error.
    """
    if await row(connection, "entity", {"entity": entity}) is None:
        raise NoEntity(entity)
    span = await row(connection, "span", {"entity": entity}) or {}
    first, last = span["first"] or today, max(today, span["last"] or today)
    between = _down(entity, kind, first, last, behind) if is_down else _up(entity, kind, first, last, behind)
    shown = list(islice(between, limit))
    if not shown:
        return []
    reach = {
        "entity": entity,
        "first": min(shown[0].starts, shown[-1].starts),
        "last": max(shown[0].ends, shown[-1].ends),
    }
    touched = await rows(connection, "period_rows", reach)
    return [_listed(period, touched) for period in shown]


# Straight to where a page begins: somebody may have touched a day of the year 9999.


def _down(entity: str, kind: Kind, first: date, last: date, behind: date | None) -> Iterator[Period]:
    if behind is not None:
        last = min(last, behind - DAY) if behind > date.min else date.min
    between = periods_between(entity, kind, first, last)
    return (period for period in between if behind is None or period.starts < behind)


def _up(entity: str, kind: Kind, first: date, last: date, behind: date | None) -> Iterator[Period]:
    if behind is not None:
        first = max(first, period_of(entity, kind, behind).ends)
    between = periods_up(entity, kind, first, last)
    return (period for period in between if behind is None or period.starts > behind)


async def next_to_close(connection: AsyncConnection[Any], entity: str, kind: Kind) -> Period | None:
    """The period of *kind* that is to be closed next; None where the books are empty. Errors: psycopg.Error."""
    found = await row(connection, "entity", {"entity": entity}) or {}
    first = await row(connection, "first_day", {"entity": entity}) or {}
    closed = found.get("closed_through")
    day = closed + DAY if closed is not None else first["first"]
    return None if day is None else period_of(entity, kind, day)


def _listed(period: Period, touched: list[dict[str, Any]]) -> Listed:
    own = next((one for one in touched if (one["kind"], one["starts"]) == (period.kind, period.starts)), {})
    closed = any(
        one["state"] == "closed" and one["starts"] <= period.starts and one["ends"] >= period.ends for one in touched
    )
    state: State = "closed" if closed else own.get("state", "open")
    return Listed(*period, state, own.get("changed_by"), own.get("changed_at"))


async def one_period(connection: AsyncConnection[Any], period: Period) -> tuple[Listed, list[Signed]]:
    """A period and its closes, the last first. Errors: NoEntity; psycopg.Error."""
    values = period._asdict()
    if await row(connection, "entity", values) is None:
        raise NoEntity(period.entity)
    found = await row(connection, "period", values) or {}
    listed = Listed(*period, await state_of(connection, period), found["changed_by"], found["changed_at"])
    return listed, await read(connection, "reports", values, Signed)


async def report_of(
    connection: AsyncConnection[Any], period: Period, number: int | None = None
) -> tuple[Signed, CloseReport] | None:
    """The last close report of a period, or that of id *number*; None where there is none. Errors: psycopg.Error."""
    found = await row(connection, "report", {**period._asdict(), "id": number})
    if found is None:
        return None
    signed = Signed(found["id"], found["closed_by"], found["closed_at"])
    return signed, msgspec.convert(found["report"], CloseReport, strict=False)
