"""The legal entities: who keeps books of his own."""

import re
from datetime import date
from importlib.resources import files
from typing import Any

import msgspec
from psycopg import AsyncConnection

from reconciler.audit import audit
from reconciler.periods.statements import read, row

ID_PATTERN = r"[a-z0-9][a-z0-9-]{0,62}"

ZONES = frozenset((files("tzdata") / "zones").read_text(encoding="utf-8").split()) - {"Factory"}
"""Every zone that this software is installed with, whatever the machine has."""


class Entity(msgspec.Struct, frozen=True):
    """A legal entity: its id, the zone its reports are of, and the last day that is closed."""

    id: str
    zone: str
    closed_through: date | None


class BadEntity(ValueError):
    """An entity can't be like that; *field* is what is wrong, the text what is allowed."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(f"{field}: {text}")
        self.field = field


async def list_entities(connection: AsyncConnection[Any]) -> list[Entity]:
    """Every legal entity by its id. Errors: psycopg.Error."""
    return await read(connection, "entities", {}, Entity)


async def add_entity(connection: AsyncConnection[Any], entity: str, zone: str, actor: str) -> Entity | None:
    """
    Add a legal entity, whose books begin after what every other one has closed; None where there is one of this id.

    Errors: BadEntity; psycopg.Error.
    """
    if not re.fullmatch(ID_PATTERN, entity):
        raise BadEntity("id", "1 to 63 of a-z, 0-9 and hyphens, the first no hyphen")
    if zone not in ZONES:
        raise BadEntity("zone", "a zone of IANA, such as Asia/Shanghai")
    async with connection.transaction():
        added = await row(connection, "add_entity", {"entity": entity, "zone": zone})
        if added is None:
            return None
        await audit(connection, actor, "entity.added", f"entity:{entity}", {"zone": zone})
    return Entity(entity, zone, added["closed_through"])
