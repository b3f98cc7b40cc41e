"""What a stocktake reads of the books, inside one snapshot, and what is on the stream beyond it."""

import random
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import DictRow, dict_row

from lua.door import Door, stream_fields
from lua.entries import Entry, decode_entry
from lua.keys import CampaignId, CouponCode, HolderId, Shard
from reconciler.queries import load_queries
from reconciler.stocktake.standing import Standing, Version, entry_of_row

QUERIES = load_queries("stocktake")
"""Name → statement."""

STATEMENT_MS_MAX = 30_000
RECORDS_MAX = 100
"""Stream records read at a time: decoding as many keeps the loop for some milliseconds."""

Rows = AsyncCursor[DictRow]


@asynccontextmanager
async def snapshot(connection: AsyncConnection[Any]) -> AsyncIterator[Rows]:
    """A cursor that sees the books at one instant. Shape: *connection* is in autocommit mode."""
    async with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        await cursor.execute(f"SET LOCAL statement_timeout = {STATEMENT_MS_MAX}".encode())
        yield cursor


async def rows(cursor: Rows, name: str, **values: object) -> list[DictRow]:
    """The rows of a statement of QUERIES."""
    await cursor.execute(QUERIES[name], values)
    return await cursor.fetchall()


@dataclass(frozen=True)
class Position:
    """Where the books are with a shard; *quarantined* records of it wait for replay."""

    shard: Shard
    epoch: int
    seq: int
    entry_id: str
    quarantined: int


async def list_shards(
    connection: AsyncConnection[Any], campaign: str | None = None, shard: str | None = None
) -> list[Shard]:
    """The shards there are to take stock of, all or those asked for. Errors: psycopg.Error."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(QUERIES["shards"], {"campaign": campaign, "shard": shard})
        return [Shard.parse(row["shard"]) for row in await cursor.fetchall()]


async def read_position(cursor: Rows, shard: Shard) -> Position | None:
    """The position of *shard*, None where the books don't know it."""
    found = await rows(cursor, "position", shard=str(shard))
    return Position(shard, **found[0]) if found else None


async def read_versions(cursor: Rows, campaign: CampaignId) -> dict[int, Version]:
    """Every version of a campaign's rules."""
    found = await rows(cursor, "versions", campaign=campaign)
    return {row["version"]: Version.read(row["definition"]) for row in found}


async def read_standing(
    cursor: Rows, position: Position, versions: Mapping[int, Version], version: Version | None, day_starts_ms: int
) -> Standing:
    """The figures of the books at *position*; *day_starts_ms* is 0 where no day is asked for."""
    shard = position.shard
    day = version.day_of(day_starts_ms) if version is not None and day_starts_ms else None
    accounts = await rows(cursor, "accounts", shard=str(shard))
    [moved] = await rows(cursor, "movements", shard=str(shard))
    claims = await rows(cursor, "claims_of_day", shard=str(shard), day=day) if day else []
    balances = Counter({(row["commodity"], row["account"]): row["balance"] for row in accounts})
    standing = Standing(shard.campaign, position.seq, versions, balances, **moved, day=day)
    return replace(standing, day_claims=claims[0]["claims"]) if claims else standing


async def draw_codes(cursor: Rows, position: Position, count: int) -> list[CouponCode]:
    """Codes of coupons by chance, each state change as likely as any other. At most *count*."""
    if not count or not position.seq:
        return []
    seqs = random.sample(range(1, position.seq + 1), min(count, position.seq))
    return [row["code"] for row in await rows(cursor, "codes_of_seqs", shard=str(position.shard), seqs=seqs)]


async def read_coupons(cursor: Rows, codes: Iterable[CouponCode]) -> dict[CouponCode, DictRow]:
    """Rows of coupons by code, with the holds of those that many may use counted."""
    return {row["code"]: row for row in await rows(cursor, "coupons", codes=list(codes))}


async def read_claims(cursor: Rows, shard: Shard, holders: Iterable[HolderId]) -> dict[HolderId, list[DictRow]]:
    """What each holder has claimed of a shard, oldest first."""
    found: dict[HolderId, list[DictRow]] = {holder: [] for holder in holders}
    for row in await rows(cursor, "claims", shard=str(shard), holders=list(found)):
        found[row["holder"]].append(row)
    return found


async def entries_after(cursor: Rows, shard: Shard, seq: int, last_id: str) -> list[Entry]:
    """State changes in the books beyond *seq*, of the records that came after *last_id*; oldest first."""
    ms, number = id_parts(last_id)
    found = await rows(cursor, "entries_after", shard=str(shard), seq=seq, ms=ms, number=number)
    return [entry_of_row(row) for row in found]


async def read_stream(door: Door, shard: Shard, after_id: str, last_id: str) -> list[Entry]:
    """
    What is on the stream after a record, up to another one.

    Errors: UnreadableEntry; RedisError.
    """
    found: list[Entry] = []
    while True:
        records: Any = await door.redis.xrange(shard.key("entries"), min=f"({after_id}", max=last_id, count=RECORDS_MAX)
        found += [decode_entry(stream_fields(fields)) for _, fields in records]
        if len(records) < RECORDS_MAX:
            return found
        after_id = bytes(records[-1][0]).decode()


def id_parts(entry_id: str) -> tuple[int, int]:
    """The two numbers of a stream id, which order it."""
    ms, _, number = entry_id.partition("-")
    return int(ms), int(number)
