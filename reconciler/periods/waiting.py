"""
What is dated in a period and still on a stream.

The next record of a stream says it: records follow each other by the clock of Redis, so where the next one is dated
after the period, all are. Were the clock set back, what is dated in it nevertheless is booked as late, never lost.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date, datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from lua.door import Door, stream_fields
from lua.entries import UnreadableEntry, decode_entry
from lua.keys import Shard

CALLS_MAX = 16
"""Shards asked about at once: below the connections of a worker's door, so that no claim is kept waiting for one."""

ZoneOf = Callable[[str, int], Awaitable[str]]
"""Campaign and version of its rules → the zone its days are of."""


class Standing(NamedTuple):
    """Where the drain of a shard stands. *archived*: it may be gone from Redis, drained to its end."""

    shard: str
    seq: int
    entry_id: str
    archived: bool


async def clock_ms(door: Door) -> int:
    """The clock of Redis, milliseconds since the epoch. Errors: RedisError."""
    seconds, micros = await door.redis.time()
    return int(seconds) * 1000 + int(micros) // 1000


def date_at(at_ms: int, zone: str) -> date:
    """The date in *zone* at an instant, milliseconds since the epoch."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(ZoneInfo(zone)).date()


async def waiting(door: Door, standings: Sequence[Standing], ends: date, zone_of: ZoneOf) -> list[str]:
    """
    Why each shard that may still bring something dated up to *ends* is waited for; empty where none is.

    Errors: RedisError, OSError; what *zone_of* raises.
    """
    places = asyncio.Semaphore(CALLS_MAX)

    async def next_of(standing: Standing) -> tuple[int, list[Any]]:
        async with places:
            return await _next_record(door, standing)

    found = await asyncio.gather(*map(next_of, standings))
    reasons = []
    for standing, (seq, records) in zip(standings, found, strict=True):  # one after the other: they share a connection
        reason = await _reason(standing, seq, records, ends, zone_of)
        if reason:
            reasons.append(f"{standing.shard}: {reason}")
    return reasons


async def _next_record(door: Door, standing: Standing) -> tuple[int, list[Any]]:
    """The shard's seq in Redis, and the first record that the books don't have; of one instant."""
    shard = Shard.parse(standing.shard)
    pipeline = door.redis.pipeline(transaction=True)
    pipeline.hget(shard.key("counters"), "seq")
    pipeline.xrange(shard.key("entries"), min=f"({standing.entry_id}", count=1)
    seq, records = await pipeline.execute()
    return int(seq or 0), records


async def _reason(standing: Standing, seq: int, records: list[Any], ends: date, zone_of: ZoneOf) -> str:
    """Why the shard is waited for; empty where it is not."""
    if seq < standing.seq and not (standing.archived and seq == 0):
        return f"Redis is at seq {seq}, behind the books at {standing.seq}"
    if seq <= standing.seq:
        return ""
    if not records:
        return f"seq {standing.seq + 1} to {seq} are on no stream"
    entry_id, fields = records[0]
    try:
        entry = decode_entry(stream_fields(fields))
    except UnreadableEntry as error:
        return f"record {entry_id.decode()} can't be read ({error}), so it will be quarantined"
    dated = date_at(entry.at_ms, await zone_of(str(Shard.parse(standing.shard).campaign), entry.version))
    if dated > ends:
        return ""
    return f"seq {entry.first_seq} of {dated} is not in the books yet"
