"""Which lines of an order a coupon is good for, and whether it fits the order at all. Pure."""

from collections.abc import Iterator
from typing import NamedTuple

from gateway.campaigns.definition import GiftItem, Scope
from gateway.worth.order import Line, Order
from gateway.worth.reason import Reason, reason
from gateway.worth.terms import Terms


class Fit(NamedTuple):
    """
    A coupon that fits an order, whatever other coupons take.

    Shape: *lines* are places of the order's lines in scope, *minors* what these cost; *gifts* are places of the
    article that a gift coupon gives away.
    """

    terms: Terms
    order: Order
    lines: tuple[int, ...]
    minors: tuple[int, ...]
    gifts: tuple[int, ...]


def fit(terms: Terms, order: Order) -> Fit | Reason:
    """Does a coupon of these *terms* fit the checked *order*? The first thing that is against it, in REASONS' order."""
    for against in _against(terms, order):
        return against
    lines = tuple(at for at, line in enumerate(order.lines) if in_scope(terms.scope, line))
    if not lines:
        return reason("nothing_in_scope")
    quantity, quantity_min = sum(order.lines[at].quantity for at in lines), terms.conditions.quantity_min
    if quantity < quantity_min:
        return reason("quantity_too_low", f"{quantity_min} articles are needed, the order has {quantity}.")
    gifts: tuple[int, ...] = ()
    if isinstance(terms.value, GiftItem):
        gifts = tuple(at for at, line in enumerate(order.lines) if _is_gift(terms.value, terms.scope, line))
        if not gifts:
            return reason("gift_not_in_order", f"The order has no article {terms.value.sku}.")
    return Fit(terms, order, lines, tuple(order.lines[at].minor for at in lines), gifts)


def in_scope(scope: Scope, line: Line) -> bool:
    """Is the coupon good for this *line*? What is excluded is not, even if it is listed otherwise."""
    if _is_excluded(scope, line):
        return False
    everything = not scope.skus and not scope.categories
    return everything or line.sku in scope.skus or line.category in scope.categories


def _is_excluded(scope: Scope, line: Line) -> bool:
    return line.sku in scope.skus_excluded or line.category in scope.categories_excluded


def _is_gift(gift: GiftItem, scope: Scope, line: Line) -> bool:
    return line.sku == gift.sku and not _is_excluded(scope, line)


def _against(terms: Terms, order: Order) -> Iterator[Reason]:
    scope = terms.scope
    if order.currency != terms.currency:
        yield reason("currency_mismatch", f"The coupon is in {terms.currency}, the order in {order.currency}.")
    if not _is_place(order.channel, scope.channels, scope.channels_excluded):
        yield reason("wrong_channel")
    if not _is_place(order.store, scope.stores, scope.stores_excluded):
        yield reason("wrong_store")
    if terms.conditions.first_order and not order.first_order:
        yield reason("not_first_order")


def _is_place(place: str | None, good: tuple[str, ...], excluded: tuple[str, ...]) -> bool:
    """An order that does not say where it is made is in no place that is listed, nor in one that is excluded."""
    return place not in excluded and (not good or place in good)
