"""
Pure: what two readings come to. A frame is what a page shows, and goes to browsers as JSON.

Counters have no campaign in them, because a claim has no time for one: outcomes, latency and batches are of all sales
together. Of each sale there is what Redis counts: stock, and coupons claimed.
"""

from collections.abc import Mapping, Sequence

import msgspec

from gateway.console.live.pace import Pace, rate_per_s, sold_out_in_s
from gateway.console.live.reading import Reading, SaleReading
from gateway.errors import PROBLEMS
from gateway.telemetry import (
    ADMISSION_CLOSED,
    BATCH_CLAIMS,
    CLAIM_SECONDS,
    CLAIMS,
    OUTCOMES,
    QUEUE_CLAIMS,
    SECONDS,
)

GROUPS = ("won", "again", "sold_out", "refused", "busy")
"""Outcomes as a chart shows them: *again* is a repetition's answer, *busy* is to be tried again later."""


class SaleNow(msgspec.Struct, frozen=True):
    """
    One sale.

    Units: coupons; *per_s* claimed a second; *left_s* until it is sold out at the rate of late, None where it stands.
    """

    id: str
    name: str
    state: str
    stock: int
    claimed: int
    ready: bool
    per_s: float | None = None
    left_s: float | None = None
    lag_seq: int | None = None
    lag_s: float | None = None


class Frame(msgspec.Struct, frozen=True):
    """
    Everything a page shows. What is None is not known: no earlier reading, nothing happened, or a server is away.

    Units: *at_ms* since the epoch; rates a second since the reading before; *batch* claims a script call.
    *totals* are answers by outcome, ever; *left_s* is of the sale that lasts longest.
    """

    at_ms: int
    has_redis: bool
    has_books: bool
    sales: list[SaleNow]
    totals: dict[str, int]
    has_more: bool = False
    stock: int | None = None
    left_s: float | None = None
    waiting: int = 0
    closed: int = 0
    answers_per_s: float | None = None
    groups: dict[str, float] | None = None
    rates: dict[str, float] | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    batch: float | None = None
    lag_seq: int | None = None
    lag_s: float | None = None
    breaks: int | None = None
    stopped: int | None = None


class Course:
    """What readings come to, one after another; keeps as much of the past as a Pace asks for."""

    def __init__(self) -> None:
        self._before: Reading | None = None
        self._paces: dict[str, Pace] = {}

    def forget(self) -> None:
        """There was a pause: the next reading has none before it."""
        self._before = None
        self._paces.clear()

    def frame(self, now: Reading) -> Frame:
        """The frame of *now*, which is later than those before."""
        before, self._before = self._before, now
        earlier = {each.id: each for each in (before.sales if before else None) or ()}
        sales = [self._sale(each, earlier.get(each.id)) for each in now.sales or ()]
        self._paces = {each.id: self._paces[each.id] for each in sales}
        lag_seq, lag_s = _lag(sales, now)
        frame = Frame(
            at_ms=now.at_ms,
            has_redis=now.sales is not None,
            has_books=now.has_books,
            sales=sales,
            totals={name: count for name, count in zip(OUTCOMES, now.cells[CLAIMS.name], strict=True) if count},
            has_more=now.has_more,
            stock=None if now.sales is None else sum(each.stock for each in sales),
            left_s=max((each.left_s for each in sales if each.left_s is not None), default=None),
            waiting=now.cells[QUEUE_CLAIMS.name][0],
            closed=now.cells[ADMISSION_CLOSED.name][0],
            breaks=now.breaks,
            stopped=now.stopped,
            lag_seq=lag_seq,
            lag_s=lag_s,
        )
        if before is None or now.at_ms <= before.at_ms:
            return frame
        return msgspec.structs.replace(frame, **_rates(before, now))

    def _sale(self, now: SaleReading, before: SaleReading | None) -> SaleNow:
        pace = self._paces.setdefault(now.id, Pace())
        pace.add(now.now_ms, now.claimed)
        last = rate_per_s((before.now_ms, before.claimed), (now.now_ms, now.claimed)) if before else None
        left_s = sold_out_in_s(now.stock, pace.per_s) if now.state == "active" else None
        return SaleNow(
            id=now.id,
            name=now.name,
            state="sold_out" if now.state == "active" and not now.stock else now.state,
            stock=now.stock,
            claimed=now.claimed,
            ready=now.ready,
            per_s=None if last is None else round(last, 1),
            left_s=left_s,
            lag_seq=now.lag_seq,
            lag_s=now.lag_s,
        )


def quantile_ms(counts: Sequence[int], share: float) -> float | None:
    """
    Which latency *share* of what is in the buckets of SECONDS (and one above them) is within, in milliseconds.

    Between the bounds of a bucket it is taken to be spread evenly; beyond the last one, that one is the answer. None
    of nothing.
    """
    total = sum(counts)
    if total <= 0:
        return None
    wanted, below = share * total, 0
    for at, count in enumerate(counts[: len(SECONDS)]):
        if count and below + count >= wanted:
            low = SECONDS[at - 1] if at else 0.0
            return round((low + (SECONDS[at] - low) * (wanted - below) / count) * 1000, 3)
        below += count
    return SECONDS[-1] * 1000


def _lag(sales: Sequence[SaleNow], now: Reading) -> tuple[int | None, float | None]:
    """Changes that are not in the books, and the age of the oldest; None, None where that can't be told."""
    if not now.has_books or now.sales is None:
        return None, None
    return sum(each.lag_seq or 0 for each in sales), max((each.lag_s or 0.0 for each in sales), default=0.0)


def _rates(before: Reading, now: Reading) -> dict[str, object]:
    """What is only to be had of two readings."""
    seconds = (now.at_ms - before.at_ms) / 1000
    answers = _gone(before.cells, now.cells, CLAIMS.name)
    rates = {name: round(count / seconds, 1) for name, count in zip(OUTCOMES, answers, strict=True) if count}
    latency, batches = (
        _gone(before.cells, now.cells, CLAIM_SECONDS.name),
        _gone(before.cells, now.cells, BATCH_CLAIMS.name),
    )
    groups = dict.fromkeys(GROUPS, 0.0)
    for name, rate in rates.items():
        groups[group_of(name)] += rate
    calls = sum(batches[:-1])
    return {
        "answers_per_s": round(sum(answers) / seconds, 1),
        "groups": {name: round(rate, 1) for name, rate in groups.items()},
        "rates": rates,
        "p50_ms": quantile_ms(latency[:-1], 0.5),
        "p99_ms": quantile_ms(latency[:-1], 0.99),
        "batch": round(batches[-1] / calls, 1) if calls else None,
    }


def group_of(outcome: str) -> str:
    """The one of GROUPS that *outcome* belongs to."""
    if outcome in ("claimed", "replayed", "sold_out"):
        return {"claimed": "won", "replayed": "again"}.get(outcome, outcome)
    return "busy" if PROBLEMS[outcome].status in (429, 500, 503) else "refused"


def _gone(before: Mapping[str, tuple[int, ...]], now: Mapping[str, tuple[int, ...]], name: str) -> list[int]:
    return [max(0, after - earlier) for earlier, after in zip(before[name], now[name], strict=True)]
