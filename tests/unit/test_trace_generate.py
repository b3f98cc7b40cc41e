"""The generator: the counts that were asked for, the skew of the real month, and the same bytes for the same seed."""

import io
from collections import Counter

import pytest

from loadtest.trace.generate import Impossible, Size, main, write
from loadtest.trace.rows import Row, parse
from tests.traces import CENTS

MONTH = Size(22_728, 15_262, 410)
"""A fifth of the month that the shapes were read off."""


def made(size: Size) -> tuple[list[Row], str]:
    """The trace, read as a replay reads it, and its text."""
    out = io.StringIO()
    write(size, out)
    return parse(out.getvalue().splitlines(), CENTS).rows, out.getvalue()


def test_the_skew_is_that_of_the_real_month() -> None:
    """Counts as asked; shares of the busiest coupons, of users, of repetitions and of days within a twentieth or so."""
    rows, _ = made(MONTH)
    coupons, users = Counter(row.coupon for row in rows), Counter(row.user for row in rows)
    pairs, days = Counter((row.user, row.coupon) for row in rows), Counter(row.received for row in rows)
    busiest = [count / len(rows) for _, count in coupons.most_common(7)]

    assert (len(rows), len(users), len(coupons)) == (MONTH.rows, MONTH.users, MONTH.coupons)
    assert busiest == pytest.approx([0.263, 0.102, 0.065, 0.056, 0.047, 0.043, 0.037], rel=0.25)
    assert sum(count == 1 for count in users.values()) / len(users) == pytest.approx(0.697, abs=0.02)
    assert sum(count == 2 for count in users.values()) / len(users) == pytest.approx(0.204, abs=0.02)
    assert 1 - len(pairs) / len(rows) == pytest.approx(0.0676, abs=0.001)
    assert sum(count == 2 for count in pairs.values()) / sum(count > 1 for count in pairs.values()) > 0.5
    assert max(pairs.values()) > 5
    assert coupons["1"] - len({row.user for row in rows if row.coupon == "1"}) == 0, "nobody has the famous one twice"
    assert max(days.values()) / len(rows) == pytest.approx(0.0483, abs=0.006)
    assert len(days) == 31


def test_a_seed_is_one_trace() -> None:
    """The same size and seed give the same bytes; another seed gives others."""
    small = Size(300, 200, 20)

    assert made(small)[1] == made(small)[1] != made(small._replace(seed=2))[1]


def test_what_is_asked_for_is_there() -> None:
    """More repetitions, a sharper peak and a share of redemptions, in a trace of another shape."""
    rows, _ = made(Size(4000, 1000, 30, repeats=0.5, peak=0.4, used=0.25))
    days = Counter(row.received for row in rows)

    assert len({(row.user, row.coupon) for row in rows}) == 2000
    assert max(days.values()) / len(rows) == pytest.approx(0.4, abs=0.03)
    assert sum(row.used is not None for row in rows) / len(rows) == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize("size", [Size(1, 1, 1, repeats=0), Size(50, 5, 10, repeats=0), Size(60, 6, 10, repeats=0)])
def test_the_tightest_sizes_are_made(size: Size) -> None:
    """One row; five users with all of ten coupons: nothing is left to choose, and it is still what was asked for."""
    rows, _ = made(size)

    assert (len(rows), len({row.user for row in rows})) == (size.rows, size.users)
    assert len({row.coupon for row in rows}) == size.coupons


@pytest.mark.parametrize(
    "size", [Size(10, 11, 1), Size(10, 5, 11), Size(100, 5, 10, repeats=0), Size(0, 0, 0), Size(9, 5, 5, peak=0.01)]
)
def test_an_impossible_size_says_so(size: Size) -> None:
    """More users or coupons than rows, more rows than pairs, nothing, a peak below the average."""
    with pytest.raises(Impossible):
        made(size)


def test_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A CSV on stdout; a size that can't be is a wrong argument."""
    assert main(["--rows", "30", "--users", "20", "--coupons", "3", "--used", "0.5"]) == 0
    assert len(parse(capsys.readouterr().out.splitlines(), CENTS).rows) == 30
    with pytest.raises(SystemExit, match="2"):
        main(["--rows", "3", "--users", "20", "--coupons", "3"])
