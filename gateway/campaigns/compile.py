"""
Definition → rules: what each shard has to know to decide a claim by itself. Pure.

Every rule is text; publish.lua puts them into the shard's hash as they are. Stock, budget and the
campaign's limit a day are sliced: the slices add up to the whole, the first shards get the rest.
"""

from hashlib import sha256

import msgspec

from gateway.campaigns.days import midnights
from gateway.campaigns.definition import DAY_MS, Definition, OnEnd, must_parse_ms
from gateway.campaigns.life import Stored
from gateway.worth.terms import kind_of, terms_of, write_terms

Rules = dict[str, str]

RULES_STATES: dict[Stored, str] = {
    Stored.DRAFT: "paused",
    Stored.SCHEDULED: "open",
    Stored.PAUSED: "paused",
    Stored.ENDED: "ended",
    Stored.ARCHIVED: "ended",
}
"""A campaign's state → what its shards do. A draft has rules only while its first stock is put in."""

DAY_LIMIT_WINDOW_MS_MAX = 3 * 366 * DAY_MS
"""The longest window whose days are counted: each day of it is 11 bytes of every shard's rules."""

_DAY_HEX_DIGITS = 11  # lua/lib/days.lua reads as many


def slices(whole: int, shards: int) -> list[int]:
    """*whole* in *shards* parts that differ by one at most and add up to it; the larger ones first."""
    part, rest = divmod(whole, shards)
    return [part + 1] * rest + [part] * (shards - rest)


def budget_slices(budget_minor: int, unit_minor: int, shards: int) -> list[int]:
    """The budget in parts of whole coupons, so that no shard strands what would buy one; the rest is the first's."""
    coupons, rest_minor = divmod(budget_minor, unit_minor)
    parts = [count * unit_minor for count in slices(coupons, shards)]
    parts[0] += rest_minor
    return parts


_MOVES_MONEY = (
    "value",
    "currency",
    "funders",
    "timezone",
    "shards",
    "scope",
    "conditions",
    "stacking",
    "transferable",
    "on_rollback",
    "on_expiry",
    "on_revoke",
)


def frozen_digest(definition: Definition) -> str:
    """What moves money, in 32 characters: equal digests owe the same for the same coupons."""
    moves_money = {name: getattr(definition, name) for name in _MOVES_MONEY}
    moves_money["budget_minor"] = definition.limits.budget_minor
    return sha256(msgspec.json.encode(moves_money, order="deterministic")).hexdigest()[:32]


def compile_rules(definition: Definition, *, number: int, version: int, state: Stored) -> list[Rules]:
    """
    The rules of each shard, shard 0 first.

    Shape: *definition* is checked (check.py); *number* is the campaign's, 1 to 2^20 - 1.
    Source: lua/claim.lua reads them; lua/lib/days.lua reads ``days``; gateway/worth/terms.py reads ``terms``.
    """
    limits, shards = definition.limits, definition.shards
    unit_minor = definition.unit_minor or 0
    everywhere = {
        "version": str(version),
        "state": RULES_STATES[state],
        "starts_ms": str(definition.starts_ms),
        "ends_ms": str(definition.ends_ms),
        "per_holder": str(limits.per_holder),
        "per_holder_per_day": _optional(limits.per_holder_per_day),
        "unit_minor": str(unit_minor),
        **_expiry(definition),
        "channels": f",{','.join(definition.channels)}," if definition.channels else "",
        "days": _days(definition),
        "value": msgspec.json.encode(definition.value).decode(),
        "terms": write_terms(terms_of(definition)),
        "kind": kind_of(definition.value),
        "transferable": "1" if definition.transferable else "",
        "expiry_returns": _returns(definition.on_expiry),
        "revoke_returns": _returns(definition.on_revoke),
        "currency": definition.currency,
        "frozen": frozen_digest(definition),
        "shards": str(shards),
        "number": str(number),
        "name": definition.name,
        "timezone": definition.timezone,
    }
    per_day = [""] * shards if limits.per_day is None else [str(part) for part in slices(limits.per_day, shards)]
    budget = [""] * shards
    if limits.budget_minor is not None:
        budget = [str(part) for part in budget_slices(limits.budget_minor, unit_minor, shards)]
    return [{**everywhere, "per_day": per_day[n], "budget_minor": budget[n]} for n in range(shards)]


def _optional(limit: int | None) -> str:
    return "" if limit is None else str(limit)


def _returns(end: OnEnd) -> str:
    """What the end of a coupon gives back: ``stock``, ``slot``, both with a comma, or nothing."""
    parts = {"stock": end.stock, "slot": end.holder_slot}
    return ",".join(name for name, does in parts.items() if does == "restore")


def _expiry(definition: Definition) -> Rules:
    validity = definition.validity
    if validity.until is not None:
        return {"validity_ms": "", "until_ms": str(must_parse_ms(validity.until))}
    assert validity.days is not None
    return {"validity_ms": str(validity.days * DAY_MS), "until_ms": ""}


def _days(definition: Definition) -> str:
    """The midnights of the window. Without a limit by day too: one that is set later counts what today has had."""
    if definition.ends_ms - definition.starts_ms > DAY_LIMIT_WINDOW_MS_MAX:
        return ""
    begins_ms = midnights(definition.timezone, definition.starts_ms, definition.ends_ms)
    return "".join(f"{ms:0{_DAY_HEX_DIGITS}x}" for ms in begins_ms)
