"""Why a coupon takes nothing off an order: a value, for the one who asked. The codes are stable."""

import msgspec

REASONS: dict[str, str] = {
    "currency_mismatch": "the order is in another currency than the coupon",
    "wrong_channel": "the coupon is not good in the order's channel",
    "wrong_store": "the coupon is not good in the order's store",
    "not_first_order": "the coupon is for a first order",
    "nothing_in_scope": "no article of the order is one the coupon is good for",
    "quantity_too_low": "fewer articles in scope than the coupon asks for",
    "gift_not_in_order": "the article that the coupon gives away is not in the order",
    "below_threshold": "the goods in scope, less what earlier coupons took, are below the threshold",
    "price_not_above": "no article in scope costs more than the fixed price",
    "no_shipping": "there is no shipping to pay",
    "nothing_left": "earlier coupons, or prices of zero, have left nothing to take off",
    "rounds_to_nothing": "the percentage of the goods in scope is less than half a minor unit",
    "balance_empty": "nothing is left of the balance",
    "excluded": "the coupon does not go with another one, which applies",
    "not_chosen": "the chosen coupons take off as much without it, or more",
    "all_or_nothing": "another coupon does not apply, and all were to apply",
    "coupon_not_found": "there is no such coupon for you",
    "not_usable": "the coupon is not in a state to be used",
    "reserved_by_other": "the coupon is held for another order",
}
"""code → what it means."""


class Reason(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    Why not: a *code* of REASONS, a *detail* for the caller.

    *by* is the code of the other coupon, where another one is the cause.
    """

    code: str
    detail: str
    by: str | None = None


def reason(code: str, detail: str = "", by: str | None = None) -> Reason:
    """A reason with its table's words, or with *detail*. Errors: KeyError for a code that is not in REASONS."""
    words = REASONS[code]
    return Reason(code, detail or f"{words[0].upper()}{words[1:]}.", by)
