"""Months and days as periods: how they are written, which days they have, which may close next."""

from datetime import date

import pytest

from reconciler.periods.calendar import (
    KINDS,
    Kind,
    Period,
    gap_before,
    parse_period,
    period_of,
    periods_between,
    periods_up,
)

NOVEMBER = Period("main", "month", date(2026, 11, 1), date(2026, 11, 30))


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("2026-11", "", NOVEMBER),
        ("2026-11", "month", NOVEMBER),
        ("2026-11-01", "month", NOVEMBER),
        ("2024-02", "", Period("main", "month", date(2024, 2, 1), date(2024, 2, 29))),
        ("2026-11-22", "", Period("main", "day", date(2026, 11, 22), date(2026, 11, 22))),
        ("2026-11-01", "", Period("main", "day", date(2026, 11, 1), date(2026, 11, 1))),
    ],
)
def test_a_period_is_read_as_it_is_written(text: str, kind: str, expected: Period) -> None:
    """A month has all its days, a day itself; what was read is written the same."""
    found = parse_period("main", text, kind)

    assert found == expected
    assert parse_period("main", found.label) == found


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("2026-13", ""),
        ("2026-11-31", ""),
        ("2026-11-22", "month"),
        ("2026-11", "day"),
        ("2026-W47", ""),
        ("20261122", ""),
        ("2026-11", "week"),
        ("", ""),
        ("２０２６-11", ""),
    ],
)
def test_what_is_no_period_is_refused(text: str, kind: str) -> None:
    """Neither a date that is none, nor one inside a month, nor another spelling."""
    with pytest.raises(ValueError, match=r"2026-11|first day|no kind"):
        parse_period("main", text, kind)


@pytest.mark.parametrize(("kind", "count"), [("month", 3), ("day", 32)])
def test_periods_go_back_to_the_first_day(kind: Kind, count: int) -> None:
    """Newest first, without a gap, up to the one that the first day is in."""
    found = list(periods_between("main", kind, date(2026, 10, 31), date(2026, 12, 1)))

    assert len(found) == count
    assert found[0] == period_of("main", kind, date(2026, 12, 1))
    assert found[-1] == period_of("main", kind, date(2026, 10, 31))
    assert [one.starts for one in found[:-1]] == [date.fromordinal(one.ends.toordinal() + 1) for one in found[1:]]


@pytest.mark.parametrize(
    ("closed_through", "first", "gap"),
    [
        (date(2026, 10, 31), date(2026, 3, 1), None),
        (date(2026, 11, 20), date(2026, 3, 1), None),
        (date(2026, 11, 30), None, None),
        (date(2026, 10, 30), None, date(2026, 10, 31)),
        (None, date(2026, 11, 5), None),
        (None, None, None),
        (None, date(2026, 10, 31), date(2026, 10, 31)),
    ],
)
def test_periods_close_in_order(closed_through: date | None, first: date | None, gap: date | None) -> None:
    """The day before it is closed, or its days already are; the very first close begins where the books do."""
    assert gap == gap_before(NOVEMBER, closed_through, first)


@pytest.mark.parametrize("kind", KINDS)
def test_up_is_down_the_other_way_round(kind: Kind) -> None:
    """From the same first to the same last one, also where the calendar ends."""
    for first, last in ((date(2023, 11, 30), date(2024, 3, 1)), (date(9999, 11, 30), date.max), (date.min, date.min)):
        assert [*periods_up("main", kind, first, last)][::-1] == [*periods_between("main", kind, first, last)]
    assert [*periods_up("main", kind, date(2024, 3, 1), date(2024, 2, 1))] == []
