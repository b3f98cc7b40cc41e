"""Every report runs in whatever way it can be asked, and its columns are those that it says it has."""

from datetime import date
from typing import Any

import psycopg
import pytest

from reconciler.reports.catalog import REPORTS
from reconciler.reports.reading import page_query, totals_query
from reconciler.reports.shape import Asked, Query, Report

FILTERS = {
    "entity": "main",
    "campaign": "c",
    "channel": "app",
    "store": "s-1",
    "merchant": "m-1",
    "funder": "platform",
    "account": "payable",
    "since": date(2026, 11, 1),
    "until": date(2026, 11, 30),
    "as_of": date(2026, 12, 5),
    "zone": "Asia/Shanghai",
}


def ways(report: Report) -> list[Asked]:
    """Without a filter and with all of them; grouped by nothing, by each, by all but one of day and month."""
    known: dict[str, Any] = {name: value for name, value in FILTERS.items() if name in report.takes}
    each = [*((name,) for name in report.groups), tuple(name for name in report.groups if name != "month")]
    bases: list[Any] = ["effective", "occurred", "posted"] if "basis" in report.takes else ["effective"]
    return [
        *(Asked(basis=basis, **filters) for basis in bases for filters in ({}, known)),
        *(Asked(by=by, **known) for by in each),
        *(Asked(by=by) for by in each[-1:]),
        *(Asked(by=report.groups[:1], **{name: value}) for name, value in known.items()),
    ]


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
def test_statements_run_and_give_the_columns(postgres_url: str, report: Report) -> None:
    """PostgreSQL takes every statement, for rows, a page and sums, and names the columns as the report does."""
    with psycopg.connect(postgres_url) as connection:

        def names(query: Query) -> list[str]:
            # A look at the plan's output needs no rows: what is tested is the statement.
            cursor = connection.execute(query.statement.encode(), query.values)
            assert cursor.description
            return [column.name for column in cursor.description]

        for asked in ways(report):
            columns = report.columns(asked)
            told = [column.name for column in columns]
            assert names(report.query(asked)) == told, asked
            assert len(set(told)) == len(told)
            for number, column in enumerate(columns):
                assert column.kind != "minor" or "currency" in told[:number], column
        for asked in ways(report)[:2]:
            columns = report.columns(asked)
            totals = totals_query(report, asked)
            assert totals
            assert set(names(totals)) - {"currency"} == {column.name for column in columns if column.total}
            assert names(page_query(report, asked, None, 10)) == [column.name for column in columns]
            if report.key:
                kinds = {column.name: column.kind for column in columns}
                place = [
                    {"date": date(2026, 11, 1), "count": 1, "minor": 0}.get(kinds[name], "") for name in report.key
                ]
                assert names(page_query(report, asked, place, 10)) == [column.name for column in columns]
