"""For marketers: take many coupons back at once."""

from datetime import datetime
from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.operation import Operation, Time
from gateway.issuing.revocations import Revocation, RevocationBody, Revocations
from gateway.keys import ROLES
from gateway.routes.access import alone, staff
from gateway.services import services
from gateway.wire import body, idempotency_key, json_response, rfc3339, time_ms


class RevocationView(msgspec.Struct, kw_only=True):
    """
    A revocation of many and how far it is: *revoked* of the coupons *looked_at*, in the pass *pass_* through the books.

    *waits_for* is what it can't go on without now: books that are behind, or a server.
    """

    id: str
    campaign: str | None
    holder: str | None
    reason: str
    state: Literal["pending", "running", "done"]
    waits_for: str | None
    pass_: int = msgspec.field(name="pass")
    looked_at: int
    revoked: int
    requested_by: str
    requested_at: Time
    started_at: Time | None
    finished_at: Time | None


async def revoke_many(request: Request) -> Response:
    """
    Revoke every coupon of a campaign or of a holder that is out now, once an Idempotency-Key.

    It is done in the background; coupons that come out later stay.
    """
    who = await staff(request, "marketer")
    alone(request, "revocation")
    key, here = idempotency_key(request), services(request)
    asked = await body(request, RevocationBody, here.settings.body_bytes_max)
    revocation, replayed = await Revocations(here.pool, here.door).ask(key, asked, who.actor)
    here.background.wake()
    headers = {"location": f"/v1/revocations/{revocation.id}"}
    return json_response(_view(revocation), 202, headers | ({"idempotency-replayed": "true"} if replayed else {}))


async def see_revocation(request: Request) -> Response:
    """A revocation of many as it is now."""
    await staff(request, *ROLES)
    here = services(request)
    return json_response(_view(await Revocations(here.pool, here.door).see(request.path_params["revocation"])))


def _view(here: Revocation) -> dict[str, object]:
    return {
        "id": here.id,
        "campaign": here.campaign,
        "holder": here.holder,
        "reason": here.reason,
        "state": here.state,
        "waits_for": here.waits_for,
        "pass": here.pass_,
        "looked_at": here.looked_at,
        "revoked": here.revoked,
        "requested_by": here.actor,
        "requested_at": _time(here.requested_at),
        "started_at": _time(here.started_at),
        "finished_at": _time(here.finished_at),
    }


def _time(at: datetime | None) -> str | None:
    return None if at is None else rfc3339(time_ms(at))


routes = [
    Operation(
        "POST",
        "/v1/revocations",
        revoke_many,
        under="Codes",
        who=("marketer",),
        takes=RevocationBody,
        example={"campaign": "flash-1", "reason": "misprint"},
        gives={202: RevocationView},
        refuses=("campaign_not_found", "idempotency_key_reused", "second_person_needed"),
        once=True,
        tells={"Location": "The path of the revocation."},
    ),
    Operation(
        "GET",
        "/v1/revocations/{revocation}",
        see_revocation,
        under="Codes",
        who=ROLES,
        gives={200: RevocationView},
        refuses=("revocation_not_found",),
    ),
]
