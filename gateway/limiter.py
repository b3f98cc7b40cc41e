"""
Counts failures in a sliding window, in Redis, so for all workers together: the library ``limits`` does it.

Two small keys a limit and identity, by the clock of Redis; beyond the limit nothing more is counted,
so after it a window passes as many again, spread out. Identities are hashed: a key is as long as any other.
"""

import time
from hashlib import blake2b
from math import ceil
from typing import NamedTuple

from limits import RateLimitItemPerSecond
from limits.aio.storage import RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from lua.door import connect
from lua.keys import FAILURES_PREFIX

WINDOW_S = 60
CONNECTIONS_MAX = 16


class Left(NamedTuple):
    """What is left of a limit, and in how many seconds (at least 1) there will be more."""

    failures: int
    again_in_s: int


class Limit:
    """At most *failures* in a window of *window_s* seconds, for each identity."""

    def __init__(self, name: str, failures: int, window_s: int = WINDOW_S) -> None:
        self.failures = failures
        self.item = RateLimitItemPerSecond(failures, window_s, namespace=name)


class Limiter:
    """
    The library's limiter with connections of its own, which never retry.

    Units: *ms_max* milliseconds bounds one connect, and one read or write on the socket.
    Errors of every method: RedisError, OSError.
    """

    def __init__(self, url: str, ms_max: int) -> None:
        self.redis = connect(url, connections_max=CONNECTIONS_MAX, call_ms_max=ms_max, connect_ms_max=ms_max)
        storage = RedisStorage(
            "redis://",  # only names the kind of server: the pool knows where it is
            implementation="redispy",
            key_prefix=FAILURES_PREFIX,
            connection_pool=self.redis.connection_pool,  # type: ignore[arg-type]  # goes to redis-py as it is
        )
        self._limiter = SlidingWindowCounterRateLimiter(storage)

    async def count(self, limit: Limit, *identity: str, failures: int = 1) -> bool:
        """Count so many failures; False when they are more than the limit has left, which uses up what is left."""
        hashed = _hashed(identity)
        if await self._limiter.hit(limit.item, hashed, cost=failures):
            return True
        for _ in range(failures - 1):
            if not await self._limiter.hit(limit.item, hashed):
                break
        return False

    async def give_back(self, limit: Limit, *identity: str) -> None:
        """Take one failure back that count() has counted."""
        await self._limiter.hit(limit.item, _hashed(identity), cost=-1)

    async def left(self, limit: Limit, *identity: str) -> Left:
        """What is left, without counting."""
        reset_at, failures = await self._limiter.get_window_stats(limit.item, _hashed(identity))
        return Left(failures, max(1, ceil(reset_at - time.time())))

    async def close(self) -> None:
        """Close every connection."""
        await self.redis.aclose()
        await self.redis.connection_pool.disconnect()


def _hashed(identity: tuple[str, ...]) -> str:
    return blake2b("\0".join(identity).encode(), digest_size=16).hexdigest()
