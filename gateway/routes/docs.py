"""For who writes programs: every route as OpenAPI 3.1, and a page that shows it."""

import asyncio
from hashlib import blake2b

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from gateway.api.assets import Asset, assets
from gateway.api.operation import ANYBODY, Media, Operation, Parameter
from gateway.errors import Refusal

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_FOR_EVER = "public, max-age=31536000, immutable"
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Fairclaim: HTTP</title><link rel="icon" href="data:,">{styles}</head>
<body><main id="docs"></main>{scripts}</body></html>"""


async def openapi(request: Request) -> Response:
    """This document: every route, in OpenAPI 3.1."""
    body: bytes = await asyncio.to_thread(request.app.state.document)
    etag = f'"{blake2b(body, digest_size=12).hexdigest()}"'
    headers = {"etag": etag, "cache-control": "no-cache"}
    known = {each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")}
    if known & {etag, "*"}:
        return Response(None, 304, headers)
    return Response(body, 200, headers, "application/json")


async def docs(request: Request) -> Response:
    """A page that shows this document, and tries it out. Everything it loads comes from here."""
    styles, scripts = "", ""
    for each in (await asyncio.to_thread(assets)).values():
        if each.name.endswith(".css"):
            styles += f'<link rel="stylesheet" href="/docs/{each.name}" integrity="{each.integrity}">'
        else:
            scripts += f'<script src="/docs/{each.name}" integrity="{each.integrity}"></script>'
    headers = {"content-security-policy": _POLICY, "cache-control": "no-cache"}
    return HTMLResponse(_PAGE.format(styles=styles, scripts=scripts), headers=headers)


async def docs_asset(request: Request) -> Response:
    """A script or style of the page. Its name changes with its content, so it may be kept for ever."""
    asset: Asset | None = (await asyncio.to_thread(assets)).get(request.path_params["asset"])
    if asset is None:
        raise Refusal("not_found")
    headers = {"cache-control": _FOR_EVER, "vary": "accept-encoding", "x-content-type-options": "nosniff"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(asset.compressed, 200, headers | {"content-encoding": "gzip"}, asset.media_type)
    return Response(asset.body, 200, headers, asset.media_type)


routes = [
    Operation(
        "GET",
        "/openapi.json",
        openapi,
        under="Programmers",
        who=ANYBODY,
        headers=(Parameter("If-None-Match", str, "The ETag of the one that you have.", "header"),),
        gives={200: Media("application/json", {"type": "object", "required": ["openapi", "paths"]}), 304: None},
        tells={"ETag": "Changes with the document."},
    ),
    Operation("GET", "/docs", docs, under="Programmers", who=ANYBODY, gives={200: Media("text/html")}),
    Operation(
        "GET",
        "/docs/{asset}",
        docs_asset,
        under="Programmers",
        who=ANYBODY,
        gives={200: (Media("text/javascript"), Media("text/css"))},
        refuses=("not_found",),
    ),
]
