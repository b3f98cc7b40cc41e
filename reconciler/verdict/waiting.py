"""Waiting until the books have what Redis had done when the wait began."""

import asyncio
from collections.abc import Sequence
from time import monotonic
from typing import Any

import msgspec
import psycopg

from lua.door import Door
from lua.keys import Shard
from lua.scripts import load_script
from reconciler.verdict.books import scope_of, snapshot
from reconciler.verdict.invariants import QUERIES

POLL_S = 0.1


async def wait_for_drain(
    door: Door, postgres_url: str, wait_s: float, *, campaign: str | None = None, entity: str | None = None
) -> bool:
    """
    Wait at most *wait_s* seconds for *campaign*, *entity* or everything; gives whether the books got there.

    Errors: LookupError for a campaign or legal entity that the books don't have; psycopg.Error; DoorError, RedisError.
    """
    give_up = monotonic() + wait_s
    async with snapshot(postgres_url) as connection:
        scope = await scope_of(connection, campaign, entity)
    goal = {shard: await _seq_of(door, shard) for shard in scope.shards}
    while await _behind(postgres_url, goal):
        if monotonic() >= give_up:
            return False
        await asyncio.sleep(POLL_S)
    return True


async def _seq_of(door: Door, shard: str) -> int:
    _, _, _, _, counters, _, _ = msgspec.msgpack.decode(await door.call(load_script("look"), Shard.parse(shard)))
    pairs: Sequence[Any] = counters
    return int(dict(zip(pairs[::2], pairs[1::2], strict=True)).get("seq", 0))


async def _behind(postgres_url: str, goal: dict[str, int]) -> bool:
    async with await psycopg.AsyncConnection.connect(postgres_url, autocommit=True) as connection:
        await connection.execute("SET ROLE fairclaim_reader")
        cursor = await connection.execute(QUERIES["books_at"], {"shards": [*goal]})
        return any(seq < goal[shard] for shard, seq in await cursor.fetchall())
