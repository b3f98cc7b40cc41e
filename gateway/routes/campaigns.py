"""For marketers: define campaigns, change them, lead them through their life, move their stock."""

from typing import Annotated, NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.operation import PAGE, Operation, Parameter, Time
from gateway.campaigns.bounds import ID_PATTERN
from gateway.campaigns.definition import Definition
from gateway.campaigns.life import State
from gateway.campaigns.patch import DefinitionPatch
from gateway.campaigns.service import Campaigns
from gateway.campaigns.stock import Moved, Stock, StockBody
from gateway.campaigns.view import StaffRow, StaffView, staff_row, staff_view
from gateway.errors import Refusal
from gateway.keys import ROLES
from gateway.routes.access import alone, staff
from gateway.routes.paging import Page, make_cursor, page_limit, read_cursor
from gateway.services import services
from gateway.wire import body, idempotency_key, json_response, rfc3339
from lua.keys import CampaignId


class StateBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The body of POST …/state."""

    to: State


class CampaignList(Page[StaffRow]):
    """Campaigns, in the order of their ids."""

    server_time: Time


class _Place(NamedTuple):
    """The last campaign shown."""

    campaign: Annotated[str, msgspec.Meta(pattern=f"^{ID_PATTERN.pattern}$")]


def _campaigns(request: Request) -> Campaigns:
    here = services(request)
    return Campaigns(here.pool, here.door)


def campaign_of(request: Request) -> CampaignId:
    """The campaign in the path. Errors: Refusal("campaign_not_found") for what can't be an id too."""
    text = request.path_params["campaign"]
    if not ID_PATTERN.fullmatch(text):
        raise Refusal("campaign_not_found")
    return CampaignId(text)


async def create(request: Request) -> Response:
    """Define a campaign: 201 and a draft."""
    who = await staff(request, "marketer")
    definition = await body(request, Definition, services(request).settings.body_bytes_max)
    created = await _campaigns(request).create(definition, who.actor)
    return json_response(staff_view(created), 201, {"location": f"/v1/campaigns/{created.id}"})


async def list_all(request: Request) -> Response:
    """Every campaign, a page at a time, in the order of ids."""
    await staff(request, *ROLES)
    limit = page_limit(request, services(request).settings.page_rows_max)
    after = read_cursor(request, _Place, "campaigns")
    found, now_ms = await _campaigns(request).page("" if after is None else after.campaign, limit + 1)
    page = found[:limit]
    following = make_cursor(_Place(page[-1].id), "campaigns") if len(found) > limit else None
    items = [staff_row(here, now_ms) for here in page]
    return json_response({"items": items, "next": following, "server_time": rfc3339(now_ms)})


async def patch(request: Request) -> Response:
    """Change fields of a campaign; with version or If-Match only if nobody else has changed it."""
    who = await staff(request, "marketer")
    changes = await body(request, DefinitionPatch, services(request).settings.body_bytes_max)
    matched = _if_match(request)
    if matched is not None:
        if changes.version not in (msgspec.UNSET, matched):
            raise Refusal("bad_request", "version: not the same as If-Match.", field="version")
        changes = msgspec.structs.replace(changes, version=matched)
    two_people = services(request).settings.two_people
    changed = await _campaigns(request).patch(campaign_of(request), changes, who.actor, two_people=two_people)
    return json_response(staff_view(changed))


def _if_match(request: Request) -> int | None:
    text = request.headers.get("if-match")
    if text is None or text == "*":
        return None
    number = text.strip().removeprefix('"').removesuffix('"')
    if not (number.isascii() and number.isdigit() and len(number) <= 9):
        raise Refusal("bad_request", 'If-Match: a version in quotes, like "3".', field="If-Match")
    return int(number)


async def set_state(request: Request) -> Response:
    """Publish, pause, resume, end or archive a campaign; a draft that was a mistake is archived."""
    who = await staff(request, "marketer")
    asked = await body(request, StateBody, services(request).settings.body_bytes_max)
    return json_response(staff_view(await _campaigns(request).set_state(campaign_of(request), asked.to, who.actor)))


async def adjust_stock(request: Request) -> Response:
    """Move stock in or out, once an Idempotency-Key."""
    who = await staff(request, "marketer")
    alone(request, "stock_adjustment")
    key = idempotency_key(request)
    here = services(request)
    asked = await body(request, StockBody, here.settings.body_bytes_max)
    moved, replayed = await Stock(here.pool, here.door).adjust(campaign_of(request), key, asked, who.actor)
    return json_response(moved, headers={"idempotency-replayed": "true"} if replayed else None)


_EXAMPLE = {
    "id": "flash-1",
    "name": "Summer flash",
    "currency": "CNY",
    "stock": 100_000,
    "value": {"type": "amount_off", "minor": 500, "threshold_minor": 3000},
    "limits": {"per_holder": 1, "per_day": 20_000},
    "starts_at": "2036-11-22T10:00:00Z",
    "ends_at": "2036-11-22T11:00:00Z",
    "timezone": "Asia/Shanghai",
    "validity": {"days": 7},
    "channels": ["app", "web"],
    "funders": [{"account": "platform", "basis_points": 10_000}],
}
_MARKETER = ("marketer",)
_BROKEN = ("campaign_not_found", "invalid_state")

routes = [
    Operation(
        "POST",
        "/v1/campaigns",
        create,
        name="create_campaign",
        under="Marketers",
        who=_MARKETER,
        takes=Definition,
        example=_EXAMPLE,
        gives={201: StaffView},
        refuses=("campaign_exists",),
        tells={"Location": "The path of the campaign."},
    ),
    Operation(
        "GET",
        "/v1/campaigns",
        list_all,
        name="list_campaigns",
        under="Marketers",
        who=ROLES,
        query=PAGE,
        gives={200: CampaignList},
    ),
    Operation(
        "PATCH",
        "/v1/campaigns/{campaign}",
        patch,
        name="change_campaign",
        under="Marketers",
        who=_MARKETER,
        headers=(
            Parameter(
                "If-Match",
                Annotated[str, msgspec.Meta(pattern='^("[0-9]{1,9}"|\\*)$')],
                "Only if this is the campaign's version.",
                "header",
            ),
        ),
        takes=DefinitionPatch,
        example={"name": "Summer flash, longer", "limits": {"per_day": 5000}},
        gives={200: StaffView},
        refuses=(*_BROKEN, "frozen", "version_conflict", "second_person_needed"),
    ),
    Operation(
        "POST",
        "/v1/campaigns/{campaign}/state",
        set_state,
        name="move_campaign",
        under="Marketers",
        who=_MARKETER,
        takes=StateBody,
        example={"to": "scheduled"},
        gives={200: StaffView},
        refuses=_BROKEN,
    ),
    Operation(
        "POST",
        "/v1/campaigns/{campaign}/stock-adjustments",
        adjust_stock,
        under="Marketers",
        who=_MARKETER,
        takes=StockBody,
        example={"delta": 500, "reason": "second pallet"},
        gives={200: Moved},
        refuses=(*_BROKEN, "stock_floor", "idempotency_key_reused", "second_person_needed"),
        once=True,
    ),
]
