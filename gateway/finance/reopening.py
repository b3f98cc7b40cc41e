"""Reopening a period when it is proposed: what it is now, and reopening it in the caller's own transaction."""

import re
from contextlib import nullcontext
from typing import Any

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from gateway.finance.periods import answered
from gateway.issuing.asked import refuse
from gateway.sql import postgres
from reconciler.periods.calendar import Period, parse_period
from reconciler.periods.closing import reopen, reopenable
from reconciler.periods.entities import ID_PATTERN
from reconciler.periods.listing import one_period


def named(entity: str, kind: str, starts: str) -> Period:
    """The period of these names. Errors: Refusal("bad_request") naming the field."""
    if not re.fullmatch(ID_PATTERN, entity):
        raise refuse("period.entity", "the id of a legal entity")
    try:
        return parse_period(entity, starts, kind)
    except ValueError as error:
        raise refuse("period.starts", str(error)) from None


async def plan_reopening(pool: AsyncConnectionPool[Any], period: Period) -> dict[str, Any]:
    """The state and the number of closes of a period that can be reopened, by an admin. Errors: Refusal."""
    async with answered(), postgres(pool) as connection, connection.transaction():
        state = await reopenable(connection, period, may_reopen=True)
        _, reports = await one_period(connection, period)
    return {"state": state, "closes": len(reports)}


async def reopen_within(
    connection: AsyncConnection[Any], period: Period, actor: str, reason: str, *, may_reopen: bool
) -> None:
    """Reopen it in the transaction that *connection* is in. Errors: Refusal."""
    async with answered():
        await reopen(lambda: nullcontext(connection), period, actor, reason, may_reopen=may_reopen)
