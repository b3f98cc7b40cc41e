"""A report as a person reads it in a terminal: amounts and numbers as a locale writes them, with a total a currency."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale
from babel.numbers import NumberPattern, format_decimal, format_percent, parse_pattern

from gateway.cli.tables import table
from reconciler.currencies import major, places
from reconciler.reports.rows import Row, Sums
from reconciler.reports.shape import Column

ROWS_MAX = 1000
"""More than a person reads in a terminal; a file has all of them."""


class Shown:
    """How values are written in one locale and zone."""

    def __init__(self, zone: str, locale: str) -> None:
        self._zone = ZoneInfo(zone)
        self._locale = Locale.parse(locale, sep="-" if "-" in locale else "_")
        self._patterns: dict[str, NumberPattern] = {}

    def money(self, minor: int, currency: str) -> str:
        """An amount with its currency, and all the places the currency has; babel alone shows what is usual."""
        pattern = self._patterns.get(currency)
        if pattern is None:
            pattern = parse_pattern(self._locale.currency_formats["standard"].pattern)
            pattern.frac_prec = (places(currency), places(currency))
            self._patterns[currency] = pattern
        return str(pattern.apply(major(minor, currency), self._locale, currency=currency, currency_digits=False))

    def cell(self, column: Column, value: Any, currency: str) -> str:
        """One value; nothing for None."""
        if value is None:
            return ""
        match column.kind:
            case "minor":
                return self.money(value, currency) if currency else format_decimal(value, locale=self._locale)
            case "count":
                return format_decimal(value, locale=self._locale)
            case "share":
                return format_percent(Decimal(value), "#,##0.0%", locale=self._locale)
            case "instant":
                assert isinstance(value, datetime)
                return value.astimezone(self._zone).strftime("%Y-%m-%d %H:%M:%S")
            case "date":
                assert isinstance(value, date)
                return f"{value:%Y-%m}" if column.name == "month" else value.isoformat()
        return str(value)


def table_of(columns: Sequence[Column], rows: Iterable[Row], zone: str, locale: str) -> str:
    """The first ROWS_MAX of *rows*, and what all of them sum up to. Shape: *rows* as rows.clean() gives them."""
    shown, sums, come = Shown(zone, locale), Sums(columns), iter(rows)
    currency = next((at for at, column in enumerate(columns) if column.name == "currency"), None)
    lines = []
    for row in islice(come, ROWS_MAX):
        sums.add([row])
        of = "" if currency is None else row[currency] or ""
        lines.append([shown.cell(column, value, of) for column, value in zip(columns, row, strict=True)])
    for row in come:
        sums.add([row])
    if sums.rows > 1 and any(column.total for column in columns):
        lines += _totals(columns, sums, shown)
    text = table([_head(column) for column in columns], lines, none="nothing")
    rest = sums.rows - ROWS_MAX
    return f"{text}\n{rest:,} rows more; --output writes all of them to a file" if rest > 0 else text


def _totals(columns: Sequence[Column], sums: Sums, shown: Shown) -> Iterator[list[str]]:
    """A line of totals a currency, which says so in its first cell that has no other use."""
    for currency, told in sums.totals.items():
        line = [
            currency if column.name == "currency" else shown.cell(column, told.get(column.name), currency)
            for column in columns
        ]
        free = next((at for at, cell in enumerate(line) if not cell), None)
        if free is not None:
            line[free] = "total"
        yield line


def _head(column: Column) -> str:
    name = column.name.removesuffix("_minor") if column.kind == "minor" else column.name
    mark = "#" if column.kind in ("count", "minor", "share") else ""
    return name.replace("_", " ") + mark
