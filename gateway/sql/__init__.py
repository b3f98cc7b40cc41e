"""
Every statement of the gateway, by name, and its one way to Postgres.

A .sql file holds statements, each after a line ``-- name: <name>`` and a comment that says what it
is for. When Postgres can't be reached, or is too slow, the caller gets Refusal("not_ready").
"""

import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from gateway.errors import Refusal

log = logging.getLogger("fairclaim.postgres")

_NAME = re.compile(r"^-- name: ([a-z_]+)$", re.MULTILINE)


def load_queries(file: str) -> dict[str, bytes]:
    """The statements of ``<file>.sql`` by name. Errors: ValueError when a name comes twice or a statement is empty."""
    parts = _NAME.split((files("gateway.sql") / f"{file}.sql").read_text(encoding="utf-8"))[1:]
    queries = {name: text.strip().encode() for name, text in zip(parts[::2], parts[1::2], strict=True)}
    if len(queries) * 2 != len(parts) or not all(queries.values()):
        raise ValueError(f"{file}.sql: every name once, each with a statement")
    return queries


def ordered(query: bytes, key: str, tie: str, *, down: bool, begins: bool) -> bytes:
    """
    *query*, which ends in its conditions, in the order of *key* and, where that is the same, of *tie*; a page of it.

    It *begins* the list or goes on after the place (%(key)s, %(tie)s), with %(limit)s rows. *key* and *tie* are ours.
    """
    way, than = ("DESC", "<") if down else ("ASC", ">")
    place = "" if begins else f"AND ({key}, {tie}) {than} (%(key)s, %(tie)s)"
    return query + f"\n{place} ORDER BY {key} {way}, {tie} {way} LIMIT %(limit)s".encode()


@asynccontextmanager
async def postgres(pool: AsyncConnectionPool[Any]) -> AsyncIterator[AsyncConnection[Any]]:
    """
    A connection of *pool*.

    Errors: Refusal("not_ready") when there is none in time, it breaks, or a statement takes too long.
    """
    try:
        async with pool.connection() as connection:
            yield connection
    except (psycopg.OperationalError, psycopg.InterfaceError, psycopg.errors.ReadOnlySqlTransaction) as error:
        log.warning("postgres does not answer", extra={"error": type(error).__name__})
        raise Refusal("not_ready", "The books can't be reached at the moment.") from error


async def rows(connection: AsyncConnection[Any], query: bytes, **params: Any) -> list[DictRow]:
    """Every row of *query*, as mappings."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, params)
        return await cursor.fetchall() if cursor.description else []


async def row(connection: AsyncConnection[Any], query: bytes, **params: Any) -> DictRow | None:
    """The one row of *query*, or None."""
    found = await rows(connection, query, **params)
    assert len(found) <= 1, "a query for one row gave several"
    return found[0] if found else None
