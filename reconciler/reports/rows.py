"""Rows of a report as every writer takes them, and what they sum up to."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from reconciler.reports.shape import Column, Kind

Row = tuple[Any, ...]
"""
A value for each column, by its kind: text and share are str, minor and count int, date a date, instant an aware
datetime in UTC; a share is a Decimal. None where there is nothing.
"""

BATCH_ROWS = 5_000
"""How many rows are held and written at once."""

CURRENCY = "currency"


class OddCell(ValueError):
    """A value is not of its column's kind, or there is an amount and no currency."""


def _instant(value: Any) -> datetime:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise TypeError
    return value.astimezone(UTC)


def _date(value: Any) -> date:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise TypeError
    return value


def _whole(value: Any) -> int:
    number = int(value)
    if number != value:
        raise ValueError
    return number


_CLEAN: dict[Kind, Callable[[Any], Any]] = {
    "text": str,
    "count": _whole,
    "minor": _whole,
    "date": _date,
    "instant": _instant,
    "share": lambda value: value if type(value) is Decimal else Decimal(str(value)),
}
_AS_IT_IS: dict[Kind, type] = {"text": str, "count": int, "minor": int, "share": Decimal}


def clean(columns: Sequence[Column], rows: Iterable[Sequence[Any]]) -> Iterator[Row]:
    """*rows* with every value as its column's kind says. Errors: OddCell naming the column."""
    plan = [(at, column, _CLEAN[column.kind], _AS_IT_IS.get(column.kind)) for at, column in enumerate(columns)]
    currency = currency_place(columns)
    money = [at for at, column in enumerate(columns) if column.kind == "minor"]
    for row in rows:
        if len(row) != len(columns):
            raise OddCell(f"a row has {len(row)} values for {len(columns)} columns")
        cells = list(row)
        for at, column, convert, kept in plan:
            value = cells[at]
            if value is None or type(value) is kept:
                continue
            try:
                cells[at] = convert(value)
            except (TypeError, ValueError, ArithmeticError):
                raise OddCell(f"{column.name} is {value!r}, which is no {column.kind}") from None
        if money and (currency is None or cells[currency] is None) and any(cells[at] is not None for at in money):
            raise OddCell(f"{columns[money[0]].name} is an amount of no currency")
        yield tuple(cells)


def currency_place(columns: Sequence[Column]) -> int | None:
    """Which column names the currency of each row; None where there is none."""
    return next((at for at, column in enumerate(columns) if column.name == CURRENCY), None)


def batches(rows: Iterable[Row], size: int = BATCH_ROWS) -> Iterator[list[Row]]:
    """*rows* in lists of at most *size*, the last one shorter."""
    held: list[Row] = []
    for row in rows:
        held.append(row)
        if len(held) == size:
            yield held
            held = []
    if held:
        yield held


class Sums:
    """
    What the rows of each currency come to, column by column, and how many rows there were.

    A report without currencies has its sums under the empty name.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = [(at, column.name) for at, column in enumerate(columns) if column.total]
        self._currency = currency_place(columns)
        self.rows = 0
        self._of: dict[str, list[int]] = {}

    def add(self, rows: Sequence[Row]) -> None:
        """Count *rows* in."""
        self.rows += len(rows)
        for row in rows:
            currency = "" if self._currency is None else row[self._currency] or ""
            sums = self._of.get(currency)
            if sums is None:
                sums = self._of[currency] = [0] * len(self._columns)
            for at, (place, _) in enumerate(self._columns):
                value = row[place]
                if value is not None:
                    sums[at] += value

    @property
    def totals(self) -> dict[str, dict[str, int]]:
        """Currency → column → sum, in the order of the currencies' names."""
        names = [name for _, name in self._columns]
        return {currency: dict(zip(names, self._of[currency], strict=True)) for currency in sorted(self._of)}

    def restore(self, rows: int, totals: dict[str, dict[str, int]]) -> None:
        """Take up where another one was left."""
        self.rows = rows
        self._of = {currency: [sums[name] for _, name in self._columns] for currency, sums in totals.items()}
