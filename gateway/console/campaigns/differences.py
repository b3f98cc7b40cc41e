"""What is different between two definitions, as the form asks for it and people read it. Pure."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from gateway.campaigns.currencies import CURRENCIES
from gateway.campaigns.definition import Definition, parse_ms
from gateway.campaigns.life import Stored
from gateway.console.campaigns.fields import FIELDS, Field
from gateway.console.locales import N_, Words
from gateway.console.pages.differing import Change

STORED_WORDS = {
    Stored.DRAFT: N_("Draft"),
    Stored.SCHEDULED: N_("Started"),
    Stored.PAUSED: N_("Paused"),
    Stored.ENDED: N_("Ended"),
    Stored.ARCHIVED: N_("Archived"),
}
"""A state as it was last asked for → its message: the clock makes a campaign that is started active."""

NOTHING = "–"
_CHARS_MAX = 300
_YES, _NO = N_("yes"), N_("no")


def differences(old: Definition, new: Definition, words: Words) -> list[Change]:
    """The fields that are not the same in both, by their labels, each as it reads in both."""
    return list(_different(old, new, words))


def _different(old: Definition, new: Definition, words: Words) -> Iterator[Change]:
    before, after = _parts(old), _parts(new)
    is_other_money = old.currency != new.currency
    for name, field in FIELDS.items():
        was, now = _value(before, name), _value(after, name)
        if was != now or (is_other_money and field.kind == "money" and now is not None):
            yield Change(words.say(field.label), _told(field, was, old, words), _told(field, now, new, words))


def states(old: Stored, new: Stored, words: Words) -> list[Change]:
    """How the state moved, where it did."""
    if old is new:
        return []
    return [Change(words.say(N_("State")), words.say(STORED_WORDS[old]), words.say(STORED_WORDS[new]))]


def _parts(definition: Definition) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(definition)
    told["validity"]["kind"] = "until" if definition.validity.until is not None else "days"
    return told


def _value(parts: Any, name: str) -> Any:
    for part in name.split("."):
        parts = parts.get(part) if isinstance(parts, dict) else None
    return parts


def _told(field: Field, value: Any, of: Definition, words: Words) -> str:
    if value in (None, "", [], ()) or (field.kind == "money" and not value):
        return NOTHING
    text = _spelt(field, value, of, words)
    return text if len(text) <= _CHARS_MAX else f"{text[:_CHARS_MAX]} …"


def _spelt(field: Field, value: Any, of: Definition, words: Words) -> str:
    match field.kind:
        case "money" if of.currency in CURRENCIES:
            return words.money(value, of.currency)
        case "share":
            return words.share(value)
        case "number" | "money":
            return words.number(value)
        case "tick":
            return words.say(_YES if value else _NO)
        case "choice" | "radios":
            return words.say(dict(field.options)[value])
        case "list":
            return ", ".join(value)
        case "funders":
            return ", ".join(f"{each['account']} {words.share(each['basis_points'])}" for each in value)
        case "moment":
            ms = parse_ms(value)
            return words.in_zone(of.timezone).time(datetime.fromtimestamp((ms or 0) / 1000, UTC))
    return str(value)
