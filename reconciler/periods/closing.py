"""
Hold, close and reopen a period.

OPEN → HOLD: nothing is booked into it by hand any more; what coupons do goes on. HOLD → CLOSED: every check holds, and
its report is kept. A close has two parts. In the first the checks are made, the heavy ones too, while batches go on. In
the second the entity's row is locked, which every batch shares: so none is half written, the light checks are made
again, nothing was booked into the period since the first part, and what is closed is exactly what was checked.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, NamedTuple

import msgspec
from psycopg import AsyncConnection

from lua.door import Door
from reconciler.periods.calendar import Period, State
from reconciler.periods.checks import chain_check, check, in_order, light_checks, own_chains, total_check
from reconciler.periods.figures import close_report
from reconciler.periods.report import Check, CloseReport
from reconciler.periods.statements import row, rows
from reconciler.periods.stock import take_stock
from reconciler.verifying import ChainReport

STATEMENT_S_MAX = 30
LOCK_S_MAX = 10  # a batch takes far less; whoever has the row for longer is another close

Books = Callable[[], AbstractAsyncContextManager[AsyncConnection[Any]]]
"""Gives a connection in the gateway's role, in autocommit."""

Verify = Callable[[], Awaitable[ChainReport]]
"""Walks every chain, outside of this process's loop."""


class NoEntity(LookupError):
    """There is no such legal entity."""


class WrongState(Exception):
    """The period is in *state*, and has to be in one of *allowed* for what was asked; the text says why."""

    def __init__(self, text: str, state: State, allowed: tuple[State, ...]) -> None:
        super().__init__(text)
        self.state, self.allowed = state, allowed


class NotAllowed(Exception):
    """Whoever asks may not reopen what is closed."""


class NotClosable(Exception):
    """A check does not hold. *checks* are all of them."""

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
            raise WrongState(f"{period.label} is closed", state, ("open",))
        if entity["today"] < period.starts:
            raise WrongState(f"{period.label} has not begun: it is {entity['today']} in {entity['zone']}", state, ())
        if state == "open":
            await _set(connection, period, "hold", actor)
            await _audit(connection, period, "period.held", actor, {})
    return "hold"


async def reopen(books: Books, period: Period, actor: str, reason: str, *, may_reopen: bool) -> State:
    """
    Open a period again: one on hold or, for who *may_reopen* it, the last one that was closed.

    What is booked on it from now on is in no report until it is closed again. Its earlier reports stay. Errors:
    NoEntity, WrongState (for a closed one that another was closed after), NotAllowed, psycopg.Error.
    """
    async with _locked(books, period) as (connection, _):
        state = await state_of(connection, period)
        if state == "open":
            raise WrongState(f"{period.label} is open", state, ("hold", "closed"))
        detail = {"reason": reason, "from": state}
        if state == "closed":
            if not may_reopen:
                raise NotAllowed
            after = await row(connection, "closed_after", period._asdict())
            if after is not None:
                raise WrongState(
                    f"the {after['kind']} from {after['starts']} was closed after it: reopen that one first",
                    state,
                    ("hold", "closed"),
                )
        await _set(connection, period, "open", actor)
        if state == "closed":
            moved = await row(connection, "reopen_through", period._asdict()) or {}
            detail["closed_through"] = str(moved["closed_through"] or "")
        await _audit(connection, period, "period.reopened", actor, detail)
    return "open"


async def close(
    books: Books, door: Door, verify: Verify, period: Period, actor: str, *, dry_run: bool = False
) -> Closed:
    """
    Close a period on hold, and keep its report; a dry run makes every check and changes nothing.

    Errors: NoEntity, WrongState (it is closed), NotClosable (not of a dry run), psycopg.Error, DoorError, RedisError,
    OSError; what *verify* raises.
    """
    async with books() as connection:
        if await row(connection, "entity", period._asdict()) is None:
            raise NoEntity(period.entity)
        state = await state_of(connection, period)
        if state == "closed":
            raise WrongState(f"{period.label} is closed", state, ("hold",))
        stock = await take_stock(connection, door, period, actor, dry_run=dry_run)
    async with books() as connection, _bounded(connection):
        light = await light_checks(connection, door, period, state, stock)
        totals = await total_check(connection, period)
        before = await row(connection, "booked", period._asdict())
        own = await own_chains(connection, period)
    chain, chains = chain_check(await verify(), own)
    checks = in_order([*light, totals, chain])
    if dry_run:
        return Closed(checks, None, None)
    if not all(one.holds for one in checks):
        raise NotClosable(checks)
    async with _locked(books, period) as (connection, entity):
        light = await light_checks(connection, door, period, await state_of(connection, period), stock)
        if await row(connection, "booked", period._asdict()) != before:
            totals = check("totals", ["something was booked meanwhile: try again"])
        checks = in_order([*light, totals, chain])
        if not all(one.holds for one in checks):
            raise NotClosable(checks)
        report = await close_report(connection, period, zone=entity["zone"], actor=actor, checks=checks, chains=chains)
        await _set(connection, period, "closed", actor)
        kept = {**period._asdict(), "actor": actor, "report": msgspec.json.encode(report).decode()}
        number = (await row(connection, "add_report", kept) or {})["id"]
        await rows(connection, "close_through", period._asdict())
        await _audit(connection, period, "period.closed", actor, {"report": str(number)})
    return Closed(checks, number, report)


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


async def _audit(
    connection: AsyncConnection[Any], period: Period, action: str, actor: str, detail: dict[str, str]
) -> None:
    values = {
        "actor": actor,
        "action": action,
        "subject": f"period:{period.entity}/{period.label}",
        "detail": msgspec.json.encode(detail).decode(),
    }
    await rows(connection, "audit", values)
