"""
Pure: the money that a state change moves.

    state change            of a discount                                  of a balance
    restock                 budget:authorised → budget:available           nothing
    withdraw                budget:available → budget:authorised           nothing
    claim, issue            budget:available → commitment, the worst case  liability:gift → clearing:gift
    redeem                  commitment → budget:available, and             payable → liability:gift
                            payable → expense:promotion, funder by funder
    rollback                expense:promotion → payable                    liability:gift → payable
    an end                  commitment → budget:available                  income:breakage → liability:gift, or from
                                                                           clearing:gift where the unit goes to stock
    live again              budget:available → commitment                  liability:gift → income:breakage

The budget and its commitments follow the units, at the most one of them can cost; what was given away follows the
detail of the step. A coupon whose cost nothing bounds commits nothing.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from lua.entries import Step
from reconciler.accounts import (
    AUTHORISED,
    AVAILABLE,
    BREAKAGE,
    CLEARING,
    COMMITMENT,
    EXPENSE,
    EXPIRED,
    LIABILITY,
    LIVE,
    PAYABLE,
    STOCK,
    SUSPENSE,
    account,
)
from reconciler.copying import TEXT_CHARS_MAX

CURRENCY = re.compile(r"[A-Z]{3}")
"""A code of ISO 4217: the commodity of money."""

MAIN_ENTITY = "main"
"""The legal entity that is there from the start, and whose a campaign is that names none."""


@dataclass(frozen=True)
class Terms:
    """
    What the books need of one version of a campaign's rules.

    *currency* is None where the version is not known; *unit_minor* is the most one coupon can cost, None where nothing
    bounds it; *stored* says that a coupon is a balance to spend, which is owed to whoever has it; *entity* is the legal
    entity that keeps the books of it.
    """

    zone: tzinfo = UTC
    currency: str | None = None
    unit_minor: int | None = None
    stored: bool = False
    entity: str = MAIN_ENTITY


class Flow(NamedTuple):
    """*amount* > 0 of *commodity*, a currency or coupon:<campaign>, from one account to another."""

    source: str
    destination: str
    commodity: str
    amount: int


class Share(msgspec.Struct, frozen=True):
    """What one funder pays, or gets back."""

    account: str
    minor: int


class Order(msgspec.Struct, frozen=True):
    """The order of a redemption, as far as the books keep it."""

    id: str | None = None
    currency: str | None = None
    total_minor: int | None = None


class Settlement(msgspec.Struct, frozen=True):
    """Of the detail of a redemption or rollback, what the money book needs; each part may be absent."""

    currency: str | None = None
    merchant: str | None = None
    funders: list[Share] | None = None
    order: Order | None = None

    @property
    def told_currency(self) -> str | None:
        """The currency, or the order's."""
        return self.currency or (self.order.currency if self.order else None)


_decoder = msgspec.json.Decoder(Settlement)


def settlement_of(step: Step) -> Settlement | None:
    """
    What *step* tells of its money; None where it is no redemption and no rollback.

    Errors: ValueError for what check_settlement() refuses, or is no JSON.
    """
    if step.verb not in ("redeemed", "rolled_back"):
        return None
    try:
        told = _decoder.decode(step.detail or "{}")
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ValueError(f"the detail of a step: {error}") from None
    check_settlement(step, told)
    return told


def check_settlement(step: Step, told: Settlement) -> None:
    """Errors: ValueError, for a currency that is none, a share below 0, and shares of more than the whole."""
    currency, shares = told.told_currency, told.funders or []
    if currency and not CURRENCY.fullmatch(currency):
        raise ValueError(f"{currency[:40]!r} is no currency")
    rest = int(step.minor)
    for share in shares:
        if share.minor < 0 or not 0 < len(share.account) <= TEXT_CHARS_MAX:
            raise ValueError(f"a share below 0, or a funder whose name has not 1 to {TEXT_CHARS_MAX} characters")
        rest -= share.minor
    if rest < 0:
        raise ValueError("the funders pay more than the whole")
    if told.merchant and len(told.merchant) > TEXT_CHARS_MAX:
        raise ValueError(f"a merchant longer than {TEXT_CHARS_MAX} characters")


def terms_of(
    timezone: str | None, currency: str | None, value: Mapping[str, Any] | None, entity: str | None = None
) -> Terms:
    """The terms of a definition: its zone (UTC for none that is known), its currency, its value and its entity."""
    value = value or {}
    known = currency if currency and CURRENCY.fullmatch(currency) else None
    stored = value.get("type") == "balance"
    return Terms(zone_named(timezone), known, worst_minor(value), stored, entity or MAIN_ENTITY)


def worst_minor(value: Mapping[str, Any]) -> int | None:
    """The most that one coupon of *value* can cost, in minor units; None where nothing bounds it."""
    match value:
        case {"type": "amount_off", "every": True}:
            minor = value.get("cap_minor")
        case {"type": "amount_off" | "balance"}:
            minor = value.get("minor")
        case _:
            minor = value.get("cap_minor")
    return minor if isinstance(minor, int) else None


def zone_named(name: str | None) -> tzinfo:
    """The IANA zone; UTC for none or one that is not known."""
    try:
        return ZoneInfo(name) if name else UTC
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def money_of_units(campaign: str, terms: Terms, source: str, destination: str, units: int) -> list[Flow]:
    """What moves with *units* that go from *source* to *destination*, accounts of the unit book."""
    if not (terms.currency and terms.unit_minor and units):
        return []
    minor = terms.unit_minor * units
    if terms.stored:
        gift = account(LIABILITY, campaign), account(CLEARING, campaign), terms.currency, minor
        return [Flow(*gift)] if source == STOCK and destination in LIVE else []
    commitment = account(COMMITMENT, campaign)
    if source in LIVE:
        return [] if destination in LIVE else [Flow(commitment, AVAILABLE, terms.currency, minor)]
    if destination in LIVE:
        return [Flow(AVAILABLE, commitment, terms.currency, minor)]
    return []


def money_of_stock(terms: Terms, delta: int) -> list[Flow]:
    """What moves with stock that is put in (*delta* > 0) or taken out."""
    if terms.stored or not (terms.currency and terms.unit_minor and delta):
        return []
    way = (AUTHORISED, AVAILABLE) if delta > 0 else (AVAILABLE, AUTHORISED)
    return [Flow(*way, terms.currency, terms.unit_minor * abs(delta))]


def money_of_step(campaign: str, terms: Terms, step: Step, told: Settlement | None) -> list[Flow]:
    """What moves with *step*, which step_rows() accepts and of which settlement_of() has *told*. No flow is of 0."""
    flows = [] if terms.stored or not step.source else _units_of(campaign, terms, step)
    if told:
        currency = told.told_currency or terms.currency
        if currency:
            flows += _given_away(campaign, terms, step, told, currency)
    if terms.stored and terms.currency:
        flows += _ended(campaign, terms.currency, step)
    return flows


def _units_of(campaign: str, terms: Terms, step: Step) -> list[Flow]:
    return money_of_units(campaign, terms, step.source, step.destination, int(step.units))


def _given_away(campaign: str, terms: Terms, step: Step, told: Settlement, currency: str) -> list[Flow]:
    """A redemption's discount, from who is owed it to who bears it; a rollback is the opposite of it."""
    payable, minor = account(PAYABLE, told.merchant), int(step.minor)
    if terms.stored:
        shares = [(account(LIABILITY, campaign), minor)]
    else:
        shares = [(account(EXPENSE, share.account), share.minor) for share in told.funders or []]
        for _, share in shares:
            minor -= share
        shares.append((account(SUSPENSE, campaign), minor))
    back = step.verb == "rolled_back"
    return [
        Flow(bearer, payable, currency, share) if back else Flow(payable, bearer, currency, share)
        for bearer, share in shares
        if share
    ]


def _ended(campaign: str, currency: str, step: Step) -> list[Flow]:
    """What is owed on a balance no more once *step* has ended it, or is owed again."""
    liability, breakage, ended = account(LIABILITY, campaign), account(BREAKAGE, campaign), ended_minor(step)
    if ended < 0:
        return [Flow(liability, breakage, currency, -ended)]
    # What goes back to the stock was never given away: nobody has to pay it in.
    income = account(CLEARING, campaign) if step.destination == STOCK else breakage
    return [Flow(income, liability, currency, ended)] if ended else []


def ended_minor(step: Step) -> int:
    """What of a balance ends with *step*, besides what is spent by it; < 0 where what had ended is owed again."""
    if step.verb == "rolled_back":
        if step.source == EXPIRED and step.destination in LIVE:
            return min(int(step.minor) - int(step.left or 0), 0)
        return int(step.minor) if step.state in ("expired", "revoked") else 0
    return int(step.left or 0) if step.verb in ("expired", "revoked") else 0
