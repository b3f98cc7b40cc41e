"""
Wrong sign-ins are slow, whoever tries, and a stranger's tries lock nobody out where he himself is.

    name at address   beyond its limit that name is refused from there before anything is looked at
    address           the same for every name
    name              the same from everywhere, at a limit that needs twenty addresses

A try counts before it is looked at, or many at once would all be let through, and is given back when it was right.
Where the limiter does not answer, people sign in without it: hashing is bounded all the same.
"""

import asyncio
import logging

from redis.exceptions import RedisError

from gateway.addresses import Address
from gateway.errors import Refusal
from gateway.limiter import WINDOW_S, Limit, Limiter
from gateway.settings import Settings
from gateway.telemetry import SIGN_INS, Telemetry

LIMITER_MS_MAX = 2000
"""How long a person waits for the limiter, longer than requests about codes do: who keeps us busy must not go free."""

HOUR_S = 3600
NOTED_MAX = 60
"""How many sign-ins of one name the audit log has an hour at most, and one lock: nobody may flood it."""

log = logging.getLogger("fairclaim.console")


class Throttle:
    """Admits tries to sign in."""

    def __init__(self, settings: Settings, telemetry: Telemetry) -> None:
        self._limiter, self._telemetry = Limiter(settings.redis_url, LIMITER_MS_MAX), telemetry
        self._of_name_address = Limit("sign-in", settings.sign_in_failures_name_address_max, WINDOW_S)
        self._of_address = Limit("sign-in-address", settings.sign_in_failures_address_max, WINDOW_S)
        self._of_name = Limit("sign-in-name", settings.sign_in_failures_name_max, WINDOW_S)
        self._noted = Limit("sign-in-noted", NOTED_MAX, HOUR_S)
        self._lock_noted = Limit("sign-in-lock-noted", 1, HOUR_S)

    async def admit(self, name: str, address: Address) -> bool:
        """
        Count a try for *name* from *address*; False where the limiter gave no answer.

        Errors: Refusal("rate_limited"), saying when there may be another try.
        """
        counted: list[tuple[Limit, tuple[str, ...]]] = []
        try:
            async with asyncio.timeout(LIMITER_MS_MAX / 1000):
                for limit, identity in self._limits(name, address):
                    if not await self._limiter.count(limit, *identity):
                        left = await self._limiter.left(limit, *identity)
                        for before, of in counted:  # whoever is beyond one limit does not use up another
                            await self._limiter.give_back(before, *of)
                        self._telemetry.answered(SIGN_INS, "limited")
                        raise Refusal("rate_limited", "Too many wrong sign-ins.", retry_after_s=left.again_in_s)
                    counted.append((limit, identity))
        except (RedisError, OSError) as error:  # a timeout is an OSError
            log.warning("sign-ins are not limited: no answer", extra={"error": type(error).__name__})
            return False
        return True

    async def give_back(self, name: str, address: Address) -> None:
        """Give back what admit() has counted, for who was right or could not be told."""
        try:
            async with asyncio.timeout(LIMITER_MS_MAX / 1000):
                for limit, identity in self._limits(name, address):
                    await self._limiter.give_back(limit, *identity)
        except (RedisError, OSError) as error:
            log.warning("a sign-in stays counted as wrong", extra={"error": type(error).__name__})

    async def is_noted(self, act: str, name: str) -> bool:
        """Whether *act* of *name* is to go into the audit log: so often an hour, and then no more."""
        limit = self._lock_noted if act == "sign_in_locked" else self._noted
        try:
            async with asyncio.timeout(LIMITER_MS_MAX / 1000):
                return await self._limiter.count(limit, act, name)
        except (RedisError, OSError) as error:
            log.warning("the audit log is not limited: no answer", extra={"error": type(error).__name__})
            return True

    async def close(self) -> None:
        """Close every connection."""
        await self._limiter.close()

    def _limits(self, name: str, address: Address) -> tuple[tuple[Limit, tuple[str, ...]], ...]:
        return (
            (self._of_name_address, (name, address)),
            (self._of_address, (address,)),
            (self._of_name, (name,)),
        )
