"""The open loop without a gateway: who was the limit, how far the books are behind, what is judged and told."""

import pytest

from loadtest.bench import open_loop, paced
from loadtest.bench.open_loop import DrainLag, DrainSample, OpenLoop, drain_lag, drain_lags_s
from loadtest.bench.paced import Step
from loadtest.bench.report import drawn
from loadtest.pacer import GAVE_UP
from tests.pacing import QUIET, a_paced


def test_a_generator_that_was_the_limit_is_told() -> None:
    """A core that was full, steps sent late and processes of somebody else are named; a good run has no note."""
    busy = {**QUIET, "generator": 0.95, "others": 0.3}

    full, late, others = paced.generator_notes({"1 ×": 1.9, "4 ×": 2.1, "10 ×": 5.0}, busy)

    assert "the generator was the limit: it used 0.95 of its core" in full
    assert "at 4 ×, 10 ×: late by up to 5.0 ms" in late
    assert "0.30 cores" in others
    assert paced.generator_notes({"50%": 2.0}, QUIET) == []


def test_the_drain_lag_is_the_age_of_the_oldest_claim_not_in_the_books() -> None:
    """With 100 claims/s given, books that have 50 at 1 s are 0.5 s behind, and with all of them not at all."""
    samples = [DrainSample(0, 0, 0), DrainSample(1, 100, 50), DrainSample(2, 200, 200), DrainSample(3, 300, 120)]

    assert drain_lags_s(samples) == pytest.approx([0, 0.5, 0, 1.8])


def test_claims_older_than_the_first_look_are_as_old_as_it() -> None:
    """What was given before anybody looked has been waiting since the first look at least."""
    assert drain_lags_s([DrainSample(5, 70, 10), DrainSample(6, 80, 10)]) == [0, 1]


def test_a_drain_that_is_too_slow_grows() -> None:
    """Books that take 900 of 1000 claims/s fall behind by a tenth of a second each second, steady ones do not."""
    slow = [DrainSample(at, 1000 * at, 900 * at) for at in range(11)]
    steady = [DrainSample(at, 1000 * at, 1000 * at - 50) for at in range(11)]

    assert drain_lag(slow, 0, 10).growth == pytest.approx(0.1)
    assert drain_lag(slow, 0, 10).max_s == pytest.approx(1.0)
    assert drain_lag(steady, 0, 10).growth == pytest.approx(0, abs=1e-9)
    assert drain_lag(steady, 0, 10).median_s == pytest.approx(0.05)


def test_the_drain_s_first_second_is_left_out() -> None:
    """A lag while the drain wakes up, or after the claims have ended, is no lag of the run."""
    samples = [
        DrainSample(0.5, 500, 0),
        DrainSample(1, 1000, 1000),
        DrainSample(2, 2000, 2000),
        DrainSample(9, 9000, 0),
    ]

    assert drain_lag(samples, 0, 2).max_s == 0
    with pytest.raises(RuntimeError, match="looked at too rarely"):
        drain_lag(samples[:2], 0, 2)


def run_at(share: float, lag: DrainLag) -> OpenLoop:
    """The figures of ten claims, one of which was given up."""
    found = a_paced(*((number / 10, 201, 0.001 * (number + 1)) for number in range(9)), (0.9, GAVE_UP, 10.0))
    return open_loop.result(share, Step(10, 1.0), found, lag, QUIET, sold=9)


def test_latencies_are_those_of_answers() -> None:
    """Who gave up has no latency, and is not among the answers; he is among the outcomes."""
    run = run_at(0.5, DrainLag(0.1, 0.2, 0.0))

    assert (run.offered_per_s, run.answered_per_s) == (10, 9)
    assert [run.p50_ms, run.max_ms] == pytest.approx([5, 9])
    assert run.outcomes == {"given up": 1, "201": 9}
    assert run.faults == []


def test_half_of_saturation_is_judged() -> None:
    """The drain's targets look at half of saturation only, and not at all where saturation is not known."""
    runs = [run_at(0.5, DrainLag(0.1, 0.9, 0.019)), run_at(0.8, DrainLag(3.0, 7.0, 0.9))]

    assert [target.holds for target in open_loop.targets(runs, judged=True).values()] == [True, True]
    assert [target.holds for target in open_loop.targets(runs[::-1], judged=True).values()] == [True, True]
    assert [target.holds for target in open_loop.targets(runs, judged=False).values()] == [None, None]


def test_the_open_loop_s_tables_fit() -> None:
    """No column is cut with figures as large as they come."""
    run = run_at(0.5, DrainLag(12.345, 23.456, 0.789))

    assert "…" not in "".join(drawn(sheet) for sheet in open_loop.sheets([run, run]))
