"""The servers that commands talk to by themselves, PostgreSQL and Redis, and what is told where one does not answer."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from gateway.cli.output import UNAVAILABLE, USAGE, Fail
from gateway.cli.ready import server_urls

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    from gateway.settings import Settings
    from lua.door import Door

T = TypeVar("T")

DOOR_CONNECTIONS_MAX = 32


@asynccontextmanager
async def open_books(url: str, settings: "Settings", *, bounded: bool = True) -> "AsyncIterator[AsyncConnection[Any]]":
    """
    A connection in the gateway's role, whose rows are mappings.

    Without *bounded* a statement may take as long as it takes. Errors: psycopg.Error.
    """
    from psycopg import AsyncConnection
    from psycopg.rows import dict_row

    async with await AsyncConnection.connect(
        url,
        autocommit=True,
        row_factory=dict_row,
        connect_timeout=10,
        options=f"-c role=fairclaim_gateway -c statement_timeout={settings.postgres_ms_max if bounded else 0}",
    ) as connection:
        yield connection


@asynccontextmanager
async def open_door(url: str, settings: "Settings") -> "AsyncIterator[Door]":
    """A door to Redis. Errors: Fail(USAGE) for a URL that is none, Fail(UNAVAILABLE) where Redis does not answer."""
    from redis.exceptions import RedisError

    from lua.door import Door, DoorError, connect

    options = {"call_ms_max": settings.redis_call_ms_max, "connect_ms_max": settings.redis_connect_ms_max}
    try:
        door = Door(connect(url, connections_max=DOOR_CONNECTIONS_MAX, **options))
    except ValueError as error:
        raise Fail(USAGE, "bad_setting", f"FAIRCLAIM_REDIS_URL: {error}") from None
    try:
        yield door
    except BrokenPipeError:  # of whoever reads what a command says
        raise
    except (DoorError, RedisError, OSError) as error:
        reason = " ".join(str(error).split())
        raise Fail(UNAVAILABLE, "redis", f"Redis: {reason}", "check it with: fairclaim doctor") from None
    finally:
        await door.close()


def with_books(
    settings: "Settings", act: "Callable[[AsyncConnection[Any]], Awaitable[T]]", *, bounded: bool = True
) -> T:
    """Run *act* with PostgreSQL, in the gateway's role. Errors: Fail(UNAVAILABLE)."""
    (url,) = server_urls(settings, "postgres_url")

    async def run() -> T:
        async with open_books(url, settings, bounded=bounded) as connection:
            return await act(connection)

    return run_with_postgres(run)


def with_both(settings: "Settings", act: "Callable[[Door, AsyncConnection[Any]], Awaitable[T]]") -> T:
    """Run *act* with Redis and PostgreSQL. Errors: Fail(UNAVAILABLE), Fail(USAGE) for a URL that is none."""
    redis, postgres = server_urls(settings, "redis_url", "postgres_url")

    async def run() -> T:
        async with open_door(redis, settings) as door, open_books(postgres, settings) as connection:
            return await act(door, connection)

    return run_with_postgres(run)


def with_snapshot(settings: "Settings", act: "Callable[[AsyncConnection[Any]], Awaitable[T]]") -> T:
    """Run *act* on one snapshot of the books, in the role that only reads. Errors: Fail(UNAVAILABLE)."""
    from psycopg import AsyncConnection, IsolationLevel

    (url,) = server_urls(settings, "postgres_url")

    async def run() -> T:
        async with await AsyncConnection.connect(
            url, autocommit=True, connect_timeout=10, options="-c role=fairclaim_reader -c statement_timeout=0"
        ) as connection:
            await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
            async with connection.transaction():
                return await act(connection)

    return run_with_postgres(run)


async def pause(seconds: float) -> None:
    """
    Sleep before another round; whoever was interrupted meanwhile ends here.

    redis-py takes a cancellation for its own time that is over where both come at once, and goes on.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
    await asyncio.sleep(seconds)


def run_with_postgres(act: Callable[[], Awaitable[T]]) -> T:
    """Run *act*, which talks to PostgreSQL. Errors: Fail(UNAVAILABLE); what act raises."""
    import psycopg

    async def run() -> T:
        return await act()

    try:
        return asyncio.run(run())
    except psycopg.Error as error:
        raise postgres_fail(error) from None


def postgres_fail(error: Exception) -> Fail:
    """PostgreSQL does not do its part, as a person needs to hear it: its first line, without the statement."""
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return Fail(UNAVAILABLE, "postgres", f"PostgreSQL: {reason}", "check it with: fairclaim doctor")
