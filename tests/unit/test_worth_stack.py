"""Several coupons on one order: who goes first, who excludes whom, and what is best for the customer."""

from itertools import chain, combinations

import pytest

from gateway.campaigns.definition import (
    AmountOff,
    Balance,
    FixedPrice,
    FreeShipping,
    GiftItem,
    Percent,
    Stacking,
    Value,
)
from gateway.errors import Refusal
from gateway.worth.stack import STACK_MAX, Choose, Item, Mode, Offer, best, combine
from tests.worth import an_order, some_terms

ORDER = an_order(("A1", 2, 2500, "tea"), ("C1", 1, 1000, "cup"), shipping_minor=800)
ALONE, GROUPED = Stacking(exclusive=True), Stacking(group="g")


def an_offer(code: str, value: Value, stacking: Stacking | None = None, left_minor: int | None = None) -> Offer:
    """A coupon that goes with every other unless *stacking* says else."""
    return Offer(code, some_terms(value, stacking=stacking or Stacking()), left_minor)


def told(items: list[Item]) -> dict[str, int | tuple[str, str | None]]:
    """code → what it takes off, or the code of the reason and who is the cause."""
    said: dict[str, int | tuple[str, str | None]] = {}
    for item in items:
        assert (item.discount is None) != (item.reason is None)
        if item.discount is not None:
            said[item.code] = item.discount.minor
        elif item.reason is not None:
            said[item.code] = (item.reason.code, item.reason.by)
    return said


def given(*offers: Offer, mode: Mode = Mode.PARTIAL) -> dict[str, int | tuple[str, str | None]]:
    """What becomes of *offers* as they are given."""
    return told(combine(ORDER, offers, mode))


def test_each_coupon_sees_what_the_earlier_ones_left() -> None:
    """The order matters, and it is the given one where priorities are equal."""
    off, percent = an_offer("off", AmountOff(2000)), an_offer("percent", Percent(5000, 9999))

    assert given(off, percent) == {"off": 2000, "percent": 2000}
    assert given(percent, off) == {"percent": 3000, "off": 2000}


def test_a_higher_priority_comes_first() -> None:
    """Whatever the order they are given in; the items are told in that order still."""
    off = an_offer("off", AmountOff(2000), Stacking(priority=-1))
    percent = an_offer("percent", Percent(5000, 9999), Stacking(priority=1))

    assert list(given(off, percent).items()) == [("off", 2000), ("percent", 3000)]


def test_one_of_a_group_applies() -> None:
    """The first of it that does; one that does not apply excludes nobody."""
    one, other = an_offer("one", AmountOff(100), GROUPED), an_offer("other", AmountOff(200), GROUPED)
    free, short = an_offer("free", FreeShipping()), an_offer("short", AmountOff(1, 9999), GROUPED)

    assert given(one, other, free) == {"one": 100, "other": ("excluded", "one"), "free": 800}
    assert given(short, other) == {"short": ("below_threshold", None), "other": 200}


def test_an_exclusive_coupon_stands_alone() -> None:
    """It excludes all after it, and is excluded by any before it."""
    alone, off = an_offer("alone", Percent(100, 999), ALONE), an_offer("off", AmountOff(100))

    assert given(alone, off) == {"alone": 60, "off": ("excluded", "alone")}
    assert given(off, alone) == {"off": 100, "alone": ("excluded", "off")}


def test_all_means_all_or_none() -> None:
    """One that does not apply keeps the others from it, and is named."""
    off, short, free = (
        an_offer("off", AmountOff(1)),
        an_offer("short", AmountOff(1, 9999)),
        an_offer("f", FreeShipping()),
    )

    assert given(off, free, mode=Mode.ALL) == {"off": 1, "f": 800}
    assert given(off, short, free, mode=Mode.ALL) == {
        "off": ("all_or_nothing", "short"),
        "short": ("below_threshold", None),
        "f": ("all_or_nothing", "short"),
    }
    assert told(combine(ORDER, [off, short], Mode.ALL, Choose.BEST))["off"] == ("all_or_nothing", "short")


def test_the_best_choice_drops_what_stands_in_the_way() -> None:
    """A poor coupon that was given first does not keep a better one out, and is told which one it is."""
    poor, rich = an_offer("poor", AmountOff(100), GROUPED), an_offer("rich", AmountOff(900), GROUPED)
    free = an_offer("free", FreeShipping())

    assert given(poor, rich, free) == {"poor": 100, "rich": ("excluded", "poor"), "free": 800}
    assert told(best(ORDER, [poor, rich, free])) == {"poor": ("excluded", "rich"), "rich": 900, "free": 800}


def test_the_best_choice_may_leave_out_a_coupon_that_goes_with_the_others() -> None:
    """One that takes the goods below another's threshold costs more than it gives."""
    early = an_offer("early", AmountOff(100), Stacking(priority=1))
    late = an_offer("late", AmountOff(1500, 6000))

    assert given(early, late) == {"early": 100, "late": ("below_threshold", None)}
    assert told(best(ORDER, [early, late])) == {"early": ("not_chosen", None), "late": 1500}


def test_of_equal_choices_the_fewest_then_the_first_are_used() -> None:
    """A coupon that adds nothing is kept for another day."""
    whole = [an_offer("a", Percent(10_000, 99_999)), an_offer("b", AmountOff(7000)), an_offer("c", AmountOff(7000))]

    assert told(best(ORDER, whole)) == {"a": 6000, "b": ("nothing_left", None), "c": ("nothing_left", None)}
    assert told(best(ORDER, whole[::-1])) == {"c": 6000, "b": ("nothing_left", None), "a": ("nothing_left", None)}
    twins = [an_offer("x", AmountOff(50), GROUPED), an_offer("y", AmountOff(50), GROUPED)]
    assert told(best(ORDER, twins)) == {"x": 50, "y": ("excluded", "x")}


def test_one_large_coupon_is_better_than_two_that_take_the_same() -> None:
    """Exclusive or not, the customer spends as few coupons as will do."""
    halves = [an_offer("h1", AmountOff(3000)), an_offer("h2", AmountOff(3000))]

    assert told(best(ORDER, [*halves, an_offer("w", AmountOff(6000), ALONE)])) == {
        "h1": ("excluded", "w"),
        "h2": ("excluded", "w"),
        "w": 6000,
    }


def test_when_none_applies_each_says_why() -> None:
    """The best of nothing is nothing, with reasons."""
    offers = [
        an_offer("short", AmountOff(1, 9999)),
        an_offer("none", GiftItem("X")),
        an_offer("e", Balance(5), None, 0),
    ]

    assert told(best(ORDER, offers)) == {
        "short": ("below_threshold", None),
        "none": ("gift_not_in_order", None),
        "e": ("balance_empty", None),
    }


@pytest.mark.parametrize("count", [0, STACK_MAX + 1])
def test_one_to_ten_coupons(count: int) -> None:
    """None, and more than ten, are refused by the name of the field."""
    with pytest.raises(Refusal) as refused:
        combine(ORDER, [an_offer(f"c{n}", AmountOff(1)) for n in range(count)], Mode.PARTIAL)

    assert refused.value.context["field"] == "codes"


def test_a_code_is_used_once() -> None:
    """The same code twice is refused, not counted twice."""
    with pytest.raises(Refusal) as refused:
        combine(ORDER, [an_offer("c", AmountOff(1))] * 2, Mode.ALL)

    assert (refused.value.code, refused.value.context["field"]) == ("bad_request", "codes")


def test_ten_coupons_have_the_best_of_all_their_subsets() -> None:
    """The search that skips what can't be better finds what a look at all 1,024 finds."""
    values: list[tuple[Value, Stacking]] = [
        (AmountOff(700, 5000), Stacking(priority=1)),
        (Percent(1500, 600), Stacking(group="p")),
        (Percent(3000, 900), Stacking(group="p")),
        (FixedPrice(990), Stacking(group="a")),
        (GiftItem("C1"), Stacking(group="a", priority=2)),
        (FreeShipping(300), Stacking()),
        (FreeShipping(), ALONE),
        (Balance(450), Stacking(priority=-5)),
        (AmountOff(100, 1000, every=True, cap_minor=350), Stacking(priority=3)),
        (Percent(9000, 3000), ALONE),
    ]
    offers = [an_offer(f"c{n}", value, stacking) for n, (value, stacking) in enumerate(values)]
    subsets = chain.from_iterable(combinations(offers, count) for count in range(1, STACK_MAX + 1))
    totals = [sum(i.discount.minor for i in combine(ORDER, s, Mode.PARTIAL) if i.discount) for s in subsets]

    found = sum(item.discount.minor for item in best(ORDER, offers) if item.discount)

    assert len(totals) == 1023
    assert found == max(totals) == 3398
