"""On which date a state change is booked: that of the clock, unless its books are closed."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lua.entries import UnreadableEntry
from reconciler.copying import TIME_MS_MAX
from reconciler.dating import NOTHING_CLOSED, BookedOn, booked_on, opened
from reconciler.money import Terms
from reconciler.postings import journals_for
from reconciler.rows import rows_of
from tests.entries import DAY, SHARD, a_step, changed
from tests.unit.test_postings import NOON_MS, adjusted, claimed

CLOSED = {"main": DAY + timedelta(days=8), "other": None}
DATES = st.dates(date(1970, 1, 1), date(9000, 1, 1))


@given(DATES, st.none() | DATES)
def test_nothing_is_booked_where_it_is_closed(day: date, closed_through: date | None) -> None:
    """An open date stays; a closed one becomes the first that is open, and is kept."""
    on = opened(day, closed_through)

    if closed_through is None or day > closed_through:
        assert on == (day, None)
    else:
        assert on == (closed_through + timedelta(days=1), day)


def test_the_date_is_that_of_the_campaigns_zone() -> None:
    """One instant has two dates; that of the zone decides, also whether it is late."""
    at_ms = round(datetime(2026, 11, 30, 17, tzinfo=UTC).timestamp() * 1000)
    shanghai = Terms(ZoneInfo("Asia/Shanghai"))
    entry = claimed(1, 1, at_ms)

    assert booked_on(entry, Terms(), NOTHING_CLOSED) == (date(2026, 11, 30), None)
    assert booked_on(entry, Terms(), CLOSED) == (date(2026, 12, 1), date(2026, 11, 30))
    assert booked_on(entry, shanghai, CLOSED) == (date(2026, 12, 1), None)


def test_what_one_entity_closed_is_open_to_another() -> None:
    """A campaign is late by the books that it is in."""
    for entity in ("other", "a third"):
        assert booked_on(claimed(1, 1), Terms(entity=entity), CLOSED) == (DAY, None)


def test_late_and_open_dates_are_journals_of_their_own() -> None:
    """What came on two closed days and on an open one is three journals of one date; two keep what they had."""
    days_ms = [NOON_MS + days * 86_400_000 for days in (0, 1, 9)]
    entries = [claimed(n, 1, at_ms) for n, at_ms in enumerate(days_ms, start=1)]
    journals = journals_for(SHARD, entries, lambda _: Terms(), CLOSED)

    booked = DAY + timedelta(days=9)
    assert [(each.effective_date, each.original_date) for each in journals] == [
        BookedOn(booked, DAY), BookedOn(booked, DAY + timedelta(days=1)), BookedOn(booked, None)
    ]  # fmt: skip


def test_rows_have_the_date_that_is_booked() -> None:
    """Every row of the sub-ledger ends with its date; an entry of any kind has one."""
    late = DAY + timedelta(days=9)
    for entry in (claimed(1, 2), changed(1, a_step("redeemed")), adjusted(1, 5)):
        rows = rows_of(SHARD, "1-0", entry, Terms(), late)
        lines = [line for name, lines in rows.lines.items() if name.endswith("_entries") for line in lines]
        assert lines
        assert all(line.endswith("\t2026-12-01\n") for line in lines)
        assert {place.effective_date for place in rows.movements.totals({}, {})} == {late}


@pytest.mark.parametrize("at_ms", [-1, TIME_MS_MAX + 1, 2**63])
def test_a_time_out_of_range_is_unreadable(at_ms: int) -> None:
    """A record from outside of time is told by what it covers, before anything of it is booked."""
    with pytest.raises(UnreadableEntry) as caught:
        booked_on(claimed(7, 2, at_ms), Terms(), NOTHING_CLOSED)
    assert (caught.value.first_seq, caught.value.count) == (7, 2)
