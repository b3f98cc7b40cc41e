"""Pure: months and days as periods."""

import re
from calendar import monthrange
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Literal, NamedTuple, get_args

Kind = Literal["month", "day"]
State = Literal["open", "hold", "closed"]
KINDS: tuple[Kind, ...] = get_args(Kind)

DAY = timedelta(days=1)
_WRITTEN = re.compile(r"[0-9]{4}-[0-9]{2}(-[0-9]{2})?")


class Period(NamedTuple):
    """A month or a day of a legal entity; *starts* and *ends* are its first and its last day."""

    entity: str
    kind: Kind
    starts: date
    ends: date

    @property
    def label(self) -> str:
        """As people write it: 2026-11, or 2026-11-22."""
        return f"{self.starts:%Y-%m}" if self.kind == "month" else f"{self.starts:%Y-%m-%d}"


def period_of(entity: str, kind: Kind, day: date) -> Period:
    """The period of *kind* that *day* is in."""
    if kind == "day":
        return Period(entity, kind, day, day)
    return Period(entity, kind, day.replace(day=1), day.replace(day=monthrange(day.year, day.month)[1]))


def parse_period(entity: str, text: str, kind: str = "") -> Period:
    """
    The period written as *text*: 2026-11 is a month, 2026-11-22 a day; as a month, 2026-11-01 is one too.

    Errors: ValueError saying what is allowed.
    """
    if kind not in ("", *KINDS):
        raise ValueError(f"{kind!r} is no kind of period; allowed: {', '.join(KINDS)}")
    written = _WRITTEN.fullmatch(text)
    is_month = written is not None and written[1] is None
    try:
        day = date.fromisoformat(f"{text}-01" if is_month else text) if written else None
    except ValueError:
        day = None
    if day is None:
        raise ValueError(f"{text!r} is no period; a month is written 2026-11, a day 2026-11-22")
    found = period_of(entity, "month" if is_month or kind == "month" else "day", day)
    if (kind and kind != found.kind) or found.starts != day:
        raise ValueError(f"{text!r} is not the first day of a {kind or found.kind}")
    return found


def periods_between(entity: str, kind: Kind, first: date, last: date) -> Iterator[Period]:
    """Every period of *kind* from the one *last* is in back to the one *first* is in."""
    here = period_of(entity, kind, last)
    while here.ends >= first:
        yield here
        if here.starts == date.min:
            return
        here = period_of(entity, kind, here.starts - DAY)


def periods_up(entity: str, kind: Kind, first: date, last: date) -> Iterator[Period]:
    """Every period of *kind* from the one *first* is in up to the one *last* is in."""
    here = period_of(entity, kind, first)
    while here.starts <= last:
        yield here
        if here.ends == date.max:
            return
        here = period_of(entity, kind, here.ends + DAY)


def gap_before(period: Period, closed_through: date | None, first: date | None) -> date | None:
    """
    The first day before *period* that is still open; None where it may be the next to close.

    *first* is the first day the books of its entity have anything on: before any close, that is where they begin.
    """
    if closed_through is not None:
        return closed_through + DAY if closed_through + DAY < period.starts else None
    return first if first is not None and first < period.starts else None
