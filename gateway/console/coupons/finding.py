"""Finding coupons: by code, which leads to it, by holder and by order; what is found, also as a CSV file."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response

from gateway.codes import read_code, show_code
from gateway.console.access import HOME
from gateway.console.coupons.places import COUPONS, address_of
from gateway.console.coupons.searching import SEARCHERS, SORT_WORDS, place_of, search, wanted_of
from gateway.console.coupons.words import STATE_WORDS
from gateway.console.locales import N_
from gateway.console.page import Visit
from gateway.console.render import HEADERS
from gateway.console.tables import Cell, Noted, csv_file, every_page
from gateway.errors import Refusal

EXPORT = f"{HOME}/coupons.csv"
EXPORTERS = ("marketer", "finance", "auditor")
ROWS_MAX = 50
_FILE_ROWS = 500


async def show(visit: Visit) -> Response:
    """The form, and what it finds."""
    wanted = wanted_of(visit)
    if wanted.code and "hx-request" in visit.request.headers:  # a piece of a page can't lead on, nor say what is wrong
        return Response(headers={**HEADERS, "hx-redirect": f"{COUPONS}?{wanted.query()}"})
    code = read_code(wanted.code)
    if code is not None:
        return visit.go(address_of(code))
    errors = {"code": visit.words.say(N_("This can’t be a code."))} if wanted.code else {}
    after = visit.asked("after")
    found = await search(visit, wanted, visit.asked("at"), after, ROWS_MAX + 1)
    more = ""
    if len(found) > ROWS_MAX:
        more = f"{COUPONS}?{wanted.query(**place_of(found[ROWS_MAX - 1], wanted))}"
    shown = [each | {"shown": show_code(each["code"]), "at": address_of(each["code"])} for each in found[:ROWS_MAX]]
    may_export = bool(shown) and visit.who.may(*EXPORTERS)
    return visit.render(
        "coupons",
        400 if errors else 200,
        coupons=shown,
        given=wanted,
        more=more,
        first=f"{COUPONS}?{wanted.query()}" if after else "",
        export=f"{EXPORT}?{wanted.query()}" if may_export else "",
        errors=errors,
        states=STATE_WORDS,
        sorts=SORT_WORDS,
        may_search=visit.who.may(*SEARCHERS),
    )


async def export(visit: Visit) -> Response:
    """Every coupon that the list has, as CSV with times in UTC; who took it is in the audit log. Errors: Refusal."""
    wanted = wanted_of(visit)
    if not wanted.holder and not wanted.order:
        raise Refusal("not_found")
    subject = f"holder:{wanted.holder}" if wanted.holder else f"order:{wanted.order}"
    narrowed = {name: value for name in ("campaign", "state") if (value := getattr(wanted, name))}

    async def read(place: dict[str, str] | None, limit: int) -> list[dict[str, Any]]:
        return await search(visit, wanted, **(place or {"at": "", "after": ""}), limit=limit)

    async def pages() -> AsyncIterator[Iterable[Sequence[Cell]]]:
        async for page in every_page(read, lambda each: place_of(each, wanted), _FILE_ROWS):
            yield map(_cells, page)

    heads = ("code", "state", "campaign", "holder", "channel", "batch", "seq", "claimed_at", "expires_at", "as_of")
    return await csv_file(visit, "coupons", heads, pages(), Noted("coupons.exported", subject, narrowed))


def _cells(each: Mapping[str, Any]) -> tuple[Cell, ...]:
    named = ("state", "campaign", "holder", "channel", "batch", "seq", "claimed_at", "expires_at")
    return (show_code(each["code"]), *(each[name] for name in named), datetime.now(UTC))
