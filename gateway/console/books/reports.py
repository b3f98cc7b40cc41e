"""Reports: one page for all of them, made of what the catalogue says of each; what the screen shows is in the file."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from secrets import token_hex
from typing import Any, TypeVar, get_args
from urllib.parse import urlencode

from starlette.responses import Response

from gateway.console.books.addresses import BOOKS, MAY_BE_NONE, NONE, list_name, query
from gateway.console.books.cells import FIGURES, cells, total_cells
from gateway.console.books.drilling import SUMS
from gateway.console.books.naming import ASK_WORDS, BASIS_WORDS, FORMAT_WORDS, GROUPS, REPORT_WORDS, head, on_screen
from gateway.console.books.outside import MEASURE_WORDS, outside_of
from gateway.console.books.standing import reconciled
from gateway.console.books.sums import SHOWN_SUMMED, summary_of, sums_of
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
PATIENCE_S = 1.5
"""A page is shown by then, and says that it is at it; what it shows comes when it is there."""
WAIT = "wait"
DAYS = ("since", "until", "as_of")
_WRONG_DAY = N_("Choose a day, not before the first one.")
_UNKNOWN = N_("The books know no such name.")
_WRONG = N_("This can’t be asked here.")

T = TypeVar("T")


async def show_list(visit: Visit) -> Response:
    """Every report."""
    return visit.render("books", groups=GROUPS, reports=REPORT_WORDS)


async def show(visit: Visit) -> Response:
    """A page of a report, or its form with what is wrong in it."""
    report, given, errors = report_in(visit), given_in(visit), dict[str, str]()
    shown: dict[str, Any] = {"table": None}
    try:
        asked = asked_of(report, _with_zone(visit, report, given))
        found = await in_time(visit, _found(visit, report, asked, given))
        shown = {"table": None, "working": 1} if found is None else found
    except BadAsk as error:
        errors[error.field] = visit.words.say(_WRONG_DAY if error.field in DAYS else _WRONG)
    except Refusal as refusal:
        if refusal.code == "overloaded":
            shown = {"table": None, "too_long": 1}
        elif refusal.code == "not_found":
            errors[str(refusal.context.get("field"))] = visit.words.say(_UNKNOWN)
        else:
            raise
    form: dict[str, Any] = {"given": given, "asks": ASK_WORDS, "bases": BASIS_WORDS, "names": REPORT_WORDS[report.name]}
    form |= {"key": token_hex(16), "may_export": visit.who.may("finance"), "formats": _formats(report)}
    status = 400 if errors and not is_piece(visit) else 200
    return visit.render(
        "books_report",
        status,
        report=report,
        errors=errors,
        head=head,
        path=f"{BOOKS}/reports/{report.name}",
        measures=MEASURE_WORDS,
        here=here_of(visit),
        **form,
        **{"working": 0, "too_long": 0, "outside": None, **shown},
    )


async def in_time(visit: Visit, work: Awaitable[T]) -> T | None:
    """
    What *work* gives; None where it takes longer than a page should, and is given up: the page then asks for it anew.

    Whoever waits has `wait` in the address, and as long as a question to the books may take.
    """
    if visit.asked(WAIT):
        return await work
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await work
    except TimeoutError:
        return None


def is_piece(visit: Visit) -> bool:
    """Whether a page of ours asks, for a part of itself: it takes what is wrong with a form as any other answer."""
    return "hx-request" in visit.request.headers


async def give_file(visit: Visit) -> Response:
    """All of a report as a file. Errors: Refusal."""
    report, given = report_in(visit), given_in(visit)
    told = _with_zone(visit, report, given)
    try:
        format = check_format(report, visit.asked("format") or "csv")
        asked = asked_of(report, told)
    except BadAsk as error:
        raise Refusal("bad_request", str(error), field=error.field) from None
    return await file_of(visit.here, visit.who.actor, report, asked, told, format)


def report_in(visit: Visit) -> Report:
    """The report in the path. Errors: Refusal("not_found")."""
    report = REPORTS.get(visit.request.path_params["report"])
    if report is None:
        raise Refusal("not_found")
    return report


def given_in(visit: Visit) -> dict[str, str]:
    """What the address asks of a report, as text; what is left empty is not asked for, unless `none` names it."""
    asked = visit.request.query_params
    nones = {name: "" for name in asked.getlist(NONE) if name in MAY_BE_NONE}
    given = {name: value for name in Asked.__struct_fields__ if (value := visit.asked(name))}
    groups = [each for each in asked.getlist("by") if each]
    return nones | given | ({"by": ",".join(groups)} if groups else {})


def _with_zone(visit: Visit, report: Report, given: Mapping[str, str]) -> dict[str, str]:
    """*given*; days begin where the person is, unless another place is asked for."""
    zone = {"zone": visit.words.zone} if "zone" in report.takes else {}
    return {**zone, **given}


def here_of(visit: Visit) -> str:
    """The address, without what only says how it is shown."""
    kept = [(name, value) for name, value in visit.request.query_params.multi_items() if name not in (WAIT, SUMS)]
    return f"{visit.request.url.path}?{urlencode(kept)}"


async def _found(visit: Visit, report: Report, asked: Asked, given: Mapping[str, str]) -> dict[str, Any]:
    """What the page shows. Errors: Refusal."""
    by = _sorted(visit, report, asked)
    after = read_cursor(visit.request, list[Any], list_name(report.name, {**given, **by}))
    limit = max(5, min(ROWS_MAX, CELLS_MAX // len(report.columns(asked))))
    read = await read_report(visit.here.pool, report, asked, limit, after, _sort(visit, report, asked))
    wants_sums, may_sum = bool(visit.asked(SUMS)), bool(report.key) and report.name not in SHOWN_SUMMED
    summary = await summary_of(visit, report, asked) if report.key and (wants_sums or not may_sum) else None
    if may_sum and wants_sums and summary is None:
        summary = await sums_of(visit, report, asked)
    return {
        **_shown(visit, report, asked, given, read),
        "summary": summary,
        "sums_too_long": wants_sums and may_sum and summary is None,
        "may_sum": may_sum and not wants_sums,
        "reconciled": await reconciled(visit, asked.campaign),
        "outside": await outside_of(visit, report, asked),
    }


def _sort(visit: Visit, report: Report, asked: Asked) -> Sort | None:
    """By which column the address asks for it; None as the report has it."""
    text = visit.asked("sort")
    name = text.removeprefix("-")
    if report.key or name not in [column.name for column in report.columns(asked)]:
        return None
    return Sort(name, text.startswith("-"))


def _sorted(visit: Visit, report: Report, asked: Asked) -> dict[str, str]:
    return {"sort": visit.asked("sort")} if _sort(visit, report, asked) else {}


def _shown(visit: Visit, report: Report, asked: Asked, given: Mapping[str, str], read: Read) -> dict[str, Any]:
    kept, words = {**given, **_sorted(visit, report, asked)}, visit.words
    path = f"{BOOKS}/reports/{report.name}"
    more = f"{path}{query({**kept, 'cursor': make_cursor(read.after, list_name(report.name, kept))})}"
    rows = [cells(report.name, read.columns, row, given, words) for row in read.rows]
    is_all = read.after is None and not visit.asked("cursor")
    order = on_screen(report.name, [column.name for column in read.columns])
    table = {
        "columns": [read.columns[at] for at in order],
        "sticks": [] if report.key else _sticks(read.columns),
        "rows": [[made[at] for at in order] for made in rows],
        "totals": [
            total_cells(report.name, read.columns, sums, given, words)
            for sums in read.totals or ()
            if any(_figures(sums)) and not (is_all and len(read.rows) == 1)
        ],
    }
    return {
        "table": table,
        "more": more if read.after is not None else "",
        "first": f"{path}{query(kept)}" if visit.asked("cursor") else "",
        "files": [
            (name, label, f"{path}/file{query({**given, 'format': name})}") for name, label in _formats(report).items()
        ],
        "sorts": {} if report.key else _sorts(visit, read.columns, given, path),
        "sorted_by": visit.asked("sort") if _sort(visit, report, asked) else "",
    }


def _sticks(columns: Sequence[Column]) -> list[str]:
    """The column that stays in view beside the figures: the last that names what a row is of."""
    names = [column.name for column in columns if column.kind not in FIGURES]
    return [name for name in names if name != "currency"][-1:] or names


def _formats(report: Report) -> dict[str, str]:
    """Each format that there is of *report*, with its name."""
    return {name: FORMAT_WORDS[name] for name in formats_of(report)}


def _figures(sums: Mapping[str, Any]) -> list[Any]:
    return [value for name, value in sums.items() if name != "currency" and value is not None]


def _sorts(visit: Visit, columns: tuple[Column, ...], given: Mapping[str, str], path: str) -> dict[str, str]:
    """Column → the address that sorts by it, the largest first, or the other way round when it is so."""
    by = visit.asked("sort")
    figures = {column.name for column in columns if column.kind in FIGURES}
    ways = {column.name: f"-{column.name}" if column.name in figures else column.name for column in columns}
    turned = {name: way[1:] if way[0] == "-" else f"-{name}" for name, way in ways.items()}
    return {
        name: f"{path}{query({**given, 'sort': turned[name] if by == ways[name] else ways[name]})}" for name in ways
    }


assert set(BASIS_WORDS) == set(get_args(Basis)), "each basis has its words"

PAGES = (
    Page(path=BOOKS, show=show_list, roles=READERS, menu=N_("Reports"), section=N_("Books")),
    Page(path=REPORT, show=show, roles=READERS, under=BOOKS),
    Page(path=f"{REPORT}/file", show=give_file, roles=READERS, under=BOOKS),
)
