"""
A report's rows out of PostgreSQL: all of them one after the other, a page of them, or their sums.

Whole numbers come as int and shares as Decimal, whatever type the statement gives them, so that whoever writes a report
goes by its columns alone.
"""

import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from reconciler.ledger import CONNECT_MS_MAX
from reconciler.reports.clauses import fill
from reconciler.reports.rows import Row, clean
from reconciler.reports.shape import Asked, Column, Query, Report
from reconciler.reports.writing_text import rfc3339, told

ROWS_FETCHED = 5_000
"""How many rows are fetched at once: some megabytes, whatever the report."""
READER = "fairclaim_reader"


@contextmanager
def open_books(url: str) -> Iterator[psycopg.Connection[Any]]:
    """
    A connection that sees the books as they are now and may change nothing, for as long as it takes.

    Errors: psycopg.Error.
    """
    given = conninfo_to_dict(url)
    options = f"{given.get('options') or ''} -c role={READER} -c default_transaction_read_only=on"
    conninfo = make_conninfo(
        url, options=options.strip(), application_name="fairclaim-report", connect_timeout=CONNECT_MS_MAX // 1000
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


_SORTED = "SELECT * FROM ({statement}) AS sorted ORDER BY {order}"


def _order(report: Report, asked: Asked, sort: Sort) -> str:
    """By the column of *sort*; equal rows are then in the order of the others."""
    names = [column.name for column in report.columns(asked)]
    assert sort.column in names, "it is one of the report's columns"
    further = ", ".join(str(number) for number in range(1, len(names) + 1))
    return f'"{sort.column}" {"DESC" if sort.is_down else "ASC"} NULLS LAST, {further}'


def page_query(
    report: Report, asked: Asked, after: Sequence[Any] | None, rows_max: int, sort: Sort | None = None
) -> Query:
    """
    The statement of at most *rows_max* + 1 rows after the place *after*.

    A report with a key goes on behind it, so that what comes in meanwhile shifts nothing; another one, of some sums,
    skips what was shown, and may be sorted by a column that it has.
    """
    query = report.query(asked)
    if sort is not None and not report.key:
        query = Query(fill(_SORTED, statement=query.statement, order=_order(report, asked, sort)), query.values)
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
    sums = _sums(columns) + (["count(*) AS rows"] if counted else [])
    if not sums:
        return None
    query = report.query(asked)
    return Query(_summed(f"({query.statement}) AS report", sums, _has_currency(columns)), query.values)


def has_totals(report: Report, asked: Asked) -> bool:
    """Whether a column of it has a sum."""
    return bool(_sums(report.columns(asked)))


def _sums(columns: Sequence[Column]) -> list[str]:
    return [f'sum("{column.name}") AS "{column.name}"' for column in columns if column.total]


def _has_currency(columns: Sequence[Column]) -> bool:
    return any(column.name == "currency" for column in columns)


def _summed(of: str, sums: Sequence[str], has_currency: bool) -> str:
    """*sums* of the rows *of*, a currency."""
    return fill(
        "SELECT {currency}{sums} FROM {of} {grouped}",
        currency="currency, " if has_currency else "",
        sums=", ".join(sums),
        of=of,
        grouped="GROUP BY currency ORDER BY currency" if has_currency else "",
    )


_FIRST = """WITH report AS MATERIALIZED ({statement})
SELECT page.*, (SELECT json_agg(sums)::text FROM ({totals}) AS sums) AS totals
FROM (SELECT * FROM report {ordered}LIMIT %(rows_max)s) AS page"""


def first_query(report: Report, asked: Asked, rows_max: int, sort: Sort | None = None) -> Query:
    """
    The statement of the first rows, as page_query(), with one column more: the rows of totals_query() as JSON.

    A report of sums reads everything for either of them, and so does both at once.
    """
    assert not report.key, "a list of single things is not read as a whole for a page of it"
    query = report.query(asked)
    totals = _summed("report", _sums(report.columns(asked)), _has_currency(report.columns(asked)))
    ordered = f"ORDER BY {_order(report, asked, sort)} " if sort is not None else ""
    statement = fill(_FIRST, statement=query.statement, totals=totals, ordered=ordered)
    return Query(statement, {**query.values, "rows_max": rows_max + 1})


def first_of(
    report: Report, asked: Asked, found: Sequence[Sequence[Any]], rows_max: int
) -> tuple[Page, list[dict[str, Any]]]:
    """The page and the totals that *found*, the rows of first_query(), make."""
    page = page_of(report, asked, [row[:-1] for row in found], None, rows_max)
    if found:
        told = json.loads(found[0][-1], parse_int=Decimal, parse_float=Decimal)
    else:  # sums of nothing
        columns = report.columns(asked)
        told = [] if _has_currency(columns) else [{column.name: None for column in columns if column.total}]
    return page, totals_of(told)


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
