"""Statements of sql/*.sql by name, and what they give."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row

_MARK = "-- name: "


def parse_queries(text: str) -> dict[str, bytes]:
    """Split *text* at its "-- name: x" lines. Errors: ValueError for a name given twice or an empty statement."""
    queries: dict[str, bytes] = {}
    for part in f"\n{text}".split(f"\n{_MARK}")[1:]:
        name, _, body = part.partition("\n")
        lines = [line for line in body.splitlines() if not line.startswith("--")]
        statement = "\n".join(lines).strip()
        if name in queries or not statement:
            raise ValueError(f"queries.sql: {name!r} is there twice or empty")
        queries[name] = statement.encode()
    return queries


def load_queries(name: str) -> dict[str, bytes]:
    """The statements of sql/*name*.sql by name, as bytes for psycopg."""
    return parse_queries((files("reconciler") / "sql" / f"{name}.sql").read_text(encoding="utf-8"))


async def rows_of(connection: AsyncConnection[Any], statement: bytes, values: Mapping[str, Any]) -> list[DictRow]:
    """The rows of *statement*, if it gives any. Errors: psycopg.Error."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(statement, values)
        return await cursor.fetchall() if cursor.description else []


QUERIES = load_queries("queries")
"""Name → statement of sql/queries.sql."""
