"""Readings that are made up, for the page Live: two sales, as fast as is asked, or an hour of them at once."""

from collections import deque
from time import monotonic

from gateway.console.live.frame import Course, Frame
from gateway.console.live.reading import Reading, SaleReading
from gateway.telemetry import BATCH_CLAIMS, CLAIM_SECONDS, CLAIMS, METRICS, OUTCOMES, SECONDS, SIZES
from tests.http import Worker

UPDATES_PER_S = 100
STARTED_MS = 1_790_000_000_000
HOUR_S = 3600
SLOW_AT_S, SLOW, SLOW_BUCKET = 1200, 50, 11
"""When in the hour some claims, once, took 1 to 2.5 s."""
EMPTY = {
    each.name: (0,) * (len(each.buckets) + 2 if each.kind == "histogram" else len(each.values)) for each in METRICS
}
SHARES = [(OUTCOMES.index(name), share) for name, share in (
    ("claimed", 1), ("replayed", 0.2), ("sold_out", 0.5), ("limit_reached", 0.1)
)]  # fmt: skip


def a_reading(gone_s: float, number: int, slow: int = 0) -> Reading:
    """After *gone_s* of two sales of two million, at 400 and at 100 claims a second; *slow* of them took long."""
    at_ms = STARTED_MS + int(gone_s * 1000)
    claimed = int(400 * gone_s), int(100 * gone_s)
    outcomes, seconds, sizes = [0] * len(OUTCOMES), [0] * (len(SECONDS) + 2), [0] * (len(SIZES) + 2)
    for at, share in SHARES:
        outcomes[at] = int(sum(claimed) * share)
    for at, share in ((3, 0.7), (4, 0.28), (6, 0.02)):
        seconds[at] = int(sum(claimed) * share)
    seconds[SLOW_BUCKET] = slow
    sizes[4], sizes[-1] = sum(claimed) // 12, sum(claimed)
    cells = {
        **EMPTY,
        CLAIMS.name: tuple(outcomes),
        CLAIM_SECONDS.name: tuple(seconds),
        BATCH_CLAIMS.name: tuple(sizes),
    }
    lag_s = 0.2 + 0.06 * ((number // 50) % 3)
    sales = [
        SaleReading(name.lower(), f"{name} sale", "active", at_ms, 2_000_000 - had, had, True, 40, lag_s)
        for name, had in zip(("Morning", "Evening"), claimed, strict=True)
    ]
    return Reading(at_ms, cells, sales, True, 0, 0)


class Rush:
    """
    What *site* reads from now on is made up, UPDATES_PER_S; *made* are the readings so far, *last* is the last.

    Its sales began *since_s* before the first look at them. Once it *is_over* nothing is sold any more.
    """

    last: Reading

    def __init__(self, site: Worker, since_s: float = 0.0, slow: int = 0) -> None:
        self.made, self._slow, self.is_over = 0, slow, False
        self._since_s, self._began_s = since_s, 0.0
        live = site.services.live
        live.look, live.pause_s = self.look, 0.85 / UPDATES_PER_S
        live.past.clear()

    async def look(self) -> Reading:
        """As Eyes.look()."""
        self._began_s = self._began_s or monotonic() - self._since_s
        self.made += 1
        now = a_reading(monotonic() - self._began_s, self.made, self._slow)
        self.last = self.last._replace(at_ms=now.at_ms) if self.is_over else now
        return self.last


def an_hour(site: Worker) -> Rush:
    """An hour of it, a frame a second, is what *site* has of the past; and so it goes on."""
    rush, course = Rush(site, HOUR_S, SLOW), Course()
    readings = (a_reading(second, second * 10, SLOW if second >= SLOW_AT_S else 0) for second in range(HOUR_S))
    site.services.live.past = deque[Frame](map(course.frame, readings), maxlen=2 * HOUR_S)
    return rush
