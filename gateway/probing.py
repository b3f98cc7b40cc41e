"""
The alarm for guessing that no single limit shows: failures on codes of everybody, through all workers.

It is a key in Redis. Whichever worker sees too many failures first sets it and says so, once; the one that sees
them fall to half takes it away, and says so.
"""

import asyncio
import logging

from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.limiter import WINDOW_S, Limit, Limiter
from lua.keys import PROBING_KEY

log = logging.getLogger("fairclaim.probing")

LOOK_EVERY_S = 1.0
FORGOTTEN_AFTER_S = 120
"""An alarm nobody looks after, as every worker is gone, ends after this."""


async def is_probing(redis: Redis) -> bool:
    """Whether the alarm is on. Errors: RedisError, OSError."""
    return bool(await redis.exists(PROBING_KEY))


class Probing:
    """Sounds when more than *failures_max* failures come in a window, and ends at half of them."""

    def __init__(self, limiter: Limiter, failures_max: int, window_s: int = WINDOW_S) -> None:
        self._limiter, self._failures_max = limiter, failures_max
        self._limit = Limit("all", failures_max + 1, window_s)  # one more than may be: used up, it is too many

    async def count(self, failures: int) -> None:
        """Count so many failures. Errors: as Limiter."""
        await self._limiter.count(self._limit, failures=failures)

    async def failures(self) -> int:
        """How many there were in the window, one more than may be at most. Errors: as Limiter."""
        return self._limit.failures - (await self._limiter.left(self._limit)).failures

    async def watch(self) -> None:
        """Look once a second, for ever; where Redis does not answer there is nothing to see."""
        while True:
            try:
                await self.look()
            except (RedisError, OSError) as error:
                log.debug("failures are unknown", extra={"reason": str(error)})
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Compare the failures of all workers with the threshold once. Errors: as Limiter."""
        redis = self._limiter.redis
        failures = await self.failures()
        if failures > self._failures_max:
            if await redis.set(PROBING_KEY, failures, nx=True, ex=FORGOTTEN_AFTER_S):
                log.warning("codes are being guessed", extra={"failures_a_minute_more_than": self._failures_max})
                return
        elif failures <= self._failures_max // 2:
            if await redis.delete(PROBING_KEY):
                log.warning("codes are no longer being guessed", extra={"failures_a_minute": failures})
            return
        await redis.expire(PROBING_KEY, FORGOTTEN_AFTER_S)
