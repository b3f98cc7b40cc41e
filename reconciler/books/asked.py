"""What may be asked of the books: by which of its three dates a journal counts, and between which bounds."""

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, NamedTuple, get_args
from zoneinfo import ZoneInfo

import msgspec

from reconciler.reports.asking import BadAsk
from reconciler.reports.shape import Basis

BASES: tuple[Basis, ...] = get_args(Basis)
FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2199, 12, 31)

Instant = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]
"""A time in an answer, as told() writes it."""

_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)")
_TICK = timedelta(milliseconds=1)  # what instants are told to: whoever asks as of one that he was shown, means it all


class Scope(NamedTuple):
    """What to keep to; None is all of it."""

    entity: str | None = None
    campaign: str | None = None


class Bounds(NamedTuple):
    """
    Which journals count: those from *since* (in it) to *before* (not in it); None is without an end.

    By the effective date both are midnights of UTC, whatever the zone: a date is a date.
    """

    basis: Basis = "effective"
    since: datetime | None = None
    before: datetime | None = None


def bounds_of(
    basis: str = "effective", zone: str = "UTC", *, since: str | None = None, until: str | None = None, last: str = ""
) -> Bounds:
    """
    The bounds that texts ask for: dates, both in it, or instants of RFC 3339.

    A date stands for the whole day in *zone*. By the effective date instants mean nothing. *last* is what the caller
    calls *until*. Errors: BadAsk.
    """
    if basis not in BASES:
        raise BadAsk("basis", f"one of {', '.join(BASES)}")
    place = _zone(zone)
    first = None if since is None else _bound("since", since, basis, place, is_end=False)
    end = None if until is None else _bound(last or "until", until, basis, place, is_end=True)
    if first is not None and end is not None and first >= end:
        raise BadAsk(last or "until", "not before since")
    return Bounds(basis, first, end)


def day_of(field: str, text: str) -> date:
    """A day. Errors: BadAsk."""
    try:
        day = date.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        day = None
    if day is None or not FIRST_DAY <= day <= LAST_DAY:
        raise BadAsk(field, f"a date such as 2026-11-30, from {FIRST_DAY} to {LAST_DAY}")
    return day


def begins(day: date, zone: str) -> datetime:
    """When *day* begins in *zone*. Errors: BadAsk for a zone that is none."""
    return datetime.combine(day, time(), _zone(zone)).astimezone(UTC)


def day_in(at: datetime, zone: str) -> date:
    """The day that it is in *zone* at an instant. Errors: BadAsk for a zone that is none."""
    return at.astimezone(_zone(zone)).date()


def told(at: datetime) -> str:
    """An instant as RFC 3339, in UTC to the millisecond that it is in."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _bound(field: str, text: str, basis: str, zone: ZoneInfo, *, is_end: bool) -> datetime:
    if _INSTANT.fullmatch(text):
        if basis == "effective":
            raise BadAsk(field, "a date: by the effective date there is no time of day")
        return _instant(field, text) + (_TICK if is_end else timedelta())
    day = day_of(field, text) + timedelta(days=is_end)
    return datetime.combine(day, time(), UTC if basis == "effective" else zone).astimezone(UTC)


def _instant(field: str, text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        at = None
    if at is None or not FIRST_DAY <= at.date() <= LAST_DAY:
        raise BadAsk(field, f"an instant such as 2026-11-30T23:59:59Z, from {FIRST_DAY} to {LAST_DAY}")
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise BadAsk("zone", "a zone of the tz database, such as Asia/Shanghai") from None
