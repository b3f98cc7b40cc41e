"""The statements of sql/periods.sql by name."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import DictRow

from reconciler.queries import load_queries, rows_of

T = TypeVar("T")

STATEMENTS = load_queries("periods")
"""Name → statement, as bytes for psycopg."""


async def rows(connection: AsyncConnection[Any], name: str, values: Mapping[str, Any]) -> list[DictRow]:
    """Every row of the statement *name*. Errors: psycopg.Error."""
    return await rows_of(connection, STATEMENTS[name], values)


async def row(connection: AsyncConnection[Any], name: str, values: Mapping[str, Any]) -> DictRow | None:
    """The first row of the statement *name*, or None. Errors: psycopg.Error."""
    found = await rows(connection, name, values)
    return found[0] if found else None


async def read(connection: AsyncConnection[Any], name: str, values: Mapping[str, Any], kind: type[T]) -> list[T]:
    """Every row of the statement *name* as *kind*, whose fields are its columns. Errors: psycopg.Error."""
    return [msgspec.convert(found, kind, strict=False) for found in await rows(connection, name, values)]
