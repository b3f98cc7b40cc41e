"""/demo: the page, what it looks at, its tickets, and a code as a picture. It claims as anybody does, at /v1."""

from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from gateway.codes import read_code
from gateway.console.locales import Words, catalogue, choose
from gateway.demo.offer import offer_of, parts_of
from gateway.errors import Refusal
from gateway.issuing.pictures import MEDIA_TYPES, picture
from gateway.services import services
from gateway.static import Assets
from gateway.wire import body, json_response

_HERE = Path(__file__).parent
ASSETS = Assets(_HERE / "assets", "/demo/assets")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "cache-control": "no-store",
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_NO_STORE = {"cache-control": "no-store"}
BODY_BYTES_MAX = 256


class TicketBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request for a ticket."""

    visitor: str


class QrBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request for a picture."""

    code: str


@cache
def environment(language: str) -> Environment:
    """The template in *language*."""
    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        extensions=["jinja2.ext.i18n"],
    )
    made.install_gettext_translations(catalogue(language), newstyle=True)  # type: ignore[attr-defined]
    made.globals.update(asset=ASSETS.address)
    return made


async def page(request: Request) -> Response:
    """The page, in the language of the browser; where the sale can't be told it says so."""
    language, locale = choose("", request.headers.get("accept-language", ""))
    words, status = Words(language, locale, "UTC"), 200
    shown: dict[str, Any] = {"words": words, "sale": None}
    try:
        sale = await services(request).demo.view()
        offer = offer_of(msgspec.json.decode(sale["value"]), sale["currency"], words)
        shown |= {
            "sale": sale,
            "offer": offer,
            **dict(zip(("sign", "figure", "size"), parts_of(offer.large), strict=True)),
        }
    except Refusal as refusal:
        status = refusal.status
    template = environment(language).get_template("demo.html")
    return HTMLResponse(template.render(shown), status, HEADERS)


async def sale(request: Request) -> Response:
    """The campaign as a holder sees it, and the server's time."""
    return json_response(await services(request).demo.view(), headers=_NO_STORE)


async def ticket(request: Request) -> Response:
    """A ticket for the visitor that the body names. JSON, so no page of another host can ask."""
    here = services(request)
    asked = await body(request, TicketBody, BODY_BYTES_MAX)
    made = await here.demo.ticket(asked.visitor, here.guessing.address(request))
    return json_response(made, 201, _NO_STORE)


async def qr(request: Request) -> Response:
    """The code in the body as a QR code, in no address that a log would keep; whether there is one is not looked at."""
    here = services(request)
    asked = await body(request, QrBody, BODY_BYTES_MAX)
    code = read_code(asked.code)
    if code is None:
        raise Refusal("bad_request", "code: the code of a coupon.", field="code")
    await here.demo.admit_picture(here.guessing.address(request))
    headers = {**_NO_STORE, "x-content-type-options": "nosniff"}
    return Response(picture(code, "qr", "svg"), headers=headers, media_type=MEDIA_TYPES["svg"])


routes = [
    Route("/demo", page, methods=["GET"]),
    Route("/demo/sale", sale, methods=["GET"]),
    Route("/demo/ticket", ticket, methods=["POST"]),
    Route("/demo/qr", qr, methods=["POST"]),
    Route("/demo/assets/{name}", ASSETS.answer, methods=["GET"]),
]
