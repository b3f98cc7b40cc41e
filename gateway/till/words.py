"""Refusals in words for the person at the till: what it is, and what to do about it."""

from typing import NamedTuple

from gateway.errors import PROBLEMS, Refusal


class Notice(NamedTuple):
    """What happened, and what to do."""

    what: str
    then: str


_NEXT: dict[str, str] = {
    "bad_request": "Check what was typed and try again.",
    "unauthenticated": "Sign in again. If the key is refused, ask whoever gave it to you for a new one.",
    "forbidden": "Sign in with a key of the role store.",
    "coupon_not_found": "Compare the code with the customer's, character by character, and type it again.",
    "reserved_by_other": "The customer has it held for another order: finish or cancel that one, or wait for its hold "
    "to end.",
    "not_holder": "The coupon belongs to somebody else: ask the customer for one of his own.",
    "conditions_not_met": "Change the order so that it meets the condition, or take the price without the coupon.",
    "already_rolled_back": "All of it was given back before: there is nothing left to give back.",
    "rollback_exceeds": "Give back at most what is left of the discount.",
    "invalid_state": "Ask the customer for another coupon.",
    "idempotency_key_reused": "Start the order again and ask for a new quote.",
    "too_large": "Enter a shorter order.",
    "rate_limited": "Too many tries went wrong. Wait a little, then try again.",
    "overloaded": "Nothing was changed. Try again in a few seconds.",
    "not_ready": "Nothing was changed. Try again in a few seconds; if it goes on, tell whoever runs the gateway.",
    "unknown": "It may or may not have happened. Press the same button again: it counts only once.",
    "internal": "Press the same button again: it counts only once. If it goes on, tell whoever runs the gateway.",
}
NO_REDEMPTION = Notice("There is no such redemption.", "Compare the number with the receipt and type it again.")
_STATES = {
    "redeemed": Notice(
        "This coupon has been redeemed already.",
        "If it was redeemed by mistake, look up that redemption and give it back; else ask for another coupon.",
    ),
    "expired": Notice("This coupon has expired.", "Ask the customer for another coupon."),
    "revoked": Notice("This coupon has been withdrawn.", "Ask the customer for another coupon."),
    "reserved": Notice("This coupon is held for an order.", _NEXT["reserved_by_other"]),
}


def notice_of(refusal: Refusal) -> Notice:
    """The words for *refusal*."""
    if refusal.code == "invalid_state":
        known = _STATES.get(str(refusal.context.get("from", "")))
        if known is not None:
            return known
    title = PROBLEMS[refusal.code].title
    what = refusal.detail or title
    return Notice(what if what.endswith((".", "?", "!")) else f"{what}.", _NEXT.get(refusal.code, "Try again."))
