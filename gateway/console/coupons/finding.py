"""Finding coupons: by code, which leads to it, by holder and by order; what is found, also as a CSV file."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response

from gateway.codes import read_code, show_code
from gateway.console.coupons.places import address_of
from gateway.console.coupons.searching import SEARCHERS, Place, place_of, search, table_of
from gateway.console.coupons.words import STATE_WORDS
from gateway.console.locales import N_
from gateway.console.page import Visit
from gateway.console.render import HEADERS
from gateway.console.tables import Cell, Noted, Read, Table, csv_file, every_page
from gateway.errors import Refusal

EXPORTERS = ("marketer", "finance", "auditor")
ROWS_MAX = 50
_FILE_ROWS = 500


async def show(visit: Visit) -> Response:
    """The form, and what it finds."""
    table = table_of(visit)
    typed = table.given("code")
    if typed and "hx-request" in visit.request.headers:  # a piece of a page can't lead on, nor say what is wrong
        return Response(headers={**HEADERS, "hx-redirect": table.address()})
    code = read_code(typed)
    if code is not None:
        return visit.go(address_of(code))
    errors = {"code": visit.words.say(N_("This can’t be a code."))} if typed else {}
    found = await table.page(_reader(visit, table), lambda each: place_of(each, table), Place, ROWS_MAX)
    shown = [each | {"shown": show_code(each["code"]), "at": address_of(each["code"])} for each in found.rows]
    may_export = bool(shown) and visit.who.may(*EXPORTERS)
    return visit.render(
        "coupons",
        400 if errors else 200,
        coupons=shown,
        table=table,
        shown=found,
        file=table.file if may_export else "",
        errors=errors,
        states=STATE_WORDS,
        may_search=visit.who.may(*SEARCHERS),
    )


def _reader(visit: Visit, table: Table) -> Read[Place, dict[str, Any]]:
    async def read(after: Place | None, limit: int) -> list[dict[str, Any]]:
        return await search(visit, table, after, limit)

    return read


async def export(visit: Visit) -> Response:
    """Every coupon that the list has, as CSV with times in UTC; who took it is in the audit log. Errors: Refusal."""
    table = table_of(visit)
    holder, order = table.given("holder"), table.given("order")
    if not holder and not order:
        raise Refusal("not_found")
    subject = f"holder:{holder}" if holder else f"order:{order}"
    narrowed = {name: value for name in ("campaign", "state") if (value := table.given(name))}

    async def pages() -> AsyncIterator[Iterable[Sequence[Cell]]]:
        async for page in every_page(_reader(visit, table), lambda each: place_of(each, table), _FILE_ROWS):
            yield map(_cells, page)

    heads = ("code", "state", "campaign", "holder", "channel", "batch", "seq", "claimed_at", "expires_at", "as_of")
    return await csv_file(visit, "coupons", heads, pages(), Noted("coupons.exported", subject, narrowed))


def _cells(each: Mapping[str, Any]) -> tuple[Cell, ...]:
    named = ("state", "campaign", "holder", "channel", "batch", "seq", "claimed_at", "expires_at")
    return (show_code(each["code"]), *(each[name] for name in named), datetime.now(UTC))
