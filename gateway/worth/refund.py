"""
What a rollback gives back of a redemption: the rest, an amount, or lines. Pure.

The redemption has stored what was taken of each line, of shipping and of each funder. An amount is given back of all
of them in proportion to what is left of each, so partial rollbacks of whatever sizes end at exactly what was taken.
"""

from collections.abc import Sequence

import msgspec

from gateway.campaigns.broken import MINOR_MAX, Broken, refuse
from gateway.errors import Refusal
from gateway.worth.allot import allot


class LineAsk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """*discount_minor* of the line at place *index*; None is all that is left of it."""

    index: int
    discount_minor: int | None = None


class RefundAsk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much is asked back: an amount, or of lines, or with neither the rest."""

    amount_minor: int | None = None
    lines: tuple[LineAsk, ...] | None = None


class Parts(msgspec.Struct, frozen=True):
    """
    An amount twice: as what it was taken of, and as who pays it; both sum to *minor*.

    Shape: *lines* are parallel to the order's lines, *funders* to the campaign's.
    """

    lines: tuple[int, ...]
    shipping_minor: int
    funders: tuple[int, ...]

    @property
    def minor(self) -> int:
        """The amount."""
        return sum(self.lines) + self.shipping_minor

    @classmethod
    def zero_like(cls, parts: "Parts") -> "Parts":
        """Nothing, in as many parts."""
        return cls((0,) * len(parts.lines), 0, (0,) * len(parts.funders))

    def plus(self, other: "Parts") -> "Parts":
        """Both together."""
        return Parts(
            _each(self.lines, other.lines, 1),
            self.shipping_minor + other.shipping_minor,
            _each(self.funders, other.funders, 1),
        )

    def less(self, other: "Parts") -> "Parts":
        """What is left without *other*."""
        return Parts(
            _each(self.lines, other.lines, -1),
            self.shipping_minor - other.shipping_minor,
            _each(self.funders, other.funders, -1),
        )


def refund_of(stored: Parts, given: Parts, ask: RefundAsk) -> Parts:
    """
    What a rollback gives back of *stored*, of which *given* was given back by earlier ones.

    Shape: parts as *stored* has; 1 minor unit or more. Once the answers sum to *stored*, nothing is left.
    Errors: Refusal rollback_exceeds with left_minor, and field where that is of a line; bad_request with errors.
    """
    left = stored.less(given)
    assert left.minor == sum(left.funders), "what lines and funders got back is the same amount"
    assert min(*left.lines, *left.funders, left.shipping_minor) >= 0, "what was given back is of this redemption"
    if ask.lines is None:
        lines, shipping_minor = _by_amount(left, ask.amount_minor)
    elif ask.amount_minor is None:
        lines, shipping_minor = _by_line(left, ask.lines), 0
    else:
        raise refuse("bad_request", [Broken("lines", "either amount_minor or lines, or neither for the rest")])
    minor = sum(lines) + shipping_minor
    return Parts(tuple(lines), shipping_minor, tuple(allot(minor, left.funders)))


def _each(one: Sequence[int], other: Sequence[int], sign: int) -> tuple[int, ...]:
    return tuple(a + sign * b for a, b in zip(one, other, strict=True))


def _by_amount(left: Parts, amount_minor: int | None) -> tuple[list[int], int]:
    """The parts of the lines and of shipping."""
    minor = left.minor if amount_minor is None else amount_minor
    if amount_minor is not None and not 1 <= amount_minor <= MINOR_MAX:
        raise refuse("bad_request", [Broken("amount_minor", _AMOUNT_RULE)])
    if minor > left.minor or minor == 0:
        raise _exceeds(left.minor)
    *lines, shipping_minor = allot(minor, (*left.lines, left.shipping_minor))
    return lines, shipping_minor


def _by_line(left: Parts, asks: Sequence[LineAsk]) -> list[int]:
    broken = _broken(len(left.lines), asks)
    if broken:
        raise refuse("bad_request", broken)
    lines = [0] * len(left.lines)
    for n, ask in enumerate(asks):
        line_minor = left.lines[ask.index]
        lines[ask.index] = line_minor if ask.discount_minor is None else ask.discount_minor
        if not 0 < lines[ask.index] <= line_minor:
            raise _exceeds(line_minor, f"lines[{n}].discount_minor")
    return lines


_AMOUNT_RULE = "a whole number of minor units from 1, below 2^53"


def _broken(lines: int, asks: Sequence[LineAsk]) -> list[Broken]:
    broken, seen = [], set()
    if not asks:
        broken.append(Broken("lines", "at least one; leave it out for the rest"))
    for n, ask in enumerate(asks):
        if not 0 <= ask.index < lines or ask.index in seen:
            broken.append(Broken(f"lines[{n}].index", f"a line of the redemption, from 0 to {lines - 1}, each once"))
        seen.add(ask.index)
        if ask.discount_minor is not None and not 1 <= ask.discount_minor <= MINOR_MAX:
            broken.append(Broken(f"lines[{n}].discount_minor", _AMOUNT_RULE))
    return broken


def _exceeds(left_minor: int, field: str = "") -> Refusal:
    if not field:
        return Refusal("rollback_exceeds", f"Only {left_minor} is left to give back.", left_minor=left_minor)
    detail = f"{field}: only {left_minor} is left to give back."
    return Refusal("rollback_exceeds", detail, left_minor=left_minor, field=field)
