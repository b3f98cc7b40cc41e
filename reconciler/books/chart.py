"""Pure: what the chart of accounts says of an account."""

from typing import Literal, NamedTuple

from reconciler.accounts import ACCOUNTS, CONTROL, MONEY_ACCOUNTS, account

NAME_CHARS_MAX = 128


class Entry(NamedTuple):
    """
    What the chart says: an account of *kind* for *name*, empty for nobody in particular.

    *of* says what *name* names (a merchant, a funder, a campaign), *control* that it is the total of a sub-ledger.
    """

    kind: str
    name: str
    of: str
    book: Literal["units", "money"]
    normal: Literal["debit", "credit"]
    holds: str
    control: bool


def look_up(name: str) -> Entry | None:
    """What the chart says of the account *name*; None for one that it does not have."""
    if name in ACCOUNTS:
        return Entry(name, "", "", "units", "credit" if name == "supply" else "debit", ACCOUNTS[name], control=True)
    for kind, (of, normal, holds) in MONEY_ACCOUNTS.items():
        rest = name[len(kind) + 1 :]
        if name == kind or (of and name == account(kind, rest) and len(rest) <= NAME_CHARS_MAX):
            side: Literal["debit", "credit"] = "debit" if normal == "debit" else "credit"
            return Entry(kind, rest, of, "money", side, holds, kind in CONTROL)
    return None
