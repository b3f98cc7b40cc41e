"""
The Redis side of the sweeper: the clock that decides, and the scripts that book what is over.

One connection of its own, so that a sweep never stands before the drain's reads.
"""

import logging
from collections.abc import Awaitable, Sequence
from typing import NamedTuple, TypeVar

import msgspec
from redis.exceptions import RedisError, ResponseError

from lua.door import Door, DoorError, connect
from lua.keys import CouponCode, Shard
from lua.outcomes import Outcome
from lua.scripts import load_script
from reconciler.streams import StreamsAway

log = logging.getLogger("fairclaim.reconciler")

T = TypeVar("T")


class Told(NamedTuple):
    """
    What a script said to a shard's codes: how many it has *ended* now, and how many are *absent* in Redis.

    *ready* is False when the shard may not serve on this Redis.
    """

    ended: int
    absent: int
    ready: bool


class Timekeeper:
    """Redis as the sweeper sees it. Errors: StreamsAway from every method."""

    def __init__(self, url: str, *, call_ms_max: int, connect_ms_max: int) -> None:
        self._door = Door(connect(url, connections_max=1, call_ms_max=call_ms_max, connect_ms_max=connect_ms_max))

    async def now_ms(self) -> int:
        """The time by the clock that the scripts decide by."""
        seconds, microseconds = await _answer(self._door.redis.time())
        return int(seconds) * 1000 + int(microseconds) // 1000

    async def overdue(self, shards: Sequence[Shard], now_ms: int) -> list[Shard]:
        """Those of *shards* with a hold whose time is over."""
        asking = self._door.redis.pipeline(transaction=False)
        for shard in shards:
            asking.zcount(shard.key("holds"), "-inf", now_ms)
        counts = await _answer(asking.execute(raise_on_error=False))
        # A key of a wrong type is the drain's to find: it stops that shard and names it.
        return [shard for shard, count in zip(shards, counts, strict=True) if isinstance(count, int) and count]

    async def seq(self, shard: Shard) -> int:
        """The last seq that the shard has given."""
        return int(await _answer(self._door.redis.hget(shard.key("counters"), "seq")) or 0)

    async def lapse(self, shard: Shard, holds_max: int) -> int:
        """Free holds of a shard whose time is over, the oldest first; the number freed."""
        reply = await self._call("lapse", shard, holds_max)
        return int(msgspec.msgpack.decode(reply, type=tuple[int, int])[0]) if reply is not None else 0

    async def expire(self, shard: Shard, codes: Sequence[CouponCode]) -> Told:
        """Book that the time of each code is over, where it is; a hold of it that is over is freed on the way."""
        reply = await self._call("expire", shard, msgspec.msgpack.encode(codes))
        replies = msgspec.msgpack.decode(reply, type=list[int]) if reply is not None else []
        ended = sum(told > 0 and told != Outcome.UNCHANGED for told in replies)
        return Told(ended, replies.count(Outcome.ABSENT), bool(replies) and Outcome.NOT_READY not in replies)

    async def close(self) -> None:
        """Close the connection."""
        await self._door.close()

    async def _call(self, name: str, shard: Shard, argument: bytes | int) -> bytes | None:
        """A script's reply; None when it failed on this shard, which changes nothing and is logged."""
        try:
            return bytes(await self._door.call(load_script(name), shard, argument))
        except ResponseError as error:
            log.error("%s of %s failed: %s", name, shard, error, extra={"shard": str(shard)})
            return None
        except DoorError as error:
            raise StreamsAway(str(error) or type(error).__name__) from error


async def _answer(asked: Awaitable[T]) -> T:
    try:
        return await asked
    except (RedisError, OSError) as error:
        raise StreamsAway(str(error) or type(error).__name__) from error
