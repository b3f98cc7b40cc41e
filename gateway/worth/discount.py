"""What one coupon takes off an order, of what earlier coupons have left of it. Pure, whole numbers only."""

from collections.abc import Iterable, Sequence
from operator import add
from typing import assert_never

import msgspec

from gateway.campaigns.definition import AmountOff, Balance, FixedPrice, FreeShipping, GiftItem, Percent
from gateway.worth.allot import allot
from gateway.worth.order import Order
from gateway.worth.reason import Reason, reason
from gateway.worth.scope import Fit, fit
from gateway.worth.terms import Terms

WHOLE_BASIS_POINTS = 10_000


class Discount(msgspec.Struct, frozen=True):
    """
    What a coupon takes off: *minor* is 1 or more, and the sum of *lines* and *shipping_minor*.

    Shape: *lines* has a part for each line of the order. *article* is the place of the line of which one article got
    the price; None where the coupon is not for one article.
    """

    minor: int
    lines: tuple[int, ...]
    shipping_minor: int = 0
    article: int | None = None


class Taken(msgspec.Struct, frozen=True):
    """What earlier coupons took of an order: of each line, how many single articles of each line, of shipping."""

    lines: tuple[int, ...]
    articles: tuple[int, ...]
    shipping_minor: int = 0

    @classmethod
    def nothing(cls, order: Order) -> "Taken":
        """Before the first coupon."""
        zeros = (0,) * len(order.lines)
        return cls(zeros, zeros)

    def plus(self, discount: Discount) -> "Taken":
        """After one more."""
        articles = self.articles
        if discount.article is not None:
            articles = tuple(count + (at == discount.article) for at, count in enumerate(articles))
        lines = tuple(map(add, self.lines, discount.lines))
        return Taken(lines, articles, self.shipping_minor + discount.shipping_minor)


def discount_of(
    terms: Terms, order: Order, taken: Taken | None = None, left_minor: int | None = None
) -> Discount | Reason:
    """
    What a coupon of these *terms* takes off the checked *order*, or why nothing.

    Shape: without *taken* it is the first coupon. *left_minor* is what is left of a balance, all of it where it is
    None; other kinds do not look at it.
    """
    fits = fit(terms, order)
    if isinstance(fits, Reason):
        return fits
    return takes(fits, taken or Taken.nothing(order), left_minor)


def takes(fits: Fit, taken: Taken, left_minor: int | None = None) -> Discount | Reason:
    """discount_of() for a coupon that is known to fit."""
    value = fits.terms.value
    match value:
        case AmountOff():
            return _amount_off(value, fits, taken)
        case Percent():
            return _percent(value, fits, taken)
        case FixedPrice():
            return _fixed_price(value, fits, taken)
        case GiftItem():
            return _gift_item(value, fits, taken)
        case FreeShipping():
            return _free_shipping(value, fits, taken)
        case Balance():
            return _balance(value.minor if left_minor is None else left_minor, fits, taken)
    assert_never(value)


def funder_parts(terms: Terms, minor: int) -> tuple[int, ...]:
    """Who of *terms*' funders pays how much of a discount: parts that sum to *minor*, by their basis points."""
    return tuple(allot(minor, [funder.basis_points for funder in terms.funders]))


def _amount_off(value: AmountOff, fits: Fit, taken: Taken) -> Discount | Reason:
    left = _left(fits, taken)
    goods = sum(left)
    if goods < value.threshold_minor:
        return reason("below_threshold", f"{value.threshold_minor} is needed of goods in scope, {goods} is left.")
    minor = value.minor
    if value.every:
        assert value.cap_minor is not None, "a checked value has a cap where it is every"
        minor = min(minor * (goods // value.threshold_minor), value.cap_minor)
    return _off_goods(min(minor, goods), left, fits)


def _percent(value: Percent, fits: Fit, taken: Taken) -> Discount | Reason:
    left = _left(fits, taken)
    goods = sum(left)
    minor = (goods * value.basis_points + WHOLE_BASIS_POINTS // 2) // WHOLE_BASIS_POINTS
    if minor == 0 and goods:
        return reason("rounds_to_nothing")
    return _off_goods(min(minor, value.cap_minor), left, fits)


def _fixed_price(value: FixedPrice, fits: Fit, taken: Taken) -> Discount | Reason:
    price, at = _dearest(fits.lines, fits, taken)
    if price <= value.minor:
        return reason("price_not_above") if price else reason("nothing_left")
    return _off_article(_capped(price - value.minor, value.cap_minor), at, fits)


def _gift_item(value: GiftItem, fits: Fit, taken: Taken) -> Discount | Reason:
    price, at = _dearest(fits.gifts, fits, taken)
    if price == 0:
        return reason("nothing_left")
    return _off_article(_capped(price, value.cap_minor), at, fits)


def _free_shipping(value: FreeShipping, fits: Fit, taken: Taken) -> Discount | Reason:
    if fits.order.shipping_minor == 0:
        return reason("no_shipping")
    minor = _capped(fits.order.shipping_minor - taken.shipping_minor, value.cap_minor)
    return _discount(fits, (), (), minor)


def _balance(left_minor: int, fits: Fit, taken: Taken) -> Discount | Reason:
    if left_minor <= 0:
        return reason("balance_empty")
    left = _left(fits, taken)
    goods_minor = min(left_minor, sum(left))
    shipping_minor = min(left_minor - goods_minor, fits.order.shipping_minor - taken.shipping_minor)
    return _discount(fits, fits.lines, allot(goods_minor, left), shipping_minor)


def _left(fits: Fit, taken: Taken) -> list[int]:
    """What is left to pay of each line in scope."""
    return [minor - taken.lines[at] for at, minor in zip(fits.lines, fits.minors, strict=True)]


def _dearest(places: Iterable[int], fits: Fit, taken: Taken) -> tuple[int, int]:
    """
    The dearest single article of the lines at *places* and its line; of equal ones the earlier.

    An article that a coupon for one article had is not had again. What else was taken of a line lies on its other
    articles alike, and the dearest of them, when a unit can't be split, is rounded up.
    """
    price_of_dearest, place = 0, 0
    for at in places:
        line = fits.order.lines[at]
        articles = line.quantity - taken.articles[at]
        if articles <= 0:
            continue
        price = min(line.unit_price_minor, -((taken.lines[at] - line.minor) // articles))
        if price > price_of_dearest:
            price_of_dearest, place = price, at
    return price_of_dearest, place


def _capped(minor: int, cap_minor: int | None) -> int:
    return minor if cap_minor is None else min(minor, cap_minor)


def _off_goods(minor: int, left: list[int], fits: Fit) -> Discount | Reason:
    return _discount(fits, fits.lines, allot(minor, left))


def _off_article(minor: int, at: int, fits: Fit) -> Discount | Reason:
    return _discount(fits, (at,), (minor,), article=at)


def _discount(
    fits: Fit, places: Sequence[int], parts: Sequence[int], shipping_minor: int = 0, article: int | None = None
) -> Discount | Reason:
    lines = [0] * len(fits.order.lines)
    for at, part in zip(places, parts, strict=True):
        lines[at] = part
    minor = sum(parts) + shipping_minor
    if minor == 0:
        return reason("nothing_left")
    return Discount(minor, tuple(lines), shipping_minor, article)
