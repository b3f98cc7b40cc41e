"""
Pure: what somebody asks of a report, as text → Asked, or the field that is wrong and what is allowed there.

The command line, HTTP and exports all ask through here, so that each refuses the same things by the same names.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from reconciler.reports.shape import Asked, Basis, Report

TEXT_CHARS_MAX = 256
"""The longest name that can be asked for; every name in the books is shorter."""

_DAYS = ("since", "until", "as_of")


class BadAsk(ValueError):
    """The books can't be asked like that: *field* is wrong, *rule* says what is allowed there."""

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"{field}: {rule}")
        self.field, self.rule = field, rule


def asked_of(report: Report, values: Mapping[str, str]) -> Asked:
    """
    What *values*, name → text, ask of *report*. `by` is a list with commas; an empty name asks for what has none.

    Errors: BadAsk.
    """
    asked = Asked(**{name: _member(report, name, text) for name, text in values.items()})
    if asked.since and asked.until and asked.since > asked.until:
        raise BadAsk("until", f"not before since, {asked.since}")
    first = asked.until or asked.since
    if asked.as_of and first and asked.as_of < first and not report.forecast:
        raise BadAsk("as_of", f"not before {first}")
    return asked


def checked(report: Report, asked: Asked) -> Asked:
    """*asked*, which came from elsewhere, if *report* can be asked so. Errors: BadAsk."""
    texts = {
        name: ",".join(value) if name == "by" else str(value)
        for name in Asked.__struct_fields__
        if (value := getattr(asked, name)) not in (None, ()) and value != getattr(Asked(), name)
    }
    return asked_of(report, texts)


def _member(report: Report, name: str, text: str) -> Any:
    if name not in report.takes:
        known = ", ".join(sorted(report.takes)) or "nothing"
        raise BadAsk(name, f"{report.name} takes no such thing; it takes {known}")
    if len(text) > TEXT_CHARS_MAX or not text.isprintable():
        raise BadAsk(name, f"at most {TEXT_CHARS_MAX} printable characters")
    if name in _DAYS:
        return _day(name, text)
    if name == "by":
        return _groups(report, text)
    if name == "zone":
        return _zone(text)
    if name == "basis" and text not in get_args(Basis):
        raise BadAsk(name, f"one of {', '.join(get_args(Basis))}")
    return text


def _day(name: str, text: str) -> date:
    try:
        if len(text) != len("2026-11-30"):
            raise ValueError("another form of ISO 8601")
        return date.fromisoformat(text)
    except ValueError:
        raise BadAsk(name, "a day, such as 2026-11-30") from None


def _groups(report: Report, text: str) -> tuple[str, ...]:
    groups = tuple(text.split(","))
    if not set(groups) <= set(report.groups) or len(set(groups)) < len(groups):
        raise BadAsk("by", f"each once, of {', '.join(report.groups)}")
    if {"day", "month"} <= set(groups):
        raise BadAsk("by", "day or month, not both")
    return groups


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadAsk("zone", "an IANA zone, such as Asia/Shanghai") from None
    return text
