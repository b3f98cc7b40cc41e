"""The open loop's schedule: due times fixed by a seed, and whose fault it is that a claim left late."""

from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.run.schedule import Schedule, dues_s

rates = st.floats(0.1, 1e5)
seeds = st.integers(0, 2**31)


@given(rates, seeds, st.integers(0, 100))
def test_dues_are_the_same_for_the_same_seed_and_process(rate: float, seed: int, part: int) -> None:
    """Fixed before anything is sent: each later than the one before, the same ones every time, others elsewhere."""
    dues = list(islice(dues_s(rate, seed, part), 50))

    assert all(a < b for a, b in pairwise([0.0, *dues]))
    assert dues == list(islice(dues_s(rate, seed, part), 50))
    assert dues != list(islice(dues_s(rate, seed, part + 1), 50))
    assert dues != list(islice(dues_s(rate, seed + 1, part), 50))


@pytest.mark.parametrize("parts", [1, 4])
def test_processes_share_the_rate(parts: int) -> None:
    """Together they come to the rate that was asked for, however many share it."""
    count = 0
    for part in range(parts):
        for due in dues_s(1000 / parts, 1, part):
            if due >= 20:
                break
            count += 1

    assert count == pytest.approx(20_000, rel=0.03)


def schedule(*dues: float, give_up_s: float = 5.0) -> Schedule:
    """Claims that are due so many seconds after second 100."""
    return Schedule(iter([*dues, 1e9]), 100.0, give_up_s)


def test_who_finds_a_connection_free_is_late_by_the_generator() -> None:
    """Released late or taken late, it was free all the time: that is the generator's lateness."""
    played = schedule(1.0, 1.5)

    assert played.release(100.9, free=1) == (101.0, [])
    assert played.take() is None
    assert played.release(101.004, free=1) == (101.5, [])
    due = played.take()
    assert due == (101.0, False)
    assert played.left(due, 101.0065) == pytest.approx(6.5)
    assert played.late() == (1, 6.5, 6.5, 6.5, 0, 0)


def test_who_finds_none_free_waits_and_is_not_the_generator_s() -> None:
    """Two come while one connection is free: the second waits, its latency counts from when it was due."""
    played = schedule(1.0, 1.0)
    played.release(101.0, free=1)
    first, second = played.take(), played.take()

    assert first is not None
    assert second is not None
    assert (first.waited, second.waited) == (False, True)
    assert played.left(first, 101.0) == 0
    assert played.left(second, 103.0) is None
    assert second.at_s == 101.0
    assert played.late() == (1, 0.0, 0.0, 0.0, 1, 0)


def test_who_finds_none_free_for_too_long_is_given_up() -> None:
    """Nobody waits for ever: after the patience of a phone it is counted as unsent, once."""
    played = schedule(1.0, 4.0, give_up_s=2.0)
    played.release(101.0, free=0)

    assert played.release(103.0, free=0) == (104.0, [])
    assert played.release(104.0, free=0) == (100 + 1e9, [101.0])
    assert played.release(104.1, free=0) == (100 + 1e9, [])
    due = played.take()
    assert due == (104.0, True)
    assert str(played.late()).endswith("0 waited for a connection, 1 got none")


@given(st.lists(st.integers(0, 100_000), min_size=1, max_size=200))
def test_percentiles_of_lateness_are_those_of_a_sorted_list(late_us: list[int]) -> None:
    """To a tenth of a millisecond, and never more than the most."""
    played = schedule(*(0.0 for _ in late_us))
    played.release(100.0, free=len(late_us))
    for each in late_us:
        due = played.take()
        assert due is not None
        played.left(due, 100.0 + each / 1e6)
    late, ordered = played.late(), sorted(late_us)

    assert late.sent == len(late_us)
    assert late.max_ms == pytest.approx(ordered[-1] / 1000, abs=0.051)
    assert late.p50_ms == pytest.approx(ordered[-(-len(ordered) // 2) - 1] / 1000, abs=0.051)
