"""
How far the books are behind the streams, and whether Redis and the books are equal.

    sight.py    a shard as Redis has it, also at the position of the books
    books.py    the same things as Postgres has them, in one snapshot
    report.py   pure: the two and what follows from them, as the body of `fairclaim status --json`

    drain_lag()     cheap: /metrics asks for it
    take_status()   everything: it counts rows

The two are compared at one position of each shard: the books are read in one snapshot, and what is
on the stream beyond it is taken off the figures of Redis. So a difference is a difference and not a
moment in between, and the comparison holds while claims are coming in.
"""

import asyncio
from typing import Any, NamedTuple

from psycopg import AsyncConnection
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from gateway.probing import is_probing
from gateway.status.books import read_books, read_positions
from gateway.status.report import Status, report
from gateway.status.sight import Sight, each_shard, see, see_at, waiting
from lua.door import Door
from lua.keys import Shard

__all__ = ["Sample", "ShardLag", "drain_lag", "take_status"]

CUT_TRIES_MAX = 5
"""Snapshots tried until no stream was trimmed between it and the look at Redis, which is about a millisecond."""
SAMPLE_S = 1.0
"""How long claims are counted for claims/s when there is no earlier sample."""

Sample = dict[Shard, Sight]
"""Every shard at about one instant; two of them give claims/s."""


class ShardLag(NamedTuple):
    """One shard: *lag_seq* of its *seq* state changes are not in the books, the oldest of those is *lag_s* old."""

    shard: Shard
    seq: int
    lag_seq: int
    lag_s: float


async def drain_lag(door: Door, pool: AsyncConnectionPool[AsyncConnection[Any]]) -> list[ShardLag]:
    """
    The lag of every shard of a campaign that is not archived.

    Units: seconds by the clock of Redis.
    Errors: psycopg.Error and PoolTimeout; DoorError and RedisError.
    """
    async with pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
        positions = await read_positions(cursor)
    found = await waiting(door, positions)
    return [
        ShardLag(position.shard, behind.seq, behind.seq - position.seq, behind.lag_s)
        if (behind := found.get(position))
        else ShardLag(position.shard, position.seq, 0, 0.0)
        for position in positions
    ]


async def take_status(
    door: Door, connection: AsyncConnection[Any], before: Sample | None = None
) -> tuple[Status, Sample]:
    """
    Compare Redis with the books; the sample that comes back is what the next call takes claims/s from.

    Shape: *connection* is in autocommit mode; nothing is changed through it.
    Cost: counts the rows of coupons and coupon_entries; 1 s more when there is no sample from *before*.
    Errors: psycopg.Error; DoorError and RedisError.
    """
    if before is None:
        async with connection.cursor(row_factory=dict_row) as cursor:
            positions = await read_positions(cursor)
        before = dict(
            zip(
                (position.shard for position in positions),
                await each_shard(positions, lambda position: see(door, position)),
                strict=True,
            )
        )
        await asyncio.sleep(SAMPLE_S)
    for tries_left in reversed(range(CUT_TRIES_MAX)):
        async with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            positions = await read_positions(cursor)
            sights = await each_shard(positions, lambda position: see_at(door, position))
            if tries_left and any(sight.trimmed for sight in sights):
                continue
            sample = {position.shard: sight for position, sight in zip(positions, sights, strict=True)}
            probing = await is_probing(door.redis)
            return report(await read_books(cursor), positions, sample, before, probing), sample
    raise AssertionError("the last try returns")
