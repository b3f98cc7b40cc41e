"""docs/reports.md lists each report as the program has it; what a report is asked comes back as it was asked."""

from datetime import date

import pytest

from reconciler.reports.asking import BadAsk, asked_of, checked
from reconciler.reports.catalog import REPORTS
from reconciler.reports.shape import Asked
from tests.test_docs import page, table


def test_every_report_is_in_its_table() -> None:
    """With what it says, what it takes and what its rows may be of, in order."""
    rows = table(page("reports"), "report", "what it says", "takes", "by")

    def quoted(names: list[str]) -> str:
        return ", ".join(f"`{name}`" for name in names)

    assert rows == [
        [f"`{report.name}`", report.about, quoted(sorted(report.takes)), quoted(list(report.groups))]
        for report in REPORTS.values()
    ]


def test_every_column_the_page_names_is_there() -> None:
    """The names of the roll-forward's table are columns of it."""
    rows = table(page("reports"), "", "opening", "came", "went", "closing")
    told = {name.strip("` ") for row in rows for cell in row[1:] for name in cell.split(",")}

    assert told == {column.name for column in REPORTS["roll-forward"].columns(Asked())}


def test_what_is_asked_is_read() -> None:
    """Days, groups and names; an empty name is that of nobody; what was read is read again as the same."""
    report = REPORTS["roll-forward"]
    asked = asked_of(report, {"since": "2026-11-01", "by": "campaign,month", "store": "", "channel": "app"})

    assert asked == Asked(since=date(2026, 11, 1), by=("campaign", "month"), store="", channel="app")
    assert checked(report, asked) == asked
    for name in ("since", "by"):
        with pytest.raises(BadAsk, match=name):
            asked_of(report, {name: ""})
    with pytest.raises(BadAsk, match="until"):
        checked(report, Asked(since=date(2026, 11, 2), until=date(2026, 11, 1)))
    for days in ({"since": "2026-11-02"}, {"until": "2026-11-02"}):
        with pytest.raises(BadAsk, match="as_of: not before 2026-11-02"):
            asked_of(REPORTS["coupons"], {**days, "as_of": "2026-11-01"})
        assert asked_of(REPORTS["expiry-forecast"], {**days, "as_of": "2026-11-01"}).as_of == date(2026, 11, 1)
    with pytest.raises(BadAsk, match="merchant"):
        checked(report, Asked(merchant="m-1"))


def test_what_shows_a_time_shows_it_in_the_zone_that_is_asked_for() -> None:
    """A report of single rows has the clock of the sale in it, which means little in another zone than one's own."""
    without = [name for name, report in REPORTS.items() if report.detail and "zone" not in report.takes]
    assert without == ["merchant-statement", "funder-statement"], "which have dates of the books alone"
