"""What one coupon takes off an order: a table a kind, with its edges."""

from typing import Any

import pytest

from gateway.campaigns.definition import (
    AmountOff,
    Balance,
    Conditions,
    FixedPrice,
    FreeShipping,
    Funder,
    GiftItem,
    Percent,
    Scope,
    Value,
)
from gateway.worth.discount import Taken, discount_of, funder_parts
from gateway.worth.order import Order
from tests.worth import MINOR_MAX, an_order, discount, some_terms, why_not

TEA, CUP = ("A1", 2, 2500, "tea"), ("C1", 1, 1000, "cup")
ORDER = an_order(TEA, CUP, shipping_minor=800)  # 5000 + 1000 + 800

TAKEN: list[tuple[str, Value, Order, tuple[int, ...], int]] = [
    ("the threshold exactly", AmountOff(500, 6000), ORDER, (417, 83), 0),
    ("no threshold", AmountOff(600), ORDER, (500, 100), 0),
    ("more than there is", AmountOff(9999), ORDER, (5000, 1000), 0),
    ("every: once", AmountOff(500, 6000, True, 2000), ORDER, (417, 83), 0),
    ("every: thrice", AmountOff(500, 2000, True, 2000), ORDER, (1250, 250), 0),
    ("every: a bit short of thrice", AmountOff(500, 2001, True, 2000), ORDER, (833, 167), 0),
    ("every: the cap", AmountOff(500, 1000, True, 2000), ORDER, (1667, 333), 0),
    ("every: more than there is", AmountOff(5, 1, True, 20000), ORDER, (5000, 1000), 0),
    ("percent", Percent(2500, 9999), ORDER, (1250, 250), 0),
    ("percent: the cap", Percent(2500, 1499), ORDER, (1249, 250), 0),
    ("percent: all of it", Percent(10_000, MINOR_MAX), ORDER, (5000, 1000), 0),
    ("percent: half a unit is rounded up", Percent(5000, 99), an_order(("A", 1, 1)), (1,), 0),
    ("percent: just below half is rounded down", Percent(1449, 99), an_order(("A", 1, 10)), (1,), 0),
    ("percent: half of a yen", Percent(1000, 99), an_order(("A", 1, 105)), (11,), 0),
    ("percent: rounded before the cap", Percent(1000, 10), an_order(("A", 1, 105)), (10,), 0),
    ("percent of 2^52", Percent(3333, MINOR_MAX), an_order(("A", 1, 1 << 52)), (1_501_049_755_802_586,), 0),
    ("zero-priced lines", AmountOff(10), an_order(("A", 1, 0), ("B", 1, 30), ("C", 5, 0)), (0, 10, 0), 0),
    ("fixed price: one of two", FixedPrice(990), ORDER, (1510, 0), 0),
    ("fixed price: the cap", FixedPrice(990, 1000), ORDER, (1000, 0), 0),
    ("fixed price: a unit above", FixedPrice(2499), ORDER, (1, 0), 0),
    ("fixed price: equal ones", FixedPrice(1), an_order(("A", 1, 5), ("B", 1, 5)), (4, 0), 0),
    ("fixed price: the dearest article", FixedPrice(1), an_order(("A", 9, 5), ("B", 1, 6)), (0, 5), 0),
    ("gift", GiftItem("C1"), ORDER, (0, 1000), 0),
    ("gift: one of two", GiftItem("A1"), ORDER, (2500, 0), 0),
    ("gift: the cap", GiftItem("A1", 100), ORDER, (100, 0), 0),
    ("gift: on two lines", GiftItem("A"), an_order(("A", 1, 5), ("A", 1, 7)), (0, 7), 0),
    ("shipping", FreeShipping(), ORDER, (0, 0), 800),
    ("shipping: the cap", FreeShipping(500), ORDER, (0, 0), 500),
    ("balance: a part of it", Balance(10_000), ORDER, (5000, 1000), 800),
    ("balance: goods first", Balance(6000), ORDER, (5000, 1000), 0),
    ("balance: then shipping", Balance(6001), ORDER, (5000, 1000), 1),
    ("balance: less than the goods", Balance(60), ORDER, (50, 10), 0),
]


@pytest.mark.parametrize(
    ("value", "order", "lines", "shipping"), [each[1:] for each in TAKEN], ids=[t[0] for t in TAKEN]
)
def test_a_coupon_takes_off(value: Value, order: Order, lines: tuple[int, ...], shipping: int) -> None:
    """Each kind takes what its table says, allotted to the lines."""
    taken = discount(discount_of(some_terms(value), order))

    assert (taken.lines, taken.shipping_minor) == (lines, shipping)


NOTHING: list[tuple[str, Value, Order]] = [
    ("below_threshold", AmountOff(500, 6001), ORDER),
    ("below_threshold", AmountOff(500, 6001, True, 500), ORDER),
    ("nothing_left", AmountOff(500), an_order(("A", 3, 0))),
    ("rounds_to_nothing", Percent(4999, 99), an_order(("A", 1, 1))),
    ("nothing_left", Percent(5000, 99), an_order(("A", 1, 0))),
    ("price_not_above", FixedPrice(2500), ORDER),
    ("nothing_left", FixedPrice(1), an_order(("A", 1, 0))),
    ("gift_not_in_order", GiftItem("A2"), ORDER),
    ("nothing_left", GiftItem("A"), an_order(("A", 1, 0))),
    ("no_shipping", FreeShipping(), an_order(TEA)),
    ("nothing_left", Balance(5), an_order(("A", 1, 0))),
]


@pytest.mark.parametrize(("code", "value", "order"), NOTHING)
def test_a_coupon_that_takes_nothing_off_says_why(code: str, value: Value, order: Order) -> None:
    """A discount is never zero: there is a reason instead."""
    assert why_not(discount_of(some_terms(value), order)) == code


FITS: list[tuple[str | None, dict[str, Any], dict[str, Any]]] = [
    ("currency_mismatch", {"currency": "EUR"}, {}),
    (None, {"channels": ("app",)}, {"channel": "app"}),
    ("wrong_channel", {"channels": ("app",)}, {"channel": "pos"}),
    ("wrong_channel", {"channels": ("app",)}, {}),
    ("wrong_channel", {"channels_excluded": ("pos",)}, {"channel": "pos"}),
    (None, {"channels_excluded": ("pos",)}, {}),
    (None, {"stores": ("s-1", "s-2")}, {"store": "s-2"}),
    ("wrong_store", {"stores": ("s-1", "s-2")}, {"store": "s-3"}),
    ("wrong_store", {"stores": ("s-1",)}, {}),
    ("wrong_store", {"stores_excluded": ("s-1",)}, {"store": "s-1"}),
    ("not_first_order", {"first_order": True}, {}),
    (None, {"first_order": True}, {"first_order": True}),
    ("nothing_in_scope", {"skus": ("X",)}, {}),
    ("nothing_in_scope", {"categories": ("milk",)}, {}),
    ("nothing_in_scope", {"categories_excluded": ("tea", "cup")}, {}),
    (None, {"quantity_min": 3}, {}),
    ("quantity_too_low", {"quantity_min": 4}, {}),
    ("quantity_too_low", {"quantity_min": 3, "categories": ("tea",)}, {}),
]


@pytest.mark.parametrize("value", [AmountOff(5), Percent(5000, 9), GiftItem("A1"), FreeShipping(), Balance(7)], ids=str)
@pytest.mark.parametrize(("code", "asked", "changes"), FITS, ids=str)
def test_an_order_has_to_fit(code: str | None, asked: dict[str, Any], changes: dict[str, Any], value: Value) -> None:
    """Currency, channel, store, first order, scope and quantity hold alike for every kind."""
    conditions = {name: asked[name] for name in ("first_order", "quantity_min") if name in asked}
    scope = {name: asked[name] for name in asked if name in Scope.__struct_fields__}
    terms = some_terms(
        value, scope=Scope(**scope), conditions=Conditions(**conditions), currency=asked.get("currency", "CNY")
    )

    answer = discount_of(terms, an_order(TEA, CUP, shipping_minor=800, **changes))

    if code is None:
        discount(answer)
    else:
        assert why_not(answer) == code


LINES = (("A1", 1, 100, "tea"), ("A2", 1, 100, "tea"), ("C1", 1, 100, "cup"), ("X", 1, 100))


@pytest.mark.parametrize(
    ("scope", "lines"),
    [
        (Scope(), (100, 100, 100, 100)),
        (Scope(skus=("A1",)), (100, 0, 0, 0)),
        (Scope(categories=("tea",)), (100, 100, 0, 0)),
        (Scope(skus=("X",), categories=("cup",)), (0, 0, 100, 100)),  # by either
        (Scope(categories=("tea",), skus_excluded=("A2",)), (100, 0, 0, 0)),
        (Scope(skus=("A1", "C1"), categories_excluded=("tea",)), (0, 0, 100, 0)),  # excluded is out
        (Scope(categories_excluded=("tea",)), (0, 0, 100, 100)),  # a line without a category is in none
    ],
    ids=str,
)
def test_only_articles_in_scope_are_discounted(scope: Scope, lines: tuple[int, ...]) -> None:
    """What is in scope by its sku or its category, and not excluded, and nothing else."""
    assert discount(discount_of(some_terms(Percent(10_000, 9999), scope=scope), an_order(*LINES))).lines == lines


def test_a_threshold_counts_goods_in_scope_only() -> None:
    """Shipping and other goods do not help over a threshold."""
    terms = some_terms(AmountOff(5, 5001), scope=Scope(categories=("tea",)))

    assert why_not(discount_of(terms, ORDER)) == "below_threshold"


def test_a_gift_need_not_be_in_scope_but_must_not_be_excluded() -> None:
    """The scope says what has to be bought for a gift, and what the gift is says the value; an exclusion bars it."""
    gift = GiftItem("C1")

    bought = some_terms(gift, scope=Scope(categories=("tea",)), conditions=Conditions(quantity_min=2))
    barred = some_terms(gift, scope=Scope(categories_excluded=("cup",)))

    assert discount(discount_of(bought, ORDER)).lines == (0, 1000)
    assert why_not(discount_of(barred, ORDER)) == "gift_not_in_order"


def test_a_coupon_sees_what_earlier_ones_left() -> None:
    """Threshold, percent, price, gift, shipping and balance all go by what is left."""
    taken = Taken((4000, 0), (0, 0), 700)

    assert why_not(discount_of(some_terms(AmountOff(5, 2001)), ORDER, taken)) == "below_threshold"
    assert discount(discount_of(some_terms(AmountOff(5, 2000)), ORDER, taken)).lines == (3, 2)
    assert discount(discount_of(some_terms(Percent(5000, 9999)), ORDER, taken)).lines == (500, 500)
    assert discount(discount_of(some_terms(FixedPrice(1)), ORDER, taken)).lines == (0, 999)
    assert discount(discount_of(some_terms(GiftItem("A1")), ORDER, taken)).lines == (500, 0)
    assert discount(discount_of(some_terms(FreeShipping()), ORDER, taken)).shipping_minor == 100
    assert discount(discount_of(some_terms(Balance(9999)), ORDER, taken)).minor == 2100
    assert why_not(discount_of(some_terms(FreeShipping()), ORDER, Taken((0, 0), (0, 0), 800))) == "nothing_left"


def test_two_gifts_take_two_articles() -> None:
    """An article that a coupon for one article had is not had again; the next coupon has the next one."""
    terms, order, taken = some_terms(GiftItem("A")), an_order(("A", 2, 100)), Taken((0,), (0,))

    for _ in range(2):
        gift = discount(discount_of(terms, order, taken))
        assert (gift.minor, gift.article) == (100, 0)
        taken = taken.plus(gift)

    assert taken == Taken((200,), (2,))
    assert why_not(discount_of(terms, order, taken)) == "nothing_left"


def test_the_dearest_article_of_an_uneven_line_is_rounded_up() -> None:
    """Of a line whose rest does not divide, the dearest article has the odd unit."""
    assert discount(discount_of(some_terms(GiftItem("A")), an_order(("A", 3, 100)), Taken((1,), (0,)))).minor == 100
    assert discount(discount_of(some_terms(GiftItem("A")), an_order(("A", 3, 100)), Taken((200,), (0,)))).minor == 34


@pytest.mark.parametrize(("left", "minor"), [(None, 300), (300, 300), (1, 1)])
def test_a_balance_takes_what_is_left_of_it(left: int | None, minor: int) -> None:
    """No more than is left, all of it where nothing was used."""
    assert discount(discount_of(some_terms(Balance(300)), ORDER, None, left)).minor == minor


def test_an_empty_balance_says_so() -> None:
    """Nothing left is a reason of its own."""
    assert why_not(discount_of(some_terms(Balance(300)), ORDER, None, 0)) == "balance_empty"


def test_what_is_left_of_it_does_not_matter_to_other_kinds() -> None:
    """A coupon that is used once has 1 left, which is no amount."""
    assert discount(discount_of(some_terms(AmountOff(300)), ORDER, None, 1)).minor == 300


def test_two_hundred_lines_sum() -> None:
    """The largest order is discounted to the unit."""
    order = an_order(*[(f"s{n}", 1 + n % 3, 100 + n) for n in range(200)])

    third = discount(discount_of(some_terms(Percent(3333, MINOR_MAX)), order))

    assert third.minor == (order.goods_minor * 3333 + 5000) // 10_000
    assert all(0 < part <= line.minor for part, line in zip(third.lines, order.lines, strict=True))


def test_funders_share_a_discount_by_basis_points() -> None:
    """The parts sum; the unit that can't be split goes to who lost most by rounding."""
    terms = some_terms(AmountOff(5), funders=(Funder("platform", 3333), Funder("brand", 6667)))

    assert funder_parts(terms, 100) == (33, 67)
    assert funder_parts(terms, 1) == (0, 1)
    assert sum(funder_parts(terms, MINOR_MAX)) == MINOR_MAX
