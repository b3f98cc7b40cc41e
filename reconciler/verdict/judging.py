"""A whole verdict: every invariant in its order, and one answer to all of them."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
from psycopg import AsyncConnection

from lua.door import Door
from reconciler.verdict.books import Finding, Scope, add, compare_told, look_for, scope_of, snapshot
from reconciler.verdict.invariants import INVARIANTS, Invariant
from reconciler.verdict.live import compare_live
from reconciler.verdict.told import Told
from reconciler.verifying import ChainReport, verify


class Judged(msgspec.Struct, frozen=True):
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


class Chain(msgspec.Struct, frozen=True):
    """The chain of a shard, or of manual journals: *head*, in hex, stands for the *journals* that it bears out."""

    shard: str
    journals: int
    head: str


class Verdict(msgspec.Struct, frozen=True):
    """*holds* is the answer: every invariant does. *campaign* and *entity* are null where everything was judged."""

    holds: bool
    campaign: str | None
    entity: str | None
    shards: int
    invariants: list[Judged]
    chains: list[Chain]


Beginning = Callable[[Invariant], None]
"""Called when the judgement of an invariant begins."""


def _quiet(_: Invariant) -> None:
    """Tells nobody."""


async def judge(
    door: Door,
    postgres_url: str,
    *,
    campaign: str | None = None,
    entity: str | None = None,
    told: Told | None = None,
    beginning: Beginning = _quiet,
) -> Verdict:
    """
    Judge every invariant of *campaign*, of the legal entity *entity*, or of everything.

    *told* is what claimants were told, where that is known. The books are read in one snapshot, and Redis is compared
    at the seq of the books, so a drain that is behind is no fault. Errors: LookupError for a campaign without books
    and an entity that there is not; psycopg.Error; DoorError and RedisError.
    """
    async with snapshot(postgres_url) as connection:
        scope = await scope_of(connection, campaign, entity)
        judgement = _Judgement(door, postgres_url, connection, scope)
        for invariant in INVARIANTS:
            beginning(invariant)
            await judgement.of(invariant, told)
    holds = all(each.holds for each in judgement.judged)
    return Verdict(holds, campaign, entity, len(scope.shards), judgement.judged, judgement.chains)


async def judge_by_books(connection: AsyncConnection[dict[str, Any]], invariant: Invariant, scope: Scope) -> Judged:
    """What the books alone say of *invariant*. Errors: psycopg.Error."""
    return _judged(invariant, await look_for(connection, invariant, scope))


class _Judgement:
    """What was *judged* so far of a scope, in one snapshot, and the *chains* that were walked."""

    def __init__(
        self, door: Door, postgres_url: str, connection: AsyncConnection[dict[str, Any]], scope: Scope
    ) -> None:
        self._door, self._postgres_url, self._connection, self._scope = door, postgres_url, connection, scope
        self.judged: list[Judged] = []
        self.chains: list[Chain] = []

    async def of(self, invariant: Invariant, told: Told | None) -> None:
        """Judge one more."""
        found = await look_for(self._connection, invariant, self._scope)
        if invariant.name == "answers" and told is not None:
            merge(found, await compare_told(self._connection, self._scope, told))
        elif invariant.name == "chain":
            merge(found, await self._walk())
        elif invariant.name == "live":
            merge(found, await compare_live(self._door, self._postgres_url, self._scope))
        self.judged.append(_judged(invariant, found))

    async def _walk(self) -> Finding:
        """The hash chains of what is judged."""
        report: ChainReport = await asyncio.to_thread(verify, self._postgres_url, self._scope.chains)
        self.chains = [Chain(each.shard, each.journals, each.head) for each in report.shards]
        broken = [each for each in report.shards if each.fault is not None]
        first = {"shard": broken[0].shard, **msgspec.to_builtins(broken[0].fault)} if broken else None
        found = Finding(figures={})
        figures = {"chains": len(report.shards), "journals": report.journals}
        add(found, "chain", {**figures, "wrong": len(broken), "first": first})
        return found


def _judged(invariant: Invariant, found: Finding) -> Judged:
    return Judged(invariant.name, invariant.says, not found.wrong, found.figures, found.wrong, found.first)


def merge(found: Finding, further: Finding) -> None:
    """Add *further* to *found*."""
    found.figures |= further.figures
    found.wrong += further.wrong
    found.first = found.first or further.first
