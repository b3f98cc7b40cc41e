"""Reports: one page for all of them, made of what the catalogue says of each; what the screen shows is in the file."""

from collections.abc import Mapping
from typing import Any, get_args
from urllib.parse import urlencode

from starlette.responses import Response

from gateway.console.books.cells import BOOKS, Cell, cells, list_name, told
from gateway.console.books.naming import ASK_WORDS, BASIS_WORDS, FORMAT_WORDS, GROUPS, REPORT_WORDS, head
from gateway.console.books.standing import reconciled
from gateway.console.locales import N_
from gateway.console.page import Page, Visit
from gateway.errors import Refusal
from gateway.finance.reports import Read, file_of, read_report
from gateway.routes.paging import make_cursor, read_cursor
from reconciler.reports.asking import BadAsk, asked_of
from reconciler.reports.catalog import REPORTS
from reconciler.reports.reading import Sort
from reconciler.reports.shape import Asked, Basis, Column, Report
from reconciler.reports.writing import check_format, formats_of

READERS = ("finance", "auditor")
REPORT = f"{BOOKS}/reports/{{report}}"
CELLS_MAX = 400
ROWS_MAX = 40
DAYS = ("since", "until", "as_of")
_WRONG_DAY = N_("Choose a day, not before the first one.")
_UNKNOWN = N_("The books know no such name.")
_WRONG = N_("This can’t be asked here.")


async def show_list(visit: Visit) -> Response:
    """Every report."""
    return visit.render("books", groups=GROUPS, reports=REPORT_WORDS)


async def show(visit: Visit) -> Response:
    """A page of a report, or its form with what is wrong in it."""
    report, given, errors = report_in(visit), given_in(visit), dict[str, str]()
    read, asked = None, Asked()
    try:
        asked = asked_of(report, _with_zone(visit, report, given))
        read = await _read(visit, report, asked, given)
    except BadAsk as error:
        errors[error.field] = visit.words.say(_WRONG_DAY if error.field in DAYS else _WRONG)
    except Refusal as refusal:
        if refusal.code != "not_found":
            raise
        errors[str(refusal.context.get("field"))] = visit.words.say(_UNKNOWN)
    status = 400 if errors else 200
    form: dict[str, Any] = {"given": given, "asks": ASK_WORDS, "bases": BASIS_WORDS, "names": REPORT_WORDS[report.name]}
    shown = await _shown(visit, report, asked, given, read) if read else {"table": None}
    return visit.render("books_report", status, report=report, errors=errors, head=head, **form, **shown)


async def give_file(visit: Visit) -> Response:
    """All of a report as a file. Errors: Refusal."""
    report, given = report_in(visit), given_in(visit)
    told_ = _with_zone(visit, report, given)
    try:
        format = check_format(report, visit.asked("format") or "csv")
        asked = asked_of(report, told_)
    except BadAsk as error:
        raise Refusal("bad_request", str(error), field=error.field) from None
    return await file_of(visit.here, report, asked, told_, format)


def report_in(visit: Visit) -> Report:
    """The report in the path. Errors: Refusal("not_found")."""
    report = REPORTS.get(visit.request.path_params["report"])
    if report is None:
        raise Refusal("not_found")
    return report


def given_in(visit: Visit) -> dict[str, str]:
    """What the address asks of a report, as text; what is left empty is not asked for."""
    given = {name: value for name in Asked.__struct_fields__ if (value := visit.asked(name))}
    groups = [each for each in visit.request.query_params.getlist("by") if each]
    return given | ({"by": ",".join(groups)} if groups else {})


def _with_zone(visit: Visit, report: Report, given: Mapping[str, str]) -> dict[str, str]:
    """*given*; days begin where the person is, unless another place is asked for."""
    zone = {"zone": visit.words.zone} if "zone" in report.takes else {}
    return {**zone, **given}


async def _read(visit: Visit, report: Report, asked: Asked, given: Mapping[str, str]) -> Read:
    after = read_cursor(visit.request, list[Any], list_name(report.name, {**given, **_sorted(visit, report, asked)}))
    columns = report.columns(asked)
    limit = max(5, min(ROWS_MAX, CELLS_MAX // len(columns)))
    return await read_report(visit.here.pool, report, asked, limit, after, _sort(visit, report, asked))


def _sort(visit: Visit, report: Report, asked: Asked) -> Sort | None:
    """By which column the address asks for it; None as the report has it."""
    text = visit.asked("sort")
    name = text.removeprefix("-")
    if report.key or name not in [column.name for column in report.columns(asked)]:
        return None
    return Sort(name, text.startswith("-"))


def _sorted(visit: Visit, report: Report, asked: Asked) -> dict[str, str]:
    return {"sort": visit.asked("sort")} if _sort(visit, report, asked) else {}


async def _shown(visit: Visit, report: Report, asked: Asked, given: Mapping[str, str], read: Read) -> dict[str, Any]:
    kept, words = {**given, **_sorted(visit, report, asked)}, visit.words
    path = f"{BOOKS}/reports/{report.name}"
    more = f"{path}?{urlencode({**kept, 'cursor': make_cursor(read.after, list_name(report.name, kept))})}"
    first = f"{path}?{urlencode(kept)}"
    table = {
        "columns": read.columns,
        "rows": [cells(report.name, read.columns, row, given, words) for row in read.rows],
        "totals": [_total(read.columns, sums, visit) for sums in read.totals or () if any(_figures(sums))],
    }
    files = [
        (name, FORMAT_WORDS[name], f"{path}/file?{urlencode({**given, 'format': name})}") for name in formats_of(report)
    ]
    return {
        "table": table,
        "more": more if read.after is not None else "",
        "first": first if visit.asked("cursor") else "",
        "files": files,
        "sorts": {} if report.key else _sorts(visit, read.columns, given, path),
        "sorted_by": visit.asked("sort") if _sort(visit, report, asked) else "",
        "reconciled": await reconciled(visit, asked.campaign),
        "may_export": visit.who.may("finance"),
    }


def _figures(sums: Mapping[str, Any]) -> list[Any]:
    return [value for name, value in sums.items() if name != "currency" and value is not None]


def _sorts(visit: Visit, columns: tuple[Column, ...], given: Mapping[str, str], path: str) -> dict[str, str]:
    """Column → the address that sorts by it, the largest first, or the other way round when it is so."""
    by = visit.asked("sort")
    figures = {column.name for column in columns if column.kind in ("minor", "count", "share")}
    ways = {column.name: f"-{column.name}" if column.name in figures else column.name for column in columns}
    turned = {name: way[1:] if way[0] == "-" else f"-{name}" for name, way in ways.items()}
    return {
        name: f"{path}?{urlencode({**given, 'sort': turned[name] if by == ways[name] else ways[name]})}"
        for name in ways
    }


def _total(columns: tuple[Column, ...], sums: Mapping[str, Any], visit: Visit) -> list[Cell]:
    """A row of sums, under their columns."""
    currency = str(sums.get("currency") or "")
    return [
        told(column.kind, sums.get(column.name), visit.words, currency)
        if column.total
        else Cell(currency if column.name == "currency" else "")
        for column in columns
    ]


assert set(BASIS_WORDS) == set(get_args(Basis)), "each basis has its words"

PAGES = (
    Page(path=BOOKS, show=show_list, roles=READERS, menu=N_("Reports"), section=N_("Books")),
    Page(path=REPORT, show=show, roles=READERS, under=BOOKS),
    Page(path=f"{REPORT}/file", show=give_file, roles=READERS, under=BOOKS),
)
