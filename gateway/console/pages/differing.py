"""What is not the same before and after, part by part, in words: labels, money, shares and names. Pure."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from gateway.campaigns.currencies import CURRENCIES
from gateway.campaigns.definition import parse_ms
from gateway.console.actors import who_in_words
from gateway.console.campaigns.fields import FIELDS, Field
from gateway.console.locales import N_, Words

VALUE_CHARS_MAX = 300
_WHO = {"acknowledged_by", "checker", "maker"}
_NOTHING, _YES, _NO = N_("none"), N_("yes"), N_("no")

LABELS = {
    "about": N_("about"),
    "acknowledged_by": N_("Seen by"),
    "address": N_("address"),
    "by": N_("How"),
    "campaign": N_("Campaign"),
    "checker": N_("decided by"),
    "closed_through": N_("closed through"),
    "coupons": N_("coupons that are out"),
    "disabled": N_("disabled"),
    "compensation": N_("What made it good"),
    "delta": N_("in or out"),
    "display": N_("name"),
    "explanation": N_("What it comes from"),
    "holder": N_("Holder"),
    "is_off": N_("Not watched"),
    "kind": N_("kind"),
    "kinds": N_("Told of"),
    "language": N_("language"),
    "left_minor": N_("left to give back"),
    "maker": N_("made by"),
    "must_change": N_("has to choose a password"),
    "note": N_("Note"),
    "order": N_("Order number"),
    "outcome": N_("outcome"),
    "reason": N_("reason"),
    "redemption": N_("redemption"),
    "resolution": N_("Why it is over"),
    "role": N_("Role"),
    "roles": N_("roles"),
    "said": N_("said"),
    "scope": N_("Where it holds"),
    "state": N_("state"),
    "stock": N_("stock"),
    "theme": N_("colours"),
    "threshold": N_("Threshold"),
    "value": N_("What a coupon gives"),
    "version": N_("version"),
    "zone": N_("Time zone"),
}
"""Names of what is changed → their labels; those of a campaign's form have theirs there."""

STATE_WORDS = {
    **{"open": N_("Open"), "hold": N_("On hold"), "closed": N_("Closed"), "pending": N_("Waits")},
    **{"draft": N_("Draft"), "scheduled": N_("Scheduled"), "active": N_("Active"), "paused": N_("Paused")},
    **{"ended": N_("Ended"), "archived": N_("Archived"), "drafted": N_("Waits"), "approved": N_("Approved")},
    **{"posted": N_("Posted"), "rejected": N_("Rejected"), "claimed": N_("Claimed"), "reserved": N_("Held")},
    **{"redeemed": N_("Redeemed"), "revoked": N_("Revoked"), "explained": N_("Explained"), "resolved": N_("Resolved")},
}
"""States of campaigns, periods and journals by hand → their words."""


class Change(NamedTuple):
    """A field of what was changed: how it was *before* and is *after*; None where it was not, or is not."""

    what: str
    before: str | None
    after: str | None


class _Nothing:
    """What is not there at all."""


_NOT_THERE = _Nothing()


def differences(
    before: Mapping[str, Any] | None, after: Mapping[str, Any] | None, words: Words, currency: str = ""
) -> list[Change]:
    """What is not the same in both; amounts are of *currency*, unless one of both names another one."""
    return list(_compared("", before or {}, after or {}, words, currency))


def spelt(name: str, value: Any, words: Words, currency: str = "") -> str:
    """*value* of the field *name* as one reads it; never endless."""
    text = _spelt(name, value, words, currency)
    return text if len(text) <= VALUE_CHARS_MAX else f"{text[:VALUE_CHARS_MAX]} …"


def label(name: str, words: Words) -> str:
    """What the field *name* is called; its name where it has no other."""
    field = FIELDS.get(name)
    return words.say(LABELS.get(name) or (field.label if field else name))


def _compared(
    above: str, before: Mapping[str, Any], after: Mapping[str, Any], words: Words, currency: str
) -> Iterator[Change]:
    was_of, now_of = (str(each.get("currency") or currency) for each in (before, after))
    for part in dict.fromkeys((*before, *after)):
        was, now = before.get(part, _NOT_THERE), after.get(part, _NOT_THERE)
        name = f"{above}.{part}" if above else part
        if was == now:
            continue
        if isinstance(was, dict) and isinstance(now, dict):
            yield from _compared(name, was, now, words, currency)
        elif isinstance(was, dict | _Nothing) and isinstance(now, dict | _Nothing) and above == "":
            yield from _one_side(name, was, now, words, currency)
        else:
            sides = [
                None if isinstance(each, _Nothing) else spelt(name, each, words, of)
                for each, of in ((was, was_of), (now, now_of))
            ]
            yield Change(label(name, words), *sides)


def _one_side(name: str, was: Any, now: Any, words: Words, currency: str) -> Iterator[Change]:
    """The parts of what is only before, or only after."""
    parts = now if isinstance(was, _Nothing) else was
    for part, value in parts.items():
        text = spelt(f"{name}.{part}", value, words, currency)
        sides = (None, text) if isinstance(was, _Nothing) else (text, None)
        yield Change(label(f"{name}.{part}", words), *sides)


def field_in_words(field: Field, value: Any, words: Words, currency: str) -> str:
    """*value*, which is something, of a *field* of a campaign whose money is *currency*."""
    match field.kind:
        case "money" if currency in CURRENCIES:
            return words.money(value, currency)
        case "share":
            return words.share(value)
        case "number" | "money":
            return words.number(value)
        case "tick":
            return words.say(_YES if value else _NO)
        case "choice" | "radios":
            return words.say(dict(field.options).get(value, value))
        case "list":
            return ", ".join(value)
        case "funders":
            return ", ".join(f"{each['account']} {words.share(each['basis_points'])}" for each in value)
        case "moment" if (ms := parse_ms(value)) is not None:
            return words.time(datetime.fromtimestamp(ms / 1000, UTC))
    return str(value)


def _is_of(field: Field, value: Any) -> bool:
    """Whether *value* is what *field* has: others are called alike, as the shards of a stock adjustment are a list."""
    match field.kind:
        case "money" | "share" | "number":
            return isinstance(value, int) and not isinstance(value, bool)
        case "list":
            return isinstance(value, list) and all(isinstance(each, str) for each in value)
        case "funders":
            parts = {"account", "basis_points"}
            return isinstance(value, list) and all(isinstance(each, dict) and parts <= each.keys() for each in value)
        case "tick":
            return isinstance(value, bool)
    return isinstance(value, str)


def _signed(delta: int, words: Words) -> str:
    return f"{'+' if delta > 0 else ''}{words.number(delta)}"


def _spelt(name: str, value: Any, words: Words, currency: str) -> str:
    if name == "kinds" and value == []:  # a receiver of none in particular is told of all
        return words.say(N_("everything"))
    if value is None or value == "" or value == []:
        return words.say(_NOTHING)
    if (field := FIELDS.get(name)) and _is_of(field, value):
        return field_in_words(field, value, words, currency)
    if name.rpartition(".")[2] in _WHO and isinstance(value, str):
        return who_in_words(value, words)
    match value:
        case bool():
            return words.say(_YES if value else _NO)
        case int() if currency and name.endswith("minor"):
            return words.money(value, currency)
        case int() | float():
            return words.number(value)
        case str():
            return words.say(STATE_WORDS[value]) if name == "state" and value in STATE_WORDS else value
        case [*moves] if all(isinstance(each, dict) and isinstance(each.get("delta"), int) for each in moves):
            return ", ".join(f"{each.get('shard')}: {_signed(each['delta'], words)}" for each in moves)
        case [*parts] if all(isinstance(each, str | int) for each in parts):
            return ", ".join(map(str, parts))
    return msgspec.json.encode(value).decode()
