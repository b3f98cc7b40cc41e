"""A whole verdict: every invariant in its order, and one answer to all of them."""

import asyncio
from typing import Any

import msgspec
from psycopg import AsyncConnection

from lua.door import Door
from reconciler.verdict.books import Finding, Scope, add, compare_told, look_for, scope_of, snapshot
from reconciler.verdict.invariants import INVARIANTS, Invariant
from reconciler.verdict.live import compare_live
from reconciler.verdict.told import Told
from reconciler.verifying import ChainReport, verify


class Judged(msgspec.Struct):
    """
    One invariant: what it *says*, whether it *holds*, the figures it was judged by.

    *wrong* rows violate it, and *first* is the first of them: its `check`, where it is, and what is there.
    """

    name: str
    says: str
    holds: bool
    figures: dict[str, int]
    wrong: int
    first: dict[str, Any] | None


class Verdict(msgspec.Struct):
    """*holds* is the answer: every invariant does. *campaign* is null where all of them were judged."""

    holds: bool
    campaign: str | None
    shards: int
    invariants: list[Judged]


async def judge(door: Door, postgres_url: str, campaign: str | None = None, told: Told | None = None) -> Verdict:
    """
    Judge every invariant of *campaign*, or of everything; *told* is what claimants were told, where that is known.

    The books are read in one snapshot, and Redis is compared at the seq of the books, so a drain that is behind is no
    fault. Errors: LookupError for a campaign without books; psycopg.Error; DoorError and RedisError.
    """
    async with snapshot(postgres_url) as connection:
        scope = await scope_of(connection, campaign)
        judged = [await _judge(connection, each, scope, told, door, postgres_url) for each in INVARIANTS]
    return Verdict(all(each.holds for each in judged), campaign, len(scope.shards), judged)


async def _judge(
    connection: AsyncConnection[dict[str, Any]], invariant: Invariant, scope: Scope, told: Told | None, door: Door,
    postgres_url: str,
) -> Judged:  # fmt: skip
    found = await look_for(connection, invariant, scope)
    if invariant.name == "answers" and told is not None:
        merge(found, await compare_told(connection, scope, told))
    elif invariant.name == "chain":
        merge(found, await _walk(postgres_url, scope))
    elif invariant.name == "live":
        merge(found, await compare_live(door, postgres_url, scope.campaign))
    return Judged(invariant.name, invariant.says, not found.wrong, found.figures, found.wrong, found.first)


def merge(found: Finding, further: Finding) -> None:
    """Add *further* to *found*."""
    found.figures |= further.figures
    found.wrong += further.wrong
    found.first = found.first or further.first


async def _walk(postgres_url: str, scope: Scope) -> Finding:
    """The hash chains of the shards that are judged; of everything, those of the entities too."""
    if scope.campaign is None:
        reports = [await asyncio.to_thread(verify, postgres_url)]
    else:
        reports = [await asyncio.to_thread(verify, postgres_url, shard) for shard in scope.shards]
    found = Finding(figures={})
    for report in reports:
        _count(found, report)
    return found


def _count(found: Finding, report: ChainReport) -> None:
    broken = [checked for checked in report.shards if checked.fault is not None]
    earlier = found.figures
    row: dict[str, Any] = {
        "chains": earlier.get("chains", 0) + len(report.shards),
        "journals": earlier.get("journals", 0) + report.journals,
        "wrong": len(broken),
        "first": None,
    }
    if broken:
        row["first"] = {"shard": broken[0].shard, **msgspec.to_builtins(broken[0].fault)}
    add(found, "chain", row)
