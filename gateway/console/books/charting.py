"""The chart of accounts in words: what each account is for, and what is wrong with one that was typed."""

from collections.abc import Iterator

from gateway.console.locales import N_, Words
from reconciler.accounts import ACCOUNTS, MONEY_ACCOUNTS
from reconciler.books.chart import look_up

HOLDS = {
    "supply": N_("where coupons come from and go back to"),
    "stock": N_("coupons that can be claimed"),
    "outstanding": N_("coupons that are out and not used"),
    "reserved": N_("coupons held for an order"),
    "redeemed": N_("coupons used up"),
    "expired": N_("coupons that ended unused, or were given back after their end"),
    "revoked": N_("coupons that were taken away"),
    "budget:authorised": N_("what stock was put in for, at the most it can cost"),
    "budget:available": N_("of the budget, what no coupon that is out may cost"),
    "commitment": N_("of a campaign: the most that its coupons that are out may cost"),
    "payable": N_("of a merchant: what it is owed for the discounts it gave"),
    "expense:promotion": N_("of a funder: what it pays for"),
    "suspense:promotion": N_("of a campaign: discounts that no funder was named for"),
    "clearing:gift": N_("of a campaign: what is to be paid in for its balances"),
    "liability:gift": N_("of a campaign: what is left on its balances that are out"),
    "income:breakage": N_("of a campaign: what was left on its balances when they ended"),
    "clearing:bank": N_("what was paid in, less what was paid out"),
}
"""Account of the chart, without the name it is of → what it holds."""


def suggested(words: Words) -> Iterator[tuple[str, str]]:
    """Each account of the chart, and what it holds; one that is of somebody ends where the name is to follow."""
    for kind in (*MONEY_ACCOUNTS, *ACCOUNTS):
        of = MONEY_ACCOUNTS[kind][0] if kind in MONEY_ACCOUNTS else ""
        yield f"{kind}:" if of else kind, words.say(HOLDS[kind])


def wrong_account(account: str, debit: str, words: Words) -> str:
    """What to do about *account*, which can't be taken beside *debit*; they are the same where it is that one."""
    if not account:
        return words.say(N_("Name an account of the chart."))
    if look_up(account) is None:
        says = N_("There is no account “%(account)s” in the chart. Those there are come up as you type.")
    elif account == debit:
        says = N_("“%(account)s” is debited already. Credit another account.")
    else:
        says = N_("“%(account)s” does not fit the commodity, or what the journal is about.")
    return words.say(says, account=account)
