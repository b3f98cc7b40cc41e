"""The books' side of a verdict: the statements of each invariant, in one snapshot, and what somebody was told."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from typing import Any, NamedTuple

import msgspec
from psycopg import AsyncConnection, IsolationLevel
from psycopg.rows import dict_row

from reconciler.ledger import CONNECT_MS_MAX, connect_options
from reconciler.manual import chain_of
from reconciler.verdict.invariants import QUERIES, Invariant
from reconciler.verdict.told import Told

CODES_PER_LOOK = 20_000
WORK_MEM = "256MB"
"""For the sorts and joins of a whole book, by one reader; they go to disk beyond it."""
HASHED = "4"
"""How often WORK_MEM a hash may take. Sums by nine texts take twice as long where they have to be sorted."""


class Scope(NamedTuple):
    """
    What is judged: all of it, or what *campaign* or what the legal entity *entity* has.

    *shards* are those the books have of it; those *archived* may have left Redis.
    """

    campaign: str | None
    entity: str | None
    shards: list[str]
    archived: frozenset[str]

    @property
    def chains(self) -> list[str] | None:
        """The hash chains that are walked; None for every one."""
        if self.entity is not None:
            return [*self.shards, chain_of(self.entity)]
        return None if self.campaign is None else self.shards

    @property
    def names(self) -> list[str] | None:
        """
        What stands as the shard of a row that is judged; None where every row is.

        Breaks of files of other systems stand under the id of their legal entity.
        """
        return self.chains if self.entity is None or self.chains is None else [*self.chains, self.entity]

    @property
    def values(self) -> dict[str, Any]:
        """The parameters of a statement."""
        return {"campaign": self.campaign, "entity": self.entity, "shards": self.names}


class Finding(msgspec.Struct):
    """What a check came to: its *figures*, how many rows violate it, and the first of them."""

    figures: dict[str, int] = {}
    wrong: int = 0
    first: dict[str, Any] | None = None


@asynccontextmanager
async def snapshot(postgres_url: str) -> AsyncIterator[AsyncConnection[dict[str, Any]]]:
    """One view of the books that nothing changes while it is open. Errors: psycopg.Error."""
    session = {
        "role": "fairclaim_reader",
        "statement_timeout": "0",
        "work_mem": WORK_MEM,
        "hash_mem_multiplier": HASHED,
    }
    conninfo = connect_options(postgres_url, postgres_ms_max=0, connect_ms_max=CONNECT_MS_MAX, session=session)
    async with await AsyncConnection.connect(conninfo, autocommit=True, row_factory=dict_row) as connection:
        await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
        await connection.set_read_only(True)
        async with connection.transaction():
            yield connection


async def scope_of(
    connection: AsyncConnection[dict[str, Any]], campaign: str | None = None, entity: str | None = None
) -> Scope:
    """What *campaign*, or *entity*, comes to. Errors: LookupError for one that the books don't have; psycopg.Error."""
    cursor = await connection.execute(QUERIES["list_shards"], {"campaign": campaign, "entity": entity})
    rows = await cursor.fetchall()
    if campaign is not None and not rows:
        raise LookupError(campaign)
    if entity is not None and not (await connection.execute(QUERIES["has_entity"], {"entity": entity})).rowcount:
        raise LookupError(entity)
    archived = frozenset(row["shard"] for row in rows if row["archived"])
    return Scope(campaign, entity, [row["shard"] for row in rows], archived)


async def look_for(connection: AsyncConnection[dict[str, Any]], invariant: Invariant, scope: Scope) -> Finding:
    """Run the statements of *invariant* and put what they found together. Errors: psycopg.Error."""
    found = Finding(figures={})
    for name in invariant.queries:
        cursor = await connection.execute(QUERIES[name], scope.values)
        row = await cursor.fetchone()
        assert row is not None, f"{name} always gives a row"
        add(found, name, row)
    return found


def add(found: Finding, check: str, row: dict[str, Any]) -> None:
    """Add the row of *check*: figures, wrong, first."""
    wrong, first, further = row.pop("wrong"), row.pop("first"), row.pop("figures", None)
    found.figures |= {name.replace("_", " "): int(value) for name, value in {**row, **(further or {})}.items()}
    found.wrong += wrong
    if wrong and found.first is None:
        found.first = {"check": check, **first}


async def compare_told(connection: AsyncConnection[dict[str, Any]], scope: Scope, told: Told) -> Finding:
    """
    Each answer has its coupon, for its holder, and no coupon of *scope* is without one, but for claims that had none.

    Errors: psycopg.Error.
    """
    found = Finding(figures={"told": len(told.coupons), "unanswered": told.unanswered.total()})
    for code in told.twice:
        _blame(found, {"check": "told_to_two", "code": code, "holder": told.coupons[code]})
    codes = iter(told.coupons)
    while chunk := list(islice(codes, CODES_PER_LOOK)):
        await _look_up(connection, found, told, chunk)
    spare = Counter(told.unanswered)
    async with connection.cursor(name="claimed") as cursor:
        cursor.itersize = CODES_PER_LOOK
        await cursor.execute(QUERIES["claimed_coupons"], scope.values)
        async for row in cursor:
            code, holder = row["code"], row["holder"]
            if code in told.coupons:
                continue
            if spare[holder]:
                spare[holder] -= 1
            else:
                _blame(found, {"check": "nobody_was_told", "code": code, "holder": holder})
    found.figures["done without an answer"] = told.unanswered.total() - spare.total()
    return found


async def _look_up(
    connection: AsyncConnection[dict[str, Any]], found: Finding, told: Told, codes: Sequence[str]
) -> None:
    cursor = await connection.execute(QUERIES["find_coupons"], {"codes": codes})
    holders = {row["code"]: row["holder"] for row in await cursor.fetchall()}
    for code in codes:
        if holders.get(code) != told.coupons[code]:
            fault = {"check": "told_and_not_booked", "code": code, "told": told.coupons[code]}
            _blame(found, {**fault, "holder": holders.get(code)})


def _blame(found: Finding, first: dict[str, Any]) -> None:
    found.wrong += 1
    found.first = found.first or first
