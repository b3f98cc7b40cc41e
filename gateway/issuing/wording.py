"""What a coupon is worth and until when, in a sentence for paper."""

from datetime import datetime
from zoneinfo import ZoneInfo

from gateway.campaigns.currencies import exponent
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


def worth(definition: Definition) -> str:
    """What a coupon of the campaign is worth: 5.00 EUR off an order of 30.00 EUR or more."""
    return _worth(definition.value, definition.currency)


def _worth(value: Value, currency: str) -> str:
    match value:
        case AmountOff(minor=minor, threshold_minor=threshold, every=True, cap_minor=cap):
            most = "" if cap is None else f", at most {money(cap, currency)}"
            return f"{money(minor, currency)} off for every {money(threshold, currency)} spent{most}"
        case AmountOff(minor=minor, threshold_minor=0):
            return f"{money(minor, currency)} off"
        case AmountOff(minor=minor, threshold_minor=threshold):
            return f"{money(minor, currency)} off an order of {money(threshold, currency)} or more"
        case Percent(basis_points=points, cap_minor=cap):
            percent = f"{points / 100:.2f}".rstrip("0").rstrip(".")
            return f"{percent} % off, at most {money(cap, currency)}"
        case FixedPrice(minor=minor):
            return f"An article for {money(minor, currency)}"
        case GiftItem(sku=sku):
            return f"A free {sku}"
        case FreeShipping():
            return "Free shipping"
        case Balance(minor=minor):
            return f"{money(minor, currency)} to spend"


def money(minor: int, currency: str) -> str:
    """An amount in major units with its currency."""
    places = exponent(currency)
    whole, part = divmod(minor, 10**places)
    return f"{whole:,}".replace(",", "\u202f") + (f".{part:0{places}d}" if places else "") + f"\u00a0{currency}"


def until(expires_at: datetime, timezone: str) -> str:
    """The last minute a coupon is good in the campaign's zone."""
    return f"{expires_at.astimezone(ZoneInfo(timezone)):%Y-%m-%d %H:%M} {timezone}"
