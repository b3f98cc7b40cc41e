"""Finding coupons: by code, which leads to it, by holder and by order; what is found, also as a CSV file."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response, StreamingResponse

from gateway.codes import read_code, show_code
from gateway.console.access import HOME
from gateway.console.coupons.places import COUPONS, address_of
from gateway.console.coupons.searching import SEARCHERS, SORT_WORDS, place_of, search, wanted_of
from gateway.console.coupons.words import STATE_WORDS
from gateway.console.locales import N_
from gateway.console.page import Visit
from gateway.console.render import HEADERS
from gateway.errors import Refusal
from gateway.issuing.csv_lines import row as csv_row
from gateway.issuing.store import audit
from gateway.sql import postgres

EXPORT = f"{HOME}/coupons.csv"
EXPORTERS = ("marketer", "finance", "auditor")
ROWS_MAX = 50
_EXPORT_ROWS = 500


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
    first = await search(visit, wanted, "", "", _EXPORT_ROWS)
    subject = f"holder:{wanted.holder}" if wanted.holder else f"order:{wanted.order}"
    narrowed = {name: value for name in ("campaign", "state") if (value := getattr(wanted, name))}
    async with postgres(visit.here.pool) as connection:
        await audit(connection, visit.who.actor, "coupons.exported", subject, narrowed)

    async def lines() -> AsyncIterator[str]:
        yield csv_row(
            "code", "state", "campaign", "holder", "channel", "batch", "seq", "claimed_at", "expires_at", "as_of"
        )
        page = first
        while page:
            for each in page:
                yield csv_row(*_cells(each))
            place = place_of(page[-1], wanted)
            page = await search(visit, wanted, **place, limit=_EXPORT_ROWS) if len(page) == _EXPORT_ROWS else []

    headers = {**HEADERS, "content-disposition": 'attachment; filename="coupons.csv"'}
    return StreamingResponse(lines(), media_type="text/csv; charset=utf-8", headers=headers)


def _cells(each: Mapping[str, Any]) -> tuple[str, ...]:
    times = (each["claimed_at"], each["expires_at"], datetime.now(UTC))
    told = tuple(at.astimezone(UTC).isoformat() for at in times)
    named = ("state", "campaign", "holder", "channel", "batch")
    return (show_code(each["code"]), *(each[name] for name in named), str(each["seq"]), *told)
