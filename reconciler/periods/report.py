"""What a close is signed on, as types: checks with their figures, and what the books say of the period."""

from datetime import date, datetime
from typing import Literal

import msgspec

from reconciler.verdict.judging import Chain


class Check(msgspec.Struct, frozen=True):
    """
    One thing that has to hold before a close: *of* the period, or an invariant of all the entity's books.

    *figures* are what was looked at and what is in the way; *found* names some of that.
    """

    name: str
    of: Literal["period", "books"]
    says: str
    holds: bool
    figures: dict[str, int]
    found: list[str]


class Account(msgspec.Struct, frozen=True):
    """An account of the money book in a currency, in minor units; a balance is debits less credits."""

    currency: str
    account: str
    opening: int
    debit: int
    credit: int
    closing: int


class Campaign(msgspec.Struct, frozen=True):
    """
    The roll-forward of a campaign in units, in two parts, and in money what its redemptions gave away and got back.

    opening_stock + restocked - withdrawn - claimed - issued + returned + manual_stock = closing_stock;
    opening_out + claimed + issued - redeemed + rolled_back - expired - revoked + manual_out = closing_out.
    """

    campaign: str
    currency: str
    opening_stock: int
    restocked: int
    withdrawn: int
    returned: int
    manual_stock: int
    closing_stock: int
    opening_out: int
    claimed: int
    issued: int
    redeemed: int
    rolled_back: int
    expired: int
    revoked: int
    manual_out: int
    closing_out: int
    given_minor: int
    given_back_minor: int

    @property
    def adds_up(self) -> bool:
        """Whether both parts end in what the accounts say."""
        stock = self.opening_stock + self.restocked - self.withdrawn - self.claimed - self.issued + self.returned
        out = self.opening_out + self.claimed + self.issued - self.redeemed + self.rolled_back
        out += self.manual_out - self.expired - self.revoked
        return (stock + self.manual_stock, out) == (self.closing_stock, self.closing_out)


class Line(msgspec.Struct, frozen=True):
    """One posting of a journal."""

    source: str
    destination: str
    commodity: str
    amount: int


class Late(msgspec.Struct, frozen=True):
    """A journal that is booked in the period although *original_date*, its own, was closed when it came."""

    journal: int
    shard: str
    verb: str
    original_date: date
    effective_date: date
    posted_at: datetime
    first_seq: int
    last_seq: int
    lines: list[Line]


class Manual(msgspec.Struct, frozen=True):
    """A journal that a person made and another one approved."""

    journal: int
    id: str
    effective_date: date
    made_by: str
    checked_by: str
    reason: str
    attachment: str
    lines: list[Line]


class CloseReport(msgspec.Struct, frozen=True, kw_only=True):
    """
    What the books said of a period when it was closed.

    *late* and *manual* hold at most report.LISTED_MAX; their counts are of all. *late_onward* counts the journals of
    dates in this period that were booked after it, because it had been closed before.
    """

    entity: str
    kind: str
    starts: date
    ends: date
    zone: str
    closed_by: str
    software: str
    checks: list[Check]
    accounts: list[Account]
    campaigns: list[Campaign]
    late: list[Late]
    late_count: int
    late_onward: int
    manual: list[Manual]
    manual_count: int
    chains: list[Chain]


LISTED_MAX = 500
"""Journals of a kind that a report lists; what is more is counted, and in the books."""
