"""What a customer would read of a campaign, in one sentence: worth, limit, when. Pure."""

from datetime import UTC, datetime

from gateway.campaigns.currencies import CURRENCIES
from gateway.campaigns.days import zone_names
from gateway.campaigns.definition import (
    AmountOff,
    Balance,
    Definition,
    FixedPrice,
    FreeShipping,
    GiftItem,
    Percent,
    parse_ms,
)
from gateway.console.locales import N_, Words

_GAP = "…"
"""Stands for what is not known yet."""


def sentence(definition: Definition, words: Words) -> str:
    """
    The sentence, in the language of *words* and the zone of the campaign.

    The definition may be unfinished: what is missing is an ellipsis.
    """
    worth, limits = _worth(definition, words), definition.limits
    if definition.conditions.first_order:
        worth = words.say(N_("%(worth)s on a first order"), worth=worth)
    if definition.conditions.quantity_min > 1:
        number = words.number(definition.conditions.quantity_min)
        worth = words.say(N_("%(worth)s with %(number)s articles or more"), worth=worth, number=number)
    limit = (
        words.say(N_("one per person"))
        if limits.per_holder == 1
        else words.say(
            N_("%(number)s per person"), number=words.number(limits.per_holder) if limits.per_holder else _GAP
        )
    )
    if limits.per_holder_per_day is not None:
        a_day = words.number(limits.per_holder_per_day)
        limit = words.say(N_("%(limit)s and %(number)s a day"), limit=limit, number=a_day)
    return words.say(N_("%(worth)s, %(limit)s, %(when)s"), worth=worth, limit=limit, when=_when(definition, words))


def _worth(definition: Definition, words: Words) -> str:
    def money(minor: int | None) -> str:
        known = minor and definition.currency in CURRENCIES
        return words.price(minor, definition.currency) if known and minor else _GAP

    match definition.value:
        case AmountOff(minor=minor, threshold_minor=over, every=True, cap_minor=cap):
            says = N_("%(off)s off for every %(over)s, at most %(cap)s")
            return words.say(says, off=money(minor), over=money(over), cap=money(cap))
        case AmountOff(minor=minor, threshold_minor=0):
            return words.say(N_("%(off)s off any order"), off=money(minor))
        case AmountOff(minor=minor, threshold_minor=over):
            return words.say(N_("%(off)s off orders over %(over)s"), off=money(minor), over=money(over))
        case Percent(basis_points=share, cap_minor=cap):
            off = words.share(share) if 0 < share <= 10_000 else _GAP
            return words.say(N_("%(off)s off, at most %(cap)s"), off=off, cap=money(cap))
        case FixedPrice(minor=minor):
            return words.say(N_("One article for %(price)s"), price=money(minor))
        case GiftItem(sku=sku):
            return words.say(N_("%(article)s as a gift"), article=sku or _GAP)
        case FreeShipping(cap_minor=None):
            return words.say(N_("Free shipping"))
        case FreeShipping(cap_minor=cap):
            return words.say(N_("Free shipping, up to %(cap)s"), cap=money(cap))
        case Balance(minor=minor):
            return words.say(N_("%(amount)s to spend"), amount=money(minor))


def _when(definition: Definition, words: Words) -> str:
    starts_ms, ends_ms = parse_ms(definition.starts_at), parse_ms(definition.ends_at)
    if starts_ms is None or ends_ms is None or ends_ms <= starts_ms or definition.timezone not in zone_names():
        return _GAP
    starts, ends = (datetime.fromtimestamp(ms / 1000, UTC) for ms in (starts_ms, ends_ms))
    return words.in_zone(definition.timezone).span(starts, ends)
