"""
The sweeper: has Redis book what is over, coupons past their time and holds past theirs.

Nothing waits for it: the scripts refuse by the clock what is over, booked or not. The deadlines come from PostgreSQL,
so none is forgotten with Redis; whether one has passed, the script decides. It runs beside the drain, and asks for
nothing more of a shard before the books have what it brought about last: so it can't run ahead of the drain, and is
held back where the drain is.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic

import psycopg

from lua.keys import Shard
from reconciler.deadlines import START, Deadlines, Due, Place
from reconciler.outages import Outage
from reconciler.streams import StreamsAway
from reconciler.timekeeper import Timekeeper

log = logging.getLogger("fairclaim.reconciler")

CODES_MAX = 512
"""Codes one call of expire.lua takes, and holds one of lapse.lua frees."""
ROUND_S_MIN = 0.02  # between two calls for one shard at least
REST_S_MAX = 60.0

Drained = Callable[[], Mapping[Shard, int]]
"""The shards that are drained here and now, and the last seq the books have of each."""


@dataclass(frozen=True, kw_only=True)
class SweeperOptions:
    """*pause_ms* lies between two passes, *codes_max* bounds a call."""

    codes_max: int = CODES_MAX
    pause_ms: int = 1000


@dataclass
class Swept:
    """
    One shard in one pass: how far it is through each list of the books.

    *lapsing* says that Redis has holds to free. *wait_for* is the seq the books must have before the next call. *over*
    counts what was over, *absent* the coupons that Redis does not have.
    """

    places: dict[Due, Place] = field(default_factory=dict)
    lapsing: bool = False
    wait_for: int = 0
    over: int = 0
    absent: int = 0


@dataclass(frozen=True)
class Rest:
    """A shard in which nothing of what the books call due is over is left alone, each time for twice as long."""

    until: float
    pause_s: float


class Sweeper:
    """One reconciler's sweeper. *drained* says which shards are its own."""

    def __init__(
        self, options: SweeperOptions, deadlines: Deadlines, timekeeper: Timekeeper, drained: Drained, retry_ms_max: int
    ) -> None:
        self._options, self._drained = options, drained
        self._deadlines, self._timekeeper = deadlines, timekeeper
        self._redis_outage = Outage("Redis (sweeper)", retry_ms_max)
        self._books_outage = Outage("PostgreSQL (sweeper)", retry_ms_max)
        self._rests: dict[Shard, Rest] = {}

    async def run(self) -> None:
        """Sweep until cancelled. Errors: none while a server is away; that is waited out."""
        try:
            while True:
                pause_s = await self._try_pass()
                await asyncio.sleep(pause_s)
        finally:
            await self._deadlines.close()
            await self._timekeeper.close()

    async def _try_pass(self) -> float:
        """One pass over all that is due; the seconds to wait after it."""
        try:
            await self._pass()
        except StreamsAway as error:
            return self._redis_outage.failed(str(error))
        except (psycopg.Error, OSError) as error:
            return self._books_outage.failed(" ".join(str(error).split()) or type(error).__name__)
        return self._options.pause_ms / 1000

    async def _pass(self) -> None:
        """Bring every shard that has something due to the end of it, one call each in turn."""
        now, drained = monotonic(), self._drained()
        self._rests = {shard: rest for shard, rest in self._rests.items() if shard in drained}
        shards = [shard for shard in drained if shard not in self._rests or self._rests[shard].until <= now]
        if not shards:
            return
        now_ms = await self._timekeeper.now_ms()
        at = datetime.fromtimestamp(now_ms // 1000, UTC) + timedelta(milliseconds=now_ms % 1000)
        due: dict[Shard, Swept] = {}
        for shard in await self._timekeeper.overdue(shards, now_ms):
            due.setdefault(shard, Swept()).lapsing = True
        self._redis_outage.answered()
        for shard, lists in (await self._deadlines.shards_due(shards, at)).items():
            due.setdefault(shard, Swept()).places = dict.fromkeys(lists, START)
        self._books_outage.answered()
        while due:
            began = monotonic()
            await self._round(due, at)
            if due:
                # As long as that took: half of the time is others', the drain's before all.
                await asyncio.sleep(max(ROUND_S_MIN, monotonic() - began))

    async def _round(self, due: dict[Shard, Swept], at: datetime) -> None:
        """One call for every shard whose books have what the last one brought about; drop those that are through."""
        for shard, swept in list(due.items()):
            seq = self._drained().get(shard)
            if seq is None:  # given away, stopped, or its books are away
                del due[shard]
            elif seq >= swept.wait_for and not await self._call(shard, swept, at):
                self._settle(shard, swept)
                del due[shard]

    async def _call(self, shard: Shard, swept: Swept, at: datetime) -> bool:
        """One call for what is over in a shard; False when nothing is left to ask for."""
        if swept.lapsing:
            freed = await self._timekeeper.lapse(shard, self._options.codes_max)
            swept.lapsing = freed == self._options.codes_max
            swept.over += freed
            swept.wait_for = await self._timekeeper.seq(shard)
            return True
        for due, place in list(swept.places.items()):
            codes, following = await self._deadlines.codes_due(shard, due, at, place, self._options.codes_max)
            if not codes:
                del swept.places[due]
                continue
            told = await self._timekeeper.expire(shard, codes)
            if not told.ready:
                return False
            swept.places[due], swept.wait_for = following, await self._timekeeper.seq(shard)
            # That a hold was freed is in no reply: the shard has moved on.
            freed = len(codes) if due is Due.HOLDS and swept.wait_for > self._drained().get(shard, 0) else 0
            swept.over += told.ended or freed
            swept.absent += told.absent
            return True
        return False

    def _settle(self, shard: Shard, swept: Swept) -> None:
        """A shard is through: log what it came to, and let it rest where nothing was over."""
        told = {"shard": str(shard), "over": swept.over, "absent": swept.absent}
        if swept.absent:
            log.error("%d coupons of %s are due by the books and not in Redis", swept.absent, shard, extra=told)
        if swept.over:
            log.info("booked that %d coupons or holds of %s are over", swept.over, shard, extra=told)
            self._rests.pop(shard, None)
            return
        earlier = self._rests.get(shard)
        pause_s = min(REST_S_MAX, earlier.pause_s * 2 if earlier else self._options.pause_ms / 1000)
        self._rests[shard] = Rest(monotonic() + pause_s, pause_s)
