"""
Guessing codes is slow, whoever does it, and nobody is locked out by somebody else's guesses.

A failure is a code that its caller may not know of: absent, foreign, used, malformed. Failures are counted by
who guesses, never by what is guessed, or a stranger could lock a victim's code.

    holder           beyond his limit a failure is answered 429 in place of 404; his own coupons always work
    address          the same, for the failures of all holders there; it never turns a success into a refusal
    key at address   beyond its limit everything that key asks about codes from there is refused before the look-up:
                     a key may spend what it finds, so a right guess must not be told from a wrong one
    key              the same wherever it asks from, at a limit that one shop never reaches

Where the limiter does not answer, owners and stores go on without it, and a metric and the log say so.
"""

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from time import monotonic
from typing import TypeVar

from redis.exceptions import RedisError
from starlette.requests import HTTPConnection

from gateway.addresses import Address, Addresses
from gateway.callers import Caller
from gateway.errors import Refusal
from gateway.keys import ApiKey
from gateway.limiter import WINDOW_S, Left, Limit, Limiter
from gateway.probing import Probing
from gateway.settings import Settings
from gateway.telemetry import Telemetry

log = logging.getLogger("fairclaim.guessing")

T = TypeVar("T")

BELIEVED_S = 0.25
"""How long a key is let through without another look, where it has more than half of its limits left and fails not."""
BELIEVED_MAX = 4096

_DETAIL = "Too many codes that are not there were asked for; wait before you try others."


class Guessing:
    """
    Admits look-ups of codes and answers the failures.

    A route calls admit() before it looks, admit_unheld() where what it found is held by nobody, and raises what
    failed() gives where there is nothing for the caller.
    """

    def __init__(
        self, limiter: Limiter, probing: Probing, settings: Settings, telemetry: Telemetry, window_s: int = WINDOW_S
    ) -> None:
        self._limiter, self._probing, self._telemetry = limiter, probing, telemetry
        self._addresses = Addresses(settings.trusted_proxies)
        self._of_holder = Limit("holder", settings.code_failures_holder_max, window_s)
        self._of_address = Limit("address", settings.code_failures_address_max, window_s)
        self._of_key_address = Limit("key-address", settings.code_failures_key_address_max, window_s)
        self._of_key = Limit("key", settings.code_failures_key_max, window_s)
        self._s_max = settings.code_limiter_ms_max / 1000
        self._believed: dict[tuple[str, Address], float] = {}
        self._away = False

    def address(self, connection: HTTPConnection) -> Address:
        """Where the request comes from."""
        return self._addresses.of(connection)

    async def admit(self, who: Caller, address: Address) -> None:
        """
        Let *who* look a code up; holders always may.

        Errors: Refusal rate_limited for an API key that failed too often.
        """
        if who.key is None or self._believed.get((who.key.id, address), 0.0) > monotonic():
            return
        found = await self._or_none(
            asyncio.gather(
                self._limiter.left(self._of_key_address, who.key.id, address),
                self._limiter.left(self._of_key, who.key.id),
            )
        )
        if found is not None:
            spent = [left for left in found if left.failures <= 0]
            if spent:
                self._telemetry.code_failure("key_refused")
                raise _limited(spent)
            limits = (self._of_key_address, self._of_key)
            if any(2 * left.failures <= limit.failures for left, limit in zip(found, limits, strict=True)):
                return
        if len(self._believed) >= BELIEVED_MAX:
            self._believed.clear()
        self._believed[who.key.id, address] = monotonic() + BELIEVED_S

    async def admit_unheld(self, who: Caller) -> None:
        """
        Let *who* have the coupon he found, which nobody holds: to a holder beyond his limit it is not there.

        Errors: Refusal rate_limited, after the same work as for a code that is not there.
        """
        if who.holder is None:
            return
        left = await self._or_none(self._limiter.left(self._of_holder, who.holder))
        if left is not None and left.failures <= 0:
            await self._or_none(self._count_his(who.holder))
            self._telemetry.code_failure("holder_limited")
            raise _limited([left])

    async def count_early(self, who: Caller) -> bool | None:
        """
        Count a failure of a holder before the look, or many at once would all be let through before the first counts.

        For codes that can be guessed: those not made here. Whoever was right gives it back. False where he is beyond
        his limit, None where nothing was counted.
        """
        if who.holder is None:
            return None
        return await self._or_none(self._limiter.count(self._of_holder, who.holder))

    async def give_back(self, who: Caller) -> None:
        """What was counted early, for who was right or could not be told."""
        assert who.holder is not None
        await self._or_none(self._limiter.give_back(self._of_holder, who.holder))

    async def hide(self, who: Caller) -> Refusal:
        """What to raise for a coupon that nobody holds, to a holder whose early count was beyond his limit."""
        assert who.holder is not None
        counted = await self._or_none(self._limited_holder(who.holder))
        self._telemetry.code_failure("holder_limited")
        return _limited(counted or [])

    async def _limited_holder(self, holder: str) -> list[Left]:
        await self._probing.count(1)
        return [await self._limiter.left(self._of_holder, holder)]

    async def failed(self, who: Caller, address: Address, *, codes: int = 1, early: Sequence[bool] = ()) -> Refusal:
        """
        Count *codes* that are not there for *who*, and give what to raise: coupon_not_found or rate_limited.

        *early* is what count_early() gave for those of them that it counted.
        """
        if who.key is not None:
            self._believed.pop((who.key.id, address), None)
            counted = await self._or_none(self._count_key(who.key, address, codes))
        else:
            assert who.holder is not None
            counted = await self._or_none(self._count_holder(who.holder, address, codes, early))
        kind, spent = counted or ("holder" if who.key is None else "key", [])
        self._telemetry.code_failure(kind, codes)
        return _limited(spent) if spent else Refusal("coupon_not_found")

    async def _count_holder(
        self, holder: str, address: Address, codes: int, early: Sequence[bool]
    ) -> tuple[str, list[Left]]:
        """What kind of failure it is, and the limit it is beyond; one holder alone does not use up his neighbours'."""
        if not await self._count_his(holder, codes, early):
            return "holder_limited", [await self._limiter.left(self._of_holder, holder)]
        if not await self._limiter.count(self._of_address, address, failures=codes):
            return "address_limited", [await self._limiter.left(self._of_address, address)]
        return "holder", []

    async def _count_his(self, holder: str, codes: int = 1, early: Sequence[bool] = ()) -> bool:
        """Count what was not counted early for him, and all for everybody; False where he is beyond his limit."""
        late = codes - len(early)
        if late <= 0:
            await self._probing.count(codes)
            return all(early)
        by_holder, _ = await asyncio.gather(
            self._limiter.count(self._of_holder, holder, failures=late), self._probing.count(codes)
        )
        return by_holder and all(early)

    async def _count_key(self, key: ApiKey, address: Address, codes: int) -> tuple[str, list[Left]]:
        """As for a holder; one address alone does not use up what the key has elsewhere."""
        here, _ = await asyncio.gather(
            self._limiter.count(self._of_key_address, key.id, address, failures=codes), self._probing.count(codes)
        )
        if not here:
            return "key_limited", [await self._limiter.left(self._of_key_address, key.id, address)]
        if not await self._limiter.count(self._of_key, key.id, failures=codes):
            return "key_limited", [await self._limiter.left(self._of_key, key.id)]
        return "key", []

    async def _or_none(self, answer: Awaitable[T]) -> T | None:
        """The limiter's answer, or None where it gives none: then it is as if nobody had failed."""
        try:
            async with asyncio.timeout(self._s_max):
                found = await answer
        except (RedisError, OSError) as error:  # a timeout is an OSError
            self._telemetry.limiter_away()
            if not self._away:
                log.warning("failures on codes are not limited: no answer", extra={"error": type(error).__name__})
            self._away = True
            return None
        if self._away:
            log.warning("failures on codes are limited again")
        self._away = False
        return found


def _limited(spent: list[Left]) -> Refusal:
    return Refusal("rate_limited", _DETAIL, retry_after_s=max((left.again_in_s for left in spent), default=1))
