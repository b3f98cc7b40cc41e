"""
Pure: a journal that one person made and another one approved → the journal that is posted.

What the gateway took is looked at once more, because this is the last place where it can be refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from reconciler.accounts import ACCOUNTS, is_money_account
from reconciler.dating import opened
from reconciler.money import CURRENCY
from reconciler.postings import Journal, Posting

VERB = "manual"


class NotPosted(ValueError):
    """The books don't take it; the text says why, for whoever made it."""


@dataclass(frozen=True)
class ManualJournal:
    """
    One that is approved. *about_entity* is the legal entity of the shard *about*, None where there is no such shard.

    *lines* are objects of debit, credit, commodity and minor.
    """

    id: str
    entity: str
    effective_date: date
    about: str | None
    about_entity: str | None
    reverses: int | None
    reason: str
    lines: Any  # jsonb: whoever may write the row may write anything
    checked_at: datetime


def chain_of(entity: str) -> str:
    """The name of the chain that the manual journals of *entity* are in, where others have their shard."""
    return f"{VERB}:{entity}"


def journal_of(manual: ManualJournal, number: int, closed_through: date | None) -> Journal:
    """
    The journal of *manual*, the *number*th of its entity, on a date that is open.

    Errors: NotPosted.
    """
    if manual.about is not None and manual.about_entity != manual.entity:
        raise NotPosted(f"{manual.about} is no shard in the books of {manual.entity}")
    if not isinstance(manual.lines, list) or not manual.lines:
        raise NotPosted("it has no lines")
    postings = tuple(_posting(line, manual.about) for line in manual.lines)
    on = opened(manual.effective_date, closed_through)
    since = manual.checked_at - datetime(1970, 1, 1, tzinfo=UTC)
    return Journal(
        chain_of(manual.entity),
        VERB,
        number,
        number,
        (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000,
        on.effective_date,
        postings,
        manual.entity,
        on.original_date,
        manual.about,
        manual.id,
        manual.reason,
        manual.reverses,
    )


def _posting(line: Mapping[str, Any], about: str | None) -> Posting:
    """The posting of *line*: from the account it credits to the one it debits. Errors: NotPosted."""
    if not isinstance(line, Mapping):
        raise NotPosted("a line is no object")
    debit, credit, commodity, minor = (line.get(name) for name in ("debit", "credit", "commodity", "minor"))
    if not (isinstance(debit, str) and isinstance(credit, str) and isinstance(commodity, str) and debit != credit):
        raise NotPosted("a line has no commodity, or not two accounts")
    if type(minor) is not int or minor <= 0:
        raise NotPosted(f"{minor} is no amount")
    if about is not None and commodity == f"coupon:{about.partition('/')[0]}":
        wrong = {debit, credit} - ACCOUNTS.keys()
    elif CURRENCY.fullmatch(commodity):
        wrong = {name for name in (debit, credit) if not is_money_account(name)}
    else:
        raise NotPosted(f"{commodity} is no currency, nor the coupons that the journal is about")
    if wrong:
        raise NotPosted(f"{', '.join(sorted(wrong))}: not in the chart of accounts of {commodity}")
    return Posting(credit, debit, commodity, minor)
