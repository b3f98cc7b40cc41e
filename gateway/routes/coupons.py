"""
Coupons from the books: a holder's wallet, and one coupon by its code.

A coupon is here once it is drained, within a second of its claim; …/claims/mine knows it at once.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NamedTuple, get_args

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.operation import HOLDER, PAGE, Operation, Parameter, Time
from gateway.campaigns.definition import Value
from gateway.codes import DECOY, read_code, show_code
from gateway.errors import Refusal
from gateway.routes.access import caller, holder
from gateway.routes.paging import Page, make_cursor, page_limit, query_value, read_cursor
from gateway.services import services
from gateway.sql import load_queries, postgres, row, rows
from gateway.wire import json_response, rfc3339, time_ms

State = Literal["claimed", "reserved", "redeemed", "expired", "revoked"]
STATES = get_args(State)
READERS = ("admin", "store", "finance", "auditor")

_QUERIES = load_queries("coupons")
_END_OF_TIME = datetime(9999, 12, 31, tzinfo=UTC)
_MS_MAX = time_ms(_END_OF_TIME)


class Coupon(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A coupon as the books have it; *holder* is shown to the staff."""

    code: str
    display_code: str
    campaign: str
    seq: int
    state: State
    value: Value
    currency: str
    channel: str | None
    claimed_at: Time
    expires_at: Time
    holder: str | msgspec.UnsetType = msgspec.UNSET


class Wallet(Page[Coupon]):
    """A holder's coupons, newest first."""


class _Place(NamedTuple):
    """The last coupon shown: when it was claimed, and its code."""

    claimed_ms: Annotated[int, msgspec.Meta(ge=0, le=_MS_MAX)]
    code: Annotated[str, msgspec.Meta(pattern="^[0-9A-Z]+$")]


async def wallet(request: Request) -> Response:
    """My coupons, newest first, a page at a time, all of them or those in one state."""
    who, here = await holder(request), services(request)
    state = query_value(request, "state")
    if state is not None and state not in STATES:
        raise Refusal("bad_request", f"state: one of {', '.join(STATES)}.", field="state")
    limit = page_limit(request, here.settings.page_rows_max)
    of_list = f"wallet {state or ''} {who}"
    place = read_cursor(request, _Place, of_list)
    claimed_at = _END_OF_TIME if place is None else datetime.fromtimestamp(place.claimed_ms / 1000, UTC)
    async with postgres(here.pool) as connection:
        found = await rows(
            connection,
            _QUERIES["wallet_page"],
            holder=who,
            state=state,
            claimed_at=claimed_at,
            code="" if place is None else place.code,
            limit=limit + 1,
        )
    page = found[:limit]
    following = None
    if len(found) > limit:
        following = make_cursor(_Place(time_ms(page[-1]["claimed_at"]), page[-1]["code"]), of_list)
    return json_response({"items": [_coupon(each) for each in page], "next": following})


async def coupon(request: Request) -> Response:
    """
    One coupon, its code typed in any case and grouping: its owner's, or anybody's for who may look codes up.

    A stranger is told the same as for a code that is not there, or is no code, after the same work.
    """
    who, here = await caller(request), services(request)
    if who.key is not None and who.key.role not in READERS:
        raise Refusal("forbidden", f"This needs an API key with role {' or '.join(READERS)}.")
    address = here.guessing.address(request)
    await here.guessing.admit(who, address)
    code = read_code(request.path_params["code"]) or DECOY
    async with postgres(here.pool) as connection:
        found = await row(connection, _QUERIES["coupon_by_code"], code=code, holder=who.holder)
    if found is None:
        raise await here.guessing.failed(who, address)
    return json_response(_coupon(found) | ({"holder": found["holder"]} if who.key is not None else {}))


def _coupon(found: dict[str, Any]) -> dict[str, Any]:
    return {
        "code": found["code"],
        "display_code": show_code(found["code"]),
        "campaign": found["campaign"],
        "seq": found["seq"],
        "state": found["state"],
        "value": found["value"],
        "currency": found["currency"],
        "channel": found["channel"] or None,
        "claimed_at": rfc3339(time_ms(found["claimed_at"])),
        "expires_at": rfc3339(time_ms(found["expires_at"])),
    }


routes = [
    Operation(
        "GET",
        "/v1/coupons",
        wallet,
        under="Holders",
        who=(HOLDER,),
        query=(Parameter("state", State, "Only those in this state."), *PAGE),
        gives={200: Wallet},
    ),
    Operation(
        "GET",
        "/v1/coupons/{code}",
        coupon,
        name="see_coupon",
        under="Holders",
        who=(HOLDER, *READERS),
        gives={200: Coupon},
        refuses=("coupon_not_found", "rate_limited"),
    ),
]
