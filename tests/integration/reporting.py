"""Reports as the tests read them."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import msgspec
import psycopg

from gateway.stack.postgres import Postgres
from reconciler.poster import post_approved
from reconciler.reports.catalog import REPORTS
from reconciler.reports.reading import rows_of
from reconciler.reports.shape import Asked, Query
from tests.conftest import fresh_database
from tests.integration.draining import Books
from tests.integration.yearbook import Act, Yearbook, write

Rows = list[dict[str, Any]]


class Reports(Yearbook):
    """The books of three months, and what each report says of them."""

    def rows(self, name: str, **asked: Any) -> Rows:
        """The rows of a report, by column."""
        report, ask = REPORTS[name], Asked(**asked)
        names = [column.name for column in report.columns(ask)]
        with psycopg.connect(self.books.url) as connection:
            return [dict(zip(names, row, strict=True)) for row in rows_of(connection, report, ask)]

    def asked(self, query: Query, **how: Any) -> list[Any]:
        """What PostgreSQL answers to a statement of a report."""
        with psycopg.connect(self.books.url, **how) as connection:
            return connection.execute(query.statement.encode(), query.values).fetchall()

    def until(self, day: date | None) -> Iterator[Act]:
        """The acts up to the end of *day*."""
        return (act for act in self.acts if day is None or act.day <= day)


def post(books: Books, id_: str, day: date, *lines: tuple[str, str, str, int], about: str | None = None) -> str:
    """A manual journal of *day*, made, approved and given to the reconciler; the state it is in then."""
    told = [{"debit": debit, "credit": credit, "commodity": of, "minor": minor} for debit, credit, of, minor in lines]
    books.rows(
        "INSERT INTO manual_journals (id, entity, effective_date, about, reason, lines, state, made_by, checked_by, "
        "checked_at) VALUES (%s, 'main', %s, %s, 'a test', %s, 'approved', 'ann', 'bob', now())",
        id_, day, about, msgspec.json.encode(told).decode(),
    )  # fmt: skip
    asyncio.run(_posted(books.url))
    return str(books.value("SELECT state FROM manual_journals WHERE id = %s", id_))


async def _posted(url: str) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await post_approved(connection)


@contextmanager
def year_of(server: Postgres) -> Iterator[Reports]:
    """The books of three months, in a database of *server*."""
    with fresh_database(server) as url, Books(url) as books:
        yield Reports(books, asyncio.run(write(books)).acts)


def total(rows: Iterable[dict[str, Any]], column: str) -> dict[str, int]:
    """The sum of a column in each currency, where it is not 0."""
    sums: Counter[str] = Counter()
    for row in rows:
        sums[row.get("currency", "")] += row[column]
    return {currency: minor for currency, minor in sums.items() if minor}
