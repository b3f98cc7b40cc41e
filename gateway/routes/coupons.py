"""
Coupons from the books: a holder's wallet, and one coupon by its code, with what Redis says of it now.

The wallet has a coupon once it is drained, within a second of its claim; …/claims/mine and the coupon alone know it at
once.
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
from gateway.redeeming.coupons import Asker, Found
from gateway.redeeming.reservations import owns
from gateway.routes.access import holder
from gateway.routes.paging import Page, make_cursor, page_limit, query_value, read_cursor
from gateway.routes.reservations import asker
from gateway.routes.unbooked import unbooked
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
    """
    A coupon; *holder* is shown to the staff.

    *left* are uses, or minor units of a balance. *order_id* is the order that holds it, for its owner and who put the
    hold on.
    """

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
    left: int
    reserved_until: Time | None
    order_id: str | None
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
    One coupon, its code typed in any case and grouping: its owner's, or anybody's for the staff.

    It is here as soon as it is claimed, and as it is at this instant; without its channel until it is drained. A
    stranger is told the same as for a code that is not there, or is no code, after the same work. Where Redis does
    not answer, a coupon is told as the books have it.
    """
    who, here = await asker(request, *READERS), services(request)
    coupons = here.redeeming.coupons
    await coupons.admit(who)
    code = read_code(request.path_params["code"]) or DECOY
    async with postgres(here.pool) as connection:
        booked = await row(connection, _QUERIES["coupon_by_code"], code=code, holder=who.holder or None)
    if booked is None:
        ahead = await unbooked(here, code, who)
        if ahead is None:
            raise await coupons.missed(who)
        return json_response(
            _ahead(ahead) | _live(ahead, who) | ({} if who.holder else {"holder": ahead.looked.holder})
        )
    try:
        found = await coupons.find(booked["code"], who)
    except Refusal as refusal:
        if refusal.code not in ("not_ready", "overloaded", "unknown"):
            raise
        found = None
    # What the books have of a hold says not who put it on, so its order is the owner's to see.
    seen = _coupon(booked) | ({} if who.holder else {"order_id": None}) | ({} if found is None else _live(found, who))
    return json_response(seen | ({} if who.holder else {"holder": booked["holder"]}))


def _live(found: Found, who: Asker) -> dict[str, Any]:
    """What may have changed since the coupon was drained."""
    looked = found.looked
    held = bool(looked.until_ms)
    return {
        "state": looked.state,
        "expires_at": rfc3339(looked.expires_ms),
        "left": looked.left,
        "reserved_until": rfc3339(looked.until_ms) if held else None,
        "order_id": looked.order if held and owns(looked.holder, looked.by, who) else None,
    }


def _ahead(found: Found) -> dict[str, Any]:
    """What does not change of a coupon that the books have not got; they alone have its channel."""
    return {
        "code": found.code,
        "display_code": show_code(found.code),
        "campaign": found.shard.campaign,
        "seq": found.looked.seq,
        "value": found.terms.value,
        "currency": found.terms.currency,
        "channel": None,
        "claimed_at": rfc3339(found.looked.claimed_ms),
    }


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
        "left": found["left"],
        "reserved_until": None if found["reserved_until"] is None else rfc3339(time_ms(found["reserved_until"])),
        "order_id": found["order_id"],
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
