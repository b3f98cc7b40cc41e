"""For holders, and whoever else has a credential: a campaign as it is now, and what I have claimed of it."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.operation import HOLDER, Operation, Time
from gateway.campaigns.service import Campaigns
from gateway.campaigns.shards import Shards, all_ready
from gateway.campaigns.view import HolderView, StaffView, holder_view, staff_view
from gateway.codes import show_code
from gateway.errors import Refusal
from gateway.keys import ROLES
from gateway.redeeming.states import LETTERS, State
from gateway.routes.access import caller, holder
from gateway.routes.campaigns import campaign_of
from gateway.routes.paging import Page
from gateway.services import services
from gateway.wire import json_response, rfc3339
from lua.door import DoorError
from lua.keys import CampaignId, shard_of
from lua.scripts import load_script

_HELD = load_script("held")


class MyClaim(msgspec.Struct):
    """A coupon that I have claimed, as Redis has it."""

    code: str
    display_code: str
    campaign: str
    seq: int
    state: State
    claimed_at: Time
    expires_at: Time


class MyClaims(Page[MyClaim]):
    """What I have claimed of a campaign, oldest first."""

    server_time: Time


class _Held(msgspec.Struct, array_like=True, frozen=True):
    code: str
    state: str
    seq: int
    claimed_ms: int
    expires_ms: int


_held_decoder = msgspec.msgpack.Decoder(list[_Held])


async def campaign(request: Request) -> Response:
    """
    A campaign with its state, its remaining stock and the server's time.

    The staff sees all of it, drafts too; a holder sees what is published, from Redis alone.
    """
    who, here = await caller(request), services(request)
    campaign_id = CampaignId(request.path_params["campaign"])
    if who.key is not None:
        return json_response(staff_view(await Campaigns(here.pool, here.door).see(campaign_of(request))))
    published = await here.catalog.published(campaign_id)
    looks = await Shards(here.door).look_all(campaign_id, published.shards)
    all_ready(campaign_id, looks)
    return json_response(holder_view(campaign_id, looks))


async def my_claims(request: Request) -> Response:
    """What I have claimed of a campaign, oldest first: from Redis, so what I was just told is in it."""
    who, here = await holder(request), services(request)
    campaign_id = CampaignId(request.path_params["campaign"])
    published = await here.catalog.published(campaign_id)
    shard = shard_of(campaign_id, who, published.shards)
    # A Redis that was emptied or is behind the books would say that there is nothing.
    look = await Shards(here.door).look(shard)
    all_ready(campaign_id, [look])
    try:
        held = _held_decoder.decode(await here.door.call(_HELD, shard, who, with_server=False))
    except DoorError as error:
        raise Refusal("not_ready", "Redis can't be reached at the moment.") from error
    items = [_item(campaign_id, each) for each in held]
    return json_response({"items": items, "next": None, "server_time": rfc3339(look.now_ms)})


def _item(campaign_id: CampaignId, held: _Held) -> dict[str, str | int]:
    return {
        "code": held.code,
        "display_code": show_code(held.code),
        "campaign": campaign_id,
        "seq": held.seq,
        "state": LETTERS[held.state],
        "claimed_at": rfc3339(held.claimed_ms),
        "expires_at": rfc3339(held.expires_ms),
    }


routes = [
    Operation(
        "GET",
        "/v1/campaigns/{campaign}",
        campaign,
        name="see_campaign",
        under="Holders",
        who=(HOLDER, *ROLES),
        gives={200: (HolderView, StaffView)},
        refuses=("campaign_not_found",),
    ),
    Operation(
        "GET",
        "/v1/campaigns/{campaign}/claims/mine",
        my_claims,
        under="Holders",
        who=(HOLDER,),
        gives={200: MyClaims},
        refuses=("campaign_not_found",),
    ),
]
