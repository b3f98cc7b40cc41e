"""
Questions to the books that may take long: one snapshot, a time of their own, and few at once.

A worker's claims come first: whatever finance asks for, it has at most two connections of the worker's pool.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from weakref import WeakKeyDictionary

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from gateway.errors import Refusal
from gateway.sql import postgres

AT_ONCE_MAX = 2
TURN_S_MAX = 10.0
RETRY_AFTER_S = 10
STATEMENT_MS_MAX = 30_000

_places: WeakKeyDictionary[AsyncConnectionPool[Any], asyncio.Semaphore] = WeakKeyDictionary()


@asynccontextmanager
async def turn(pool: AsyncConnectionPool[Any]) -> AsyncIterator[None]:
    """
    One of the places that finance has in this worker, for whatever keeps a connection for long.

    Errors: Refusal overloaded, when others keep theirs for too long.
    """
    places = _places.setdefault(pool, asyncio.Semaphore(AT_ONCE_MAX))
    try:
        async with asyncio.timeout(TURN_S_MAX):
            await places.acquire()
    except TimeoutError:
        detail = "Too much is asked of the books at the moment."
        raise Refusal("overloaded", detail, retry_after_s=RETRY_AFTER_S) from None
    try:
        yield
    finally:
        places.release()


@asynccontextmanager
async def snapshot(pool: AsyncConnectionPool[Any]) -> AsyncIterator[AsyncConnection[Any]]:
    """
    A connection that sees the books as they are now and changes nothing.

    Errors: Refusal overloaded, when others ask for too long; not_ready, when PostgreSQL does not answer in time.
    """
    async with turn(pool), postgres(pool) as connection, connection.transaction():
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        await connection.execute(f"SET LOCAL statement_timeout = {STATEMENT_MS_MAX}")
        yield connection
