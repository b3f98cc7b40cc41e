"""A report's values as a page shows them, each figure with the page that says what it is made of."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from gateway.console.books.addresses import (
    BOOKS,
    account_link,
    change_link,
    journal_link,
    list_name,
    query,
    report_link,
)
from gateway.console.books.drilling import Told, anchor, made_of
from gateway.console.books.naming import value_words
from gateway.console.coupons.places import address_of
from gateway.console.locales import Words
from reconciler.reports.catalog import REPORTS
from reconciler.reports.rows import Row
from reconciler.reports.shape import Column, Kind

__all__ = ["BOOKS", "account_link", "change_link", "journal_link", "list_name", "query", "report_link"]

UNITS_PREFIX = "coupon:"
FIGURES = ("count", "minor", "share")
_NUMBERED = frozenset({"seq", "journal", "line", "version", "epoch", "first_seq", "last_seq", "changed_seq"})
"""Whole numbers that name something and count nothing."""
_PARTS = frozenset({"use_rate", "conversion", "back_rate"})
"""Shares of a whole, which people read as percentages."""


class Cell(NamedTuple):
    """
    What a cell says. *kind* is its column's; *link* leads to what it is made of, and *at* is for programs.

    *value* is a figure as a whole number, in minor units where it is money; *id* is where links to it lead.
    """

    text: str
    kind: Kind = "text"
    link: str = ""
    is_minus: bool = False
    at: str = ""
    value: int | None = None
    id: str = ""

    @property
    def is_figure(self) -> bool:
        """Whether it is set to the right."""
        return self.kind in FIGURES


def amount(words: Words, minor: int, commodity: str) -> str:
    """Minor units of a currency, or coupons."""
    return words.number(minor) if commodity.startswith(UNITS_PREFIX) or not commodity else words.money(minor, commodity)


def figure(words: Words, value: int | None, currency: str, name: str = "", link: str = "", prefix: str = "") -> Cell:
    """
    A sum, without the sign of its currency, which stands over it or beside it. Units: minor units, or coupons.

    With a *name* it has an id that links lead to: *prefix*, or the currency, stands before the name.
    """
    id_ = anchor(prefix or currency, name) if name else ""
    if value is None:
        return Cell("", "minor", id=id_)
    text = words.amount(value, currency) if currency and not currency.startswith(UNITS_PREFIX) else words.number(value)
    return Cell(text, "minor", link if value else "", value < 0, value=value, id=id_)


def cells(report: str, columns: Sequence[Column], row: Row, asked: Mapping[str, str], words: Words) -> list[Cell]:
    """*row* of *report*, which was *asked* for so."""
    values = {column.name: value for column, value in zip(columns, row, strict=True)}
    of = Told(report, asked, values)
    return [_linked(told(column, value, words, of.currency), column.name, of) for column, value in _pairs(columns, row)]


def total_cells(
    report: str, columns: Sequence[Column], sums: Mapping[str, Any], asked: Mapping[str, str], words: Words
) -> list[Cell]:
    """A row of *sums*, under their columns."""
    of = Told(report, asked, sums, is_total=True)
    return [_total(column, of, words) for column in columns]


def told(column: Column, value: Any, words: Words, currency: str) -> Cell:
    """One value, by the kind of its column."""
    kind = column.kind
    if value is None or value == "":
        return Cell("–", kind)
    match kind:
        case "minor":
            return figure(words, int(value), currency)
        case "count":
            shown = str(value) if column.name in _NUMBERED else words.number(int(value))
            return Cell(shown, kind, is_minus=int(value) < 0, value=int(value))
        case "share":
            share = Decimal(value)
            is_part = column.name in _PARTS
            return Cell(words.share(int(share * 10_000)) if is_part else words.number(share), kind)
        case "date":
            return Cell(words.month(value) if column.name == "month" else words.day(value), kind, at=str(value))
        case "instant":
            return Cell(words.time(value), kind, at=words.iso(value))
    said = value_words(column.name, str(value))
    return Cell(words.say(said) if said else str(value))


def _pairs(columns: Sequence[Column], row: Row) -> list[tuple[Column, Any]]:
    return list(zip(columns, row, strict=True))


def _total(column: Column, of: Told, words: Words) -> Cell:
    if not column.total:
        return Cell(of.currency if column.name == "currency" else "")
    value = of.values.get(column.name)
    number = None if value is None else int(value)
    unit = of.currency if column.kind == "minor" else ""
    made = figure(words, number, unit, column.name, made_of(of, column.name) if number else "", of.currency)
    return made._replace(kind=column.kind)


def _linked(cell: Cell, name: str, of: Told) -> Cell:
    """*cell* of the column *name*, with the page it leads to."""
    value = of.values[name]
    return cell if value is None or value == "" else cell._replace(link=_link(cell, name, value, of))


def _link(cell: Cell, name: str, value: Any, of: Told) -> str:
    match name:
        case "journal":
            return journal_link(value) if value else ""
        case "code":
            return address_of(value)
        case "account" | "source" | "destination" | "debit" | "credit" if cell.kind == "text":
            is_account = "journal" in of.values or not REPORTS[of.report].key
            return account_link(value, of.asked) if is_account else ""
    if not cell.is_figure or (not cell.value and name not in _NUMBERED):
        return ""
    return made_of(of, name) if not REPORTS[of.report].key else _single(of, name)


def _single(of: Told, name: str) -> str:
    """Where a figure of a single thing comes from: its line in a journal, its coupon, its state change."""
    values = of.values
    if "journal" in values:
        if name in _NUMBERED:
            return ""
        return f"{journal_link(values['journal'])}#line-{values['line']}" if values["journal"] else _opening(of)
    shard, seq = values.get("shard"), values.get("seq")
    if name == "seq" and shard and seq is not None:
        return journal_link(seq) if shard.startswith("manual:") else change_link(shard, seq)
    if name in _NUMBERED or name == "balance_minor":
        return ""
    if values.get("code"):
        return address_of(values["code"])
    if shard and seq is not None and "act" in values:
        return journal_link(seq) if shard.startswith("manual:") else change_link(shard, seq)
    return ""


def _opening(of: Told) -> str:
    """What an account held before: its page, up to the day before."""
    kept = {name: of.asked[name] for name in ("entity", "campaign") if name in of.asked}
    told_ = {**kept, "entity": of.values["entity"], "until": str(of.values["date"] - timedelta(days=1))}
    return f"{account_link(of.values['account'], told_)}#{anchor(of.currency, 'closing')}"
