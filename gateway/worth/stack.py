"""
Several coupons on one order: which of them apply, and what each takes off. Pure.

They apply one after the other, a higher priority first, then as they were given; each sees what the earlier ones
left. One that does not apply changes nothing for the others.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

import msgspec

from gateway.campaigns.broken import Broken, refuse
from gateway.campaigns.definition import Stacking
from gateway.worth.discount import Discount, Taken, takes
from gateway.worth.order import Order
from gateway.worth.reason import Reason, reason
from gateway.worth.scope import Fit, fit
from gateway.worth.terms import Terms

STACK_MAX = 10
"""Coupons on one order. The best choice looks at each subset of them, so at most at 1,024."""

Answer = Discount | Reason


class Mode(StrEnum):
    """Have all of the coupons to apply, or else none, or do those apply that can?"""

    ALL = "ALL"
    PARTIAL = "PARTIAL"


class Choose(StrEnum):
    """Take the coupons as they are given, or those that take most off together?"""

    GIVEN = "given"
    BEST = "best"


class Offer(NamedTuple):
    """A coupon that may be used. *left_minor* is what is left of a balance; None is all of it."""

    code: str
    terms: Terms
    left_minor: int | None = None


class Item(msgspec.Struct, frozen=True):
    """What became of an offer: a *discount* or a *reason*, never both."""

    code: str
    discount: Discount | None = None
    reason: Reason | None = None


class _Coupon(NamedTuple):
    """An offer that is looked at: *alone* is what it would take off as the only one, the most it ever can."""

    offer: Offer
    fits: Fit | Reason
    alone: Answer

    @property
    def most_minor(self) -> int:
        return self.alone.minor if isinstance(self.alone, Discount) else 0

    def after(self, taken: Taken) -> Answer:
        return self.fits if isinstance(self.fits, Reason) else takes(self.fits, taken, self.offer.left_minor)


class _Choice(NamedTuple):
    """The coupons at *places* of the order they apply in, all of which apply, and what they take off together."""

    minor: int
    places: tuple[int, ...]

    def is_better(self, other: "_Choice") -> bool:
        """More off, or the same by fewer coupons."""
        return (self.minor, -len(self.places)) > (other.minor, -len(other.places))


def combine(order: Order, offers: Sequence[Offer], mode: Mode, choose: Choose = Choose.GIVEN) -> list[Item]:
    """
    What each of the *offers* takes off the checked *order*, or why nothing.

    Shape: one item an offer, in the order of *offers*. In mode ALL there is no choice: all apply, or none does. The
    best are those of all subsets that take most off together; of equal ones the fewest, then the first to apply.
    Errors: Refusal("bad_request") for no offer, more than STACK_MAX, or one code twice.
    """
    codes = [offer.code for offer in offers]
    if not 1 <= len(codes) <= STACK_MAX or len(set(codes)) != len(codes):
        raise refuse("bad_request", [Broken("codes", f"1 to {STACK_MAX}, each once")])
    nothing = Taken.nothing(order)
    sequence = sorted(range(len(offers)), key=lambda at: -offers[at].terms.stacking.priority)
    coupons = [_look(offers[at], order, nothing) for at in sequence]
    if mode is Mode.PARTIAL and choose is Choose.BEST:
        chosen = _Search(coupons, order.total_minor).best(nothing)
        answers = _explain(coupons, set(chosen.places), nothing)
    else:
        answers = _walk(coupons, nothing)
        if mode is Mode.ALL:
            answers = _all_or_none(coupons, answers)
    by_place = dict(zip(sequence, answers, strict=True))
    return [_item(code, by_place[at]) for at, code in enumerate(codes)]


def best(order: Order, offers: Sequence[Offer]) -> list[Item]:
    """The *offers* that are best for the customer; see combine()."""
    return combine(order, offers, Mode.PARTIAL, Choose.BEST)


def _look(offer: Offer, order: Order, nothing: Taken) -> _Coupon:
    fits = fit(offer.terms, order)
    return _Coupon(offer, fits, fits if isinstance(fits, Reason) else takes(fits, nothing, offer.left_minor))


def _item(code: str, answer: Answer) -> Item:
    return Item(code, discount=answer) if isinstance(answer, Discount) else Item(code, reason=answer)


def _walk(coupons: list[_Coupon], taken: Taken) -> list[Answer]:
    """Each in turn, as long as none that applies excludes it."""
    answers: list[Answer] = []
    applied: list[_Coupon] = []
    for coupon in coupons:
        answer = _excluded(coupon, applied) or coupon.after(taken)
        if isinstance(answer, Discount):
            taken = taken.plus(answer)
            applied.append(coupon)
        answers.append(answer)
    return answers


def _all_or_none(coupons: list[_Coupon], answers: list[Answer]) -> list[Answer]:
    failed = next((at for at, answer in enumerate(answers) if isinstance(answer, Reason)), None)
    if failed is None:
        return answers
    others = reason("all_or_nothing", by=coupons[failed].offer.code)
    return [answer if isinstance(answer, Reason) else others for answer in answers]


def _excluded(coupon: _Coupon, applied: list[_Coupon]) -> Reason | None:
    for other in applied:
        if _exclude_each_other(coupon.offer.terms.stacking, other.offer.terms.stacking):
            return reason("excluded", by=other.offer.code)
    return None


def _exclude_each_other(one: Stacking, other: Stacking) -> bool:
    return one.exclusive or other.exclusive or (one.group is not None and one.group == other.group)


class _Search:
    """
    Every subset of coupons, by taking the next one or leaving it, but for those that can't be better.

    A coupon takes no more after others than alone, so what the rest would take alone bounds what it can add.
    """

    def __init__(self, coupons: list[_Coupon], total_minor: int) -> None:
        self._coupons, self._total_minor = coupons, total_minor
        self._rest_minor = [sum(coupon.most_minor for coupon in coupons[at:]) for at in range(len(coupons) + 1)]
        self._best = _Choice(0, ())

    def best(self, nothing: Taken) -> _Choice:
        """The best choice of all."""
        self._try(0, _Choice(0, ()), nothing)
        return self._best

    def _try(self, at: int, choice: _Choice, taken: Taken) -> None:
        """All choices that begin with *choice* and go on with coupons from place *at*: with the next one first."""
        if choice.is_better(self._best):
            self._best = choice
        most_minor = min(choice.minor + self._rest_minor[at], self._total_minor)
        if at == len(self._coupons) or not _Choice(most_minor, choice.places).is_better(self._best):
            return
        coupon = self._coupons[at]
        if coupon.most_minor and not _excluded(coupon, [self._coupons[place] for place in choice.places]):
            answer = coupon.after(taken)
            if isinstance(answer, Discount):
                further = _Choice(choice.minor + answer.minor, (*choice.places, at))
                self._try(at + 1, further, taken.plus(answer))
        self._try(at + 1, choice, taken)


def _explain(coupons: list[_Coupon], chosen: set[int], taken: Taken) -> list[Answer]:
    """The discounts of the *chosen*, and why each of the others is not among them."""
    applied = [coupons[at] for at in sorted(chosen)]
    answers: list[Answer] = []
    for at, coupon in enumerate(coupons):
        if at in chosen:
            answer = coupon.after(taken)
            assert isinstance(answer, Discount), "a choice is of coupons that apply"
            taken = taken.plus(answer)
        elif isinstance(coupon.alone, Reason):
            answer = coupon.alone
        else:
            answer = _excluded(coupon, applied) or coupon.after(taken)
            if isinstance(answer, Discount):
                answer = reason("not_chosen")
        answers.append(answer)
    return answers
