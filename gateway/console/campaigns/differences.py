"""What is different between two definitions, as the form asks for it and people read it. Pure."""

from collections.abc import Iterator
from typing import Any

import msgspec

from gateway.campaigns.definition import Definition
from gateway.campaigns.life import Stored
from gateway.console.campaigns.fields import FIELDS, Field
from gateway.console.locales import N_, Words
from gateway.console.pages.differing import VALUE_CHARS_MAX, Change, field_in_words

STORED_WORDS = {
    Stored.DRAFT: N_("Draft"),
    Stored.SCHEDULED: N_("Started"),
    Stored.PAUSED: N_("Paused"),
    Stored.ENDED: N_("Ended"),
    Stored.ARCHIVED: N_("Archived"),
}
"""A state as it was last asked for → its message: the clock makes a campaign that is started active."""

NOTHING = "–"


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
    text = field_in_words(field, value, words.in_zone(of.timezone), of.currency)
    return text if len(text) <= VALUE_CHARS_MAX else f"{text[:VALUE_CHARS_MAX]} …"
