"""POST /v1/campaigns/{id}/claims: the plain route. What it answers, claims.py decides."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.claims import ClaimBody
from gateway.routes.access import holder
from gateway.services import services
from gateway.wire import body, idempotency_key
from lua.keys import CampaignId


async def claim(request: Request) -> Response:
    """Claim a coupon: 201, or 200 when this key has claimed it before, or a problem."""
    here = services(request)
    who = await holder(request)
    key = idempotency_key(request)
    asked = await body(request, ClaimBody, here.settings.claim_body_bytes_max)
    campaign = await here.catalog.published(CampaignId(request.path_params["campaign"]))
    reply = await here.claims.claim(campaign, who, key, asked, request.state.request_id)
    return Response(reply.body, reply.status, dict(reply.headers))


routes = [Route("/v1/campaigns/{campaign}/claims", claim, methods=["POST"])]
