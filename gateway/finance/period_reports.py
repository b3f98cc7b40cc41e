"""For finance: what a close was signed on, as figures, as a page and as a PDF."""

from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.operation import Media, Operation, Parameter
from gateway.errors import Refusal
from gateway.finance.beside import run_beside
from gateway.finance.close_report.document import BadLocale, locale_of
from gateway.finance.close_report.page import POLICY
from gateway.finance.periods import FOUND, PERIOD, READERS, SignedView, period_in, signed_view
from gateway.routes.access import staff
from gateway.routes.paging import query_value
from gateway.services import Services, services
from gateway.sql import postgres
from gateway.wire import json_response
from reconciler.periods.listing import Signed, report_of
from reconciler.periods.report import CloseReport

RENDER_S_MAX = 60.0


class ReportView(msgspec.Struct, frozen=True):
    """A close report as it was signed."""

    signed: SignedView
    report: CloseReport


async def see_close_report(request: Request) -> Response:
    """The figures of a close: of the last one, or of the one whose number is asked for."""
    signed, report = await _report(request)
    return json_response(ReportView(signed_view(signed), report))


async def see_close_report_page(request: Request) -> Response:
    """A close report as a page that prints on A4: no script, nothing loaded from anywhere."""
    text = await _rendered(request, "html")
    headers = {"content-security-policy": POLICY, "referrer-policy": "no-referrer", **_FOR_ONE}
    return Response(text, headers=headers, media_type="text/html; charset=utf-8")


async def see_close_report_pdf(request: Request) -> Response:
    """A close report as a PDF on A4: the same one gives the same bytes."""
    made, period = await _rendered(request, "pdf"), period_in(request)
    name = f"close-{period.entity}-{period.label}.pdf"
    headers = {"content-disposition": f'inline; filename="{name}"', **_FOR_ONE}
    return Response(made, headers=headers, media_type="application/pdf")


_FOR_ONE = {"cache-control": "private, no-store", "x-content-type-options": "nosniff"}


async def _report(request: Request) -> tuple[Signed, CloseReport]:
    await staff(request, *READERS)
    here, period, text = services(request), period_in(request), query_value(request, "number")
    if text is not None and not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise Refusal("bad_request", "number: of a report, as the period lists them.", field="number")
    async with postgres(here.pool) as connection:
        found = await report_of(connection, period, None if text is None else int(text))
    if found is None:
        raise Refusal("not_found", "There is no such close report.")
    return found


async def _rendered(request: Request, form: str) -> bytes:
    signed, report = await _report(request)
    locale = query_value(request, "locale") or "en"
    try:
        locale_of(locale)
    except BadLocale as error:
        raise Refusal("bad_request", f"locale: {error}.", field="locale") from None
    return await rendered(services(request), signed, report, form, locale)


async def rendered(here: Services, signed: Signed, report: CloseReport, form: str, locale: str) -> bytes:
    """A close report as the file *form*, html or pdf. Errors: Refusal overloaded, not_ready."""
    given = msgspec.json.encode({"signed": signed, "report": report})
    command = ("gateway.finance.close_report", form, locale)
    return (await run_beside(here, "close report", command, s_max=RENDER_S_MAX, given=given)).out


_NUMBER = Parameter("number", Annotated[int, msgspec.Meta(ge=1)], "The number of a report; else the last one.")
_LOCALE = Parameter(
    "locale",
    str,
    "How numbers and the month are written, such as en, de_AT or zh_CN, which has Chinese words too; else en.",
)

routes = [
    Operation(
        "GET",
        f"{PERIOD}/report",
        see_close_report,
        under="Periods",
        who=READERS,
        query=(_NUMBER,),
        gives={200: ReportView},
        refuses=FOUND,
    ),
    Operation(
        "GET",
        f"{PERIOD}/report.html",
        see_close_report_page,
        under="Periods",
        who=READERS,
        query=(_NUMBER, _LOCALE),
        gives={200: Media("text/html")},
        refuses=FOUND,
    ),
    Operation(
        "GET",
        f"{PERIOD}/report.pdf",
        see_close_report_pdf,
        under="Periods",
        who=READERS,
        query=(_NUMBER, _LOCALE),
        gives={200: Media("application/pdf")},
        refuses=FOUND,
    ),
]
