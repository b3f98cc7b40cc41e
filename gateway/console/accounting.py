"""Accounts as people read them: those of coupons have words, those of money are names. Pure."""

from gateway.console.isolating import isolated
from gateway.console.locales import N_, Words

UNIT_WORDS = {
    "supply": N_("supply"),
    "stock": N_("stock"),
    "outstanding": N_("outstanding"),
    "reserved": N_("reserved"),
    "redeemed": N_("redeemed"),
    "expired": N_("expired"),
    "revoked": N_("revoked"),
}
"""Account of the unit book → what it is called; those of money are names, which are typed as they are."""


def account_called(account: str, words: Words) -> str:
    """What *account* is called where it is read."""
    return words.say(UNIT_WORDS[account]) if account in UNIT_WORDS else isolated(account)
