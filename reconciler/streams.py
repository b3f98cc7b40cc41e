"""
The Redis side of the drain: one connection that attaches shards, reads their streams and trims them.

One connection, used by one task, so that a read is always of the server whose run id was compared.
"""

from bisect import bisect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from lua.door import Door, DoorError, Full, connect
from lua.keys import Shard
from lua.outcomes import Outcome
from lua.scripts import load_script
from reconciler.shard import Break, Position, Record

READ_ENTRIES_MAX = 4096  # of all streams together: about 32 MiB of full claim entries
SHARDS_AT_ONCE = 128  # so that a batch has 32 entries at least where there are as many


class StreamsAway(Exception):
    """Redis gave no answer, or refused to read; nothing was lost."""


@dataclass(frozen=True)
class Attached:
    """What attach.lua found. *seq* is the shard's in Redis; *published*: the shard is there at all."""

    seq: int
    published: bool


class Streams:
    """Redis as the drain sees it. Errors: StreamsAway from every method."""

    def __init__(self, url: str, *, call_ms_max: int, connect_ms_max: int, block_ms: int) -> None:
        # The socket has to outwait a read that blocks.
        self._redis: Redis = connect(
            url, connections_max=1, call_ms_max=call_ms_max + block_ms, connect_ms_max=connect_ms_max
        )
        self._door = Door(self._redis)
        self._turn = b""
        self.server = ""

    async def attach(self, shard: Shard, position: Position) -> Attached | Break:
        """
        Let the shard serve on this Redis if it is no older than the books; else the break that says why not.

        A Redis that is out of memory can't run the script: the shard is then taken as found before, because reading
        and trimming is what frees the memory, and what is read is checked in any case.
        """
        script = load_script("attach")
        try:
            reply = await self._door.call(script, shard, str(position.epoch), position.seq, position.entry_id)
        except Full:
            return Attached(0, published=True)
        except ResponseError as error:
            return Break("shard_unreadable", {"seq": position.seq}, {"error": str(error)})
        except DoorError as error:
            raise StreamsAway(str(error) or type(error).__name__) from error
        outcome, epoch, seq, last_id = Outcome(reply[0]), reply[1].decode(), int(reply[2]), reply[3].decode()
        if outcome in (Outcome.DONE, Outcome.UNCHANGED):
            return Attached(seq, published=True)
        expected = {"epoch": position.epoch, "seq": position.seq, "entry_id": position.entry_id}
        found = {"epoch": int(epoch) if epoch.isdigit() else None, "seq": seq, "entry_id": last_id}
        if outcome is Outcome.BEHIND:
            return Break("behind", expected, found)
        if epoch:
            return Break("epoch_changed", expected, found)
        return Break("rules_missing", expected, found) if position.seq else Attached(0, published=False)

    async def read(
        self, after: Mapping[Shard, str], *, entries_max: int, block_ms: int | None
    ) -> list[tuple[Shard, list[Record]]]:
        """
        Records after the given ids, at most *entries_max* a shard and READ_ENTRIES_MAX in all.

        Waits up to *block_ms* while there is none; None does not wait. Where there are more than SHARDS_AT_ONCE, so
        many of those that have records take their turn: the more are quiet, the more is read of a busy one.
        """
        by_key = {shard.key("entries").encode(): shard for shard in after}
        ids = dict(zip(by_key, after.values(), strict=True))
        block = () if block_ms is None else ("BLOCK", block_ms)
        if len(ids) > SHARDS_AT_ONCE:
            turns = sorted(await self._read(ids, 1, block))
            first, block = bisect(turns, self._turn), ()
            ids = {key: ids[key] for key in [*turns[first:], *turns[:first]][:SHARDS_AT_ONCE]}
            if not ids:
                return []
            self._turn = next(reversed(ids))
        found = await self._read(ids, max(1, min(entries_max, READ_ENTRIES_MAX // max(1, len(ids)))), block)
        return [(by_key[key], records) for key, records in found.items()]

    async def _read(
        self, after: Mapping[bytes, str], count: int, block: tuple[str, int] | tuple[()]
    ) -> dict[bytes, list[Record]]:
        reply = await self._ask("XREAD", "COUNT", count, *block, "STREAMS", *after, *after.values())
        return {key: [(entry_id.decode(), flat) for entry_id, flat in records] for key, records in reply or ()}

    async def next_record(self, shard: Shard, entry_id: str) -> Record | None:
        """The first record after *entry_id*."""
        reply = await self._ask("XRANGE", shard.key("entries"), f"({entry_id}", "+", "COUNT", 1)
        return (reply[0][0].decode(), reply[0][1]) if reply else None

    async def trim(self, shard: Shard, entry_id: str) -> None:
        """Drop what lies before *entry_id*, which stays itself so that a position can be compared with it."""
        await self._ask("XTRIM", shard.key("entries"), "MINID", entry_id)

    async def close(self) -> None:
        """Close the connection."""
        await self._door.close()

    async def _ask(self, *command: bytes | str | int) -> Any:
        pool: Any = self._redis.connection_pool
        try:
            connection = await pool.get_connection()
            try:
                self.server = connection.server_id
                await connection.send_command(*command)
                return await connection.read_response(disable_decoding=True)
            finally:
                await pool.release(connection)
        except (RedisError, OSError) as error:
            raise StreamsAway(str(error) or type(error).__name__) from error
