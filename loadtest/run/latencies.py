"""
Latencies, counted in classes that are 1 % wide, so that a percentile is told to half a per cent and any two add up.

The classes are powers of 1.01 of a millisecond; what is below a microsecond counts as one. The longest is kept as it
was.
"""

from collections import defaultdict
from collections.abc import Iterable
from math import ceil, exp, log
from typing import Any

_PER_MS = 1 / log(1.01)
_SHORTEST_MS = 0.001
_FIRST = -log(_SHORTEST_MS) * _PER_MS
"""Added, so that no class has a number below 0."""


class Latencies:
    """How often each class of latency was seen."""

    __slots__ = ("_classes", "_longest_ms")

    def __init__(self) -> None:
        self._classes: defaultdict[int, int] = defaultdict(int)
        self._longest_ms = 0.0

    def add(self, response_ms: float) -> None:
        """Count one. It is called for every request, so it does next to nothing."""
        at = int(log(response_ms) * _PER_MS + _FIRST) if response_ms > _SHORTEST_MS else 0
        self._classes[at] += 1
        if response_ms > self._longest_ms:
            self._longest_ms = response_ms

    def merge(self, other: "Latencies") -> None:
        """Count all that *other* did."""
        for at, count in other._classes.items():
            self._classes[at] += count
        self._longest_ms = max(self._longest_ms, other._longest_ms)

    @property
    def count(self) -> int:
        """How many were counted."""
        return sum(self._classes.values())

    @property
    def longest_ms(self) -> float | None:
        """The longest; None where there is none."""
        return self._longest_ms if self._classes else None

    def percentiles_ms(self, *percents: float) -> list[float | None]:
        """
        What each of *percents*, in rising order, of the latencies stayed within; None where there is none.

        The one at place ceil(n · percent / 100), to half a per cent; never longer than the longest.
        """
        count, passed = self.count, 0
        if not count:
            return [None for _ in percents]
        places = [max(1, ceil(count * percent / 100)) for percent in percents]
        found: list[float | None] = []
        for at in sorted(self._classes):
            passed += self._classes[at]
            while len(found) < len(places) and places[len(found)] <= passed:
                found.append(min(exp((at + 0.5 - _FIRST) / _PER_MS), self._longest_ms))
        return found

    def to_wire(self) -> list[Any]:
        """Plain values that `of_wire` makes the same of."""
        return [self._longest_ms, dict(self._classes)]

    @classmethod
    def of_wire(cls, wire: list[Any]) -> "Latencies":
        """What `to_wire` made plain."""
        made = cls()
        made._longest_ms, classes = wire
        made._classes.update(classes)
        return made


def merged(parts: Iterable[Latencies]) -> Latencies:
    """All *parts* counted together."""
    whole = Latencies()
    for part in parts:
        whole.merge(part)
    return whole
