"""For finance: journals as they were sealed, and the head of a day."""

from datetime import date
from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.operation import PAGE, Media, Operation, Parameter
from gateway.errors import Refusal
from gateway.finance.asking import (
    READERS,
    SCOPE,
    WINDOW,
    ZONE,
    account_of,
    asked,
    bounds_in,
    scope_in,
    snapshot_of,
    text_of,
)
from gateway.finance.snapshot import snapshot
from gateway.finance.stocktakes import behind
from gateway.routes.access import staff
from gateway.routes.paging import Page, make_cursor, page_limit, read_cursor
from gateway.services import services
from gateway.wire import json_response
from reconciler.books import journals as books
from reconciler.books.asked import told
from reconciler.books.head import NotOver, Tip, day_head
from reconciler.books.journals import Journal, Wanted, WholeJournal, verb_of

_Text = Annotated[str, msgspec.Meta(max_length=200)]
_FILTERS = (
    Parameter("chain", _Text, "Of one hash chain: a shard such as demo/0, or manual:<entity>."),
    Parameter("verb", _Text, "Of one verb, such as redeem or manual."),
    Parameter("account", _Text, "Only those with a line on this account."),
)
_DATE = Parameter("date", date, "The day; else the last one that is over.")
_JOURNAL_MAX = (1 << 63) - 1
_Number = Annotated[int, msgspec.Meta(ge=0, le=_JOURNAL_MAX)]


class Journals(Page[Journal]):
    """Journals, the last posted first."""


class Head(msgspec.Struct):
    """
    The head of a day, in hex, and what every chain ended in.

    *text* is what is to be kept: its SHA-256 is *head*.
    """

    date: date
    zone: str
    head: str
    chains: list[Tip]
    text: str


async def see_journals(request: Request) -> Response:
    """Journals, the last posted first: all of them, or those of an entity, campaign, chain, verb or account."""
    await staff(request, *READERS)
    here, chain, account = services(request), text_of(request, "chain"), account_of(request)
    with asked():
        verb = verb_of(text_of(request, "verb"))
    wanted = Wanted(bounds_in(request), scope_in(request), chain, verb, account)
    limit, of_list = page_limit(request, here.settings.page_rows_max), f"journals {wanted}"
    under = read_cursor(request, _Number, of_list)
    async with snapshot_of(here.pool, wanted.scope, account=account, chain=chain) as connection:
        found = await books.journals(connection, wanted, limit + 1, after=behind(under))
    more = make_cursor(found[limit - 1].id, of_list) if len(found) > limit else None
    return json_response({"items": found[:limit], "next": more})


async def see_journal(request: Request) -> Response:
    """A journal with its lines, its place in its hash chain, and what reverses it."""
    await staff(request, *READERS)
    text, found = request.path_params["journal"], None
    if text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= _JOURNAL_MAX:
        async with snapshot(services(request).pool) as connection:
            found = await books.journal(connection, int(text))
    if found is None:
        raise Refusal("not_found", "There is no such journal.")
    return json_response(found)


async def see_head(request: Request) -> Response:
    """
    One hash for all that was posted up to the end of a day: keep it where nobody who writes the books can.

    As ``text/plain``, where that is accepted, it is the text whose SHA-256 is the head.
    """
    await staff(request, *READERS)
    with asked():
        day, zone = text_of(request, "date"), text_of(request, "zone", "UTC")
        async with snapshot(services(request).pool) as connection:
            try:
                found = await day_head(connection, day, zone)
            except NotOver as error:
                detail = f"{str(error)[:1].upper()}{str(error)[1:]}."
                raise Refusal("invalid_state", detail, field="date", over_at=told(error.from_)) from None
    if request.headers.get("accept", "").partition(",")[0].strip().startswith("text/plain"):
        return Response(found.text, media_type="text/plain", headers={"etag": f'"{found.head}"'})
    head: dict[str, Any] = {"date": found.day, "zone": zone, "head": found.head}
    return json_response({**head, "chains": found.chains, "text": found.text})


routes = [
    Operation(
        "GET",
        "/v1/ledger/journals",
        see_journals,
        under="Ledger",
        who=READERS,
        query=(*WINDOW, *SCOPE, *_FILTERS, *PAGE),
        gives={200: Journals},
        refuses=("not_found",),
    ),
    Operation(
        "GET",
        "/v1/ledger/journals/{journal}",
        see_journal,
        under="Ledger",
        who=READERS,
        gives={200: WholeJournal},
        refuses=("not_found",),
    ),
    Operation(
        "GET",
        "/v1/ledger/head",
        see_head,
        under="Ledger",
        who=READERS,
        query=(_DATE, ZONE),
        gives={200: (Head, Media("text/plain"))},
        refuses=("invalid_state",),
    ),
]
