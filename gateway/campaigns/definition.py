"""
What a marketer says a campaign is: the body of POST /v1/campaigns, and how it is kept in Postgres.

A Struct here says what type a field has and bounds.py how large it may be; check.py says what else has to
hold. Times stay text, in the form wire.rfc3339 writes, so that a definition is the same in a body, in
Postgres and in a digest.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from gateway.campaigns.bounds import (
    FUNDERS_MAX,
    Account,
    BasisPoints,
    Channels,
    Currency,
    ExtendDays,
    Group,
    Id,
    LegalEntity,
    Minor,
    MinorOrNothing,
    Moment,
    Name,
    PerDay,
    PerHolder,
    Priority,
    Quantity,
    Reasons,
    ScopeChannels,
    ScopeNames,
    ShardCount,
    Sku,
    StockCount,
    ValidityDays,
    Zone,
    told,
)
from gateway.wire import time_ms
from lua.keys import CampaignId

DAY_MS = 86_400_000
MAIN_ENTITY = "main"
"""The legal entity whose books are there from the start."""


class _Part(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A part of a definition: unknown fields are refused by name."""


class AmountOff(_Part, frozen=True, tag_field="type", tag="amount_off", omit_defaults=True):
    """
    *minor* off an order of at least *threshold_minor*.

    With *every*, as often as the threshold was spent, and at most *cap_minor*, which is given then and only then.
    """

    minor: Minor
    threshold_minor: MinorOrNothing = msgspec.field(default_factory=int)  # shown where it is 0 too
    every: bool = False
    cap_minor: Minor | None = None


class Percent(_Part, frozen=True, tag_field="type", tag="percent"):
    """*basis_points* of an order off, at most *cap_minor*."""

    basis_points: BasisPoints
    cap_minor: Minor


class FixedPrice(_Part, frozen=True, tag_field="type", tag="fixed_price"):
    """An article for *minor*. The discount is at most *cap_minor* where that is given."""

    minor: Minor
    cap_minor: Minor | None = None


class GiftItem(_Part, frozen=True, tag_field="type", tag="gift_item"):
    """One article *sku* for nothing. It is worth at most *cap_minor* where that is given."""

    sku: Sku
    cap_minor: Minor | None = None


class FreeShipping(_Part, frozen=True, tag_field="type", tag="free_shipping"):
    """No shipping to pay. It is worth at most *cap_minor* where that is given."""

    cap_minor: Minor | None = None


class Balance(_Part, frozen=True, tag_field="type", tag="balance"):
    """*minor* to spend, in one order or several."""

    minor: Minor


Value = AmountOff | Percent | FixedPrice | GiftItem | FreeShipping | Balance


class Limits(_Part, frozen=True):
    """How many coupons, and how much money: None is no limit. Days are those of the campaign's zone."""

    per_holder: PerHolder = 1
    per_holder_per_day: PerHolder | None = None
    per_day: PerDay | None = None
    budget_minor: Minor | None = None


class Validity(_Part, frozen=True, omit_defaults=True):
    """How long a coupon is good: *days* of 24 hours after its claim, or *until* a time. Exactly one is given."""

    days: ValidityDays | None = None
    until: Moment | None = None


class Funder(_Part, frozen=True):
    """Who pays *basis_points* of what is redeemed."""

    account: Account
    basis_points: BasisPoints


Funders = Annotated[tuple[Funder, ...], told(minItems=1, maxItems=FUNDERS_MAX)]


class Scope(_Part, frozen=True):
    """
    What a coupon is good for. An empty list leaves everything in; what is excluded is out, whatever the others say.

    An article is in by its *skus* or by its *categories*, where one of them is given.
    """

    skus: ScopeNames = ()
    categories: ScopeNames = ()
    stores: ScopeNames = ()
    channels: ScopeChannels = ()
    skus_excluded: ScopeNames = ()
    categories_excluded: ScopeNames = ()
    stores_excluded: ScopeNames = ()
    channels_excluded: ScopeChannels = ()


class Conditions(_Part, frozen=True):
    """What an order has to be: the holder's first one, with *quantity_min* articles that are in scope."""

    first_order: bool = False
    quantity_min: Quantity = 1


class Stacking(_Part, frozen=True):
    """
    With which other coupons a coupon goes on one order.

    None with an *exclusive* one; one of each *group*; a higher *priority* comes first.
    """

    exclusive: bool = False
    group: Group | None = None
    priority: Priority = 0


Restore = Literal["keep", "restore"]


class OnRollback(_Part, frozen=True):
    """
    What a whole rollback does with the *coupon*: it is good again (restore), or it ends.

    Past its expiry it ends too, unless *extend_days* of 24 hours are given. Where it ends, *stock* says whether its
    unit goes back to the stock, and *holder_slot* whether the holder may claim again; both are kept, and the coupon
    ends, for the *reasons_exempt*.
    """

    coupon: Literal["restore", "end"] = "restore"
    extend_days: ExtendDays | None = None
    stock: Restore = "keep"
    holder_slot: Restore = "keep"
    reasons_exempt: Reasons = ()


class OnEnd(_Part, frozen=True):
    """What the end of a coupon, by expiry or revocation, does with its unit and the holder's slot."""

    stock: Restore = "keep"
    holder_slot: Restore = "keep"


class Definition(_Part, frozen=True):
    """
    A campaign. *stock* is what it starts with; no *channels* means every channel; its money is in the books of
    *legal_entity*.

    *channels* are those a coupon is claimed in; those it is redeemed in are in *scope*.
    """

    id: Id
    name: Name
    currency: Currency
    stock: StockCount
    value: Value
    starts_at: Moment
    ends_at: Moment
    validity: Validity
    limits: Limits = Limits()
    timezone: Zone = "UTC"
    legal_entity: LegalEntity = MAIN_ENTITY
    channels: Channels = ()
    shards: ShardCount = 1
    funders: Funders = (Funder("platform", 10_000),)
    scope: Scope = Scope()
    conditions: Conditions = Conditions()
    stacking: Stacking = Stacking()
    transferable: bool = False
    on_rollback: OnRollback = OnRollback()
    on_expiry: OnEnd = OnEnd()
    on_revoke: OnEnd = OnEnd()

    @property
    def campaign(self) -> CampaignId:
        """The id, as what it is."""
        return CampaignId(self.id)

    @property
    def starts_ms(self) -> int:
        """First instant of the window, milliseconds since the epoch."""
        return must_parse_ms(self.starts_at)

    @property
    def ends_ms(self) -> int:
        """First instant after the window, milliseconds since the epoch."""
        return must_parse_ms(self.ends_at)

    @property
    def unit_minor(self) -> int | None:
        """The most one coupon can cost, in minor units; None where nothing bounds it."""
        match self.value:
            case AmountOff(every=True, cap_minor=cap):
                return cap
            case AmountOff(minor=minor) | Balance(minor=minor):
                return minor
            case Percent(cap_minor=cap) | FixedPrice(cap_minor=cap) | GiftItem(cap_minor=cap):
                return cap
            case FreeShipping(cap_minor=cap):
                return cap


_Time = Annotated[datetime, msgspec.Meta(tz=True)]


def parse_ms(text: str) -> int | None:
    """An RFC 3339 time with its offset, in milliseconds since the epoch; None for anything else."""
    try:
        return time_ms(msgspec.convert(text, _Time))
    except (msgspec.ValidationError, ValueError, OverflowError):
        return None


def must_parse_ms(text: str) -> int:
    """parse_ms() of a time that has been checked."""
    ms = parse_ms(text)
    assert ms is not None, f"{text!r} was not checked"
    return ms


def read_definition(stored: Any) -> Definition:
    """A definition as Postgres keeps it (jsonb, decoded). Errors: msgspec.ValidationError, if it is none of ours."""
    return msgspec.convert(stored, Definition)


def write_definition(definition: Definition) -> bytes:
    """The JSON text of *definition*, for Postgres."""
    return msgspec.json.encode(definition)
