"""A report's values as a page shows them, each figure with the page that says what it is made of."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from gateway.console.access import HOME
from gateway.console.coupons.places import address_of
from gateway.console.locales import Words
from gateway.routes.paging import make_cursor
from reconciler.periods.calendar import period_of
from reconciler.reports.catalog import REPORTS
from reconciler.reports.rows import Row
from reconciler.reports.shape import Column, Kind

BOOKS = f"{HOME}/books"
UNITS_PREFIX = "coupon:"

_LEADS_TO = {
    "roll-forward": "entries",
    "roll-forward-money": "movements",
    "campaign-profit": "redemptions",
    "merchant-settlement": "merchant-statement",
    "funder-settlement": "funder-statement",
    "ageing-coupons": "coupons",
    "ageing-commitments": "coupons",
    "expiry-forecast": "coupons",
    "performance": "redemptions",
    "redemption-lag": "coupons",
}
"""Report → the one that has the single things that its figures count."""
_BALANCES = frozenset({"trial-balance", "unit-balance"})
_KEYS = ("entity", "campaign", "channel", "store", "merchant", "funder")
_NO_DAYS = frozenset({"ageing-coupons", "ageing-commitments", "expiry-forecast"})
"""Reports whose days are no days of what happened."""


class Cell(NamedTuple):
    """What a cell says. *kind* is its column's; *link* leads to what it is made of, and *at* is for programs."""

    text: str
    kind: Kind = "text"
    link: str = ""
    is_minus: bool = False
    at: str = ""

    @property
    def is_figure(self) -> bool:
        """Whether it is set to the right."""
        return self.kind in ("count", "minor", "share")


def amount(words: Words, minor: int, commodity: str) -> str:
    """Minor units of a currency, or coupons."""
    return words.number(minor) if commodity.startswith(UNITS_PREFIX) or not commodity else words.money(minor, commodity)


def account_link(account: str, asked: Mapping[str, str]) -> str:
    """The page of *account*, keeping to what was asked for."""
    kept = {name: asked[name] for name in ("since", "until", "entity", "campaign") if asked.get(name)}
    return f"{BOOKS}/accounts/{quote(account, safe=':')}{_query(kept)}"


def journal_link(journal: int) -> str:
    """The page of a journal."""
    return f"{BOOKS}/journals/{journal}"


def report_link(report: str, asked: Mapping[str, Any]) -> str:
    """The page of *report*, asked so."""
    return f"{BOOKS}/reports/{report}{_query(asked)}"


def change_link(shard: str, seq: int) -> str:
    """The state changes of *shard*, from the one numbered *seq* on."""
    told = {"campaign": shard.rpartition("/")[0]}
    cursor = make_cursor([shard, seq - 1], list_name("entries", told))
    return report_link("entries", {**told, "cursor": cursor})


def list_name(report: str, told: Mapping[str, str]) -> str:
    """What the cursors of a report's page are good for."""
    return f"report {report} {sorted(told.items())}"


def cells(report: str, columns: Sequence[Column], row: Row, asked: Mapping[str, str], words: Words) -> list[Cell]:
    """*row* of *report*, which was *asked* for so."""
    values = {column.name: value for column, value in zip(columns, row, strict=True)}
    figures = _made_of(report, values, asked)
    return [
        told(column.kind, value, words, _currency(values))._replace(link=_link(column, values, asked, figures))
        for column, value in zip(columns, row, strict=True)
    ]


def told(kind: Kind, value: Any, words: Words, currency: str) -> Cell:
    """One value, by the *kind* of its column."""
    if value is None or value == "":
        return Cell("–", kind)
    match kind:
        case "minor":
            return Cell(amount(words, int(value), currency), kind, is_minus=int(value) < 0)
        case "count":
            return Cell(words.number(int(value)), kind, is_minus=int(value) < 0)
        case "share":
            return Cell(words.number(Decimal(value)), kind)
        case "date":
            return Cell(words.day(value), kind, at=str(value))
        case "instant":
            return Cell(words.time(value), kind, at=words.iso(value))
    return Cell(str(value))


def _currency(values: Mapping[str, Any]) -> str:
    return str(values.get("currency") or values.get("commodity") or "")


def _link(column: Column, values: Mapping[str, Any], asked: Mapping[str, str], figures: str) -> str:
    name, value = column.name, values[column.name]
    if value is None or value == "":
        return ""
    if name == "journal":
        return journal_link(value)
    if name == "code":
        return address_of(value)
    if name in ("account", "source", "destination") and ("journal" in values or "closing_debit" in values):
        return account_link(value, asked)
    return figures if column.kind in ("minor", "count") else ""


def _made_of(report: str, values: Mapping[str, Any], asked: Mapping[str, str]) -> str:
    """The page of what the figures of a row are made of."""
    if report in _BALANCES:
        return account_link(values["account"], {**asked, **_keys(values)})
    if "journal" in values:
        return journal_link(values["journal"])
    if values.get("shard") and values.get("seq") is not None:
        shard = values["shard"]
        return journal_link(values["seq"]) if shard.startswith("manual:") else change_link(shard, values["seq"])
    into = _LEADS_TO.get(report)
    if into is None:
        return ""
    days = {} if report in _NO_DAYS else {**asked, **_days(values)}
    wanted = {**{name: asked[name] for name in _KEYS if asked.get(name)}, **_keys(values)}
    wanted |= {name: days[name] for name in ("since", "until") if days.get(name)}
    return report_link(into, {name: value for name, value in wanted.items() if name in REPORTS[into].takes})


def _keys(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: values[name] for name in _KEYS if values.get(name)}


def _days(values: Mapping[str, Any]) -> dict[str, str]:
    """The days of a row that is of a day or of a month."""
    if isinstance(day := values.get("day"), date) and not isinstance(day, datetime):
        return {"since": str(day), "until": str(day)}
    if isinstance(month := values.get("month"), date):
        return {"since": str(month), "until": str(period_of("", "month", month).ends)}
    return {}


def _query(asked: Mapping[str, Any]) -> str:
    return f"?{urlencode(asked)}" if asked else ""
