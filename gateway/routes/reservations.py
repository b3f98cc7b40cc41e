"""For holders and stores: what coupons would take off an order, and holding one for it."""

from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.examples import CODE, ORDER
from gateway.api.operation import HOLDER, Operation, Parameter
from gateway.callers import Caller
from gateway.errors import Refusal
from gateway.redeeming.bodies import (
    ORDER_ID_CHARS_MAX,
    REASON_CHARS_MAX,
    Quote,
    QuoteBody,
    Reservation,
    ReservationBody,
    checked_text,
)
from gateway.redeeming.coupons import Asker
from gateway.redeeming.reservations import ASKED
from gateway.routes.access import caller
from gateway.routes.counting import counted
from gateway.routes.paging import query_value
from gateway.services import services
from gateway.telemetry import QUOTES, RESERVATIONS
from gateway.wire import body, json_response
from gateway.worth.order import check_order

ROLES = ("admin", "store")

_ORDER = Parameter(
    "order_id",
    Annotated[str, msgspec.Meta(min_length=1, max_length=ORDER_ID_CHARS_MAX)],
    "The order that holds the coupon: named by staff that did not put the hold on, and where many may use a code.",
)

_REASON = Parameter(
    "reason",
    Annotated[str, msgspec.Meta(min_length=1, max_length=REASON_CHARS_MAX)],
    f"Why, for the coupon's life; {ASKED} where none is given.",
)


async def asker(request: Request, *roles: str) -> Asker:
    """
    Who asks about codes: a holder, or an API key with one of *roles*.

    Errors: Refusal unauthenticated, forbidden.
    """
    who: Caller = await caller(request)
    if who.key is not None and who.key.role not in roles:
        raise Refusal("forbidden", f"This needs a holder's token or an API key with role {' or '.join(roles)}.")
    return Asker.of(who, services(request).guessing.address(request))


@counted(QUOTES)
async def quote(request: Request) -> Response:
    """
    What coupons would take off an order, line by line, or why not.

    Advice that changes nothing: the redemption goes by the same rules and the same record, a moment later.
    """
    here = services(request)
    who = await asker(request, *ROLES)
    asked = await body(request, QuoteBody, here.settings.body_bytes_max)
    codes, order = asked.all_codes, check_order(asked.order)
    return json_response(await here.redeeming.quotes.quote(codes, order, asked.mode, asked.choose, who))


@counted(RESERVATIONS)
async def reserve(request: Request) -> Response:
    """
    Hold a coupon for an order, for a time.

    The same order gets the same hold again, with 200. The hold ends by itself, by the clock of Redis.
    """
    here = services(request)
    who = await asker(request, *ROLES)
    asked = await body(request, ReservationBody, here.settings.body_bytes_max)
    held, again = await here.redeeming.reservations.reserve(asked.code, asked.named_order, asked.ttl_s, who)
    if again:
        return json_response(held, headers={"idempotency-replayed": "true"})
    return json_response(held, 201, {"location": f"/v1/reservations/{held.code}"})


def _order(request: Request) -> str:
    text = query_value(request, "order_id")
    return "" if text is None else checked_text("order_id", text, ORDER_ID_CHARS_MAX)


async def see(request: Request) -> Response:
    """Whether a coupon is held, until when, and for its owner and who holds it: for which order."""
    who = await asker(request, *ROLES)
    seen = await services(request).redeeming.reservations.see(request.path_params["code"], _order(request), who)
    return json_response(seen)


async def release(request: Request) -> Response:
    """
    Let a coupon go that is held; nothing happens where it is not.

    Its owner lets any hold go. Staff lets go what it holds, or names the order.
    """
    who, reason = await asker(request, *ROLES), query_value(request, "reason")
    reservations, code = services(request).redeeming.reservations, request.path_params["code"]
    let_go, _ = await reservations.release(code, _order(request), who, ASKED if reason is None else reason)
    return json_response(let_go)


routes = [
    Operation(
        "POST",
        "/v1/quotes",
        quote,
        under="Stores",
        who=(HOLDER, "store"),
        takes=QuoteBody,
        example={"code": CODE, "order": ORDER},
        gives={200: Quote},
        refuses=("coupon_not_found", "rate_limited"),
    ),
    Operation(
        "POST",
        "/v1/reservations",
        reserve,
        under="Stores",
        who=(HOLDER, "store"),
        takes=ReservationBody,
        example={"code": CODE, "order_id": ORDER["id"]},
        gives={201: Reservation, 200: Reservation},
        refuses=("coupon_not_found", "rate_limited", "reserved_by_other", "invalid_state", "unknown"),
        tells={"Location": "Where the hold is seen and let go.", "Idempotency-Replayed": "The order held it before."},
    ),
    Operation(
        "GET",
        "/v1/reservations/{code}",
        see,
        name="see_reservation",
        under="Stores",
        who=(HOLDER, "store"),
        query=(_ORDER,),
        gives={200: Reservation},
        refuses=("coupon_not_found", "rate_limited"),
    ),
    Operation(
        "DELETE",
        "/v1/reservations/{code}",
        release,
        under="Stores",
        who=(HOLDER, "store"),
        query=(_ORDER, _REASON),
        gives={200: Reservation},
        refuses=("coupon_not_found", "rate_limited", "reserved_by_other", "unknown"),
    ),
]
