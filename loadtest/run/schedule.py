"""
The open loop's clock: when each claim is due, fixed before the first is sent, and how late each one left.

Pure but for release(), which is told what time it is. Nothing here knows Locust.
"""

import random
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple


def dues_s(per_s: float, seed: int, part: int) -> Iterator[float]:
    """
    When the claims of one of the processes are due, in seconds from the beginning, *per_s* of them a second, for ever.

    People who don't know of each other: the gaps are drawn from the exponential distribution. Processes that share a
    rate make one such stream together.
    """
    draw, at_s = random.Random(f"arrivals {seed} {part}"), 0.0  # noqa: S311 - reproducible, not secret
    while True:
        at_s += draw.expovariate(per_s)
        yield at_s


class Late(NamedTuple):
    """How late the generator was with *count* claims, in ms; *waited* more found no connection free."""

    count: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    waited: int
    unsent: int

    def __str__(self) -> str:
        return (
            f"open loop: {self.count + self.waited + self.unsent:,} claims were due; the generator was late by"
            f" {self.p50_ms:.1f} ms (p50), {self.p99_ms:.1f} ms (p99), {self.max_ms:.0f} ms (most);"
            f" {self.waited:,} waited for a connection, {self.unsent:,} got none"
        )


class Schedule:
    """
    What is due, for whoever is free: release() makes it so, take() gives it out in order.

    A claim that found somebody free and left late was the generator's doing; one that found nobody waited for a
    connection, which is the pool's or the gateway's. One that nobody took within *give_up_s* is unsent.
    """

    def __init__(self, dues: Iterator[float], began_s: float, give_up_s: float) -> None:
        self._dues, self._began_s, self._give_up_s = dues, began_s, give_up_s
        self._next_s = began_s + next(dues)
        self._waiting: deque[tuple[float, bool]] = deque()
        self._late_us: dict[int, int] = {}
        self.free = 0
        self.sent = self.waited = self.unsent = 0

    def release(self, now_s: float) -> tuple[float, list[float]]:
        """
        Let go what is due by *now_s*; when the next one is due, and when those were that nobody took in time.

        Units: seconds of one clock.
        """
        while self._next_s <= now_s:
            self._waiting.append((self._next_s, len(self._waiting) >= self.free))
            self._next_s = self._began_s + next(self._dues)
        given_up = []
        while self._waiting and self._waiting[0][0] < now_s - self._give_up_s:
            given_up.append(self._waiting.popleft()[0])
        self.unsent += len(given_up)
        return self._next_s, given_up

    def take(self, now_s: float) -> tuple[float, float | None] | None:
        """When the next one was due, and how late it is by the generator's doing, in ms; None where nothing is due."""
        if not self._waiting:
            return None
        due_s, waited = self._waiting.popleft()
        if waited:
            self.waited += 1
            return due_s, None
        self.sent += 1
        late_ms = (now_s - due_s) * 1000
        step = round(late_ms * 10)
        self._late_us[step] = self._late_us.get(step, 0) + 1
        return due_s, late_ms

    @property
    def waiting(self) -> int:
        """How many are due and not taken."""
        return len(self._waiting)

    def late(self) -> Late:
        """How late the generator was so far."""
        steps = sorted(self._late_us)
        return Late(
            self.sent, self._late_at(steps, 0.5), self._late_at(steps, 0.99), (steps[-1] / 10 if steps else 0.0),
            self.waited, self.unsent,
        )  # fmt: skip

    def _late_at(self, steps: list[int], share: float) -> float:
        left = self.sent * share
        for step in steps:
            left -= self._late_us[step]
            if left <= 0:
                return step / 10
        return 0.0
