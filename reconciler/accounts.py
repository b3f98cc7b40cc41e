"""
The accounts of both books.

The unit book moves coupons, the money book what they may cost and did. A posting goes from a source account, which is
credited, to a destination account, which is debited; a balance is what came in less what went out, so the balance of
a debit account is positive. docs/accounting.md has a worked example of each event.
"""

SUPPLY, STOCK, OUTSTANDING = "supply", "stock", "outstanding"
RESERVED, REDEEMED, EXPIRED, REVOKED = "reserved", "redeemed", "expired", "revoked"

ACCOUNTS = {
    SUPPLY: "where coupons come from and go back to; its balance is minus all that are in the book",
    STOCK: "coupons that can be claimed",
    OUTSTANDING: "coupons that are out and not used: a holder owns them, or they are codes on paper",
    RESERVED: "coupons held for an order",
    REDEEMED: "coupons used up",
    EXPIRED: "coupons that ended unused, or were given back after their end",
    REVOKED: "coupons that were taken away",
}
"""Every account of the unit book."""

DESTINATIONS = frozenset(ACCOUNTS) - {SUPPLY}
SOURCES = DESTINATIONS - {STOCK}
"""The accounts units may leave, and may go to, by a step."""

LIVE = frozenset({OUTSTANDING, RESERVED})
"""Where coupons are that may still cost something."""

AUTHORISED, AVAILABLE = "budget:authorised", "budget:available"
COMMITMENT, PAYABLE, EXPENSE = "commitment", "payable", "expense:promotion"
CLEARING, LIABILITY, BREAKAGE, SUSPENSE = "clearing:gift", "liability:gift", "income:breakage", "suspense:promotion"
BANK = "clearing:bank"

MONEY_ACCOUNTS = {
    AUTHORISED: ("", "credit", "what stock was put in for, at the most it can cost; the other side of the budget"),
    AVAILABLE: ("", "debit", "of the authorised budget, what no coupon that is out may cost"),
    COMMITMENT: ("campaign", "debit", "the most that the coupons that are out may cost"),
    PAYABLE: ("merchant", "credit", "what a merchant is owed for the discounts it gave"),
    EXPENSE: ("funder", "debit", "what a funder pays for"),
    SUSPENSE: ("campaign", "debit", "discounts that no funder was named for; nothing in an ordinary life"),
    CLEARING: ("campaign", "debit", "what is to be paid in for the balances of a campaign"),
    LIABILITY: ("campaign", "credit", "what is left on balances that are out"),
    BREAKAGE: ("campaign", "credit", "what was left on balances when they ended"),
    BANK: ("", "debit", "what was paid in, less what was paid out: the other side is in the ledger of the bank"),
}
"""Every account of the money book: what is named after its colon, its normal side, and what it holds."""

CONTROL = frozenset({AUTHORISED, AVAILABLE, COMMITMENT, LIABILITY})
"""Totals of the sub-ledger: coupons and what they may cost. People post here only about a shard."""


def account(kind: str, name: str | None) -> str:
    """The account of *kind* for *name*; that of nobody in particular where there is no name."""
    return f"{kind}:{name}" if name else kind


def is_money_account(name: str) -> bool:
    """Whether *name* is an account of the chart of the money book."""
    return any(name == kind or (of and name.startswith(f"{kind}:")) for kind, (of, _, _) in MONEY_ACCOUNTS.items())
