"""
What has to hold before a period closes. Each check is named and has its figure, also when it holds: it is signed too.

The light ones are run twice, the second time under the lock that keeps every batch of the entity out; the heavy ones
(the chain, the totals against their postings) once before, and under the lock it is proved that nothing has come since.
"""

from collections.abc import Sequence
from typing import Any

from psycopg import AsyncConnection

from lua.door import Door
from reconciler.periods.calendar import Period, gap_before
from reconciler.periods.figures import campaigns_of
from reconciler.periods.report import Chain, Check
from reconciler.periods.statements import row, rows
from reconciler.periods.stock import StockTaken
from reconciler.periods.waiting import Standing, clock_ms, date_at, waiting
from reconciler.verifying import ChainReport

FOUND_MAX = 20
"""How many of the things in the way a check names."""

SAYS = {
    "hold": "the period is on hold",
    "order": "every day before it is closed",
    "over": "the period is over in every zone of the entity, by the clock of Redis",
    "drained": "every state change dated in it is in the books",
    "breaks": "no break is open",
    "quarantine": "no record is in quarantine",
    "manual": "every manual journal dated in it is posted or rejected",
    "suspense": "nothing is in suspense",
    "trial_balance": "debits and credits are equal in every currency and of every coupon",
    "roll_forward": "every campaign's opening and movements come to its closing",
    "totals": "the totals of its days are what its postings add up to",
    "chain": "every journal is as it was sealed, and none is missing",
    "stocktake": "every shard that moved was compared with Redis after it, and was equal",
}
"""Name of a check → what it says, in the order in which they are made."""


def check(name: str, found: Sequence[str], figure: int | None = None) -> Check:
    """The check *name*, which holds where nothing was *found*."""
    count = len(found) if figure is None else figure
    return Check(name, SAYS[name], not found, count, list(found[:FOUND_MAX]))


async def light_checks(
    connection: AsyncConnection[Any], door: Door, period: Period, state: str, stock: StockTaken
) -> list[Check]:
    """
    Every check but the heavy ones. *state* is the period's, *stock* what was compared for this close.

    Errors: psycopg.Error, RedisError, OSError.
    """
    values = period._asdict()
    breaks = await rows(connection, "open_breaks", values)
    quarantined = await rows(connection, "quarantined", values)
    undecided = await rows(connection, "undecided", values)
    suspense = await rows(connection, "suspense", values)
    unbalanced = await rows(connection, "unbalanced", values)
    untaken = await rows(connection, "untaken", values)
    campaigns = await campaigns_of(connection, period)
    return [
        check("hold", [] if state == "hold" else [f"it is {state}"]),
        check("order", await _order(connection, period)),
        check("over", await _not_over(connection, door, period)),
        check("drained", await _waiting(connection, door, period)),
        check("breaks", [f"{one['shard']}: {one['kind']} {one['figure']}".rstrip() for one in breaks]),
        check("quarantine", [f"{one['shard']}: record {one['entry_id']}" for one in quarantined]),
        check("manual", [f"{one['id']} is {one['state']}" for one in undecided]),
        check("suspense", [f"{one['account']}: {one['minor']} {one['currency']} (minor units)" for one in suspense]),
        check("trial_balance", [f"{one['commodity']}: {one['difference']}" for one in unbalanced]),
        check("roll_forward", [one.campaign for one in campaigns if not one.adds_up]),
        check("stocktake", stock.in_the_way(untaken)),
    ]


async def total_check(connection: AsyncConnection[Any], period: Period) -> Check:
    """The totals of the period's days against its postings. Errors: psycopg.Error."""
    differing = await rows(connection, "differing_totals", period._asdict())
    return check("totals", [f"{one['account']} in {one['commodity']}" for one in differing])


async def own_chains(connection: AsyncConnection[Any], period: Period) -> set[str]:
    """The names of the entity's chains: its shards, and its manual journals. Errors: psycopg.Error."""
    standings = await rows(connection, "positions", period._asdict())
    return {f"manual:{period.entity}", *(one["shard"] for one in standings)}


def chain_check(report: ChainReport, own: set[str]) -> tuple[Check, list[Chain]]:
    """The chains of *own*, and the check that they hold; its figure is how many journals they bear out."""
    checked = [one for one in report.shards if one.shard in own]
    chains = [Chain(one.shard, one.journals, one.head) for one in checked]
    broken = [f"{one.shard}, journal {one.fault.journal}: {one.fault.reason}" for one in checked if one.fault]
    return check("chain", broken, sum(one.journals for one in checked)), chains


def in_order(checks: Sequence[Check]) -> list[Check]:
    """*checks* in the order in which they are shown."""
    names = list(SAYS)
    return sorted(checks, key=lambda one: names.index(one.name))


async def _order(connection: AsyncConnection[Any], period: Period) -> list[str]:
    entity = await row(connection, "entity", period._asdict()) or {}
    first = await row(connection, "first_day", period._asdict()) or {}
    gap = gap_before(period, entity["closed_through"], first["first"])
    return [] if gap is None else [f"{gap} and what follows it is open"]


async def _not_over(connection: AsyncConnection[Any], door: Door, period: Period) -> list[str]:
    now_ms = await clock_ms(door)
    zones = [one["zone"] for one in await rows(connection, "zones", period._asdict())]
    today = {zone: date_at(now_ms, zone) for zone in zones}
    return [f"in {zone} it is {day}" for zone, day in today.items() if day <= period.ends]


async def _waiting(connection: AsyncConnection[Any], door: Door, period: Period) -> list[str]:
    async def zone_of(campaign: str, version: int) -> str:
        found = await row(connection, "zone_of_version", {"campaign": campaign, "version": version})
        return str(found["zone"]) if found else "UTC"

    standings = [Standing(**one) for one in await rows(connection, "positions", period._asdict())]
    return await waiting(door, standings, period.ends, zone_of)
