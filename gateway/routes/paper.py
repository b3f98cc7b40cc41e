"""Coupons for paper and scanners: a sheet to print and cut, and one code as a picture."""

import asyncio
from typing import Annotated, Any, Literal, NamedTuple, get_args

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from gateway.api.operation import HOLDER, Media, Operation, Parameter
from gateway.campaigns.service import Campaigns
from gateway.codes import DECOY, read_code
from gateway.errors import Refusal
from gateway.issuing.batches import CodeBatches
from gateway.issuing.pictures import MEDIA_TYPES, Form, Sort, picture
from gateway.issuing.printing import Printing
from gateway.issuing.sheet import POLICY, SHEET_MAX, sheet
from gateway.issuing.store import audit
from gateway.redeeming.coupons import Asker
from gateway.routes.access import caller, staff
from gateway.routes.campaigns import campaign_of
from gateway.routes.codes import PRINTERS, batch_of, flag
from gateway.routes.paging import make_cursor, page_limit, query_value, read_cursor
from gateway.routes.unbooked import unbooked
from gateway.services import services
from gateway.sql import load_queries, postgres, row

SCANNED_BY = ("store", "marketer")
_QUERIES = load_queries("coupons")


class _Place(NamedTuple):
    """The last code of the sheet before."""

    code: Annotated[str, msgspec.Meta(pattern="^[0-9A-Z_.]+$")]


async def sheet_to_print(request: Request) -> Response:
    """
    Coupons of a batch to print and cut, as HTML for A4.

    A sheet has at most 500; Link leads to the next one. 503 as for codes.csv.
    """
    who = await staff(request, *PRINTERS)
    here, campaign, batch_id = services(request), campaign_of(request), batch_of(request)
    limit, of_list = page_limit(request, SHEET_MAX), f"sheet {batch_id}"
    place = read_cursor(request, _Place, of_list)
    batch = await CodeBatches(here.pool, here.door).see(campaign, batch_id)
    seen = await Campaigns(here.pool, here.door).see(campaign)
    printing = Printing(here.pool)
    await printing.in_books(batch, partial=flag(request, "partial"))
    found = await printing.page(batch, "" if place is None else place.code, limit + 1)
    async with postgres(here.pool) as connection:
        detail = {"batch": batch.id, "coupons": len(found[:limit])}
        await audit(connection, who.actor, "codes.printed", f"campaign:{campaign}", detail)
    page = found[:limit]
    text = await asyncio.to_thread(sheet, seen.definition, page, more=len(found) > limit)
    headers = {
        "content-security-policy": POLICY,
        "cache-control": "private, no-store",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
    }
    if len(found) > limit:
        cursor = make_cursor(_Place(page[-1]["code"]), of_list)
        headers["link"] = f'<{request.url.path}?limit={limit}&cursor={cursor}>; rel="next"'
    return HTMLResponse(text, headers=headers)


async def code_picture(request: Request) -> Response:
    """
    The code of a coupon as a picture: its owner's as soon as it is claimed, or anybody's for stores and marketers.

    A stranger is told the same as for a code that is not there, or is no code.
    """
    who, here = await caller(request), services(request)
    if who.key is not None and who.key.role not in ("admin", *SCANNED_BY):
        raise Refusal("forbidden", f"This needs an API key with role {' or '.join(('admin', *SCANNED_BY))}.")
    form, sort = _one_of(request, "format", Form, "svg"), _one_of(request, "kind", Sort, "qr")
    address = here.guessing.address(request)
    await here.guessing.admit(who, address)
    code = read_code(request.path_params["code"]) or DECOY
    async with postgres(here.pool) as connection:
        found = await row(connection, _QUERIES["coupon_by_code"], code=code, holder=who.holder)
    if found is None:
        ahead = await unbooked(here, code, Asker.of(who, address))
        if ahead is None:
            raise await here.guessing.failed(who, address)
        code = ahead.code
    drawn = await asyncio.to_thread(picture, code, sort, form)
    headers = {
        "cache-control": "private, max-age=3600",
        "vary": "Authorization",
        "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
        "x-content-type-options": "nosniff",
    }
    return Response(drawn, headers=headers, media_type=MEDIA_TYPES[form])


def _one_of(request: Request, name: str, kind: Any, default: str) -> Any:
    """A query parameter that is one of the words of *kind*. Errors: Refusal("bad_request")."""
    text = query_value(request, name)
    if text is not None and text not in get_args(kind):
        raise Refusal("bad_request", f"{name}: one of {', '.join(get_args(kind))}.", field=name)
    return default if text is None else text


routes = [
    Operation(
        "GET",
        "/v1/campaigns/{campaign}/code-batches/{batch}/sheet",
        sheet_to_print,
        under="Codes",
        who=PRINTERS,
        query=(
            Parameter("limit", Annotated[int, msgspec.Meta(ge=1, le=SHEET_MAX)], "How many coupons a sheet has."),
            Parameter("cursor", Annotated[str, msgspec.Meta(max_length=512)], "From Link of the sheet before."),
            Parameter("partial", Literal["true", "false"], "As for codes.csv."),
        ),
        gives={200: Media("text/html")},
        refuses=("campaign_not_found", "code_batch_not_found"),
        tells={"Link": "Where the next sheet is, if there is one."},
    ),
    Operation(
        "GET",
        "/v1/coupons/{code}/qr",
        code_picture,
        under="Codes",
        who=(HOLDER, *SCANNED_BY),
        query=(
            Parameter("format", Form, "Which kind of picture; svg by default."),
            Parameter("kind", Sort, "QR code (by default) or Code 128."),
        ),
        gives={200: (Media("image/svg+xml"), Media("image/png"))},
        refuses=("coupon_not_found", "rate_limited"),
    ),
]
