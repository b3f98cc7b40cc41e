"""POST /v1/campaigns/{id}/tickets: before the sale, so that the second of the sale needs no token."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.operation import HOLDER, Operation, Time
from gateway.campaigns.shards import Look, Shards, all_ready
from gateway.errors import Refusal
from gateway.routes.access import holder
from gateway.services import services
from gateway.wire import body, json_response, rfc3339
from lua.keys import CampaignId, shard_of


class TicketBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request for a ticket: nothing. Whose it is, the token says; which campaign, the path."""


class Ticket(msgspec.Struct):
    """A ticket, to be kept as secret as a token: whoever has it claims for its holder."""

    ticket: str
    campaign: str
    not_before: Time
    expires_at: Time
    server_time: Time


async def ticket(request: Request) -> Response:
    """A ticket to claim with, good from now until the campaign ends or ticket_s_max is over, whichever is first."""
    who, here = await holder(request), services(request)
    await body(request, TicketBody, here.settings.claim_body_bytes_max)
    campaign_id = CampaignId(request.path_params["campaign"])
    published = await here.catalog.published(campaign_id)
    look = await Shards(here.door).look(shard_of(campaign_id, who, published.shards))
    all_ready(campaign_id, [look])
    expires_ms = min(_ends_ms(look), look.now_ms + here.settings.ticket_s_max * 1000)
    made = here.credentials.tickets.mint(who, campaign_id, look.now_ms / 1000, expires_ms / 1000)
    now = rfc3339(look.now_ms)
    answer = Ticket(made, campaign_id, not_before=now, expires_at=rfc3339(expires_ms), server_time=now)
    return json_response(answer, 201, {"cache-control": "no-store"})


def _ends_ms(look: Look) -> int:
    """When the campaign ends. Errors: Refusal("campaign_ended") when it has."""
    rules, ends_ms = look.rules, int(look.rules["ends_ms"])
    if ends_ms <= look.now_ms:
        raise Refusal("campaign_ended", ended_at=rfc3339(ends_ms))
    if rules["state"] == "ended":  # earlier than planned; the rules do not say when
        raise Refusal("campaign_ended")
    return ends_ms


routes = [
    Operation(
        "POST",
        "/v1/campaigns/{campaign}/tickets",
        ticket,
        name="get_ticket",
        under="Holders",
        who=(HOLDER,),
        takes=TicketBody,
        gives={201: Ticket},
        refuses=("campaign_not_found", "campaign_ended"),
    )
]
