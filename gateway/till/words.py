"""Refusals in words for the person at the till: what it is, and what to do about it."""

import re
from typing import NamedTuple

from gateway.errors import PROBLEMS, Refusal
from gateway.till.money import show_money
from gateway.worth.reason import Reason


class Notice(NamedTuple):
    """What happened, and what to do."""

    what: str
    then: str


NEXT: dict[str, str] = {
    "bad_request": "Check what was typed and try again.",
    "unauthenticated": "Sign in again. If the key is refused, ask whoever gave it to you for a new one.",
    "forbidden": "Go back to the till and enter it again.",
    "coupon_not_found": "Compare the code with the customer's, character by character, and type it again.",
    "reserved_by_other": "Finish or cancel that order, or wait until its hold ends, then try again.",
    "not_holder": "The coupon belongs to somebody else: ask the customer for one of his own.",
    "conditions_not_met": "Change the order so that it meets the condition, or take the price without the coupon.",
    "already_rolled_back": "All of it was given back before: there is nothing left to give back.",
    "rollback_exceeds": "Give back at most what is left of the discount.",
    "invalid_state": "Ask the customer for another coupon.",
    "idempotency_key_reused": "Look it up by its receipt; or, if this is another order, give it another number.",
    "too_large": "Enter a shorter order.",
    "rate_limited": "Wait a little, then try again.",
    "overloaded": "Nothing was changed. Try again in a few seconds.",
    "not_ready": "Nothing was changed. Try again in a few seconds; if it goes on, tell whoever runs the gateway.",
    "unknown": "Press the same button again: it counts only once.",
    "internal": "Press the same button again: it counts only once. If it goes on, tell whoever runs the gateway.",
}
"""Problem code → what to do. Those that are not here are said as they are."""
_WHAT = {
    "unknown": "It is not known whether this was done.",
    "idempotency_key_reused": "This coupon was redeemed on this order before, and the order was another one then.",
}
"""What is said in other words than to a program."""
NO_REDEMPTION = Notice("There is no such redemption.", "Compare the number with the receipt and type it again.")
_STATES = {
    "redeemed": Notice(
        "This coupon has been redeemed already.",
        "If it was redeemed by mistake, look up that redemption and give it back; else ask for another coupon.",
    ),
    "expired": Notice("This coupon has expired.", "Ask the customer for another coupon."),
    "revoked": Notice("This coupon has been withdrawn.", "Ask the customer for another coupon."),
    "reserved": Notice("This coupon is held for an order.", NEXT["reserved_by_other"]),
}


def notice_of(refusal: Refusal, currency: str = "") -> Notice:
    """The words for *refusal*; *currency* is the till's."""
    if refusal.code == "invalid_state":
        known = _STATES.get(str(refusal.context.get("from", "")))
        if known is not None:
            return known
    title = PROBLEMS[refusal.code].title
    if refusal.code == "conditions_not_met" and currency:
        return notice_of_reason(Reason(str(refusal.context.get("reason", "")), refusal.detail or title), currency)
    what = _WHAT.get(refusal.code) or refusal.detail or title
    if refusal.code == "rate_limited" and refusal.retry_after_s is not None:
        wait_s = refusal.retry_after_s
        return Notice(what, f"Wait {wait_s} {'second' if wait_s == 1 else 'seconds'}, then try again.")
    return Notice(what if what.endswith((".", "?", "!")) else f"{what}.", NEXT.get(refusal.code, "Try again."))


def notice_of_reason(reason: Reason, currency: str) -> Notice:
    """The words for a coupon that takes nothing off an order in *currency*."""
    if reason.code == "not_usable":
        return Notice(
            reason.detail,
            "Ask the customer for another coupon. If it was redeemed by mistake, look up that redemption and give it "
            "back.",
        )
    if reason.code == "reserved_by_other":
        return Notice(reason.detail, NEXT["reserved_by_other"])
    detail = reason.detail
    if reason.code == "below_threshold":  # the one whose numbers are amounts, in minor units as everywhere on the wire
        detail = re.sub(r"[0-9]+", lambda found: show_money(int(found[0]), currency), detail)
    return Notice(f"It takes nothing off. {detail}", "Change the order, or ask for another coupon.")
