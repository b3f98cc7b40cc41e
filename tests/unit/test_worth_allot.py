"""Largest remainder: parts that always sum, none larger than its weight, the same every time."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.worth.allot import allot

TWO_TO_53 = 1 << 53


@pytest.mark.parametrize(
    ("amount", "weights", "parts"),
    [
        (0, [], []),
        (0, [0, 0], [0, 0]),
        (0, [5, 7], [0, 0]),
        (10, [10], [10]),
        (10, [1, 1], [5, 5]),
        (10, [1, 1, 1], [4, 3, 3]),  # equal remainders: the earlier line
        (11, [1, 1, 1], [4, 4, 3]),
        (1, [1, 2, 1], [0, 1, 0]),  # the largest share lost
        (2, [3, 5], [1, 1]),
        (1, [2, 2, 2, 2], [1, 0, 0, 0]),
        (3, [2, 4], [1, 2]),
        (1, [1, 3, 4], [0, 0, 1]),
        (5, [0, 10, 0], [0, 5, 0]),  # nothing for a line that costs nothing
        (8, [1, 0, 7], [1, 0, 7]),
        (100, [3333, 3333, 3334], [33, 33, 34]),
        (7, [5000, 2500, 2500], [3, 2, 2]),
        (TWO_TO_53 - 1, [TWO_TO_53 - 1, 1], [TWO_TO_53 - 2, 1]),
    ],
)
def test_an_amount_in_parts(amount: int, weights: list[int], parts: list[int]) -> None:
    """Each part is its share rounded down, and the units left over go to those that lost most."""
    assert allot(amount, weights) == parts


def test_equal_losses_go_to_the_larger_weight() -> None:
    """Of two lines that lost the same by rounding, the dearer one gets the unit, wherever it stands."""
    assert allot(1, [1, 1, 2]) == [0, 0, 1]
    assert allot(2, [1, 3]) == [0, 2]  # shares 0.5 and 1.5
    assert allot(2, [3, 1]) == [2, 0]


@pytest.mark.parametrize(("amount", "weights"), [(-1, [1]), (1, [1, -1]), (1, []), (1, [0, 0])])
def test_what_has_no_parts_is_an_error(amount: int, weights: list[int]) -> None:
    """A negative amount or weight, and an amount that no weight could take, are the caller's mistake."""
    with pytest.raises(ValueError, match=r"not negative|no weight"):
        allot(amount, weights)


amounts = st.integers(0, 50) | st.integers(0, TWO_TO_53)


@settings(deadline=None)
@given(amount=amounts, weights=st.lists(amounts, min_size=1, max_size=30))
def test_parts_sum_and_are_less_than_a_unit_from_their_share(amount: int, weights: list[int]) -> None:
    """Exactly, in whole numbers: |part * whole - amount * weight| < whole."""
    whole = sum(weights)
    if whole == 0:
        weights, whole = [1, *weights[1:]], 1

    parts = allot(amount, weights)

    assert sum(parts) == amount
    assert all(part >= 0 for part in parts)
    assert all(abs(part * whole - amount * weight) < whole for part, weight in zip(parts, weights, strict=True))


@settings(deadline=None)
@given(weights=st.lists(amounts, min_size=1, max_size=30), share=st.fractions(0, 1))
def test_no_part_exceeds_its_weight(weights: list[int], share: Fraction) -> None:
    """No line is discounted below zero, as long as the amount is no more than all lines together."""
    amount = int(sum(weights) * share)

    parts = allot(amount, weights)

    assert all(part <= weight for part, weight in zip(parts, weights, strict=True))


@settings(deadline=None)
@given(amount=amounts, weights=st.lists(st.integers(1, 100), min_size=1, max_size=10))
def test_the_same_input_has_the_same_parts_and_stays(amount: int, weights: list[int]) -> None:
    """It is a function of its input, which it leaves alone."""
    before = list(weights)

    assert allot(amount, weights) == allot(amount, tuple(weights))
    assert weights == before
