"""For finance: the legal entities, each with books of its own."""

from datetime import date

import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.operation import Operation
from gateway.errors import Refusal
from gateway.routes.access import staff
from gateway.services import services
from gateway.sql import postgres
from gateway.wire import body, json_response
from reconciler.periods.entities import BadEntity, Entity, add_entity, list_entities

NO_ENTITY = "There is no such legal entity."


class EntityBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A legal entity to add; *zone* is where the days of its reports begin and end."""

    id: str
    zone: str = "UTC"


class EntityView(msgspec.Struct, frozen=True):
    """
    A legal entity; *closed_through* is the last day that is closed, null before any close.

    Marketers name entities in campaigns; how far the books are closed is not told to them.
    """

    id: str
    zone: str
    closed_through: date | UnsetType | None = UNSET


class EntityList(msgspec.Struct, frozen=True):
    """Every legal entity, by its id."""

    items: list[EntityView]


async def see_entities(request: Request) -> Response:
    """Every legal entity and, but for marketers, how far its books are closed."""
    who = await staff(request, "marketer", "finance", "auditor")
    async with postgres(services(request).pool) as connection:
        found = await list_entities(connection)
    return json_response(EntityList([_view(one, is_finance=who.role != "marketer") for one in found]))


async def add(request: Request) -> Response:
    """Add a legal entity; campaigns may then name it in `legal_entity`."""
    who, here = await staff(request, "finance"), services(request)
    asked = await body(request, EntityBody, here.settings.body_bytes_max)
    try:
        async with postgres(here.pool) as connection:
            made = await add_entity(connection, asked.id, asked.zone, who.actor)
    except BadEntity as error:
        raise Refusal("bad_request", f"{error}.", field=error.field) from None
    if made is None:
        raise Refusal("entity_exists", f"There is a legal entity {asked.id}.", field="id")
    return json_response(_view(made, is_finance=True), 201)


def _view(one: Entity, *, is_finance: bool) -> EntityView:
    return EntityView(one.id, one.zone, one.closed_through if is_finance else UNSET)


routes = [
    Operation(
        "GET",
        "/v1/entities",
        see_entities,
        under="Periods",
        who=("marketer", "finance", "auditor"),
        gives={200: EntityList},
    ),
    Operation(
        "POST",
        "/v1/entities",
        add,
        name="add_entity",
        under="Periods",
        who=("finance",),
        takes=EntityBody,
        example={"id": "shop-cn", "zone": "Asia/Shanghai"},
        gives={201: EntityView},
        refuses=("entity_exists",),
    ),
]
