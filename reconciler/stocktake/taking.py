"""
Take stock of shards: Redis and the books at exactly the same seq, while claims go on.

The script reads a shard at one instant and never again. The books are read in one snapshot: where they are behind it,
what is on the stream in between is added to them; where they have moved past it meanwhile, what they have more is
taken off. Where the stream was trimmed in between, the next snapshot is further, until one of the two fits.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from psycopg import AsyncConnection
from redis.exceptions import ResponseError

from lua.door import Door
from lua.entries import UnreadableEntry
from lua.keys import CouponCode, HolderId, Shard
from lua.tally import Tally, take_tally
from reconciler.stocktake.comparing import FIGURE, Comparison, Found, Met, Stocktake
from reconciler.stocktake.likely import Evidence, likely
from reconciler.stocktake.reading import (
    Position,
    Rows,
    draw_codes,
    entries_after,
    id_parts,
    read_coupons,
    read_position,
    read_stream,
    read_versions,
    snapshot,
)
from reconciler.stocktake.standing import Version

TRIES_MAX = 200
RETRY_S = 0.01
"""Between two snapshots: the drain needs about as long for a batch."""
KNOWN_TRIES = 3  # a version is in the books before it is in a shard: a snapshot or two later it is there


class Wanted(NamedTuple):
    """Coupons and holders to look at besides those that are drawn."""

    codes: Sequence[CouponCode] = ()
    holders: Sequence[HolderId] = ()


async def take(
    door: Door,
    connection: AsyncConnection[Any],
    shards: Sequence[Shard],
    samples: int,
    wanted: Mapping[Shard, Wanted] | None = None,
) -> list[Stocktake]:
    """
    Compare each of *shards* with the books, with *samples* coupons and holders drawn from either side.

    Shape: *connection* is in autocommit mode and may read all tables; nothing is changed through it. At most
    lua.tally.SAMPLES_MAX samples. Errors: psycopg.Error; DoorError and RedisError when Redis can't be reached.
    """
    wanted = wanted or {}
    return [await _take(door, connection, shard, samples, wanted.get(shard, Wanted())) for shard in shards]


async def _take(door: Door, connection: AsyncConnection[Any], shard: Shard, samples: int, wanted: Wanted) -> Stocktake:
    first: Position | None = None
    tally: Tally | None = None
    why = ""
    for attempt in range(TRIES_MAX):
        if attempt:
            await asyncio.sleep(RETRY_S)
        async with snapshot(connection) as cursor:
            position = await read_position(cursor, shard)
            if position is None:
                return Stocktake(shard, 0, 0, {}, unfinished="the books don't know this shard")
            if first is None or tally is None:
                first = position
                try:
                    tally = await _look(door, cursor, position, samples, wanted)
                except ResponseError as error:
                    return Stocktake(shard, position.seq, 0, {}, unfinished=f"a key can't be read: {error}")
            early = _not_comparable(first, tally)
            if early is not None:
                return early
            try:
                met = await _meet(door, cursor, first, position, tally)
            except UnreadableEntry as error:
                met, why = None, f"a record of the stream can't be read: {error}"
            if met is None:
                continue
            versions = await read_versions(cursor, shard.campaign)
            unknown = {entry.version for entry in met.entries} - versions.keys()
            if unknown and attempt < KNOWN_TRIES:
                continue
            versions |= dict.fromkeys(unknown, Version.read({}))
            return await Comparison(cursor, position, tally, met, versions).stocktake()
    assert tally is not None
    why = why or "the stream does not go on where the books end"
    return Stocktake(shard, tally.seq, tally.now_ms, {}, unfinished=why)


async def _look(door: Door, cursor: Rows, position: Position, samples: int, wanted: Wanted) -> Tally:
    codes = list(dict.fromkeys([*wanted.codes, *await draw_codes(cursor, position, samples)]))
    owners = [row["holder"] for row in (await read_coupons(cursor, codes)).values() if row["holder"]]
    holders = list(dict.fromkeys([*wanted.holders, *owners]))
    return await take_tally(door, position.shard, draws=samples, codes=codes, holders=holders)


def _not_comparable(first: Position, tally: Tally) -> Stocktake | None:
    """The stocktake of a shard whose history is not the one of the books; None where it is."""
    epoch = tally.rules.get("epoch")
    if epoch is None and first.seq == 0:
        return Stocktake(first.shard, 0, tally.now_ms, {})
    if epoch != str(first.epoch):
        expected, found = {"value": first.epoch, "seq": first.seq}, {"value": epoch, "seq": tally.seq}
        return _only(first, tally, "epoch", expected, found)
    if id_parts(tally.last_id) < id_parts(first.entry_id):
        sides = ({"value": first.seq, "entry_id": first.entry_id}, {"value": tally.seq, "entry_id": tally.last_id})
        return _only(first, tally, "seq", *sides)
    return None


def _only(first: Position, tally: Tally, name: str, expected: dict[str, Any], found: dict[str, Any]) -> Stocktake:
    cause = likely(Evidence(FIGURE, name, expected, found, frozenset([name]), first.quarantined))
    difference = Found(FIGURE, name, expected, found, cause)
    return Stocktake(first.shard, tally.seq, tally.now_ms, {"seq": (first.seq, tally.seq)}, found=[difference])


async def _meet(door: Door, cursor: Rows, first: Position, position: Position, tally: Tally) -> Met | None:
    """What lies between the books and the tally; None where the stream does not tell any more."""
    shard = position.shard
    if id_parts(tally.last_id) < id_parts(position.entry_id):
        more = await entries_after(cursor, shard, first.seq, tally.last_id)
        return Met(more[0].first_seq - 1 if more else position.seq, more, -1)
    entries = await read_stream(door, shard, position.entry_id, tally.last_id)
    if not entries:
        return Met(position.seq, [], 1) if tally.last_id == position.entry_id else None
    seq = position.seq
    for entry in entries:
        if entry.first_seq != seq + 1:
            return None
        seq += entry.count
    return Met(seq, entries, 1)
