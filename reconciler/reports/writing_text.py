"""
Reports as text: CSV, JSON, and JSON a line.

CSV is for people and spreadsheets, so its amounts have a decimal point and its times the zone that was asked for. JSON
is for programs: whole minor units, times in UTC, as everywhere in the HTTP interface.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from reconciler.currencies import major_text
from reconciler.reports.rows import Row, Sums, batches, currency_place
from reconciler.reports.shape import Asked, Column, Report

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a text begins with that a spreadsheet would run; it gets an apostrophe before it."""

_ENCODER = msgspec.json.Encoder(decimal_format="string", enc_hook=str)

INT64 = range(-(2**63), 2**63)
"""The whole numbers that JSON has as numbers; those beyond are text, because readers and msgspec fail at them."""


def money_name(column: Column) -> str:
    """The name over amounts that have a decimal point: without the unit that they are not in."""
    if column.kind != "minor":
        return column.name
    return "amount" if column.name == "minor" else column.name.removesuffix("_minor")


def guarded(text: str) -> str:
    """*text* as a spreadsheet may have it: never a formula."""
    return f"'{text}" if text.startswith(FORMULA) else text


def rfc3339(instant: datetime) -> str:
    """An instant to the millisecond, with Z or the offset of its zone."""
    text = instant.isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z" if instant.tzinfo is UTC else text


def csv_chunks(columns: Sequence[Column], asked: Asked, rows: Iterable[Row]) -> Iterator[bytes]:
    """RFC 4180: commas, quotes where needed, CRLF, a header; UTF-8."""
    zone = UTC if asked.zone == "UTC" else ZoneInfo(asked.zone)
    shown: dict[str, Callable[[Any], str]] = {
        "text": guarded,
        "count": str,
        "date": str,
        "instant": lambda instant: rfc3339(instant.astimezone(zone)),
        "share": lambda share: format(share, "f"),
    }
    plan = [(at, shown[column.kind]) for at, column in enumerate(columns) if column.kind != "minor"]
    money = [at for at, column in enumerate(columns) if column.kind == "minor"]
    currency = currency_place(columns)
    line = io.StringIO(newline="")
    writer = csv.writer(line)
    writer.writerow([money_name(column) for column in columns])
    for batch in batches(rows):
        for row in batch:
            cells = ["" if value is None else value for value in row]
            for at, show in plan:
                if row[at] is not None:
                    cells[at] = show(row[at])
            for at in money:
                if row[at] is not None and currency is not None:
                    cells[at] = major_text(row[at], row[currency])
            writer.writerow(cells)
        yield _taken(line)
    if line.tell():
        yield _taken(line)


def _taken(line: io.StringIO) -> bytes:
    text = line.getvalue()
    line.seek(0)
    line.truncate()
    return text.encode()


def ndjson_chunks(columns: Sequence[Column], rows: Iterable[Row]) -> Iterator[bytes]:
    """An object a row, a line each."""
    names = [column.name for column in columns]
    for batch in batches(rows):
        yield _ENCODER.encode_lines(_objects(columns, names, batch))


def json_chunks(report: Report, columns: Sequence[Column], asked: Asked, rows: Iterable[Row]) -> Iterator[bytes]:
    """One object: what the report is, its columns, its rows, and its totals a currency last."""
    names = [column.name for column in columns]
    about = {
        "report": report.name,
        "title": report.title,
        "asked": asked,
        "columns": [{"name": column.name, "kind": column.kind, "about": column.about} for column in columns],
    }
    yield _ENCODER.encode(about)[:-1] + b',"rows":['
    sums, first = Sums(columns), True
    for batch in batches(rows):
        sums.add(batch)
        body = b",".join(_ENCODER.encode(each) for each in _objects(columns, names, batch))
        yield body if first else b"," + body
        first = False
    totals = [
        {"currency": currency or None, **{name: told(total) for name, total in of.items()}}
        for currency, of in sums.totals.items()
    ]
    yield b'],"totals":' + _ENCODER.encode(totals) + b"}\n"


def told(number: int) -> int | str:
    """A whole number as JSON has it."""
    return number if number in INT64 else str(number)


def _objects(columns: Sequence[Column], names: list[str], rows: list[Row]) -> list[dict[str, Any]]:
    shown: dict[str, Callable[[Any], Any]] = {
        "instant": rfc3339,
        "share": lambda share: format(share, "f"),
        "count": told,
        "minor": told,
    }
    plan = [(at, shown[column.kind]) for at, column in enumerate(columns) if column.kind in shown]
    found = []
    for row in rows:
        cells = list(row)
        for at, show in plan:
            if cells[at] is not None:
                cells[at] = show(cells[at])
        found.append(dict(zip(names, cells, strict=True)))
    return found
