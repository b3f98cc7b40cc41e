"""A shard as Redis has it: now, and at the position of the books, by taking off what they don't have yet."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from gateway.campaigns.shards import Look
from gateway.status.books import Position
from lua.door import Door, stream_fields
from lua.entries import Adjusted, Changed, Claimed, Entry, Issued, UnreadableEntry, decode_entry
from lua.scripts import load_script

T = TypeVar("T")

CALLS_MAX = 16
"""Shards looked at at once: below the connections of a worker's door, so that no claim is kept waiting for one."""
RECORDS_MAX = 2000
"""Stream records read of one shard. Where the books are further behind, the comparison is left open."""
STREAMS_MAX = 500
"""Streams that one question is about: Redis answers it in half a millisecond, and claims come in between."""


class Sight(NamedTuple):
    """
    One shard in Redis.

    *stock* is -1 where there is none. *lag_s* is the age of the oldest entry the books don't have. *stock_then* and
    *claimed_then* are as of the position of the books, None where that can't be told; *trimmed* says that it can't
    because the books have moved on meanwhile. *budget_minor* is what the shard may spend, None without a limit, and
    *budget_used* what of it is spent or promised.
    """

    now_ms: int
    ready: bool
    stock: int
    seq: int
    claimed: int
    lag_s: float = 0.0
    stock_then: int | None = None
    claimed_then: int | None = None
    trimmed: bool = False
    budget_minor: int | None = None
    budget_used: int = 0


async def each_shard(positions: Sequence[Position], ask: Callable[[Position], Awaitable[T]]) -> list[T]:
    """Ask about every position, CALLS_MAX at a time; answers in the same order."""
    places = asyncio.Semaphore(CALLS_MAX)

    async def one(position: Position) -> T:
        async with places:
            return await ask(position)

    return list(await asyncio.gather(*map(one, positions)))


class Waiting(NamedTuple):
    """What the books lack of a shard: Redis is at *seq*, and the first entry that they don't have is *lag_s* old."""

    seq: int
    lag_s: float


async def waiting(door: Door, positions: Sequence[Position]) -> dict[Position, Waiting]:
    """Of those of *positions* that the books are behind at, how far. Errors: RedisError."""
    found: dict[Position, Waiting] = {}
    for begin in range(0, len(positions), STREAMS_MAX):
        found |= await _waiting(door, positions[begin : begin + STREAMS_MAX])
    return found


async def _waiting(door: Door, positions: Sequence[Position]) -> dict[Position, Waiting]:
    asked = {each.shard.key("entries"): each for each in positions}
    ids: Any = {stream: each.entry_id for stream, each in asked.items()}
    told: Any = await door.redis.xread(ids, count=1)
    firsts = {asked[bytes(stream).decode()]: records for stream, records in told}
    if not firsts:
        return {}
    pipeline: Any = door.redis.pipeline(transaction=False)
    pipeline.time()
    for each in firsts:
        pipeline.hget(each.shard.key("counters"), "seq")
    (now_s, now_us), *seqs = await pipeline.execute()
    now_ms = int(now_s) * 1000 + int(now_us) // 1000
    return {
        each: Waiting(seq, _age_s(now_ms, records))
        for (each, records), seq in zip(firsts.items(), (int(told or 0) for told in seqs), strict=True)
        if seq > each.seq
    }


async def see(door: Door, position: Position) -> Sight:
    """The shard now, and how old what the books lack is. Errors: DoorError, RedisError."""
    sight = await _look(door, position)
    if sight.seq <= position.seq:
        return sight
    return sight._replace(lag_s=_age_s(sight.now_ms, await _unread(door, position, 1)))


async def see_at(door: Door, position: Position) -> Sight:
    """The shard now and at *position*. Errors: DoorError, RedisError."""
    sight = await _look(door, position)
    if sight.seq <= position.seq:
        return sight._replace(stock_then=sight.stock, claimed_then=sight.claimed)
    records = await _unread(door, position, RECORDS_MAX)
    sight = sight._replace(lag_s=_age_s(sight.now_ms, records))
    try:
        entries = [decode_entry(stream_fields(fields)) for _, fields in records]
    except UnreadableEntry:
        return sight  # the drain meets it next and puts it into quarantine
    return _wind_back(sight, position.seq, entries, len(records) == RECORDS_MAX)


def _wind_back(sight: Sight, books_seq: int, entries: list[Entry], more: bool) -> Sight:
    """Take the entries after *books_seq* off the figures of Redis, where they are all there."""
    entries = [entry for entry in entries if entry.first_seq <= sight.seq]
    covered = sum(entry.count for entry in entries)
    if not entries or entries[0].first_seq != books_seq + 1:
        return sight._replace(trimmed=True)
    if covered != sight.seq - books_seq:
        return sight if more else sight._replace(trimmed=True)
    granted = adjusted = returned = 0
    for entry in entries:
        match entry:
            case Claimed():
                granted += entry.count
            case Issued():
                granted += entry.count * entry.units
            case Adjusted():
                adjusted += entry.delta
            case Changed():
                returned += sum(int(step.units) for step in entry.each if step.destination == "stock")
    return sight._replace(stock_then=sight.stock + granted - adjusted - returned, claimed_then=sight.claimed - granted)


async def _look(door: Door, position: Position) -> Sight:
    reply = await door.call(load_script("look"), position.shard)
    look = msgspec.msgpack.decode(reply, type=Look)
    counters = dict(zip(look.flat_counters[::2], look.flat_counters[1::2], strict=True))
    return Sight(
        now_ms=look.now_ms,
        ready=look.ready,
        stock=look.stock,
        seq=int(counters.get("seq", 0)),
        claimed=look.claimed,
        budget_minor=int(budget) if (budget := look.rules.get("budget_minor")) else None,
        budget_used=int(counters.get("budget_used", 0)),
    )


async def _unread(door: Door, position: Position, count: int) -> list[Any]:
    """At most *count* records behind the books' position, oldest first."""
    stream = position.shard.key("entries")
    records: Any = await door.redis.xrange(stream, min=f"({position.entry_id}", count=count)
    return list(records)


def _age_s(now_ms: int, records: list[Any]) -> float:
    """Age of the first record: a stream id begins with the milliseconds at which Redis took it in."""
    if not records:
        return 0.0
    written_ms = int(bytes(records[0][0]).partition(b"-")[0])
    return max(0, now_ms - written_ms) / 1000
