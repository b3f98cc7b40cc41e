"""
What the counters of all workers, Redis and the books say at one instant, as figures of the kinds.

Sales are read and reckoned as the page Live does it (gateway/console/live), so that both say the same of one sale.
Whatever is away leaves its figures out: nothing is taken for good because it could not be looked at.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout, TooManyRequests
from redis.exceptions import RedisError

from gateway.alerts.kinds import ANSWERS_MIN, EXPIRY_HOURS, KINDS, RATE_WINDOW_S
from gateway.alerts.rules import Figure
from gateway.console.live.frame import Course, SaleNow
from gateway.console.live.reading import Eyes, Reading, SaleReading
from gateway.probing import Probing
from gateway.sql import load_queries, postgres, rows
from gateway.status import drain_lag
from gateway.telemetry import RESPONSES, Telemetry
from lua.door import Door, DoorError

log = logging.getLogger("fairclaim.alerts")

SALES_MAX = 1000
"""Open sales that are watched."""
EXPIRY_EVERY_S = 60.0
"""Expiring coupons are counted as often, because it reads rows of the books."""
COUNTED_MAX = 1_000_000
"""Expiring coupons counted of one shard; more of them are a wave anyway."""
LOOK_S_MAX = 2.0

_QUERIES = load_queries("alerts")
_AWAY = (psycopg.Error, PoolTimeout, TooManyRequests, RedisError, DoorError, OSError, TimeoutError)


class Seen(NamedTuple):
    """Figures, and the kinds of which they are all there are."""

    figures: list[Figure]
    known: frozenset[str]


class Failures:
    """Pure: the share of answers that failed, of the last RATE_WINDOW_S seconds, from counters that only grow."""

    def __init__(self) -> None:
        self._past: deque[tuple[float, Mapping[str, tuple[int, ...]]]] = deque()

    def add(self, at_s: float, cells: Mapping[str, tuple[int, ...]]) -> None:
        """What the counters are at *at_s*, which only grows."""
        self._past.append((at_s, cells))
        while len(self._past) > 2 and self._past[1][0] <= at_s - RATE_WINDOW_S:
            self._past.popleft()

    def gone(self, metric: str) -> list[int] | None:
        """What each counter of *metric* has grown by in the window; None before there are two readings."""
        if len(self._past) < 2:
            return None
        first, last = self._past[0][1][metric], self._past[-1][1][metric]
        return [max(0, after - before) for before, after in zip(first, last, strict=True)]


class Figures:
    """Takes looks, one after another; forget() where there was a pause. *clock* gives seconds, and never fewer."""

    def __init__(
        self,
        door: Door,
        pool: AsyncConnectionPool[Any],
        telemetry: Telemetry,
        probing: Probing,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._door, self._pool, self._probing, self._clock = door, pool, probing, clock
        self._eyes = Eyes(door, pool, telemetry, SALES_MAX)
        self.forget()

    def forget(self) -> None:
        """The next look has none before it."""
        self._course, self._failures = Course(), Failures()
        self._looks, self._redis_since_s, self._expiring_at_s = 0, 0.0, -EXPIRY_EVERY_S
        self._expiring: list[Figure] | None = None

    async def look(self) -> Seen:
        """Everything at about one instant. Errors: Refusal("not_ready") where the books can't be reached."""
        reading, lag, guesses = await asyncio.gather(self._eyes.look(), self._lag(), self._guesses())
        now_s = self._clock()
        self._looks += 1
        self._failures.add(now_s, reading.cells)
        found = [self._away(now_s, reading), *self._sales(reading), *await self._books(now_s), *self._rates()]
        known = {"redis_away", "breaks"}
        if reading.sales is not None and reading.has_books and not reading.has_more:
            known |= {"low_stock", "budget_low"} | ({"selling_out"} if self._looks > 1 else set())
        if self._expiring is not None:
            known.add("expiry_wave")
        for kind, figure in (("drain_lag", lag), ("code_probing", guesses)):
            if figure is not None:
                found.append(figure)
                known.add(kind)
        return Seen(found, frozenset(known & KINDS.keys()))

    def _away(self, now_s: float, reading: Reading) -> Figure:
        """For how long Redis has not answered."""
        if reading.sales is not None:
            self._redis_since_s = 0.0
            return Figure("redis_away", "", 0.0)
        self._redis_since_s = self._redis_since_s or now_s
        return Figure("redis_away", "", round(now_s - self._redis_since_s, 1))

    def _sales(self, reading: Reading) -> Iterator[Figure]:
        if reading.sales is None:
            return
        now = {sale.id: sale for sale in self._course.frame(reading).sales}
        for sale in reading.sales:
            if sale.state in ("active", "paused"):
                yield from of_sale(sale, now[sale.id])

    def _rates(self) -> Iterator[Figure]:
        by_class = self._failures.gone(RESPONSES.name)
        if by_class is not None:
            yield failure_share(by_class)

    async def _books(self, now_s: float) -> list[Figure]:
        async with postgres(self._pool) as connection:
            broken = await rows(connection, _QUERIES["open_breaks"])
        if now_s - self._expiring_at_s >= EXPIRY_EVERY_S:
            self._expiring_at_s, self._expiring = now_s, await self._count_expiring()
        return [Figure("breaks", row["subject"], row["count"], row["about"]) for row in broken] + (self._expiring or [])

    async def _count_expiring(self) -> list[Figure] | None:
        """None where it takes too long: then it is not known."""
        try:
            async with self._pool.connection() as connection:
                found = await rows(connection, _QUERIES["expiring"], hours=EXPIRY_HOURS, most=COUNTED_MAX)
        except _AWAY as error:
            log.warning("expiring coupons could not be counted", extra={"reason": type(error).__name__})
            return None
        return [Figure("expiry_wave", row["subject"], row["coupons"], row["about"]) for row in found]

    async def _lag(self) -> Figure | None:
        """Of the shard that is behind most, of campaigns that are over too."""
        try:
            async with asyncio.timeout(LOOK_S_MAX):
                lags = await drain_lag(self._door, self._pool)
        except _AWAY:
            return None
        behind = sum(lag.lag_seq for lag in lags)
        return Figure("drain_lag", "", max((lag.lag_s for lag in lags), default=0.0), {"behind": behind})

    async def _guesses(self) -> Figure | None:
        try:
            return Figure("code_probing", "", await self._probing.failures())
        except (RedisError, OSError):
            return None


def of_sale(sale: SaleReading, now: SaleNow) -> Iterator[Figure]:
    """The figures of one open sale; what of it is just being compared with the books can't be told."""
    about = {"name": sale.name, "stock": sale.stock}
    total = sale.stock + sale.claimed
    if not sale.ready:
        yield Figure("low_stock", sale.id, None, about)
        yield Figure("selling_out", sale.id, None, about)
    elif total:
        share = round(sale.stock * 100 / total, 1)
        yield Figure("low_stock", sale.id, share, {**about, "total": total}, float(sale.stock))
        if now.left_s is not None:
            yield Figure("selling_out", sale.id, round(now.left_s, 1), about)
    if sale.budget_minor:
        left = max(0, sale.budget_minor - sale.budget_used)
        about = {"name": sale.name, "left_minor": left, "budget_minor": sale.budget_minor}
        yield Figure("budget_low", sale.id, round(left * 100 / sale.budget_minor, 1), about)


def failure_share(by_class: list[int]) -> Figure:
    """Of answers by class of status, 2xx first."""
    answers, failed = sum(by_class), by_class[-1]
    share = round(failed * 100 / answers, 2) if answers >= ANSWERS_MIN else 0.0
    return Figure("failure_rate", "", share, {"answers": answers, "failed": failed})
