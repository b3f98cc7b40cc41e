"""
The open loop: claims leave when they are due, whatever became of the others.

A user of Locust is a connection here: whoever is free takes the next claim that is due. Its latency counts from when it
was due, so a gateway that stands still for a second is charged for everybody who came in that second, and not for the
few who had asked already.
"""

import logging
import time
from collections import deque
from typing import Any
from weakref import WeakKeyDictionary

import gevent  # type: ignore[import-untyped]
from gevent.event import AsyncResult  # type: ignore[import-untyped]
from locust import constant, tag, task
from locust.exception import CatchResponseError, StopUser

from loadtest.run.plan import Part
from loadtest.run.recording import recorder
from loadtest.run.schedule import Due, Schedule, dues_s
from loadtest.users.person import Claiming

log = logging.getLogger("loadtest")

LEAD_S = 1.0
"""From the first connection of a process to its first claim: the others of the pool are made meanwhile."""
LATE_MS_MAX = 20.0
"""Where the generator's p99 is beyond this, latencies are its own as much as the gateway's."""
IDLE_S = 0.5
"""Whoever waited so long looks up: Locust may want it to stop."""
LATE = "claim: late by the generator"


class Clock:
    """The schedule of one process, played by a greenlet of its own as long as somebody is there to take from it."""

    def __init__(self, environment: Any, part: Part) -> None:
        plan = part.plan
        assert plan is not None
        began_s = time.perf_counter() + LEAD_S
        rate = part.options.arrivals / plan.parts
        self.schedule = Schedule(dues_s(rate, plan.seed, part.number), began_s, part.options.patience)
        self._environment, self._path = environment, f"/v1/campaigns/{plan.campaigns[0]}/claims"
        self._phones = 0
        self._idle: deque[Any] = deque()
        self._playing: Any = None

    def enter(self) -> None:
        """One more connection."""
        self._phones += 1
        if self._playing is None:
            self._playing = gevent.spawn(self._play)

    def leave(self) -> bool:
        """One connection less; whether it was the last one, and then nothing is due any more."""
        self._phones -= 1
        if self._phones or self._playing is None:
            return False
        self._playing.kill()
        self._playing = None
        late = self.schedule.late()
        recorder.mark(str(late))
        if late.p99_ms > LATE_MS_MAX:
            log.warning("%s: the generator was the limit; give it more processes (--processes) or machines", late)
        return True

    def take(self) -> float | None:
        """When the next claim was due, by time.perf_counter(); None where there is none for a while."""
        due = self.schedule.take() or self._handed()
        if due is None:
            return None
        late_ms = self.schedule.left(due, time.perf_counter())
        if late_ms is not None:
            # A row of its own in Locust's tables, not in their sums: it is no request.
            self._environment.stats.get(LATE, "OPEN").log(late_ms, 0)
        return due.at_s

    def _handed(self) -> Due | None:
        """Wait in line for one, each for his own, so that one claim wakes one connection."""
        mine = AsyncResult()
        self._idle.append(mine)
        try:
            mine.wait(IDLE_S)
        finally:
            if not mine.ready():
                self._idle.remove(mine)
        due: Due | None = mine.get() if mine.ready() else None
        return due

    def _play(self) -> None:
        while True:
            next_s, given_up = self.schedule.release(time.perf_counter(), len(self._idle))
            while self._idle and (due := self.schedule.take()) is not None:
                self._idle.popleft().set(due)
            for due_s in given_up:
                self._tell_unsent((time.perf_counter() - due_s) * 1000)
            gevent.sleep(max(0.0, next_s - time.perf_counter()))

    def _tell_unsent(self, ms: float) -> None:
        self._environment.events.request.fire(
            request_type="POST",
            name="claim: unsent",
            response_time=ms,
            response_length=0,
            response=None,
            context={"kind": "claim", "outcome": "unanswered"},
            exception=CatchResponseError("no connection came free in time: give it more users"),
            start_time=time.time() - ms / 1000,
            url=self._path,
        )


_clocks: "WeakKeyDictionary[Part, Clock]" = WeakKeyDictionary()


class Arrivals(Claiming):
    """A connection of the open loop; with --arrivals in place of Claimer and Bot."""

    weight = 40
    wait_time = constant(0)

    def on_start(self) -> None:
        """Take part in the schedule of this process."""
        super().on_start()
        if not self.options.arrivals:
            raise StopUser
        if self.part not in _clocks:
            _clocks[self.part] = Clock(self.environment, self.part)
        self._clock = _clocks[self.part]
        self._clock.enter()

    def on_stop(self) -> None:
        """Hang up."""
        if hasattr(self, "_clock") and self._clock.leave():
            del _clocks[self.part]
        super().on_stop()

    @tag("claim")
    @task
    def claim(self) -> None:
        """The next claim that is due, of the next person."""
        due_s = self._clock.take()
        if due_s is not None:
            assert self.part.identities is not None
            self.claim_for(self.part.identities.next(), self.campaign, due_s)
