"""
Hold, close and reopen a period.

OPEN → HOLD: nothing is booked into it by hand any more; what coupons do goes on. HOLD → CLOSED: every check holds, and
its report is kept. A close has two parts. In the first the checks of the period are made and all the books of its
entity are judged, while batches go on. In the second the entity's row is locked, which every batch shares: so none is
half written, the checks of the period are made again, nothing was booked into it since the first part, and what is
closed is exactly what was judged.

A verdict is of one legal entity, like the close: whoever signs answers for his own books, and can't mend another's.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, NamedTuple

import msgspec
from psycopg import AsyncConnection

from lua.door import Door
from reconciler.audit import audit
from reconciler.periods.calendar import Period, State
from reconciler.periods.checks import booked, checks_of, period_checks, settled_again
from reconciler.periods.figures import close_report
from reconciler.periods.report import Check, CloseReport
from reconciler.periods.statements import row, rows
from reconciler.verdict.judging import Verdict

STATEMENT_S_MAX = 30
LOCK_S_MAX = 10  # a batch takes far less; whoever has the row for longer is another close

REOPEN = "an admin may open it again, where nothing was closed after it"
"""What helps where a period is closed."""

Books = Callable[[], AbstractAsyncContextManager[AsyncConnection[Any]]]
"""Gives a connection in the gateway's role, in autocommit."""

Judge = Callable[[], Awaitable[Verdict]]
"""Gives the verdict on the entity of the period."""


class NoEntity(LookupError):
    """There is no such legal entity."""


class WrongState(Exception):
    """The period is in *state*, and has to be in one of *allowed*; the text says why, *to_do* what helps."""

    def __init__(self, text: str, state: State, allowed: tuple[State, ...], to_do: str) -> None:
        super().__init__(text)
        self.state, self.allowed, self.to_do = state, allowed, to_do


class NotAllowed(Exception):
    """Whoever asks may not reopen what is closed."""


class NotClosable(Exception):
    """A check does not hold. *checks* are all that were made."""

    def __init__(self, checks: list[Check]) -> None:
        self.checks = checks
        super().__init__("; ".join(f"{one.name}: {', '.join(one.found)}" for one in checks if not one.holds))


class Closed(NamedTuple):
    """A period that was closed, or would have been: *report* is None after a dry run, and so is *number*, its id."""

    checks: list[Check]
    number: int | None
    report: CloseReport | None


async def state_of(connection: AsyncConnection[Any], period: Period) -> State:
    """The state a period is in; open where nobody has touched it. Errors: psycopg.Error."""
    found = await row(connection, "period", period._asdict()) or {}
    state: State = "closed" if found["closed"] else found["state"] or "open"
    return state


async def hold(books: Books, period: Period, actor: str) -> State:
    """
    Put an open period on hold; one that is on hold stays so.

    Errors: NoEntity, WrongState (also for one that has not begun in the entity's zone), psycopg.Error.
    """
    async with _locked(books, period) as (connection, entity):
        state = await state_of(connection, period)
        if state == "closed":
            raise WrongState(f"{period.label} is closed", state, ("open",), REOPEN)
        if entity["today"] < period.starts:
            told = f"{period.label} has not begun: it is {entity['today']} in {entity['zone']}"
            raise WrongState(told, state, (), "wait until it has")
        if state == "open":
            await _set(connection, period, "hold", actor)
            moved = {"before": {"state": state}, "after": {"state": "hold"}}
            await audit(connection, actor, "period.held", _named(period), moved)
    return "hold"


async def reopenable(connection: AsyncConnection[Any], period: Period, *, may_reopen: bool) -> State:
    """The state of a period that reopen() would open. Errors: NoEntity, WrongState, NotAllowed, psycopg.Error."""
    if await row(connection, "entity", period._asdict()) is None:
        raise NoEntity(period.entity)
    state = await state_of(connection, period)
    if state == "open":
        to_do = "only what is on hold or closed is opened again"
        raise WrongState(f"{period.label} is open", state, ("hold", "closed"), to_do)
    if state == "closed":
        if not may_reopen:
            raise NotAllowed
        after = await row(connection, "closed_after", period._asdict())
        if after is not None:
            told = f"the {after['kind']} from {after['starts']} was closed after it"
            raise WrongState(told, state, (), "reopen that one first")
    return state


async def reopen(books: Books, period: Period, actor: str, reason: str, *, may_reopen: bool) -> State:
    """
    Open a period again: one on hold or, for who *may_reopen* it, the last one that was closed.

    What is booked on it from now on is in no report until it is closed again. Its earlier reports stay. Errors:
    NoEntity, WrongState (for a closed one that another was closed after), NotAllowed, psycopg.Error.
    """
    async with _locked(books, period) as (connection, _):
        state = await reopenable(connection, period, may_reopen=may_reopen)
        detail: dict[str, Any] = {
            "reason": reason,
            "from": state,
            "before": {"state": state},
            "after": {"state": "open"},
        }
        await _set(connection, period, "open", actor)
        if state == "closed":
            moved = await row(connection, "reopen_through", period._asdict()) or {}
            detail["closed_through"] = str(moved["closed_through"] or "")
        await audit(connection, actor, "period.reopened", _named(period), detail)
    return "open"


async def close(books: Books, door: Door, judge: Judge, period: Period, actor: str, *, dry_run: bool = False) -> Closed:
    """
    Close a period on hold, and keep its report; a dry run makes every check and changes nothing.

    Where a check of the period itself does not hold, the books are judged by a dry run only. Errors: NoEntity,
    WrongState (it is closed, maybe meanwhile), NotClosable (not of a dry run), psycopg.Error, RedisError, OSError;
    what *judge* raises.
    """
    async with books() as connection, _bounded(connection):
        if await row(connection, "entity", period._asdict()) is None:
            raise NoEntity(period.entity)
        state = await _not_closed(connection, period)
        before = await booked(connection, period)
        checks = await period_checks(connection, door, period, state, before)
    if not dry_run:
        _refuse(checks)
    verdict = await judge()
    checks += checks_of(verdict.invariants)
    if dry_run:
        return Closed(checks, None, None)
    _refuse(checks)
    async with _locked(books, period) as (connection, entity):
        checks = await period_checks(connection, door, period, await _not_closed(connection, period), before)
        settled = await settled_again(connection, period)
        checks += checks_of(settled if one.name == settled.name else one for one in verdict.invariants)
        _refuse(checks)
        report = await close_report(
            connection, period, zone=entity["zone"], actor=actor, checks=checks, chains=verdict.chains
        )
        await _set(connection, period, "closed", actor)
        kept = {**period._asdict(), "actor": actor, "report": msgspec.json.encode(report).decode()}
        number = (await row(connection, "add_report", kept) or {})["id"]
        await rows(connection, "close_through", period._asdict())
        signed = {"report": str(number), "before": {"state": "hold"}, "after": {"state": "closed"}}
        await audit(connection, actor, "period.closed", _named(period), signed)
    return Closed(checks, number, report)


async def _not_closed(connection: AsyncConnection[Any], period: Period) -> State:
    """The state of a period that is to be closed. Errors: WrongState, where it is closed; psycopg.Error."""
    state = await state_of(connection, period)
    if state == "closed":
        raise WrongState(f"{period.label} is closed", state, ("hold",), REOPEN)
    return state


def _refuse(checks: list[Check]) -> None:
    """Errors: NotClosable, where one does not hold."""
    if not all(one.holds for one in checks):
        raise NotClosable(checks)


@asynccontextmanager
async def _bounded(connection: AsyncConnection[Any]) -> AsyncIterator[None]:
    """A transaction whose statements and locks are waited for so long and no longer."""
    async with connection.transaction():
        await connection.execute(f"SET LOCAL statement_timeout = '{STATEMENT_S_MAX}s'".encode())
        await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_S_MAX}s'".encode())
        yield


@asynccontextmanager
async def _locked(books: Books, period: Period) -> AsyncIterator[tuple[AsyncConnection[Any], dict[str, Any]]]:
    """A transaction that has the entity's row; gives its zone, and what day it is there, too. Errors: NoEntity."""
    async with books() as connection, _bounded(connection):
        entity = await row(connection, "lock_entity", period._asdict())
        if entity is None:
            raise NoEntity(period.entity)
        yield connection, entity


async def _set(connection: AsyncConnection[Any], period: Period, state: State, actor: str) -> None:
    await rows(connection, "set_period", {**period._asdict(), "state": state, "actor": actor})


def _named(period: Period) -> str:
    """What the audit log calls it."""
    return f"period:{period.entity}/{period.label}"
