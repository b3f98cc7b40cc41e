"""What was typed ⇄ a definition: money by its currency, times in its zone, numbers as in one's place. Pure."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal
from zoneinfo import ZoneInfo

import msgspec

from gateway.campaigns.broken import MINOR_MAX
from gateway.campaigns.currencies import CURRENCIES, exponent
from gateway.campaigns.days import zone_names
from gateway.campaigns.definition import Definition, parse_ms
from gateway.console.campaigns.fields import FIELDS, Field
from gateway.console.locales import N_, Words
from gateway.forms import Errors, Fields
from gateway.wire import rfc3339, time_ms

Typed = dict[str, str]
"""Field → what stands in it."""

NO_INSTANTS: Mapping[str, str] = {}
CHARS_MAX = 16_000
_DEFAULTS = {
    "value.type": "amount_off",
    "limits.per_holder": "1",
    "conditions.quantity_min": "1",
    "validity.kind": "days",
    "validity.days": "7",
    "funders": "platform 100",
    "legal_entity": "main",
    "shards": "1",
    "stacking.priority": "0",
    "on_rollback.coupon": "restore",
}
_WRONG_NUMBER = N_("A number, like %(number)s")
_WRONG_WHOLE = N_("A whole number")
_WRONG_MONEY = N_("An amount with at most %(places)s decimal places")
_TOO_MUCH = N_("An amount of %(most)s at most")
_WRONG_SHARE = N_("A percentage with at most two decimal places")
_WRONG_TIME = N_("A day and a time between 2000 and 2200, like 2026-11-22T10:00")
_SKIPPED = N_("The clock of %(zone)s skips this time")
_TWICE = N_("The clock of %(zone)s shows this time twice; take one before or after")
_WRONG_FUNDERS = N_("On each line an account and a percentage, like platform 100")
_OPTIONAL = {"limits.per_holder_per_day", "limits.per_day", "limits.budget_minor", "value.cap_minor"} | {
    "on_rollback.extend_days", "stacking.group"
}  # fmt: skip


class _Wrong(Exception):
    def __init__(self, says: str, **values: Any) -> None:
        super().__init__(says)
        self.says, self.values = says, values


def blank(zone: str) -> Typed:
    """A form that nobody has typed into."""
    start = {name: _first(field) for name, field in FIELDS.items()}
    return start | _DEFAULTS | {"timezone": zone}


def _first(field: Field) -> str:
    return field.options[0][0] if field.options else ""


def given(fields: Fields) -> Typed:
    """What a form says, field by field; a box that is not ticked is not sent."""
    return {name: fields.get(name, [""])[0].strip()[:CHARS_MAX] for name in FIELDS}


def filled(kept: Mapping[str, str]) -> Typed:
    """A form of what was kept of one: what is not in it was empty."""
    return {name: kept.get(name, "")[:CHARS_MAX] for name in FIELDS}


def read_typed(
    typed: Mapping[str, str], words: Words, instants: Mapping[str, str] = NO_INSTANTS
) -> tuple[Definition, Errors]:
    """
    The definition, which may still break rules of check.py, and what could not be read.

    What is empty or could not be read is left out, or is what no rule allows. *instants* are times that are known
    better than the form can say them.
    """
    errors: Errors = {}
    parts: dict[str, Any] = {}
    kind = typed["value.type"] if typed["value.type"] in dict(FIELDS["value.type"].options) else "amount_off"
    for name, field in FIELDS.items():
        if (field.only and kind not in field.only) or _is_unasked(name, kind, typed):
            continue
        value: Any = None
        try:
            value = instants.get(name) or _read(field, typed[name], typed, words)
        except _Wrong as wrong:
            errors[name] = words.say(wrong.says, **wrong.values)
        is_needed = name not in _OPTIONAL or (name, kind) == ("value.cap_minor", "percent")
        _put(parts, name, _nothing(field) if value is None and is_needed else value)
    parts["value"]["type"] = kind
    del parts["validity"]["kind"]
    if parts["value"].get("every") is False:
        del parts["value"]["every"]
    return msgspec.convert(parts, Definition), errors


def _is_unasked(name: str, kind: str, typed: Mapping[str, str]) -> bool:
    """Whether a field is hidden by what another one says."""
    if name == "value.cap_minor":
        return kind == "amount_off" and typed["value.every"] != "yes"
    return name == ("validity.days" if typed["validity.kind"] == "until" else "validity.until")


def _put(parts: dict[str, Any], name: str, value: Any) -> None:
    *above, last = name.split(".")
    for each in above:
        parts = parts.setdefault(each, {})
    parts[last] = value


def _nothing(field: Field) -> Any:
    return 0 if field.kind in ("money", "share", "number") else [] if field.kind in ("list", "funders") else ""


def _read(field: Field, text: str, typed: Mapping[str, str], words: Words) -> Any:
    """Errors: _Wrong."""
    match field.kind:
        case "tick":
            return text == "yes"
        case "list":
            return [each.strip() for each in re.split(r"[,，、\n]", text) if each.strip()]
        case "choice" | "radios":
            return text if text in dict(field.options) else field.options[0][0]
        case "funders":
            return _funders(text, words)
        case "currency":
            return text.upper()
        case "text" | "zone":
            return text or None
    if not text:
        return None
    match field.kind:
        case "money":
            places = exponent(currency) if (currency := typed["currency"].upper()) in CURRENCIES else 2
            minor = _scaled(text, places, words, _Wrong(_WRONG_MONEY, places=places))
            if minor > MINOR_MAX:
                raise _Wrong(_TOO_MUCH, most=words.number(Decimal(MINOR_MAX).scaleb(-places)))
            return minor
        case "share":
            return _scaled(text.rstrip("%％ "), 2, words, _Wrong(_WRONG_SHARE))
        case "number":
            return _scaled(text, 0, words, _Wrong(_WRONG_WHOLE))
    return _moment(text, typed["timezone"])


def _scaled(text: str, places: int, words: Words, finer: _Wrong) -> int:
    number = words.read_number(text) if len(text) <= 40 else None
    if number is None or not number.is_finite():
        raise _Wrong(_WRONG_NUMBER, number=words.typed(Decimal("1234.5")))
    if abs(number) > MINOR_MAX:
        return MINOR_MAX + 1  # the rules say what is allowed
    # 1.000 is one here and a thousand elsewhere: zeros too are decimal places.
    if len(f"{number:f}".partition(".")[2]) > places:
        raise finer
    return int(number.scaleb(places))


def _moment(text: str, zone_name: str) -> str:
    try:
        shown = datetime.fromisoformat(text)
    except ValueError:
        raise _Wrong(_WRONG_TIME) from None
    if shown.tzinfo is not None or "T" not in text.replace(" ", "T") or not 2000 <= shown.year < 2200:
        raise _Wrong(_WRONG_TIME)
    zone = ZoneInfo(zone_name) if zone_name in zone_names() else UTC
    at = shown.replace(tzinfo=zone).astimezone(UTC)
    if at.astimezone(zone).replace(tzinfo=None) != shown:
        raise _Wrong(_SKIPPED, zone=zone_name)
    if shown.replace(tzinfo=zone, fold=1).astimezone(UTC) != at:
        raise _Wrong(_TWICE, zone=zone_name)
    return rfc3339(time_ms(at))


def _funders(text: str, words: Words) -> list[dict[str, Any]]:
    found = []
    for line in text.splitlines():
        if not line.strip():
            continue
        account, _, share = line.strip().rpartition(" ")
        if not account:
            raise _Wrong(_WRONG_FUNDERS)
        points = _scaled(share.rstrip("%％"), 2, words, _Wrong(_WRONG_FUNDERS))
        found.append({"account": account.strip(), "basis_points": points})
    return found


def write_typed(definition: Definition, words: Words) -> Typed:
    """What one would type for *definition*."""
    told = msgspec.to_builtins(definition)
    told["validity"]["kind"] = "until" if definition.validity.until is not None else "days"
    made = {}
    for name, field in FIELDS.items():
        value: Any = told
        for part in name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        made[name] = _first(field) if value is None else _write(field, value, definition, words)
    return made


def _write(field: Field, value: Any, definition: Definition, words: Words) -> str:
    match field.kind:
        case "tick":
            return "yes" if value else ""
        case "list":
            return ", ".join(value)
        case "funders":
            return "\n".join(f"{each['account']} {_as_typed(each['basis_points'], 2, words)}" for each in value)
        case "money":
            return _as_typed(value, exponent(definition.currency), words) if value else ""
        case "share":
            return _as_typed(value, 2, words)
        case "number":
            return _as_typed(value, 0, words)
        case "moment":
            return _local(value, definition.timezone)
    return str(value)


def _as_typed(value: int, places: int, words: Words) -> str:
    return words.typed(Decimal(value).scaleb(-places).normalize())


def _local(text: str, zone: str) -> str:
    ms = parse_ms(text)
    assert ms is not None, "a definition has times"
    at = datetime.fromtimestamp(ms / 1000, ZoneInfo(zone)).replace(tzinfo=None)
    fine: Literal["milliseconds", "seconds", "minutes"] = (
        "milliseconds" if at.microsecond else "seconds" if at.second else "minutes"
    )
    return at.isoformat(timespec=fine)
