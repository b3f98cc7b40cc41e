"""What a coupon is worth and until when, in a sentence for paper."""

from datetime import datetime
from zoneinfo import ZoneInfo

from gateway.campaigns.definition import (
    AmountOff,
    Balance,
    Definition,
    FixedPrice,
    FreeShipping,
    GiftItem,
    Percent,
    Value,
)
from gateway.till.money import show_money


def worth(definition: Definition) -> str:
    """What a coupon of the campaign is worth: 5.00 EUR off an order of 30.00 EUR or more."""
    return _worth(definition.value, definition.currency)


def _worth(value: Value, currency: str) -> str:
    match value:
        case AmountOff(minor=minor, threshold_minor=threshold, every=True, cap_minor=cap):
            most = "" if cap is None else f", at most {show_money(cap, currency)}"
            return f"{show_money(minor, currency)} off for every {show_money(threshold, currency)} spent{most}"
        case AmountOff(minor=minor, threshold_minor=0):
            return f"{show_money(minor, currency)} off"
        case AmountOff(minor=minor, threshold_minor=threshold):
            return f"{show_money(minor, currency)} off an order of {show_money(threshold, currency)} or more"
        case Percent(basis_points=points, cap_minor=cap):
            percent = f"{points / 100:.2f}".rstrip("0").rstrip(".")
            return f"{percent} % off, at most {show_money(cap, currency)}"
        case FixedPrice(minor=minor):
            return f"An article for {show_money(minor, currency)}"
        case GiftItem(sku=sku):
            return f"A free {sku}"
        case FreeShipping():
            return "Free shipping"
        case Balance(minor=minor):
            return f"{show_money(minor, currency)} to spend"


def until(expires_at: datetime, timezone: str) -> str:
    """The last minute a coupon is good in the campaign's zone."""
    return f"{expires_at.astimezone(ZoneInfo(timezone)):%Y-%m-%d %H:%M} {timezone}"
