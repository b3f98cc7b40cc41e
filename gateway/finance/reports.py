"""For finance and auditors: what the books say, as JSON a page at a time, or as a file."""

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import msgspec
from psycopg.errors import QueryCanceled
from psycopg.rows import dict_row, tuple_row
from psycopg_pool import AsyncConnectionPool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from gateway.api.operation import PAGE, Media, Operation, Parameter
from gateway.errors import Refusal
from gateway.finance import asking
from gateway.finance.report_files import ReportFile
from gateway.finance.snapshot import snapshot
from gateway.issuing.store import audit
from gateway.routes.access import staff
from gateway.routes.paging import make_cursor, page_limit, query_value, read_cursor
from gateway.services import Services, services
from gateway.sql import postgres
from gateway.wire import json_response
from reconciler.reports.asking import TEXT_CHARS_MAX, asked_of
from reconciler.reports.catalog import REPORTS
from reconciler.reports.known import check_known_async
from reconciler.reports.reading import (
    Sort,
    first_of,
    first_query,
    has_totals,
    json_objects,
    page_of,
    page_query,
    totals_of,
    totals_query,
)
from reconciler.reports.rows import Row
from reconciler.reports.shape import Asked, Basis, Column, Kind, Report
from reconciler.reports.writing import FORMATS, Format, check_format, file_name, formats_of

READERS = ("finance", "auditor")
_TOO_LONG = "This takes too long for a page: ask for less, or for an export."


class ListedReport(msgspec.Struct):
    """A report: *takes* are the parameters that it knows, *by* what its rows may be of."""

    name: str
    title: str
    about: str
    takes: list[str]
    by: list[str]
    detail: bool
    formats: list[str]


class ReportList(msgspec.Struct):
    """Every report."""

    items: list[ListedReport]


class ReportColumn(msgspec.Struct):
    """A column: what it holds, and whether its sum means something."""

    name: str
    kind: Kind
    about: str
    total: bool


class ReportPage(msgspec.Struct):
    """
    Rows of a report, each by the names of its columns; amounts are minor units of the row's currency.

    *totals* sum all rows of each currency, with the first page of a report that is no list of single things.
    """

    report: str
    title: str
    asked: dict[str, Any]
    columns: list[ReportColumn]
    rows: list[dict[str, Any]]
    totals: list[dict[str, Any]] | None
    next: str | None


async def list_reports(request: Request) -> Response:
    """Every report, what it says, and what may be asked of it."""
    await staff(request, *READERS)
    return json_response(ReportList([_listed(report) for report in REPORTS.values()]))


async def see_report(request: Request) -> Response:
    """
    A report: a page of its rows as JSON, or all of it as a file.

    A file is what ``format``, else ``Accept``, names. What a report does not take is refused by name.
    """
    who = await staff(request, *READERS)
    report = REPORTS.get(request.path_params["report"])
    if report is None:
        raise Refusal("not_found", "There is no such report; GET /v1/reports lists them.")
    named = {name: query_value(request, name) for name in Asked.__struct_fields__}
    told = {name: value for name, value in named.items() if value is not None}
    with asking.asked():
        asked = asked_of(report, told)
        format = check_format(report, _format(request))
    if format == "json":
        return await _page(request, report, asked, told)
    return await file_of(services(request), who.actor, report, asked, told, format)


async def file_of(
    here: Services, actor: str, report: Report, asked: Asked, told: Mapping[str, str], format: Format
) -> Response:
    """
    All of *report* as a file, sent while it is written; *told* is what *asked* was made of.

    Of a report of single things, which names codes and holders, the audit log says that *actor* took it.
    Errors: Refusal not_found for a name that the books don't know; overloaded, not_ready.
    """
    with asking.asked():
        async with snapshot(here.pool) as connection:
            await check_known_async(connection, asked)
    if report.detail:
        async with postgres(here.pool) as connection:
            await audit(connection, actor, "report.exported", f"report:{report.name}", dict(told))
    arguments = [
        report.name,
        f"--format={format}",
        *(f"--{name.replace('_', '-')}={value}" for name, value in told.items()),
    ]
    file = await ReportFile.open(here, arguments)
    headers = {
        "content-disposition": f'attachment; filename="{file_name(report, asked, format)}"',
        "cache-control": "private, no-store",
    }
    return StreamingResponse(file.pieces(), headers=headers, media_type=FORMATS[format].media_type)


def _format(request: Request) -> str:
    """What is asked for: by the query, else the first of Accept that there is, else JSON."""
    named = query_value(request, "format")
    if named is not None:
        return named
    kinds = {made.media_type.partition(";")[0]: name for name, made in FORMATS.items() if name != "beancount"}
    for each in request.headers.get("accept", "").split(","):
        kind = each.partition(";")[0].strip().lower()
        if kind in kinds:
            return kinds[kind]
    return "json"


async def _page(request: Request, report: Report, asked: Asked, told: dict[str, str]) -> Response:
    here = services(request)
    limit = page_limit(request, here.settings.page_rows_max)
    of_list = f"report {report.name} {sorted(told.items())}"
    after = read_cursor(request, list[Any], of_list)
    read = await read_report(here.pool, report, asked, limit, after)
    return json_response(
        ReportPage(
            report=report.name,
            title=report.title,
            asked=dict(told),
            columns=[ReportColumn(each.name, each.kind, each.about, each.total) for each in read.columns],
            rows=json_objects(read.columns, read.rows),
            totals=read.totals,
            next=None if read.after is None else make_cursor(read.after, of_list),
        )
    )


class Read(NamedTuple):
    """
    A page of a report: *rows* by *columns*, and *after*, the place to go on from, None at the end.

    *totals* sum all rows of each currency, by the names of the columns; None but with the first page of a report that
    is no list of single things. Units: minor units of the row's currency.
    """

    columns: tuple[Column, ...]
    rows: list[Row]
    totals: list[dict[str, Any]] | None
    after: list[Any] | None


async def read_report(
    pool: AsyncConnectionPool[Any],
    report: Report,
    asked: Asked,
    limit: int,
    after: list[Any] | None = None,
    sort: Sort | None = None,
) -> Read:
    """
    At most *limit* rows of *report* after the place *after*, in one snapshot; by *sort* where it has no key.

    Errors: Refusal not_found for a name that the books don't know; overloaded, not_ready.
    """
    first = not after and not report.key and has_totals(report, asked)
    query = first_query(report, asked, limit, sort) if first else page_query(report, asked, after, limit, sort)
    async with snapshot(pool) as connection:
        try:
            with asking.asked():
                await check_known_async(connection, asked)
            async with connection.cursor(row_factory=tuple_row) as cursor:
                await cursor.execute(query.statement.encode(), query.values)
                found = await cursor.fetchall()
        except QueryCanceled:
            raise Refusal("overloaded", _TOO_LONG) from None
    if first:
        page, totals = first_of(report, asked, found, limit)
        return Read(report.columns(asked), page.rows, totals, page.after)
    page = page_of(report, asked, found, after, limit)
    return Read(report.columns(asked), page.rows, None, page.after)


async def added_up(pool: AsyncConnectionPool[Any], report: Report, asked: Asked) -> list[dict[str, Any]]:
    """
    What all rows of *report* add up to, a currency, with how many `rows` they are.

    Units: minor units of the currency. Errors: as read_report().
    """
    summed = totals_query(report, asked, counted=True)
    assert summed is not None, "rows are counted"
    async with snapshot(pool) as connection:
        try:
            with asking.asked():
                await check_known_async(connection, asked)
            async with connection.cursor(row_factory=dict_row) as sums:
                await sums.execute(summed.statement.encode(), summed.values)
                return totals_of(await sums.fetchall())
        except QueryCanceled:
            raise Refusal("overloaded", _TOO_LONG) from None


def _listed(report: Report) -> ListedReport:
    takes, formats = sorted(report.takes), list[str](formats_of(report))
    return ListedReport(report.name, report.title, report.about, takes, list(report.groups), report.detail, formats)


_TEXT = Annotated[str, msgspec.Meta(max_length=TEXT_CHARS_MAX)]
_DAY = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date"})]

_QUERY = (
    Parameter("since", _DAY, "The first day."),
    Parameter("until", _DAY, "The last day, all of it; of what stands on accounts: as of its end."),
    Parameter("as_of", _DAY, "The day at whose end things stand; else that of `until`, else now."),
    Parameter("by", _TEXT, "What the rows are of, with commas, such as `campaign,month`."),
    Parameter("entity", _TEXT, "Only this legal entity."),
    Parameter("campaign", _TEXT, "Only this campaign."),
    Parameter("channel", _TEXT, "Only what was claimed in this channel."),
    Parameter("store", _TEXT, "Only what was redeemed in this store."),
    Parameter("merchant", _TEXT, "Only this merchant."),
    Parameter("funder", _TEXT, "Only this funder."),
    Parameter("account", _TEXT, "Only this account."),
    Parameter("basis", Basis, "By which of its dates a journal counts."),
    Parameter("zone", _TEXT, "Where days of instants begin, and how a file shows them, such as `Asia/Shanghai`."),
    Parameter("format", _TEXT, f"`{'`, `'.join(FORMATS)}`; JSON comes in pages, the others whole."),
)

routes = [
    Operation("GET", "/v1/reports", list_reports, under="Finance", who=READERS, gives={200: ReportList}),
    Operation(
        "GET",
        "/v1/reports/{report}",
        see_report,
        under="Finance",
        who=READERS,
        gives={
            200: (
                ReportPage,
                *(Media(made.media_type.partition(";")[0]) for name, made in FORMATS.items() if name != "json"),
            )
        },
        query=(*_QUERY, *PAGE),
        refuses=("not_found",),
        tells={"Content-Disposition": "How the file is called."},
    ),
]
