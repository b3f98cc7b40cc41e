"""
Admission by Redis memory: claims stop with 503 while there still is room for what is on its way.

The stream grows as long as the books can't be written. A Redis that is full refuses every write, so
before that a worker closes for claims and says why; it opens again a little below the mark.
"""

import asyncio
import logging

from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.telemetry import Telemetry

log = logging.getLogger("fairclaim.pressure")

LOOK_EVERY_S = 0.5
REOPEN_BELOW_PERCENT = 3
"""Points below the closing mark at which claims are admitted again, so that it does not flutter."""


class Pressure:
    """Watches used_memory against maxmemory; *closed_because* is None while claims are admitted."""

    def __init__(self, redis: Redis, percent_max: int, telemetry: Telemetry) -> None:
        self._redis, self._percent_max, self._telemetry = redis, percent_max, telemetry
        self.closed_because: str | None = None
        self.percent = 0

    async def watch(self) -> None:
        """Look twice a second, for ever. A Redis that does not answer is the claim's own problem, not memory's."""
        while True:
            try:
                await self.look()
            except (RedisError, OSError) as error:
                log.debug("memory is unknown", extra={"reason": str(error)})
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Read the memory once and open or close. Without a maxmemory there is no mark, so claims are admitted."""
        memory = await self._redis.info("memory")
        limit = int(memory["maxmemory"])
        self.percent = int(memory["used_memory"]) * 100 // limit if limit else 0
        mark = self._percent_max - (REOPEN_BELOW_PERCENT if self.closed_because else 0)
        closed = self.percent >= mark
        if closed != (self.closed_because is not None):
            log.warning("claims closed" if closed else "claims open", extra={"memory_percent": self.percent})
        self.closed_because = (
            f"Claims are closed for now: the claim store is {self.percent} % full because the books are behind."
            if closed
            else None
        )
        self._telemetry.admission(closed)
