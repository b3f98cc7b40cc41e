"""Finding coupons: by code, which leads to it, by holder, newest first, and by order."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from starlette.responses import Response

from gateway.codes import read_code, show_code
from gateway.console.access import HOME
from gateway.console.coupons.words import STATE_WORDS
from gateway.console.locales import N_
from gateway.console.page import Visit
from gateway.sql import load_queries, postgres, rows

COUPONS = f"{HOME}/coupons"
ROWS_MAX = 50
_END_OF_TIME = datetime(9999, 12, 31, tzinfo=UTC)
_WALLET, _LIFE = load_queries("coupons"), load_queries("coupon_life")
_FIELDS = ("code", "holder", "order", "state")


def address_of(code: str) -> str:
    """The page of a coupon."""
    return f"{COUPONS}/{quote(code, safe='')}"


async def show(visit: Visit) -> Response:
    """The form, and what it finds."""
    asked = {name: value for name in _FIELDS if (value := visit.asked(name))}
    given = {name: asked.get(name, "") for name in _FIELDS}
    code = read_code(given["code"])
    if code is not None:
        return visit.go(address_of(code))
    errors = {"code": visit.words.say(N_("This can’t be a code."))} if given["code"] else {}
    if given["state"] not in STATE_WORDS:
        given["state"] = ""
    found: list[dict[str, Any]] = []
    if given["holder"]:
        found = await _of_holder(visit, given["holder"], given["state"])
    elif given["order"]:
        found = await _of_order(visit, given["order"])
    more = ""
    if len(found) > ROWS_MAX:
        last = found[ROWS_MAX - 1]
        place = {"after": last["code"]} | ({"at": last["claimed_at"].isoformat()} if given["holder"] else {})
        more = f"{COUPONS}?{urlencode({**asked, **place})}"
    coupons = [each | {"shown": show_code(each["code"]), "at": address_of(each["code"])} for each in found[:ROWS_MAX]]
    first = f"{COUPONS}?{urlencode(asked)}" if visit.asked("after") else ""
    values = {"coupons": coupons, "given": given, "asked": asked, "more": more, "first": first, "errors": errors}
    return visit.render("coupons", 400 if errors else 200, states=STATE_WORDS, **values)


async def _of_holder(visit: Visit, holder: str, state: str) -> list[dict[str, Any]]:
    try:
        claimed_at = datetime.fromisoformat(visit.asked("at")).astimezone(UTC)
    except (ValueError, OverflowError):  # none, or none of ours: from the newest on
        claimed_at = _END_OF_TIME
    async with postgres(visit.here.pool) as connection:
        return await rows(
            connection,
            _WALLET["wallet_page"],
            holder=holder,
            state=state or None,
            claimed_at=claimed_at,
            code=visit.asked("after"),
            limit=ROWS_MAX + 1,
        )


async def _of_order(visit: Visit, order: str) -> list[dict[str, Any]]:
    async with postgres(visit.here.pool) as connection:
        return await rows(connection, _LIFE["of_order"], order=order, after=visit.asked("after"), limit=ROWS_MAX + 1)
