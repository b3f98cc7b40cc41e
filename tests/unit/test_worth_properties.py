"""What holds for every order and every coupon: sums, bounds, the best choice, and that nothing is changed."""

from itertools import pairwise
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.campaigns.definition import Definition, Validity
from gateway.worth.discount import Discount, Taken, discount_of, funder_parts
from gateway.worth.order import Order, check_order
from gateway.worth.stack import Choose, Item, Mode, Offer, combine
from gateway.worth.terms import Terms, read_terms, terms_of, write_terms
from tests.worth import orders, terms, unit_minor


def a_definition(some: Terms) -> Definition:
    """A campaign of these terms."""
    fields: dict[str, Any] = {name: getattr(some, name) for name in Terms.__struct_fields__}
    fields |= {"id": "c", "name": "c", "stock": 1, "validity": Validity(days=1)}
    return Definition(starts_at="2026-11-22T10:00:00Z", ends_at="2026-11-22T11:00:00Z", **fields)


@st.composite
def takings(draw: st.DrawFn, order: Order) -> Taken:
    """Whatever earlier coupons may have taken of *order*."""
    lines = tuple(draw(st.integers(0, line.minor)) for line in order.lines)
    articles = tuple(draw(st.integers(0, line.quantity)) for line in order.lines)
    return Taken(lines, articles, draw(st.integers(0, order.shipping_minor)))


def check_discount(found: Discount, order: Order, taken: Taken) -> None:
    """Its parts sum, and none takes more than is left."""
    after = taken.plus(found)
    assert found.minor == sum(found.lines) + found.shipping_minor >= 1
    assert len(found.lines) == len(order.lines)
    assert all(
        0 <= had <= now <= line.minor for had, now, line in zip(taken.lines, after.lines, order.lines, strict=True)
    )
    assert taken.shipping_minor <= after.shipping_minor <= order.shipping_minor


@settings(deadline=None)
@given(order=orders, some=terms, data=st.data())
def test_a_discount_sums_and_takes_no_more_than_is_left(order: Order, some: Terms, data: st.DataObject) -> None:
    """No line below zero, nor shipping, nor the total; never more than the worst case the budget is held against."""
    taken = data.draw(takings(order))
    found = discount_of(some, check_order(order), taken)

    if isinstance(found, Discount):
        check_discount(found, order, taken)
        worst = a_definition(some).unit_minor
        assert worst == unit_minor(some.value)
        assert worst is None or found.minor <= worst


@settings(deadline=None)
@given(order=orders, some=terms, data=st.data())
def test_more_taken_before_is_never_more_taken_now(order: Order, some: Terms, data: st.DataObject) -> None:
    """As the only one a coupon takes most: the bound that the best choice goes by."""
    alone = discount_of(some, order)
    later = discount_of(some, order, data.draw(takings(order)))

    if isinstance(later, Discount):
        assert isinstance(alone, Discount)
        assert later.minor <= alone.minor


@settings(deadline=None)
@given(order=orders, some=terms, left=st.integers(1, 1 << 42))
def test_a_balance_never_gives_more_than_is_left_of_it(order: Order, some: Terms, left: int) -> None:
    """And all else does not look at what is left."""
    found = discount_of(some, order, None, left)

    if some.kind == "balance":
        assert not isinstance(found, Discount) or found.minor <= left
    else:
        assert found == discount_of(some, order)


@settings(deadline=None)
@given(order=orders, some=terms)
def test_the_same_question_has_the_same_answer(order: Order, some: Terms) -> None:
    """It is a function of terms and order, which stay as they are, also on their way through the rules."""
    before = msgspec.json.encode((order, some))

    found = discount_of(some, order)

    assert found == discount_of(read_terms(write_terms(terms_of(a_definition(some)))), order)
    assert msgspec.json.encode((order, some)) == before


@settings(deadline=None)
@given(some=terms, minor=st.integers(0, 1 << 53))
def test_funders_pay_all_of_it(some: Terms, minor: int) -> None:
    """Their parts sum, each less than a unit from its basis points."""
    parts = funder_parts(some, minor)

    assert sum(parts) == minor
    for part, funder in zip(parts, some.funders, strict=True):
        assert abs(part * 10_000 - minor * funder.basis_points) < 10_000


def total(items: list[Item]) -> int:
    """What the items take off together."""
    return sum(item.discount.minor for item in items if item.discount)


stacks = st.lists(terms, min_size=1, max_size=6).map(lambda each: [Offer(f"c{n}", some) for n, some in enumerate(each)])


@settings(deadline=None)
@given(order=orders, offers=stacks)
def test_a_stack_sums_and_takes_no_more_than_the_order(order: Order, offers: list[Offer]) -> None:
    """In the order they apply in, each coupon takes of what is left; those that exclude each other never meet."""
    for choose in Choose:
        items = combine(order, offers, Mode.PARTIAL, choose)
        by_code = {item.code: item for item in items}
        assert [item.code for item in items] == [offer.code for offer in offers]
        applied = [
            (offer, found)
            for offer in sorted(offers, key=lambda offer: -offer.terms.stacking.priority)
            if (found := by_code[offer.code].discount)
        ]
        taken = Taken.nothing(order)
        for offer, found in applied:
            assert found == discount_of(offer.terms, order, taken)
            check_discount(found, order, taken)
            taken = taken.plus(found)
        assert total(items) == sum(taken.lines) + taken.shipping_minor <= order.total_minor
        groups = sorted(offer.terms.stacking.group or "" for offer, _ in applied)
        assert all(one != other for one, other in pairwise(groups) if other)
        assert len(applied) == 1 or not any(offer.terms.stacking.exclusive for offer, _ in applied)


@settings(deadline=None)
@given(order=orders, offers=stacks)
def test_the_best_is_the_best_of_all_subsets(order: Order, offers: list[Offer]) -> None:
    """No subset, as it would be given, takes more; and all or nothing never takes more than that."""
    best_minor = total(combine(order, offers, Mode.PARTIAL, Choose.BEST))
    subsets = ([offer for n, offer in enumerate(offers) if bits >> n & 1] for bits in range(1, 1 << len(offers)))

    assert best_minor == max(total(combine(order, subset, Mode.PARTIAL)) for subset in subsets)
    assert best_minor >= total(combine(order, offers, Mode.ALL))


@settings(deadline=None)
@given(order=orders, offers=stacks)
def test_all_or_nothing_is_all_or_nothing(order: Order, offers: list[Offer]) -> None:
    """Either every item has a discount, the same as in part, or none has."""
    items = combine(order, offers, Mode.ALL)

    if all(item.discount for item in items):
        assert items == combine(order, offers, Mode.PARTIAL)
    else:
        assert not any(item.discount for item in items)
