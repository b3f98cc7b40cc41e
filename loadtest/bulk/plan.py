"""Pure: how many of what is made, and the campaigns that it is made of."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal, NamedTuple

import msgspec

BASIS_POINTS = 10_000
VALIDITY_DAYS = 30
WINDOW_DAYS = 10
ACTOR = "bulk"

ZONES = ("UTC", "Asia/Shanghai", "Europe/Berlin", "America/New_York")
CURRENCIES = ("CNY", "EUR", "USD", "JPY")
ENTITIES = ("main", "main", "main", "north")
FUNDERS = ((("platform", 7000), ("brand", 3000)), (("platform", 10_000),), (("brand", 5500), ("bank", 4500)))
KINDS = ("amount_off", "percent", "fixed_price", "amount_off", "balance", "percent", "amount_off", "free_shipping")


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """
    How much is made. *coupons* are of all campaigns; each lives for three state changes, give or take.

    Nothing is dated after *until*. *batch* is how many state changes the drain puts into the books at a time, so it
    says how many journals there are.
    """

    coupons: int = 10_000
    campaigns: int = 8
    shards: int = 2
    since: date = date(2026, 1, 1)
    until: date = date(2026, 11, 30)
    stores: int = 40
    batch: int = 1000

    def wrong(self) -> str:
        """What can't be made of it; empty where all is well."""
        if min(self.coupons, self.campaigns, self.shards, self.stores, self.batch) < 1:
            return "every number has to be above 0"
        if self.shards > 32 or self.coupons < self.campaigns * self.shards:
            return "at most 32 shards a campaign, and a coupon in each"
        if (self.until - self.since).days < WINDOW_DAYS + 2:
            return f"from the first day to the last there have to be more than {WINDOW_DAYS + 1} days"
        return ""


class Campaign(NamedTuple):
    """
    One campaign: *number* counts from 0; *starts* is an instant in UTC.

    *issued* says that its coupons are codes on paper, *restocks* that what expires goes back to its stock.
    """

    number: int
    id: str
    kind: Literal["amount_off", "percent", "fixed_price", "balance", "free_shipping"]
    currency: str
    entity: str
    zone: str
    unit_minor: int
    funders: tuple[tuple[str, int], ...]
    issued: bool
    restocks: bool
    starts: datetime
    coupons: int

    @property
    def batch(self) -> str:
        """The id of its code batch; empty for a campaign that is claimed from."""
        return f"cb_{self.id}" if self.issued else ""

    @property
    def stored(self) -> bool:
        """Whether its coupons are balances."""
        return self.kind == "balance"

    def per_shard(self, shards: int) -> list[int]:
        """Coupons of each shard."""
        whole, rest = divmod(self.coupons, shards)
        return [whole + (number < rest) for number in range(shards)]


def campaigns_of(size: Size) -> Iterator[Campaign]:
    """The campaigns of *size*: their windows one after another, the last one's ends the day before the last."""
    last_start = (size.until - size.since).days - WINDOW_DAYS - 1
    whole, rest = divmod(size.coupons, size.campaigns)
    for number in range(size.campaigns):
        day = size.since + timedelta(days=1 + (last_start - 1) * number // max(1, size.campaigns - 1))
        kind: Any = KINDS[number % len(KINDS)]
        stored = kind == "balance"
        yield Campaign(
            number,
            f"bulk-{number:04d}",
            kind,
            CURRENCIES[number % len(CURRENCIES)],
            ENTITIES[number // 2 % len(ENTITIES)],
            ZONES[number // 3 % len(ZONES)],
            2000 if stored else 500 + 100 * (number % 7),
            FUNDERS[1] if stored else FUNDERS[number % len(FUNDERS)],
            number % 8 == 6,
            number % 5 == 3 and not stored,
            datetime.combine(day, time(2), UTC),
            whole + (number < rest),
        )


class Slice(NamedTuple):
    """A shard to make: *first* is the number of its first coupon of all, *first_here* of those of its campaign."""

    campaign: Campaign
    number: int
    coupons: int
    first: int
    first_here: int

    @property
    def name(self) -> str:
        """The shard, as the books write it."""
        return f"{self.campaign.id}/{self.number}"


def slices_of(size: Size) -> list[Slice]:
    """Every shard of *size*, in order."""
    found, first = [], 0
    for campaign in campaigns_of(size):
        first_here = 0
        for number, coupons in enumerate(campaign.per_shard(size.shards)):
            found.append(Slice(campaign, number, coupons, first, first_here))
            first, first_here = first + coupons, first_here + coupons
    return found


def definition_of(campaign: Campaign, size: Size) -> dict[str, Any]:
    """What a marketer would have said of *campaign*."""
    returned = {"stock": "restore" if campaign.restocks else "keep", "holder_slot": "keep"}
    return {
        "id": campaign.id,
        "name": f"Bulk {campaign.number}",
        "currency": campaign.currency,
        "stock": campaign.coupons,
        "value": value_of(campaign),
        "starts_at": campaign.starts.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "ends_at": (campaign.starts + timedelta(days=WINDOW_DAYS)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "validity": {"days": VALIDITY_DAYS},
        "limits": {"per_holder": 2, "per_holder_per_day": None, "per_day": None, "budget_minor": None},
        "timezone": campaign.zone,
        "channels": [],
        "shards": size.shards,
        "funders": [{"account": account, "basis_points": share} for account, share in campaign.funders],
        "on_expiry": returned,
        "legal_entity": campaign.entity,
    }


def value_of(campaign: Campaign) -> dict[str, Any]:
    """The value of a coupon: the most it can cost is *unit_minor*."""
    minor = campaign.unit_minor
    match campaign.kind:
        case "percent":
            return {"type": "percent", "basis_points": 1000, "cap_minor": minor}
        case "fixed_price":
            return {"type": "fixed_price", "minor": 990, "cap_minor": minor}
        case "free_shipping":
            return {"type": "free_shipping", "cap_minor": minor}
        case "balance":
            return {"type": "balance", "minor": minor}
        case _:
            return {"type": "amount_off", "minor": minor, "threshold_minor": 3 * minor}
