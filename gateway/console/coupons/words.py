"""What happens to coupons, and what is refused, as messages."""

from gateway.console.locales import N_
from gateway.console.words import Trouble

STATE_WORDS = {
    "claimed": (N_("Claimed"), "good"),
    "reserved": (N_("Held"), "note"),
    "redeemed": (N_("Redeemed"), "good"),
    "expired": (N_("Expired"), "bad"),
    "revoked": (N_("Revoked"), "bad"),
}
"""State → its word, and the badge it is shown in."""

STEP_WORDS = {
    "claimed": N_("Claimed"),
    "issued": N_("Made in a batch"),
    "reserved": N_("Held for an order"),
    "released": N_("Let go"),
    "redeemed": N_("Redeemed"),
    "rolled_back": N_("Given back"),
    "expired": N_("Expired"),
    "revoked": N_("Revoked"),
}
"""Kind of entry → what happened."""

PROPOSAL_WORDS = {
    "pending": (N_("Waits for a second person"), "note"),
    "approved": (N_("Approved"), "note"),
    "applied": (N_("Approved"), "good"),
    "failed": (N_("Could not be done"), "bad"),
    "rejected": (N_("Rejected"), "bad"),
    "withdrawn": (N_("Taken back"), ""),
    "expired": (N_("Nobody decided in time"), ""),
}
"""State of a proposal → its word, and the badge it is shown in."""

DONE = {
    "revoked": N_("The coupon is revoked."),
    "released": N_("The coupon is let go."),
    "rolled-back": N_("It is given back."),
}

_NOTHING_DONE = N_("Nothing was done. This is how the coupon is now.")
TROUBLES = {
    "coupon_not_found": Trouble(
        N_("There is no such coupon"),
        N_("Look at the code again: it may be mistyped. Codes that are not there are counted, and too many stop you."),
    ),
    "invalid_state": Trouble(N_("The coupon can’t do that any more"), _NOTHING_DONE),
    "reserved_by_other": Trouble(
        N_("Another order holds it"),
        N_("Nothing was done. A store lets go what it holds itself, or names the order that holds it."),
    ),
    "redemption_not_found": Trouble(N_("There is no such redemption"), _NOTHING_DONE),
    "already_rolled_back": Trouble(N_("All of it came back before"), _NOTHING_DONE),
    "rollback_exceeds": Trouble(N_("More than is left to give back"), _NOTHING_DONE),
    "idempotency_key_reused": Trouble(N_("This form was sent before, with something else in it"), _NOTHING_DONE),
    "unknown": Trouble(
        N_("Whether it was done is not known"),
        N_("Look at the coupon again in a moment, before you try once more."),
    ),
    "proposal_pending": Trouble(
        N_("Such a proposal waits already"), N_("Nothing was proposed. The page Waiting has the one there is.")
    ),
    "campaign_not_found": Trouble(N_("There is no such campaign"), N_("Nothing was proposed.")),
}
