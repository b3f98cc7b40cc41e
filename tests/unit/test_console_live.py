"""Live: what two readings come to, and that who looks slowly, or too often, costs nobody anything."""

import asyncio
from typing import Any

import pytest

from gateway.console.live.frame import GROUPS, Course, Frame, group_of, quantile_ms
from gateway.console.live.live import OF_ONE_MAX, PAST_MAX, WATCHERS_MAX, Live
from gateway.console.live.outcomes import OUTCOME_WORDS
from gateway.console.live.pace import Pace, sold_out_in_s
from gateway.console.live.reading import Reading, SaleReading
from gateway.console.live.view import left
from gateway.console.locales import Words, choose
from gateway.errors import Refusal
from gateway.telemetry import BATCH_CLAIMS, CLAIM_SECONDS, CLAIMS, METRICS, OUTCOMES, SECONDS, SIZES

EMPTY = {
    each.name: (0,) * (len(each.buckets) + 2 if each.kind == "histogram" else len(each.values)) for each in METRICS
}


def a_sale(at_ms: int, claimed: int, stock: int = 1000, state: str = "active") -> SaleReading:
    """The sale flash, with 1000 coupons to begin with."""
    return SaleReading("flash", "Flash", state, at_ms, stock - claimed, claimed, True, 3, 0.5)


def a_reading(at_ms: int, claimed: int = 0, *, sold_out: int = 0, **changes: Any) -> Reading:
    """So many were claimed, in calls of two, each within 1 to 2.5 ms."""
    outcomes = [0] * len(OUTCOMES)
    outcomes[OUTCOMES.index("claimed")], outcomes[OUTCOMES.index("sold_out")] = claimed, sold_out
    seconds, sizes = [0] * (len(SECONDS) + 2), [0] * (len(SIZES) + 2)
    seconds[2], sizes[1], sizes[-1] = claimed, claimed // 2, claimed
    cells = {**EMPTY, CLAIMS.name: tuple(outcomes), CLAIM_SECONDS.name: tuple(seconds), BATCH_CLAIMS.name: tuple(sizes)}
    reading = Reading(at_ms, cells, [a_sale(at_ms, claimed)], True, 0, 0)
    return reading._replace(**changes)


def test_a_first_frame_has_no_rates() -> None:
    """What takes two readings is not known of one; what is counted is."""
    frame = Course().frame(a_reading(1000, 40))

    assert (frame.answers_per_s, frame.groups, frame.p99_ms, frame.batch) == (None, None, None, None)
    assert (frame.totals, frame.stock, frame.sales[0].per_s) == ({"claimed": 40}, 960, None)


def test_rates_are_those_between_two_readings() -> None:
    """Answers, groups, latency and batches of the two seconds in between, and of nothing before them."""
    course = Course()
    course.frame(a_reading(1000, 100, sold_out=5))

    frame = course.frame(a_reading(3000, 140, sold_out=25))

    assert (frame.answers_per_s, frame.batch) == (30.0, 2.0)
    assert frame.rates == {"claimed": 20.0, "sold_out": 10.0}
    assert frame.groups == {"won": 20.0, "again": 0.0, "sold_out": 10.0, "refused": 0.0, "busy": 0.0}
    assert (frame.p50_ms, frame.p99_ms) == (1.75, 2.485)
    assert (frame.sales[0].per_s, frame.lag_seq, frame.lag_s) == (20.0, 3, 0.5)


def test_the_estimate_is_of_the_last_fifteen_seconds() -> None:
    """A rush a minute ago is no promise: what counts is the rate of late, of a sale that runs."""
    course = Course()
    for second in range(60):
        frame = course.frame(a_reading(second * 1000, min(500, second * 50) + max(0, second - 30)))

    assert frame.sales[0].left_s == pytest.approx((1000 - 500 - 29) / 1.0)
    paused = a_sale(60_000, 530, state="paused")
    assert course.frame(a_reading(60_000, 530, sales=[paused])).sales[0].left_s is None


@pytest.mark.parametrize(
    ("stock", "per_s", "seconds"), [(100, 8.0, 12.5), (0, 8.0, None), (100, 0.0, None), (100, None, None)]
)
def test_how_long_a_stock_lasts(stock: int, per_s: float | None, seconds: float | None) -> None:
    """Stock by rate; nothing is said of what is gone already, stands still, or was looked at once."""
    assert sold_out_in_s(stock, per_s) == seconds


def test_a_pace_is_of_late_and_never_backwards() -> None:
    """It takes two readings, at two times; a count that fell, after Redis lost something, is no negative rate."""
    pace = Pace()
    pace.add(1000, 50)
    assert pace.per_s is None
    pace.add(1000, 60)
    assert pace.per_s is None
    pace.add(3000, 70)
    assert pace.per_s == 10.0
    pace.add(4000, 10)
    assert pace.per_s == 0.0


async def looked(monkeypatch: pytest.MonkeyPatch, *at_ms: int) -> tuple[Live, list[Frame]]:
    """Somebody looked at each of these instants: what he was shown."""
    clock = iter(at_ms)

    async def look() -> Reading:
        return a_reading(next(clock), 100)

    live = Live(look)
    monkeypatch.setattr("gateway.console.live.live.FRESH_MS", 0)
    return live, [await live.now() for _ in at_ms]


async def test_a_clock_that_is_set_back_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read before it, by the clock in the future, is neither shown for long nor compared with what comes."""
    live, frames = await looked(monkeypatch, 10_000_000, 10_001_000, 1_000_000, 1_001_000)

    assert [frame.answers_per_s for frame in frames] == [None, 0.0, None, 0.0]
    assert [frame.at_ms for frame in live.past] == [1_000_000, 1_001_000]


async def test_who_comes_gets_nothing_of_who_looked_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reading that somebody left behind is no beginning of a chart; one that took long to take is part of it."""
    live, frames = await looked(monkeypatch, 1_000_000, 1_012_000, 1_013_000, 1_018_000)

    assert [frame.at_ms for frame in live.since(0)] == [1_012_000, 1_013_000, 1_018_000]
    assert [frame.answers_per_s for frame in frames] == [None, None, 0.0, 0.0]


def test_what_is_away_is_not_zero() -> None:
    """Without Redis there is no stock, without the books no lag: None, and never a nought."""
    course = Course()

    frame = course.frame(a_reading(1000, 1, sales=None, has_books=False, breaks=None, stopped=None))

    assert (frame.has_redis, frame.stock, frame.lag_s, frame.breaks) == (False, None, None, None)


@pytest.mark.parametrize(
    ("counts", "share", "ms"),
    [
        pytest.param([0] * (len(SECONDS) + 1), 0.5, None, id="nothing"),
        pytest.param([100, *[0] * len(SECONDS)], 0.5, 0.25, id="the-first-bucket"),
        pytest.param([0] * len(SECONDS) + [1], 0.5, 5000.0, id="beyond-the-last"),
        pytest.param([50, 50, *[0] * (len(SECONDS) - 1)], 0.99, 0.99, id="the-second-bucket"),
    ],
)
def test_quantiles(counts: list[int], share: float, ms: float | None) -> None:
    """Spread evenly within a bucket; the last bound beyond it."""
    assert quantile_ms(counts, share) == ms


def test_every_outcome_has_its_group() -> None:
    """Whatever a claim may come to is in one line of the chart."""
    assert {group_of(outcome) for outcome in OUTCOMES} == set(GROUPS)


def test_every_outcome_has_its_words() -> None:
    """Whatever a claim may come to is told in words, in Chinese too, and no two are told alike."""
    assert list(OUTCOME_WORDS) == list(OUTCOMES)
    words = Words(*choose("zh_Hans", ""), "UTC")
    told = [words.say(each) for each in OUTCOME_WORDS.values()]
    assert len(set(told)) == len(told)
    assert [each for each in told if each in OUTCOME_WORDS.values()] == []


@pytest.mark.parametrize(
    ("stock", "seconds", "shown"),
    [(5, None, "–"), (0, None, "Sold out"), (5, 59.6, "1:00"), (5, 3_845, "1:04:05"), (5, 90_000, "> 1 day")],
)
def test_when_it_is_sold_out(stock: int, seconds: float | None, shown: str) -> None:
    """A clock that counts down, or words."""
    assert left(stock, seconds, Words(*choose("en", ""), "UTC")) == shown


async def test_one_reader_whoever_looks_and_none_when_nobody_does() -> None:
    """Three who look cost one reading each time; a slow one has the newest frame waiting, and only that."""
    looks = 0

    async def look() -> Reading:
        nonlocal looks
        looks += 1
        return a_reading(looks * 1000, looks)

    live = Live(look, pause_s=0)
    watchers = [live.join(name) for name in ("ann", "ann", "bob")]
    slow = watchers[2]
    while looks < PAST_MAX + 10:
        await watchers[0].next(1)
    frame = await slow.next(1)

    assert frame is not None
    assert frame.startswith(b"id: %d\n" % live.past[-1].at_ms)
    assert len(live.past) == PAST_MAX
    for watcher in watchers:
        live.leave(watcher)
    await asyncio.wait_for(asyncio.shield(live._reader or asyncio.sleep(0)), 60)
    seen = looks
    assert await slow.next(0.05) is None
    assert looks == seen


async def test_who_looks_is_bounded() -> None:
    """A person has so many places, a worker so many: one more is asked to come later; a place given back is free."""

    async def look() -> Reading:
        return a_reading(1000)

    live = Live(look, pause_s=60)
    his = [live.join("ann") for _ in range(OF_ONE_MAX)]
    with pytest.raises(Refusal, match="Too many"):
        live.join("ann")
    others = [live.join(f"user {n}") for n in range(WATCHERS_MAX - OF_ONE_MAX)]
    with pytest.raises(Refusal, match="Too many"):
        live.join("bob")
    live.leave(his[0])
    others.append(live.join("bob"))
    await live.close()

    assert all(watcher.is_over for watcher in live.watchers)
    with pytest.raises(Refusal):
        live.join("late")
