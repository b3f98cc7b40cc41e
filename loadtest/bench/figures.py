"""Several runs of one measure: their median and how far they lie apart."""

from collections.abc import Iterable
from statistics import median

import msgspec


class Spread(msgspec.Struct, frozen=True):
    """The median of several runs, the lowest and the highest of them."""

    median: float
    low: float
    high: float

    def shown(self, digits: int) -> str:
        """``0.37 (0.35 to 0.39)``; one run has no spread."""
        if self.low == self.high:
            return f"{self.median:.{digits}f}"
        return f"{self.median:.{digits}f} ({self.low:.{digits}f} to {self.high:.{digits}f})"


def spread(values: Iterable[float]) -> Spread:
    """The spread of *values*, of which there has to be one at least."""
    ordered = sorted(values)
    return Spread(median(ordered), ordered[0], ordered[-1])


def ratios(pairs: Iterable[tuple[float, float]]) -> Spread:
    """
    The spread of first to second of each pair.

    Both of a pair come from one round, so what slowed the machine in that round slowed both.
    """
    return spread(above / below for above, below in pairs)
