"""Redis' side of a verdict: a stocktake of every shard, at the seq of the books."""

from typing import Any

import psycopg

from lua.door import Door
from lua.keys import Shard
from reconciler.ledger import CONNECT_MS_MAX, connect_options
from reconciler.stocktake import Stocktake, take
from reconciler.verdict.books import Finding, Scope

SAMPLES = 100
"""Coupons and holders drawn of each shard, from either side, that are compared field by field."""
TOTALS = ("stock", "outstanding", "reserved", "redeemed", "expired", "revoked")
"""Figures that mean something summed over shards."""


async def compare_live(door: Door, postgres_url: str, scope: Scope) -> Finding:
    """
    Take stock of the shards of *scope*; what differs is wrong, and so is a shard that can't be compared.

    A shard that was archived and has left Redis is not compared. On a connection of its own: each shard is compared
    with the books as they are at its turn. Errors: psycopg.Error; DoorError and RedisError.
    """
    shards = [shard for shard in map(Shard.parse, scope.shards) if not await _is_gone(door, shard, scope)]
    found = Finding(figures={"shards": len(shards), **dict.fromkeys(TOTALS, 0), "coupons sampled": 0})
    session = {"role": "fairclaim_reader", "statement_timeout": "0"}
    conninfo = connect_options(postgres_url, postgres_ms_max=0, connect_ms_max=CONNECT_MS_MAX, session=session)
    async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
        for taken in await take(door, connection, shards, SAMPLES):
            _add(found, taken)
    return found


async def _is_gone(door: Door, shard: Shard, scope: Scope) -> bool:
    return str(shard) in scope.archived and not await door.redis.exists(shard.key("rules"))


def _add(found: Finding, taken: Stocktake) -> None:
    for name in TOTALS:
        _, in_redis = taken.figures.get(name, (None, None))
        found.figures[name] += in_redis or 0
    found.figures["coupons sampled"] += taken.sampled["coupons"]
    first: dict[str, Any] = {"check": "stocktake", "shard": str(taken.shard), "seq": taken.seq}
    if taken.unfinished:
        found.wrong += 1
        found.first = found.first or {**first, "reason": f"it can't be compared: {taken.unfinished}"}
    for each in taken.found:
        found.wrong += 1
        told = {"kind": each.kind, "name": each.name, "expected": each.expected, "found": each.found}
        found.first = found.first or {**first, **told, "likely": each.cause.text}
