"""Midnights of zones, against a count of the days that walks the clock minute by minute."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.campaigns.days import midnights, zone_names

HOUR_MS = 3_600_000

# Zones whose clocks jump at midnight, by half hours, over a day, or never.
ZONES = (
    "UTC",
    "Asia/Shanghai",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "America/Havana",
    "America/St_Johns",
    "Africa/Cairo",
    "Asia/Beirut",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Atlantic/Azores",
    "America/Toronto",
)


def ms_of(text: str) -> int:
    """Milliseconds of an RFC 3339 time."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def days_by_walking(zone_name: str, first_ms: int, last_ms: int) -> list[int]:
    """The same as midnights(), by looking at the zone's date each minute of UTC; dates that come back are not new."""
    zone, minute = ZoneInfo(zone_name), timedelta(minutes=1)
    at = datetime.fromtimestamp(first_ms // 1000, UTC).replace(second=0, microsecond=0) - timedelta(days=3)
    newest, begins = at.astimezone(zone).date(), []
    while True:
        at += minute
        date = at.astimezone(zone).date()
        if date > newest:
            newest = date
            begins.append(round(at.timestamp() * 1000))
            if begins[-1] > last_ms:
                break
    return [ms for n, ms in enumerate(begins) if n + 1 == len(begins) or begins[n + 1] > first_ms]


@settings(max_examples=40, deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    first=st.datetimes(datetime(2000, 1, 1), datetime(2037, 1, 1)),
    minutes=st.integers(1, 5 * 1440),
)
def test_midnights_are_where_the_date_changes(zone: str, first: datetime, minutes: int) -> None:
    """For any zone and window the days are those a walk through the window sees, DST or not."""
    first_ms = round(first.replace(tzinfo=UTC).timestamp()) * 1000
    last_ms = first_ms + minutes * 60_000

    assert midnights(zone, first_ms, last_ms) == days_by_walking(zone, first_ms, last_ms)


@pytest.mark.parametrize(
    ("zone", "first", "hours"),
    [
        pytest.param("Europe/Berlin", "2026-03-28T12:00:00Z", [24, 23, 24], id="spring forward"),
        pytest.param("Europe/Berlin", "2026-10-24T12:00:00Z", [24, 25, 24], id="fall back"),
        pytest.param("America/Sao_Paulo", "2018-11-03T12:00:00Z", [24, 23, 24], id="midnight skipped"),
        pytest.param("America/Sao_Paulo", "2018-02-16T12:00:00Z", [24, 25, 24], id="an hour before midnight twice"),
        pytest.param("Africa/Cairo", "2026-04-23T12:00:00Z", [24, 23, 24], id="midnight skipped, Cairo"),
        pytest.param("Asia/Beirut", "2026-03-28T12:00:00Z", [24, 23, 24], id="midnight skipped, Beirut"),
        pytest.param("America/Havana", "2026-10-31T12:00:00Z", [24, 25, 24], id="midnight twice"),
        pytest.param("Australia/Lord_Howe", "2026-10-03T00:00:00Z", [24, 23.5, 24], id="half an hour"),
        pytest.param("Pacific/Apia", "2011-12-29T12:00:00Z", [24, 24, 24], id="a day that never was"),
        pytest.param("America/Toronto", "1919-03-30T12:00:00Z", [23.5, 23.5, 24], id="jump over midnight"),
    ],
)
def test_days_have_their_hours(zone: str, first: str, hours: list[float]) -> None:
    """Days of 23, 23½, 24 and 25 hours are as long as they are."""
    first_ms = ms_of(first)

    begins = midnights(zone, first_ms, first_ms + 48 * HOUR_MS)

    assert begins[0] <= first_ms < begins[1]
    assert [(after - at) / HOUR_MS for at, after in pairwise(begins)][: len(hours)] == hours


def test_three_years_of_days_are_compiled_in_no_time() -> None:
    """The longest window by day has one midnight a day and covers its ends."""
    first_ms = ms_of("2026-01-01T05:00:00Z")
    last_ms = first_ms + 3 * 366 * 24 * HOUR_MS

    begins = midnights("Africa/Cairo", first_ms, last_ms)

    assert begins[0] <= first_ms < last_ms < begins[-1]
    assert len(begins) in (1099, 1100)


def test_every_named_zone_can_be_used() -> None:
    """Each zone that a definition may name has midnights."""
    first_ms = ms_of("2026-11-22T10:00:00Z")

    for zone in zone_names():
        begins = midnights(zone, first_ms, first_ms)
        assert begins[0] <= first_ms < begins[1]
