"""For stores: spend coupons on an order, see a redemption, roll it back; for marketers: revoke a coupon."""

import logging

from starlette.requests import Request
from starlette.responses import Response

from gateway.api.examples import CODE, ORDER
from gateway.api.operation import Operation
from gateway.callers import Caller
from gateway.errors import Refusal
from gateway.issuing.store import audit
from gateway.redeeming.bodies import (
    Redemption,
    RedemptionBody,
    RedemptionSeen,
    RevokeBody,
    Revoked,
    Rollback,
    RollbackBody,
    Stack,
    StackRollback,
)
from gateway.redeeming.coupons import Asker
from gateway.redeeming.names import STACK_PREFIX
from gateway.redeeming.revoking import Done, revoke
from gateway.routes.access import staff
from gateway.routes.counting import counted
from gateway.services import Services, services
from gateway.sql import postgres
from gateway.telemetry import REDEMPTIONS, ROLLBACKS
from gateway.wire import body, idempotency_key, json_response

log = logging.getLogger("fairclaim.redeeming")

_REPLAYED = {"idempotency-replayed": "true"}


async def _asker(request: Request, *roles: str) -> Asker:
    key = await staff(request, *roles)
    return Asker.of(Caller(None, key), services(request).guessing.address(request))


@counted(REDEMPTIONS)
async def redeem(request: Request) -> Response:
    """
    Spend a coupon on an order, once: 201, or 200 when this key or this order did it before.

    Several codes are one redemption, all of them or none, with an id of its own and one for each code.
    """
    here = services(request)
    who = await _asker(request, "store")
    key = idempotency_key(request)
    asked = (await body(request, RedemptionBody, here.settings.body_bytes_max)).checked()
    codes = asked.all_codes
    done: Redemption | Stack
    if len(codes) == 1:
        done, again = await here.redeeming.redemptions.redeem(codes[0], asked, key, who)
    else:
        done, again = await here.redeeming.stacks.redeem(codes, asked, key, who)
    return json_response(
        done, 200 if again else 201, _REPLAYED if again else {"location": f"/v1/redemptions/{done.id}"}
    )


async def see(request: Request) -> Response:
    """A redemption as it is now, with what came back of it; or a stack of them."""
    await staff(request, "store", "finance", "auditor")
    id_, redeeming = request.path_params["redemption"], services(request).redeeming
    if id_.startswith(STACK_PREFIX):
        return json_response(await redeeming.stacks.see(id_))
    return json_response(await redeeming.redemptions.see(id_))


@counted(ROLLBACKS)
async def roll_back(request: Request) -> Response:
    """
    Give back what a redemption took: the rest of it, an amount, or lines; once a key, with 200 when it did so before.

    Of a stack, the rest of each of its redemptions; each can go alone, too, by its own id.
    """
    here = services(request)
    who = await _asker(request, "store")
    key = idempotency_key(request)
    asked = await body(request, RollbackBody, here.settings.body_bytes_max)
    id_ = request.path_params["redemption"]
    done: Rollback | StackRollback
    if id_.startswith(STACK_PREFIX):
        done, again = await here.redeeming.stacks.roll_back(id_, asked, key, who)
    else:
        done, again = await here.redeeming.rollbacks.roll_back(id_, asked, key, who)
    return json_response(done, 200 if again else 201, _REPLAYED if again else None)


async def revoke_one(request: Request) -> Response:
    """Take a coupon away from whoever has it; nothing further happens where that was done before."""
    here = services(request)
    who = await _asker(request, "marketer")
    asked = await body(request, RevokeBody, here.settings.body_bytes_max)
    done = await revoke(here.redeeming.coupons, request.path_params["code"], asked.reason, who)
    if not done.again:
        await _note(here, who, done, asked.reason)
    return json_response(done.revoked, headers=_REPLAYED if done.again else None)


async def _note(here: Services, who: Asker, done: Done, reason: str) -> None:
    """A line of the audit log. With PostgreSQL away it is done all the same, and who and why are in the books alone."""
    detail = {"before": done.before, "after": {"state": done.revoked.state}, "reason": reason}
    try:
        async with postgres(here.pool) as connection:
            await audit(connection, who.actor, "coupon.revoked", f"coupon:{done.revoked.code}", detail)
    except Refusal:
        log.warning("a revocation is not in the audit log", extra={"campaign": done.revoked.campaign})


routes = [
    Operation(
        "POST",
        "/v1/redemptions",
        redeem,
        name="redeem_coupon",
        under="Stores",
        who=("store",),
        takes=RedemptionBody,
        example={"code": CODE, "order": ORDER, "store": "nanjing-road", "staff": "till-3"},
        gives={201: (Redemption, Stack), 200: (Redemption, Stack)},
        once=True,
        refuses=(
            "coupon_not_found",
            "rate_limited",
            "not_holder",
            "conditions_not_met",
            "reserved_by_other",
            "invalid_state",
            "idempotency_key_reused",
            "unknown",
        ),
        tells={"Location": "Where the redemption is seen."},
    ),
    Operation(
        "GET",
        "/v1/redemptions/{redemption}",
        see,
        name="see_redemption",
        under="Stores",
        who=("store", "finance", "auditor"),
        gives={200: (RedemptionSeen, Stack)},
        refuses=("redemption_not_found",),
    ),
    Operation(
        "POST",
        "/v1/redemptions/{redemption}/rollback",
        roll_back,
        name="roll_back_redemption",
        under="Stores",
        who=("store",),
        takes=RollbackBody,
        example={"reason": "returned", "amount_minor": 100},
        gives={201: (Rollback, StackRollback), 200: (Rollback, StackRollback)},
        once=True,
        refuses=(
            "redemption_not_found",
            "already_rolled_back",
            "rollback_exceeds",
            "idempotency_key_reused",
            "unknown",
        ),
    ),
    Operation(
        "POST",
        "/v1/coupons/{code}/revoke",
        revoke_one,
        name="revoke_coupon",
        under="Marketers",
        who=("marketer",),
        takes=RevokeBody,
        example={"reason": "printed twice"},
        gives={200: Revoked},
        refuses=("coupon_not_found", "rate_limited", "invalid_state", "unknown"),
        tells={"Idempotency-Replayed": "It was revoked before."},
    ),
]
