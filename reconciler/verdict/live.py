"""Redis' side of a verdict: a stocktake of every shard, at the seq of the books."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import psycopg

from lua.door import Door
from lua.keys import Shard
from reconciler.ledger import connect_options
from reconciler.stocktake import take
from reconciler.verdict.books import CONNECT_MS_MAX, Finding

SAMPLES = 200
"""Coupons and holders of each shard that are compared field by field."""
SHARDS_AT_ONCE = 16


async def compare_live(door: Door, postgres_url: str, shards: Sequence[str]) -> Finding:
    """
    Take stock of *shards*; what differs is wrong.

    On a connection of its own: each shard is compared with the books as they are at its turn. Errors: psycopg.Error;
    DoorError and RedisError.
    """
    totals, found = Counter[str](), Finding(figures={})
    session = {"role": "fairclaim_reader", "statement_timeout": "0"}
    conninfo = connect_options(postgres_url, postgres_ms_max=0, connect_ms_max=CONNECT_MS_MAX, session=session)
    async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
        for at in range(0, len(shards), SHARDS_AT_ONCE):
            some = [Shard.parse(shard) for shard in shards[at : at + SHARDS_AT_ONCE]]
            for taken in await take(door, connection, some, SAMPLES):
                totals += Counter({name: value for name, (_, value) in taken.figures.items()})
                for each in taken.found:
                    found.wrong += 1
                    found.first = found.first or _first(str(taken.shard), taken.seq, each)
    found.figures = {name.replace("_", " "): value for name, value in totals.items()}
    return found


def _first(shard: str, seq: int, found: Any) -> dict[str, Any]:
    return {"check": "stocktake", "shard": shard, "seq": seq, "kind": found.kind, "figure": found.figure,
            "expected": found.expected, "found": found.found, "likely": found.likely}  # fmt: skip
