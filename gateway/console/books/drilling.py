"""
Pure: what a figure of a report is made of, as the page that shows it, down to single state changes.

Every link ends in the id of the figure there that is the same one: #CNY-closing, #all-units. So the page shows what it
was asked for, and a test follows all of them and compares. A figure that no page adds up has no link.
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from gateway.console.books.addresses import account_link, report_link
from reconciler.periods.calendar import period_of
from reconciler.reports.catalog import REPORTS

ALL = "all"
"""What stands before the name of a figure that is of no currency, or of all."""
SUMS = "sums"
"""Asks a page of single things for what all of them add up to."""
_KEYS = ("entity", "campaign", "channel", "store", "merchant", "funder")
_NEVER_NONE = ("entity", "campaign")
_AS_OF = frozenset({"campaign-profit", "redemption-lag"})
_PROFIT_PAGES = {
    "redemptions": ("redemptions", "rows"),
    "order_minor": ("redemptions", "order_minor"),
    "discount_minor": ("redemptions", "minor"),
    "given_back_minor": ("rollbacks", "minor"),
    "rollbacks": ("rollbacks", "rows"),
}
"""Figure of campaign-profit or performance → the report of single things, and the figure there."""


def anchor(currency: str, name: str) -> str:
    """The id of a figure: the sum *name* of all rows in *currency*."""
    return f"{currency or ALL}-{name}"


class Told(NamedTuple):
    """A figure: of which *report*, *asked* how; *values* are its row's, and *is_total* says that it sums all rows."""

    report: str
    asked: Mapping[str, str]
    values: Mapping[str, Any]
    is_total: bool = False

    @property
    def currency(self) -> str:
        """The currency of the row, empty where it has none."""
        return str(self.values.get("currency") or "")

    @property
    def kept(self) -> dict[str, str]:
        """What the figure is of: what was asked for, and what its row is of."""
        asked = {name: self.asked[name] for name in _KEYS if name in self.asked}
        return asked if self.is_total else asked | {name: self.values[name] for name in _KEYS if name in self.values}

    @property
    def days(self) -> dict[str, str]:
        """From when to when: what was asked for, and of that what the row's day or month has."""
        until = self.asked.get("until") or (self.asked.get("as_of") if self.report in _AS_OF else None)
        asked = {"since": self.asked.get("since"), "until": until}
        row = {} if self.is_total else _days(self.values)
        since = max(filter(None, (asked["since"], row.get("since"))), default="")
        until = min(filter(None, (asked["until"], row.get("until"))), default="")
        return {name: day for name, day in (("since", since), ("until", until)) if day}

    @property
    def as_of(self) -> dict[str, str]:
        """At the end of which day, where the days of the row are others than those that were asked for."""
        if "as_of" not in REPORTS[self.report].takes:
            return {}
        day = self.asked.get("as_of") or self.asked.get("until")
        if day is None and _days(self.values) and not self.is_total:
            day = str(date.today() + timedelta(days=1))  # nothing is booked on a later one
        return {"as_of": day} if day else {}


def made_of(figure: Told, column: str) -> str:
    """The page of what the figure in *column* is made of; empty where there is none."""
    if column.endswith("_each_minor") or any(figure.kept.get(name) == "" for name in _NEVER_NONE):
        return ""  # nothing adds up to a mean, and what is of no campaign can't be asked for alone
    match figure.report:
        case "trial-balance" | "unit-balance":
            return _total_balance(figure, column) if figure.is_total else _balance(figure, column)
        case "merchant-settlement" | "funder-settlement":
            return _page(figure.report.replace("settlement", "statement"), figure, column)
        case "roll-forward" | "roll-forward-money":
            is_whole = not {"channel", "store"} & set(figure.kept)
            return _page("entries", figure, column, summed=True) if is_whole else _broken_down(figure, column)
        case "campaign-profit":
            return _profit(figure, column)
        case "performance":
            return _performance(figure, column)
        case "redemption-lag" if column == "coupons":
            return _page("coupons", figure, "rows", "", summed=True)
        case "ageing-coupons" | "ageing-commitments" | "expiry-forecast" | "redemption-lag":
            return _broken_down(figure, column)
    return ""


def _balance(figure: Told, column: str) -> str:
    """A balance of an account is on its page: what it was before is what it came to the day before."""
    asked = {**figure.kept, **figure.days}
    what = column.partition("_")[0] if column not in ("came_in", "went_out") else _side(column)
    if what == "opening":
        asked, what = _before(asked), "closing"
    elif what == "closing":
        asked.pop("since", None)
    return f"{account_link(figure.values['account'], asked)}#{anchor(figure.currency, what)}"


def _side(column: str) -> str:
    return "debit" if column == "came_in" else "credit"


def _total_balance(figure: Told, column: str) -> str:
    """What all accounts moved is every posting; what they stood at is the same report of that day."""
    asked, by = {**figure.kept, **figure.days}, {name: figure.asked[name] for name in ("by",) if name in figure.asked}
    account = {name: figure.asked[name] for name in ("account",) if name in figure.asked}
    if column in ("debit", "credit", "came_in", "went_out"):
        if account:
            return ""
        name = "minor" if figure.report == "trial-balance" else "units"
        return f"{report_link('movements', {**asked, SUMS: '1'})}#{anchor(figure.currency, name)}"
    if "since" not in asked:
        return ""
    told = _before(asked) if column.startswith("opening") else {n: v for n, v in asked.items() if n != "since"}
    there = anchor(figure.currency, column.replace("opening", "closing"))
    return f"{report_link(figure.report, {**told, **account, **by})}#{there}"


def _before(asked: Mapping[str, str]) -> dict[str, str]:
    """The same up to the day before it begins."""
    kept = {name: value for name, value in asked.items() if name != "since"}
    return {**kept, "until": str(date.fromisoformat(asked["since"]) - timedelta(days=1))}


def _profit(figure: Told, column: str) -> str:
    if column in _PROFIT_PAGES:
        return _page(*_split(figure, column))
    if column == "cost_minor":
        by = "campaign" if figure.is_total else "day"
        return _link("performance", figure, {"by": by}, anchor(figure.currency, column))
    if figure.is_total and column == "given_out":
        return _link("performance", figure, {"by": "campaign"}, anchor(figure.currency, column))
    if figure.is_total:
        return ""  # coupons are of no currency, and the sum of a row is of one
    match column:
        case "given_out":
            return _page("coupons", figure, "units", "", summed=True)
        case "coupons":
            return _page("coupons", figure, "rows", "", summed=True)
        case "used":
            return _link("redemption-lag", figure, {"by": "month"}, anchor("", "redeemed"))
        case "redeemed":
            asked = {**figure.kept, **figure.days}
            return f"{account_link('redeemed', asked)}#{anchor('', 'change')}"
    return ""


def _performance(figure: Told, column: str) -> str:
    if "staff" in figure.values and not figure.is_total:
        return ""  # nothing can be asked of one of the staff
    is_single = "channel" not in figure.kept
    if is_single and column in _PROFIT_PAGES:
        return _page(*_split(figure, column))
    if is_single and column == "given_out" and "campaign" in figure.kept:
        return _page("coupons", figure, "units", "", summed=True)
    return _broken_down(figure, column)


def _split(figure: Told, column: str) -> tuple[str, Told, str, str, bool]:
    report, name = _PROFIT_PAGES[column]
    return report, figure, name, figure.currency, True


def _page(report: str, figure: Told, name: str, currency: str | None = None, summed: bool = False) -> str:
    """The single things of *report*; the figure there is *name*, of the row's currency unless *currency* says."""
    of = figure.currency if currency is None else currency
    return _link(report, figure, {SUMS: "1"} if summed else {}, anchor(of, name))


def _broken_down(figure: Told, column: str) -> str:
    """The same report of this row alone, its rows by what they were not yet by."""
    groups, days = REPORTS[figure.report].groups, figure.days
    is_flow = not column.startswith(("stock_opening", "stock_closing", "out_opening", "out_closing"))
    is_one_day = days.get("since") == days.get("until") is not None
    by = [name for name in ("campaign",) if name in groups and name not in figure.kept]
    by += ["day"] if "day" in groups and is_flow and not is_one_day else []
    by += [name for name in ("channel", "store") if name in groups and name not in figure.kept and is_flow]
    if not by:
        return ""
    return _link(figure.report, figure, {"by": by[0]}, anchor(figure.currency, column))


def _link(report: str, figure: Told, further: Mapping[str, str], there: str) -> str:
    zone = {name: figure.asked[name] for name in ("zone",) if name in figure.asked}
    asked = {**figure.kept, **figure.days, **figure.as_of, **zone, **further}
    takes = REPORTS[report].takes | {SUMS}
    return f"{report_link(report, {name: value for name, value in asked.items() if name in takes})}#{there}"


def _days(values: Mapping[str, Any]) -> dict[str, str]:
    """The days of a row that is of a day or of a month."""
    if isinstance(day := values.get("day"), date) and not isinstance(day, datetime):
        return {"since": str(day), "until": str(day)}
    if isinstance(month := values.get("month"), date):
        return {"since": str(month), "until": str(period_of("", "month", month).ends)}
    return {}
