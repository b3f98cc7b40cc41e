"""
Pure: how fast a sale sells, and when it is sold out if it goes on so. Live and whoever warns of it reckon by this.

A rate is of the last ESTIMATE_S seconds. Before they have gone by it is of as many as there are.
"""

from collections import deque

ESTIMATE_S = 15.0
"""How far back the rate goes from which is said when a sale is sold out: long enough for a lull, short for a rush."""


def sold_out_in_s(stock: int, per_s: float | None) -> float | None:
    """Seconds until *stock* coupons are gone at *per_s* a second; None where there are none, or none goes."""
    return stock / per_s if stock > 0 and per_s else None


def rate_per_s(first: tuple[int, int], last: tuple[int, int]) -> float | None:
    """What a count grew by a second between two (milliseconds, count); None between two at the same time."""
    if last[0] <= first[0]:
        return None
    return max(0, last[1] - first[1]) * 1000 / (last[0] - first[0])


class Pace:
    """What was claimed of one sale, of late; the times are by one clock, and only grow."""

    def __init__(self) -> None:
        self._past: deque[tuple[int, int]] = deque()

    def add(self, at_ms: int, claimed: int) -> None:
        """So many were *claimed* until *at_ms*."""
        self._past.append((at_ms, claimed))
        while len(self._past) > 2 and self._past[1][0] <= at_ms - ESTIMATE_S * 1000:
            self._past.popleft()

    @property
    def per_s(self) -> float | None:
        """Claimed a second, of late; None where that takes a second reading."""
        return rate_per_s(self._past[0], self._past[-1])
