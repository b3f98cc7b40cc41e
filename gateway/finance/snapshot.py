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
STATEMENT_MS_MAX = 30_000

_turns: WeakKeyDictionary[AsyncConnectionPool[Any], asyncio.Semaphore] = WeakKeyDictionary()


@asynccontextmanager
async def snapshot(pool: AsyncConnectionPool[Any]) -> AsyncIterator[AsyncConnection[Any]]:
    """
    A connection that sees the books as they are now and changes nothing.

    Errors: Refusal overloaded, when others ask for too long; not_ready, when PostgreSQL does not answer in time.
    """
    turn = _turns.setdefault(pool, asyncio.Semaphore(AT_ONCE_MAX))
    try:
        async with asyncio.timeout(TURN_S_MAX):
            await turn.acquire()
    except TimeoutError:
        raise Refusal("overloaded", "Too much is asked of the books at the moment.") from None
    try:
        async with postgres(pool) as connection, connection.transaction():
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            await connection.execute(f"SET LOCAL statement_timeout = {STATEMENT_MS_MAX}")
            yield connection
    finally:
        turn.release()
