"""Orders and terms for the tests of gateway/worth: valid by default, and strategies that draw them."""

from typing import Any

from hypothesis import strategies as st

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
    Stacking,
    Value,
)
from gateway.worth.discount import Discount
from gateway.worth.order import Line, Order
from gateway.worth.reason import REASONS, Reason
from gateway.worth.terms import Terms

MINOR_MAX = (1 << 53) - 1
FUNDERS = (Funder("platform", 10_000),)


def an_order(*lines: tuple[str, int, int] | tuple[str, int, int, str], **changes: Any) -> Order:
    """An order of (sku, quantity, unit_price_minor[, category]) *lines*; *changes* override its other fields."""
    return Order(**{"id": "o-1", "currency": "CNY", "lines": tuple(Line(*line) for line in lines), **changes})


def some_terms(value: Value, **changes: Any) -> Terms:
    """Terms of a coupon of this *value* without any condition; *changes* override."""
    return Terms(**{"value": value, "currency": "CNY", "funders": FUNDERS, **changes})


def discount(answer: Discount | Reason) -> Discount:
    """The discount, which *answer* has to be; its parts have to sum."""
    assert isinstance(answer, Discount), answer
    assert answer.minor == sum(answer.lines) + answer.shipping_minor
    return answer


def why_not(answer: Discount | Reason) -> str:
    """The code of the reason, which *answer* has to be; it has to be one that is documented, in words."""
    assert isinstance(answer, Reason), answer
    assert answer.code in REASONS
    assert answer.detail.endswith(".")
    return answer.code


SKUS, CATEGORIES = ("A", "B", "C"), ("tea", "cup", None)
SMALL = st.integers(0, 3) | st.integers(0, 10_000)
prices = SMALL | st.integers(0, 1 << 40)

lines = st.builds(
    Line,
    sku=st.sampled_from(SKUS),
    quantity=st.integers(1, 4),
    unit_price_minor=prices,
    category=st.sampled_from(CATEGORIES),
)
orders = st.builds(
    Order,
    id=st.just("o-1"),
    currency=st.just("CNY"),
    lines=st.lists(lines, min_size=1, max_size=6).map(tuple),
    shipping_minor=prices,
    store=st.sampled_from((None, "s-1", "s-2")),
    channel=st.sampled_from((None, "app", "pos")),
    first_order=st.booleans(),
)

_amounts = st.integers(1, 3) | st.integers(1, 20_000) | st.integers(1, 1 << 41)
_caps = st.none() | _amounts


@st.composite
def _every(draw: st.DrawFn) -> AmountOff:
    minor = draw(_amounts)
    return AmountOff(minor, draw(_amounts), every=True, cap_minor=minor + draw(SMALL))


values: st.SearchStrategy[Value] = st.one_of(
    st.builds(AmountOff, minor=_amounts, threshold_minor=prices),
    _every(),
    st.builds(Percent, basis_points=st.integers(1, 10_000), cap_minor=_amounts),
    st.builds(FixedPrice, minor=_amounts, cap_minor=_caps),
    st.builds(GiftItem, sku=st.sampled_from(SKUS), cap_minor=_caps),
    st.builds(FreeShipping, cap_minor=_caps),
    st.builds(Balance, minor=_amounts),
)
scopes = st.just(Scope()) | st.builds(
    Scope,
    skus=st.sampled_from(((), ("A",), ("A", "B"))),
    categories=st.sampled_from(((), ("tea",))),
    skus_excluded=st.sampled_from(((), ("C",))),
    categories_excluded=st.sampled_from(((), ("cup",))),
)


@st.composite
def _funders(draw: st.DrawFn) -> tuple[Funder, ...]:
    cuts = sorted(draw(st.sets(st.integers(1, 9999), max_size=3)))
    edges = zip([0, *cuts], [*cuts, 10_000], strict=True)
    return tuple(Funder(f"f{n}", high - low) for n, (low, high) in enumerate(edges))


terms = st.builds(
    Terms,
    value=values,
    currency=st.just("CNY"),
    funders=_funders(),
    scope=scopes,
    conditions=st.builds(Conditions, quantity_min=st.sampled_from((1, 1, 1, 3))),
    stacking=st.builds(
        Stacking,
        exclusive=st.sampled_from((False, False, False, True)),
        group=st.sampled_from((None, None, "a", "b")),
        priority=st.integers(-2, 2),
    ),
)


def unit_minor(value: Value) -> int | None:
    """The most a coupon can cost, told from its value alone; the definition's own is compared with it."""
    cap = getattr(value, "cap_minor", None)
    if isinstance(value, AmountOff | Balance) and cap is None:
        return value.minor
    return cap
