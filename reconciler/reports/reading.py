"""
A report's rows out of PostgreSQL: all of them one after the other, a page of them, or their sums.

Whole numbers come as int and shares as Decimal, whatever type the statement gives them, so that whoever writes a report
goes by its columns alone.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from reconciler.reports.clauses import fill
from reconciler.reports.rows import Row, clean
from reconciler.reports.shape import Asked, Column, Query, Report
from reconciler.reports.writing_text import rfc3339, told

ROWS_FETCHED = 5_000
"""How many rows are fetched at once: some megabytes, whatever the report."""
READER = "fairclaim_reader"
CONNECT_S = 5


@contextmanager
def open_books(url: str) -> Iterator[psycopg.Connection[Any]]:
    """
    A connection that sees the books as they are now and may change nothing, for as long as it takes.

    Errors: psycopg.Error.
    """
    given = conninfo_to_dict(url)
    options = f"{given.get('options') or ''} -c role={READER} -c default_transaction_read_only=on"
    conninfo = make_conninfo(
        url, options=options.strip(), application_name="fairclaim-report", connect_timeout=CONNECT_S
    )
    with psycopg.connect(conninfo) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        yield connection
        connection.rollback()


def rows_of(connection: psycopg.Connection[Any], report: Report, asked: Asked) -> Generator[Row, None, None]:
    """
    Every row of *report*, never more than ROWS_FETCHED of them in memory. *connection* must be in a transaction, one of
    REPEATABLE READ where two reports have to agree.

    Errors: psycopg.Error.
    """
    query = report.query(asked)
    with connection.cursor(name="report") as cursor:
        cursor.itersize = ROWS_FETCHED
        cursor.execute(query.statement.encode(), query.values)
        yield from clean(report.columns(asked), cursor)


class Page(NamedTuple):
    """Some rows of a report: *rows* in its order, *after* the place to go on from, None at the end."""

    rows: list[Row]
    after: list[Any] | None


_KEYED = "SELECT * FROM ({statement}) AS report WHERE {place} LIMIT %(rows_max)s"
# Not ordered again: PostgreSQL would sort all rows before it takes the first, where an index has them in order.

_COUNTED = "SELECT * FROM ({statement}) AS report OFFSET %(skipped)s LIMIT %(rows_max)s"


class Sort(NamedTuple):
    """By which *column*, and whether the largest comes first."""

    column: str
    is_down: bool = False


_SORTED = 'SELECT * FROM ({statement}) AS sorted ORDER BY "{column}" {way} NULLS LAST, {further}'


def page_query(
    report: Report, asked: Asked, after: Sequence[Any] | None, rows_max: int, sort: Sort | None = None
) -> Query:
    """
    The statement of at most *rows_max* + 1 rows after the place *after*.

    A report with a key goes on behind it, so that what comes in meanwhile shifts nothing; another one, of some sums,
    skips what was shown, and may be sorted by a column that it has; equal rows are then in the order of the others.
    """
    query = report.query(asked)
    if sort is not None and not report.key:
        names = [column.name for column in report.columns(asked)]
        assert sort.column in names, "it is one of the report's columns"
        further = ", ".join(str(number) for number in range(1, len(names) + 1))
        way = "DESC" if sort.is_down else "ASC"
        sorted_ = fill(_SORTED, statement=query.statement, column=sort.column, way=way, further=further)
        query = Query(sorted_, query.values)
    values: dict[str, Any] = {**query.values, "rows_max": rows_max + 1}
    if not report.key:
        values["skipped"] = int(after[0]) if after else 0
        return Query(fill(_COUNTED, statement=query.statement), values)
    place = "true"
    if after:
        values |= {f"after_{number}": value for number, value in enumerate(after)}
        place = f"({', '.join(report.key)}) > ({', '.join(f'%(after_{number})s' for number in range(len(report.key)))})"
    return Query(fill(_KEYED, statement=query.statement, place=place), values)


def page_of(
    report: Report, asked: Asked, found: Sequence[Sequence[Any]], after: Sequence[Any] | None, rows_max: int
) -> Page:
    """The page that *found*, the rows of page_query(), make."""
    columns = report.columns(asked)
    rows = list(clean(columns, found[:rows_max]))
    if len(found) <= rows_max:
        return Page(rows, None)
    if not report.key:
        return Page(rows, [(int(after[0]) if after else 0) + rows_max])
    last = dict(zip((column.name for column in columns), rows[-1], strict=True))
    return Page(rows, [last[name] for name in report.key])


def totals_query(report: Report, asked: Asked, *, counted: bool = False) -> Query | None:
    """
    The statement of the sums of the columns that have one, a row a currency; None where no column has one.

    *counted* has the number of `rows` too, so that there is always a statement.
    """
    columns = report.columns(asked)
    summed = [f'sum("{column.name}") AS "{column.name}"' for column in columns if column.total]
    summed += ["count(*) AS rows"] if counted else []
    if not summed:
        return None
    query, sums = report.query(asked), ", ".join(summed)
    has_currency = any(column.name == "currency" for column in columns)
    template = "SELECT {currency}{sums} FROM ({statement}) AS report {grouped}"
    return Query(
        fill(
            template,
            currency="currency, " if has_currency else "",
            sums=sums,
            statement=query.statement,
            grouped="GROUP BY currency ORDER BY currency" if has_currency else "",
        ),
        query.values,
    )


def totals_of(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """*found*, the rows of totals_query() by name, with whole numbers as JSON has them."""
    return [
        {name: told(int(value)) if isinstance(value, Decimal) else value for name, value in row.items()}
        for row in found
    ]


def json_objects(columns: Sequence[Column], rows: Sequence[Row]) -> list[dict[str, Any]]:
    """*rows* by column name as JSON has them: times in RFC 3339; shares, and whole numbers beyond 64 bits, as text."""
    return [{column.name: _json(value) for column, value in zip(columns, row, strict=True)} for row in rows]


def _json(value: Any) -> Any:
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    return told(value) if isinstance(value, int) else value
