"""
Pure: on which date a state change is booked.

It is the date of the clock in the campaign's zone, as long as the books of that date are open. What comes later is
booked on the first date that is open, and its journal keeps the date it has by the clock.
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import NamedTuple

from lua.entries import Entry, UnreadableEntry
from reconciler.copying import TIME_MS_MAX
from reconciler.money import Terms

ClosedThrough = Mapping[str, date | None]
"""Legal entity → the last date that is closed; None, or no entry, where nothing is."""

NOTHING_CLOSED: ClosedThrough = {}


class BookedOn(NamedTuple):
    """*original_date* is that by the clock where the books of it were closed, None where they were open."""

    effective_date: date
    original_date: date | None


def booked_on(entry: Entry, terms: Terms, closed_through: ClosedThrough) -> BookedOn:
    """
    The date of *entry*, whose version of the rules has *terms*.

    Errors: UnreadableEntry for a time that is out of range.
    """
    if not 0 <= entry.at_ms <= TIME_MS_MAX:
        raise UnreadableEntry(f"rows: {entry.at_ms} ms is out of range", entry.first_seq, entry.count)
    day = datetime.fromtimestamp(entry.at_ms / 1000, terms.zone).date()
    return opened(day, closed_through.get(terms.entity))


def opened(day: date, closed_through: date | None) -> BookedOn:
    """*day*, or the first open date after it where everything up to *closed_through* is closed."""
    if closed_through is None or day > closed_through:
        return BookedOn(day, None)
    return BookedOn(closed_through + timedelta(days=1), day)
