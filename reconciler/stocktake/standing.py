"""
Where the books stand with a shard, and how they stood, or will, at another seq. Pure.

Figures are balances of accounts and sums of movements; an entry is added to them, or taken off, by what it moves.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from lua.entries import Adjusted, Attached, Changed, Claimed, Entry, Issued, Published, Step
from lua.keys import CampaignId
from reconciler.accounts import LIABILITY, PAYABLE, STOCK, account
from reconciler.money import Terms, worst_minor, zone_named
from reconciler.money import terms_of as read_terms
from reconciler.postings import moves_of


@dataclass(frozen=True)
class Version:
    """One version of a campaign's rules, as the books have it: *terms*, and the *definition* for its limits."""

    terms: Terms
    definition: Mapping[str, Any]

    @classmethod
    def read(cls, definition: Mapping[str, Any]) -> "Version":
        """From the definition in campaign_versions."""
        named = (definition.get(name) for name in ("timezone", "currency", "value"))
        return cls(read_terms(*named), definition)

    def day_of(self, ms: int) -> date:
        """The date in the campaign's zone."""
        return datetime.fromtimestamp(ms / 1000, zone_named(self.definition.get("timezone"))).date()

    @property
    def unit_minor(self) -> int:
        """The most that one coupon can cost; 0 where nothing bounds it, as the rules in Redis have it."""
        return worst_minor(self.definition.get("value") or {}) or 0

    @property
    def shards(self) -> int:
        """How many shards the campaign has."""
        return int(self.definition.get("shards") or 1)

    def limit(self, name: str) -> int | None:
        """A limit of the whole campaign; None for none."""
        limit = (self.definition.get("limits") or {}).get(name)
        return limit if isinstance(limit, int) else None

    @property
    def tells_limits(self) -> bool:
        """Whether the definition says anything of limits."""
        return "limits" in self.definition

    def gives_back_slot(self, end: str) -> bool:
        """Whether the holder gets his place back at an *end*: on_expiry or on_revoke."""
        return (self.definition.get(end) or {}).get("holder_slot") == "restore"


@dataclass
class Standing:
    """
    The books of one shard at *seq*. *accounts* maps (commodity, account) to its balance, money of the shard too.

    *claimed* and *returned* are units, *coupons* codes, *redemptions* how many there ever were; *day_claims* are the
    claims of the date *day*, where one is asked for.
    """

    campaign: CampaignId
    seq: int
    versions: Mapping[int, Version]
    accounts: Counter[tuple[str, str]] = field(default_factory=Counter)
    claimed: int = 0
    returned: int = 0
    coupons: int = 0
    redemptions: int = 0
    day: date | None = None
    day_claims: int = 0

    def roll(self, entry: Entry, sign: int) -> None:
        """
        Add what *entry* moved (*sign* 1), or take it off (-1).

        Errors: KeyError for a version that is not known, ValueError for steps that step_rows() refuses.
        """
        version = self.versions[entry.version]
        for move in moves_of(self.campaign, entry, version.terms):
            for flow in move.flows:
                self.accounts[flow.commodity, flow.source] -= sign * flow.amount
                self.accounts[flow.commodity, flow.destination] += sign * flow.amount
        match entry:
            case Claimed():
                self.claimed += sign * entry.count
                self.coupons += sign * entry.count
                if self.day == version.day_of(entry.at_ms):
                    self.day_claims += sign * entry.count
            case Issued():
                self.claimed += sign * entry.count * entry.units
                self.coupons += sign * entry.count
            case Changed():
                for step in entry.each:
                    self.returned += sign * int(step.units) if step.destination == STOCK else 0
                    self.redemptions += sign * (step.verb == "redeemed")
            case _:
                pass
        self.seq += sign * entry.count

    def units(self, name: str) -> int:
        """The balance of an account of the unit book."""
        return self.accounts[f"coupon:{self.campaign}", name]

    def budget_used(self, version: Version) -> int:
        """
        What the coupons of the shard take of the budget, in minor units.

        Discounts: each unit that is out or spent, at the most it can cost. Balances: what is left of them, and what
        was spent of them.
        """
        if not version.terms.stored:
            return version.unit_minor * sum(map(self.units, ("outstanding", "reserved", "redeemed")))
        owed = account(LIABILITY, self.campaign)
        return -sum(
            balance
            for (commodity, name), balance in self.accounts.items()
            if commodity == version.terms.currency and (name in (owed, PAYABLE) or name.startswith(f"{PAYABLE}:"))
        )

    @property
    def is_balanced(self) -> bool:
        """Whether the accounts of each commodity sum to zero."""
        sums: Counter[str] = Counter()
        for (commodity, _), balance in self.accounts.items():
            sums[commodity] += balance
        return not any(sums.values())


def entry_of_row(row: Mapping[str, Any]) -> Entry:
    """A row of coupon_entries as the entry that brought it, as far as it moves anything."""
    head = (1, row["epoch"], row["version"], row["at_ms"], row["seq"])
    match row["kind"]:
        case "claimed":
            return Claimed(*head, 0, "0", [row["holder"], "", row["code"], ""])
        case "issued":
            return Issued(*head, 0, "0", row["ref"] or "", row["units"], [row["code"]])
        case "adjusted":
            return Adjusted(*head, row["delta"], "", "", "")
        case "published":
            return Published(*head, "")
        case "attached":
            return Attached(*head, "")
    return Changed(*head, list(_step_of_row(row)))


def _step_of_row(row: Mapping[str, Any]) -> Step:
    def text(name: str) -> str:
        return "" if row[name] is None else str(row[name])

    told = [text(name) for name in Step._fields if name not in ("verb", "until_ms")]
    told.insert(Step._fields.index("until_ms") - 1, "")  # no deadline moves anything
    return Step._make([row["kind"], *told])
