"""
A report's rows out of PostgreSQL: all of them one after the other, a page of them, or their sums.

Whole numbers come as int and shares as Decimal, whatever type the statement gives them, so that whoever writes a report
goes by its columns alone.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import psycopg

from reconciler.reports.clauses import fill
from reconciler.reports.shape import Asked, Column, Query, Report

ROWS_FETCHED = 5_000
"""How many rows are fetched at once: some megabytes, whatever the report."""


def columns_of(report: Report, asked: Asked) -> tuple[Column, ...]:
    """The columns of *report*."""
    return report.columns(asked)


def converter(columns: Sequence[Column]) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    """What makes a row of PostgreSQL one whose values are as its columns say."""
    whole = [column.kind in ("count", "minor") for column in columns]

    def convert(row: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(
            int(value) if is_whole and isinstance(value, Decimal) else value
            for is_whole, value in zip(whole, row, strict=True)
        )

    return convert


def rows_of(connection: psycopg.Connection[Any], report: Report, asked: Asked) -> Iterator[tuple[Any, ...]]:
    """
    Every row of *report*, never more than ROWS_FETCHED of them in memory. *connection* must be in a transaction, one of
    REPEATABLE READ where two reports have to agree.

    Errors: psycopg.Error.
    """
    query, convert = report.query(asked), converter(report.columns(asked))
    with connection.cursor(name="report") as cursor:
        cursor.itersize = ROWS_FETCHED
        cursor.execute(query.statement.encode(), query.values)
        for row in cursor:
            yield convert(row)


class Page(NamedTuple):
    """Some rows of a report: *rows* in its order, *after* the place to go on from, None at the end."""

    rows: list[tuple[Any, ...]]
    after: list[Any] | None


_KEYED = """
SELECT * FROM ({statement}) AS report
WHERE {place}
ORDER BY {key}
LIMIT %(rows_max)s
"""

_COUNTED = "SELECT * FROM ({statement}) AS report OFFSET %(skipped)s LIMIT %(rows_max)s"


def page_query(report: Report, asked: Asked, after: Sequence[Any] | None, rows_max: int) -> Query:
    """
    The statement of at most *rows_max* + 1 rows after the place *after*.

    A report with a key goes on behind it, so that what comes in meanwhile shifts nothing; another one, of some sums,
    skips what was shown.
    """
    query = report.query(asked)
    values: dict[str, Any] = {**query.values, "rows_max": rows_max + 1}
    if not report.key:
        values["skipped"] = int(after[0]) if after else 0
        return Query(fill(_COUNTED, statement=query.statement), values)
    place = "true"
    if after:
        values |= {f"after_{number}": value for number, value in enumerate(after)}
        place = f"({', '.join(report.key)}) > ({', '.join(f'%(after_{number})s' for number in range(len(report.key)))})"
    return Query(fill(_KEYED, statement=query.statement, place=place, key=", ".join(report.key)), values)


def page_of(
    report: Report, asked: Asked, found: Sequence[Sequence[Any]], after: Sequence[Any] | None, rows_max: int
) -> Page:
    """The page that *found*, the rows of page_query(), make."""
    columns = report.columns(asked)
    rows = list(map(converter(columns), found[:rows_max]))
    if len(found) <= rows_max:
        return Page(rows, None)
    if not report.key:
        return Page(rows, [(int(after[0]) if after else 0) + rows_max])
    last = dict(zip((column.name for column in columns), rows[-1], strict=True))
    return Page(rows, [last[name] for name in report.key])


def totals_query(report: Report, asked: Asked) -> Query | None:
    """The statement of the sums of the columns that have one, a row a currency; None where no column has one."""
    columns = report.columns(asked)
    summed = [column.name for column in columns if column.total]
    if not summed:
        return None
    query, sums = report.query(asked), ", ".join(f'sum("{name}") AS "{name}"' for name in summed)
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
    """*found*, the rows of totals_query() by name, with whole numbers as int."""
    return [{name: int(value) if isinstance(value, Decimal) else value for name, value in row.items()} for row in found]
