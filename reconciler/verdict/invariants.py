"""
Pure: every invariant, what it says, and the statements of sql/verdict/ that look for a row that violates it.

Each statement gives one row: figures, then wrong (how many rows violate it) and first (the first of them, as JSON).
Its parameters are those of a Scope: shards is null for all of them. Journals made by hand (manual:<entity>) correct
accounts and not the sub-ledger, so they are left out where accounts are compared with it.

`answers`, `chain` and `live` have further checks, which are not SQL: told.py, reconciler/verifying.py, live.py.
"""

from importlib.resources import files
from typing import NamedTuple

from reconciler.queries import parse_queries

FILES = sorted((files("reconciler") / "sql" / "verdict").iterdir(), key=lambda file: file.name)
QUERIES = parse_queries("\n".join(file.read_text(encoding="utf-8") for file in FILES))
"""Name → statement of sql/verdict/."""


class Invariant(NamedTuple):
    """*name* is for programs and never changes; *says* is what holds; *queries* are its statements, in order."""

    name: str
    says: str
    queries: tuple[str, ...] = ()


INVARIANTS = (
    Invariant(
        "units",
        "what was put in stock is in stock, or went out and did not come back, and stock was never below 0",
        ("stock_accounted_for", "stock_never_below_zero"),
    ),
    Invariant(
        "sequence",
        "the state changes of each shard are numbered from 1 to its checkpoint, none missing and none twice",
        ("no_number_missing",),
    ),
    Invariant(
        "limits",
        "no holder, no day and no budget was above its limit after any state change",
        ("nobody_above_the_limit", "no_day_above_the_limit", "no_budget_exceeded"),
    ),
    Invariant(
        "answers",
        "each claim is one coupon of its holder; each that was told of is in the books, and no other",
        ("claims_are_coupons",),
    ),
    Invariant(
        "balanced",
        "debits are credits in each currency, in each journal and in all",
        ("debits_are_credits", "journals_have_postings"),
    ),
    Invariant(
        "commitment",
        "what is committed, or owed on balances, is the worst case of the coupons that are out",
        ("commitments_are_the_worst_case", "budget_is_whole"),
    ),
    Invariant(
        "control",
        "each account is what the rows of the sub-ledger add up to, and each coupon stands as its last change left it",
        ("accounts_are_the_changes", "coupons_are_their_last_change", "money_is_the_redemptions"),
    ),
    Invariant(
        "redemptions",
        "a coupon that is redeemed has one redemption that stands, and no redemption gave back more than it took",
        ("redemptions_are_the_changes", "given_back_is_the_rollbacks", "one_live_redemption"),
    ),
    Invariant(
        "once",
        "a request that came again did nothing again",
        ("nothing_done_twice",),
    ),
    Invariant(
        "chain",
        "every journal is as it was sealed, and none is missing",
    ),
    Invariant(
        "settled",
        "nothing is in quarantine or suspense, no break is unresolved, and no shard has stopped",
        ("nothing_in_quarantine", "nothing_in_suspense", "no_break_unresolved", "no_shard_stopped"),
    ),
    Invariant(
        "live",
        "Redis is what the books make of it, at the seq of the books",
    ),
    Invariant(
        "totals",
        "the totals of each day are what was posted and booked on it",
        ("totals_are_the_postings", "movements_are_the_changes", "movements_are_what_is_out"),
    ),
)
"""In the order they are reported in."""
