"""Pure: `30:5` and `0.9`, as a trace writes a discount → a campaign's value, and an order it is redeemed on."""

import re
from decimal import Decimal
from typing import Any, NamedTuple

PERCENT_ORDER_MAJOR = 100
"""What an order has to pay on which a coupon of a rate is redeemed; the coupon's cap too, which no rate reaches."""

_AMOUNT_OFF = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?):([0-9]{1,9}(?:\.[0-9]{1,3})?)")
_RATE = re.compile(r"0\.([0-9]{1,2})")


class Discount(NamedTuple):
    """
    What a coupon takes off: *off_minor* from *threshold_minor* on, or a rate of *percent* (then the others are 0).

    *order_minor* is the order it is redeemed on, *taken_minor* what it has to take off that.
    """

    percent: int
    threshold_minor: int
    off_minor: int
    order_minor: int
    taken_minor: int

    def value(self) -> dict[str, Any]:
        """The value of its campaign, as POST /v1/campaigns takes it."""
        if self.percent:
            return {"type": "percent", "basis_points": self.percent * 100, "cap_minor": self.order_minor}
        return {"type": "amount_off", "minor": self.off_minor, "threshold_minor": self.threshold_minor}


def parse_discount(text: str, minor_per_major: int) -> Discount:
    """
    `30:5` is 5 off from 30 on, `0.9` is 10 % off; amounts are major units, of *minor_per_major* each.

    Errors: ValueError saying what it has to be.
    """
    if rate := _RATE.fullmatch(text):
        percent = 100 - int(rate[1].ljust(2, "0"))
        if percent == 100:
            raise ValueError(f"{text!r} leaves nothing to pay; a rate is above 0 and below 1")
        return Discount(
            percent, 0, 0, PERCENT_ORDER_MAJOR * minor_per_major, percent * minor_per_major
        )  # of 100, a percent is 1
    amounts = _AMOUNT_OFF.fullmatch(text)
    if amounts is None:
        raise ValueError(f"{text!r} is neither like 30:5 (5 off from 30 on) nor like 0.9 (10 % off)")
    threshold_minor, off_minor = (_minor(part, minor_per_major) for part in amounts.groups())
    if not 0 < off_minor <= threshold_minor:
        raise ValueError(f"{text!r} takes nothing off, or more than has to be spent")
    return Discount(0, threshold_minor, off_minor, threshold_minor, off_minor)


def _minor(text: str, minor_per_major: int) -> int:
    minor = Decimal(text) * minor_per_major
    if minor != int(minor):
        raise ValueError(f"{text} is finer than the currency's smallest unit")
    return int(minor)
