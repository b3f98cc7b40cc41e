"""What finance's commands need of a running system: PostgreSQL in the gateway's role, and Redis where asked for."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from gateway.cli.output import UNAVAILABLE, USAGE, Fail
from gateway.cli.ready import server_urls
from gateway.settings import Settings

if TYPE_CHECKING:
    import psycopg

    from lua.door import Door

T = TypeVar("T")


def with_both(settings: Settings, act: "Callable[[Door, psycopg.AsyncConnection[Any]], Awaitable[T]]") -> T:
    """Run *act* with Redis and PostgreSQL. Errors: Fail(UNAVAILABLE), Fail(USAGE) for a URL that is none."""
    from redis.exceptions import RedisError

    from lua.door import Door, DoorError, connect

    redis, postgres = server_urls(settings, "redis_url", "postgres_url")

    async def run() -> T:
        options = {"call_ms_max": settings.redis_call_ms_max, "connect_ms_max": settings.redis_connect_ms_max}
        door = Door(connect(redis, connections_max=4, **options))
        try:
            return await _with_connection(settings, postgres, lambda connection: act(door, connection))
        finally:
            await door.close()

    try:
        return _ran(run())
    except (DoorError, RedisError, OSError) as error:
        reason = " ".join(str(error).split())
        raise Fail(UNAVAILABLE, "redis", f"Redis: {reason}", "check it with: fairclaim doctor") from None
    except ValueError as error:
        raise Fail(USAGE, "bad_setting", f"FAIRCLAIM_REDIS_URL: {error}") from None


def with_books(settings: Settings, act: "Callable[[psycopg.AsyncConnection[Any]], Awaitable[T]]") -> T:
    """Run *act* with PostgreSQL. Errors: Fail(UNAVAILABLE)."""
    (postgres,) = server_urls(settings, "postgres_url")
    return _ran(_with_connection(settings, postgres, act))


def _ran(work: Awaitable[T]) -> T:
    import psycopg

    from gateway.cli.key import postgres_fail

    async def run() -> T:
        return await work

    try:
        return asyncio.run(run())
    except psycopg.Error as error:
        raise postgres_fail(error) from None


async def _with_connection(
    settings: Settings, url: str, act: "Callable[[psycopg.AsyncConnection[Any]], Awaitable[T]]"
) -> T:
    import psycopg
    from psycopg.rows import dict_row

    async with await psycopg.AsyncConnection.connect(
        url,
        autocommit=True,
        row_factory=dict_row,
        connect_timeout=10,
        options=f"-c role=fairclaim_gateway -c statement_timeout={settings.postgres_ms_max}",
    ) as connection:
        return await act(connection)
