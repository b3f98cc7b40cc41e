"""
Midnights of an IANA zone: when each of its days begins, in milliseconds since the epoch.

A day has 23, 24 or 25 hours; it begins at one o'clock where the clock skips midnight (Cairo, Beirut),
and a zone may skip a whole day (Apia, 2011-12-30).
"""

from bisect import bisect_left
from datetime import date, datetime, timedelta
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

_DAY = timedelta(days=1)
_GAP_S_MAX = 2 * 86_400  # no zone ever skipped more than a day


@cache
def zone_names() -> frozenset[str]:
    """Every zone, as the tzdata this software is installed with names them, whatever the machine has."""
    names = (files("tzdata") / "zones").read_text(encoding="utf-8").split()
    return frozenset(name for name in names if name != "Factory")


def midnights(zone_name: str, first_ms: int, last_ms: int) -> list[int]:
    """
    The beginnings of the days of the zone, ascending: of the day *first_ms* is in, up to the first one after *last_ms*.

    Errors: ZoneInfoNotFoundError for a zone that is not in zone_names().
    """
    zone = ZoneInfo(zone_name)
    day = datetime.fromtimestamp(first_ms / 1000, zone).date()
    # A clock that goes back over midnight shows the day before for a second time; its day has begun long ago.
    found = [_begins_ms(zone, day)]
    while found[-1] <= last_ms:
        day += _DAY
        begins_ms = _begins_ms(zone, day)
        if begins_ms > found[-1]:
            found.append(begins_ms)
    while len(found) > 1 and found[1] <= first_ms:
        found.pop(0)
    return found


def _begins_ms(zone: ZoneInfo, day: date) -> int:
    """The first instant at which the zone shows *day* or a later one."""
    shown = datetime(day.year, day.month, day.day)
    at_s = round(shown.replace(tzinfo=zone).timestamp())
    if datetime.fromtimestamp(at_s, zone).replace(tzinfo=None) != shown:
        # Midnight is skipped. The clock of before is past it at at_s at the latest; find the jump.
        seconds = range(at_s - _GAP_S_MAX, at_s + 1)
        at_s = seconds[bisect_left(seconds, day, key=lambda s: datetime.fromtimestamp(s, zone).date())]
    return at_s * 1000
