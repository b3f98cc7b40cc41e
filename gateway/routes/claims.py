"""POST /v1/campaigns/{id}/claims: the plain route. What it answers, claims.py decides."""

import asyncio
from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gateway.answers import REFUSED, Answer
from gateway.api.operation import HOLDER, TICKET, Operation, Time
from gateway.campaigns.definition import Value
from gateway.catalog import Published
from gateway.claims import Claim, ClaimBody, Claims
from gateway.edge import as_response
from gateway.routes.access import claimant
from gateway.services import services
from gateway.wire import body_bytes, check_media_type, idempotency_key
from lua.keys import CampaignId, key_hash


class Claimed(msgspec.Struct):
    """A coupon that was claimed; a repetition with the same key gets it byte for byte. answers.py writes it."""

    code: str
    display_code: str
    campaign: str
    seq: int
    state: Literal["claimed"]
    value: Value
    currency: str
    expires_at: Time
    server_time: Time


class _AwaitedClaim(Claim):
    """A claim whose answer is awaited; a caller that is gone leaves it decided all the same."""

    __slots__ = ("answer",)

    def __init__(self, claims: Claims, campaign: Published, request_id: str) -> None:
        super().__init__(claims, campaign, request_id)
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def answered(self, answer: Answer) -> None:
        """Wake the caller, if he still listens."""
        if not self.answer.done():
            self.answer.set_result(answer)


async def claim(request: Request) -> Response:
    """Claim a coupon: 201, or 200 when this key has claimed it before, or a problem."""
    here = services(request)
    who = await claimant(request)
    key = idempotency_key(request)
    data = await body_bytes(request, here.settings.claim_body_bytes_max)
    check_media_type(request.headers.get("content-type"), data)
    asked = here.claims.bodies.read(data)
    campaign = await here.catalog.published(CampaignId(request.path_params["campaign"]))
    awaited = _AwaitedClaim(here.claims, campaign, request.state.request_id)
    awaited.holder, awaited.idem = who, key_hash(key)
    awaited.ask(asked)
    return as_response(await awaited.answer)


routes = [
    Operation(
        "POST",
        "/v1/campaigns/{campaign}/claims",
        claim,
        name="claim_coupon",
        under="Holders",
        who=(HOLDER, TICKET),
        takes=ClaimBody,
        example={"channel": "app"},
        gives={201: Claimed, 200: Claimed},
        refuses=("campaign_not_found", "unknown", *REFUSED.values()),
        once=True,
    )
]
