"""The figures of a run: percentiles as good as the exact ones, parts that add up, what counts and what does not."""

import math
from pathlib import Path

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from loadtest.run.latencies import Latencies, merged
from loadtest.run.timeline import FAILURES_MAX, UNTIMED_CLAIM, Timeline

ERROR_MAX = 0.0051
MILLISECONDS = st.floats(0.01, 100_000)
PERCENTS = (50, 95, 99, 100)


def counted(*milliseconds: float) -> Latencies:
    """These latencies."""
    latencies = Latencies()
    for each in milliseconds:
        latencies.add(each)
    return latencies


@given(st.lists(MILLISECONDS, min_size=1))
def test_a_percentile_is_the_exact_one_to_half_a_per_cent(milliseconds: list[float]) -> None:
    """Whatever was measured, each percentile is that of the numbers themselves, by the place in their order."""
    found = counted(*milliseconds).percentiles_ms(*PERCENTS)
    exact = [sorted(milliseconds)[max(1, math.ceil(len(milliseconds) * percent / 100)) - 1] for percent in PERCENTS]

    for near, true in zip(found, exact, strict=True):
        assert near is not None
        assert abs(near - true) <= true * ERROR_MAX


@given(st.lists(MILLISECONDS), st.lists(MILLISECONDS))
def test_two_parts_are_one_whole(one: list[float], other: list[float]) -> None:
    """Counted apart and merged, sent over the wire or not, is the same as counted together."""
    wired = Latencies.of_wire(msgspec.msgpack.decode(msgspec.msgpack.encode(counted(*one).to_wire())))
    parts, whole = merged([wired, counted(*other)]), counted(*one, *other)

    assert parts.percentiles_ms(*PERCENTS) == whole.percentiles_ms(*PERCENTS)
    assert (parts.count, parts.longest_ms) == (whole.count, whole.longest_ms)


def test_the_longest_is_exact_and_nothing_has_none() -> None:
    """The longest is told as it was; of nothing there is neither a percentile nor a longest."""
    assert counted(0, 3.25, 1.0).longest_ms == 3.25
    assert counted(0.0000001, 0).count == 2
    assert Latencies().percentiles_ms(50, 99) == [None, None]
    assert Latencies().longest_ms is None


REQUESTS = st.tuples(
    st.sampled_from(["claim", "redeem", UNTIMED_CLAIM]),
    st.sampled_from(["claimed", "sold_out", "unanswered", "overloaded"]),
    MILLISECONDS,
    st.floats(100, 105),
    st.sampled_from(["", "", "status 500"]),
)


@given(st.lists(st.tuples(st.booleans(), REQUESTS)))
def test_the_timelines_of_two_processes_are_that_of_one(
    requests: list[tuple[bool, tuple[str, str, float, float, str]]],
) -> None:
    """Whichever process saw which request, and over the wire, the master has what one process would have."""
    here, there, alone = Timeline(), Timeline(), Timeline()
    for mine, (kind, outcome, response_ms, at_s, failed) in requests:
        for timeline in (here if mine else there, alone):
            timeline.add(kind, outcome, response_ms, at_s, failed, f"{kind}: {outcome}")
    here.merge(Timeline.of_wire(msgspec.msgpack.decode(msgspec.msgpack.encode(there.to_wire()), strict=False)))

    assert told(here) == told(alone)


def told(timeline: Timeline) -> object:
    """All that a timeline says, in one order."""
    return (
        timeline.count,
        timeline.failed,
        timeline.good,
        sorted(timeline.failures.items()),
        sorted(timeline.outcomes.items()),
        timeline.claims.percentiles_ms(*PERCENTS),
        sorted((at, sorted(each.outcomes.items()), each.good) for at, each in timeline.seconds.items()),
        sorted((name, each.count, each.failures) for name, each in timeline.names.items()),
    )


def test_what_settles_a_claim_is_goodput() -> None:
    """A refusal by the sale counts; overload, a wrong answer, none, and one that failed by being slow do not."""
    timeline = Timeline()
    for outcome in ("claimed", "replayed", "sold_out", "limit_reached", "rate_limited", "overloaded", "not_ready"):
        timeline.add("claim", outcome, 5, 1, "", f"claim: {outcome}")
    timeline.add("claim", "claimed", 5000, 1, "slower than 2000 ms", "claim: claimed")
    timeline.add("claim", "wrong", 5, 1, "status 500", "claim: wrong")
    timeline.add("claim", "unanswered", 5000, 1, "no answer within 5 s", "claim: unanswered")
    timeline.add("redeem", "done", 5, 1, "", "redeem: done")

    assert timeline.good == 4
    assert (timeline.count, timeline.failed) == (11, 3)
    assert "done" not in timeline.outcomes


def test_what_the_generator_did_itself_has_no_latency() -> None:
    """A reply thrown away and a link made slow say nothing of the system; an answer that never came says a lot."""
    timeline = Timeline()
    timeline.add("claim", "claimed", 10, 1, "")
    timeline.add("claim", "unanswered", 700, 1, "")
    timeline.add(UNTIMED_CLAIM, "claimed", 900, 1, "")
    assert timeline.claims.count == 1
    assert timeline.outcomes == {"claimed": 2, "unanswered": 1}

    timeline.add("claim", "unanswered", 5000, 1, "no answer within 5 s")
    assert timeline.claims.longest_ms == 5000


def test_a_slow_link_is_called_as_the_users_call_it() -> None:
    """The kind that counts without a latency is the one that users give such a claim."""
    asking = (Path(__file__).parents[2] / "loadtest" / "run" / "asking.py").read_text()

    assert f'"{UNTIMED_CLAIM.removeprefix("claim ")}"' in asking


def test_a_run_gone_wrong_does_not_fill_the_memory() -> None:
    """Failures are told apart up to a bound; those beyond it are counted all the same."""
    timeline = Timeline()
    for number in range(FAILURES_MAX + 50):
        timeline.add("claim", "wrong", 1, 1, f"status {number}" + "x" * 1000, "claim: wrong")

    assert len(timeline.failures) == FAILURES_MAX + 1
    assert timeline.failures["claim: wrong", "something else"] == 50
    assert max(len(says) for _, says in timeline.failures) == 200
