"""The oracle, and that a course played in any order it allows comes to what the oracle says."""

import random

import pytest

from loadtest.trace.course import DAY_S, Course, Step, in_order_of_days, in_order_of_file, lasts_s
from loadtest.trace.oracle import CLAIMED, LIMIT_REACHED, SOLD_OUT, expected
from loadtest.trace.rows import Row
from tests.traces import trace

OUTCOMES = {"c": CLAIMED, "l": LIMIT_REACHED, "s": SOLD_OUT}


@pytest.mark.parametrize(
    ("claims", "stock", "limit", "outcomes"),
    [
        (("a x", "a x", "b x"), None, 1, "clc"),
        (("a x", "a y", "a x"), None, 1, "ccl"),
        (("a x", "a x", "a x"), None, 2, "ccl"),
        (("a x", "b x", "a x", "b x"), 1, 1, "csls"),
        (("a x", "b y", "c x", "d y"), 1, 1, "ccss"),
        (("a x", "a x", "b x"), 1, 2, "css"),
    ],
)
def test_what_the_oracle_says(claims: tuple[str, ...], stock: int | None, limit: int, outcomes: str) -> None:
    """By hand: a limit is per user and coupon, a stock per coupon, and who has his hears of the limit first."""
    rows = trace(*(f"{claim} 03" for claim in claims)).rows

    assert expected(rows, range(len(rows)), stock, limit) == [OUTCOMES[letter] for letter in outcomes]


def drawn(seed: int) -> list[Row]:
    """A crowded little sale: few users and coupons, so that limits and stocks are met all the time."""
    draw = random.Random(seed)
    claims = [f"u{draw.randrange(12)} c{draw.randrange(4)} {draw.randint(1, 5):02}" for _ in range(150)]
    return trace(*(f"{claim} 201607{draw.randint(5, 9):02}" if draw.random() < 0.3 else claim for claim in claims)).rows


class Gateway:
    """What a right gateway does with claims in the order they come: one at a time, limit before stock."""

    def __init__(self, stock: int | None, limit: int) -> None:
        self._stock, self._limit = stock, limit
        self.held: list[tuple[str, str]] = []

    def claim(self, user: str, coupon: str) -> str:
        """Its outcome."""
        if self.held.count((user, coupon)) == self._limit:
            return LIMIT_REACHED
        if self._stock is not None and sum(held[1] == coupon for held in self.held) >= self._stock:
            return SOLD_OUT
        self.held.append((user, coupon))
        return CLAIMED


@pytest.mark.parametrize("seed", range(12))
def test_any_order_that_a_course_allows_comes_to_the_same(seed: int) -> None:
    """Steps leave in random order as they become free, as over many connections: every row is as the oracle says."""
    draw, rows = random.Random(seed), drawn(seed)
    stock, limit = draw.choice([None, 3, 8]), draw.choice([1, 2])
    steps = in_order_of_file(rows) if seed % 2 else in_order_of_days(rows, 1e9)
    course, gateway = Course(rows, steps, stock, limit), Gateway(stock, limit)
    free = course.start()
    if course.is_paced:
        free += [place for number in range(len(course.steps)) for place in course.due(number)]
    found, asked, last = [""] * len(rows), [], dict[str, int]()

    while free:
        place = free.pop(draw.randrange(len(free)))
        number, redeems, _ = course.steps[place]
        user = rows[number].user
        assert last.get(user, -1) < place, "a user's steps are in order"
        last[user] = place
        if redeems:
            assert found[number] == CLAIMED, "redeemed before it was claimed"
        else:
            found[number] = gateway.claim(user, rows[number].coupon)
        asked.append(place)
        free += course.answered(place)

    assert found == course.outcomes
    assert sorted(asked) == list(range(len(course.steps)))
    assert asked != sorted(asked), "nothing was ever asked before its turn, so this proves nothing"


def test_a_scarce_coupon_is_waited_for_at_the_last_unit_alone() -> None:
    """With two units, the first two users may ask at once; the others when both are answered, and then at once."""
    rows = trace("a x 03", "b x 03", "c x 03", "d x 03").rows
    course = Course(rows, in_order_of_file(rows), 2, 1)

    assert course.start() == [0, 1]
    assert course.answered(1) == []
    assert course.answered(0) == [2, 3]


def test_what_nobody_got_is_not_redeemed() -> None:
    """A row that the oracle refuses has no redemption, whatever the file says of it."""
    rows = trace("a x 03 20160704", "a x 03 20160705").rows

    assert Course(rows, in_order_of_file(rows), None, 1).steps == [Step(0, False), Step(0, True), Step(1, False)]


def test_days_are_played_evenly_and_in_order() -> None:
    """At twice the speed the second day begins after half a day; claims of a day come before its redemptions."""
    rows = trace("a x 02", "b x 01 20160702", "c x 01", "d x 02").rows
    half = DAY_S / 2

    assert in_order_of_days(rows, 2) == [
        Step(1, False, 0.0),
        Step(2, False, half / 2),
        Step(0, False, half),
        Step(3, False, half + half / 3),
        Step(1, True, half + 2 * half / 3),
    ]
    assert (lasts_s(rows, 2), lasts_s(rows, None)) == (DAY_S, 0)
