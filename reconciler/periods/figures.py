"""What the books say of a period, read inside the transaction of its close."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from psycopg import AsyncConnection

from reconciler.periods.calendar import Period
from reconciler.periods.report import LISTED_MAX, Account, Campaign, Check, CloseReport, Late, Manual
from reconciler.periods.statements import read, row
from reconciler.verdict.judging import Chain


async def campaigns_of(connection: AsyncConnection[Any], period: Period) -> list[Campaign]:
    """The roll-forward of each campaign with anything in stock, out, or moved. Errors: psycopg.Error."""
    return await read(connection, "campaigns", period._asdict(), Campaign)


async def close_report(
    connection: AsyncConnection[Any],
    period: Period,
    *,
    zone: str,
    actor: str,
    checks: Sequence[Check],
    chains: Sequence[Chain],
) -> CloseReport:
    """The report of a close by *actor*. Errors: psycopg.Error."""
    values: Mapping[str, Any] = {**period._asdict(), "listed": LISTED_MAX}
    late = await row(connection, "late_counts", values) or {}
    manual = await row(connection, "manual_count", values) or {}
    return CloseReport(
        entity=period.entity,
        kind=period.kind,
        starts=period.starts,
        ends=period.ends,
        zone=zone,
        closed_by=actor,
        software=version("fairclaim"),
        checks=list(checks),
        accounts=await read(connection, "accounts", values, Account),
        campaigns=await campaigns_of(connection, period),
        late=await read(connection, "late", values, Late),
        late_count=late["into"],
        late_onward=late["onward"],
        manual=await read(connection, "manual", values, Manual),
        manual_count=manual["manual"],
        chains=list(chains),
    )
