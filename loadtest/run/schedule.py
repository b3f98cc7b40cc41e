"""
The open loop's clock: when each claim is due, fixed before the first is sent, and how late each one left.

Pure but for release(), which is told what time it is. Nothing here knows Locust.
"""

import random
from collections import Counter, deque
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
    """How late the generator was with *sent* claims, in ms; *waited* more found no connection free, *unsent* ever."""

    sent: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    waited: int
    unsent: int

    def __str__(self) -> str:
        return (
            f"open loop: {self.sent + self.waited + self.unsent:,} claims were due; the generator was late by"
            f" {self.p50_ms:.1f} ms (p50), {self.p99_ms:.1f} ms (p99), {self.max_ms:.0f} ms (most);"
            f" {self.waited:,} waited for a connection, {self.unsent:,} got none"
        )


class Due(NamedTuple):
    """A claim: when it was due, and whether it found no connection free then."""

    at_s: float
    waited: bool


class Schedule:
    """
    What is due, for whoever is free: release() makes it so, take() gives it out in order, left() says it is on its way.

    A claim that found somebody free and left late was the generator's doing; one that found nobody waited for a
    connection, which is the pool's or the gateway's. One that nobody took within *give_up_s* is unsent.
    """

    def __init__(self, dues: Iterator[float], began_s: float, give_up_s: float) -> None:
        self._dues, self._began_s, self._give_up_s = dues, began_s, give_up_s
        self._next_s = began_s + next(dues)
        self._waiting: deque[Due] = deque()
        self._late: Counter[int] = Counter()
        """How many were so late, by tenths of a millisecond."""
        self._waited = self._unsent = 0

    def release(self, now_s: float, free: int) -> tuple[float, list[float]]:
        """
        Let go what is due by *now_s*, with so many connections *free*.

        Shape: when the next one is due, and when those were that nobody took in time. Units: seconds of one clock.
        """
        while self._next_s <= now_s:
            self._waiting.append(Due(self._next_s, waited=len(self._waiting) >= free))
            self._next_s = self._began_s + next(self._dues)
        given_up = []
        while self._waiting and self._waiting[0].at_s < now_s - self._give_up_s:
            given_up.append(self._waiting.popleft().at_s)
        self._unsent += len(given_up)
        return self._next_s, given_up

    def take(self) -> Due | None:
        """The one that has been due longest; None where nothing is."""
        return self._waiting.popleft() if self._waiting else None

    def left(self, due: Due, now_s: float) -> float | None:
        """How late it leaves by the generator's doing, in ms; None where it had waited for a connection."""
        if due.waited:
            self._waited += 1
            return None
        late_ms = (now_s - due.at_s) * 1000
        self._late[round(late_ms * 10)] += 1
        return late_ms

    def late(self) -> Late:
        """How late the generator was so far."""
        sent = self._late.total()
        return Late(sent, self._late_at(0.5), self._late_at(0.99), self._late_at(1.0), self._waited, self._unsent)

    def _late_at(self, share: float) -> float:
        left = self._late.total() * share
        for tenths in sorted(self._late):
            left -= self._late[tenths]
            if left <= 0:
                return tenths / 10
        return 0.0
