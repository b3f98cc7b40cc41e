"""What the commands for finance share: the books in the gateway's role, Redis, and refusals as exit codes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from gateway.cli.output import CONFLICT, NOT_FOUND, UNAVAILABLE, Fail

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    from gateway.settings import Settings
    from lua.door import Door

T = TypeVar("T")


@asynccontextmanager
async def connected(url: str, settings: "Settings") -> "AsyncIterator[AsyncConnection[dict[str, Any]]]":
    """A connection of the gateway's role. Errors: psycopg.Error."""
    from psycopg import AsyncConnection
    from psycopg.rows import dict_row

    async with await AsyncConnection.connect(
        url,
        autocommit=True,
        row_factory=dict_row,
        connect_timeout=10,
        options=f"-c role=fairclaim_gateway -c statement_timeout={settings.postgres_ms_max}",
    ) as connection:
        yield connection


@asynccontextmanager
async def opened(url: str, settings: "Settings") -> "AsyncIterator[Door]":
    """A door to Redis. Errors: ValueError for a URL that can't be read."""
    from lua.door import Door, connect

    door = Door(
        connect(
            url,
            connections_max=16,
            call_ms_max=settings.redis_call_ms_max,
            connect_ms_max=settings.redis_connect_ms_max,
        )
    )
    try:
        yield door
    finally:
        await door.close()


def run_on_books(act: Callable[[], Awaitable[T]]) -> T:
    """Run *act* and tell what periods and servers say no to. Errors: Fail."""
    import psycopg
    from redis.exceptions import RedisError

    from gateway.cli.key import postgres_fail
    from lua.door import DoorError
    from reconciler.periods.closing import NoEntity, WrongState

    async def run() -> T:
        return await act()

    try:
        return asyncio.run(run())
    except NoEntity as error:
        hint = "`fairclaim entity list` shows them"
        raise Fail(NOT_FOUND, "not_found", f"there is no legal entity {str(error)!r}", hint) from None
    except WrongState as error:
        allowed = " or ".join(error.allowed)
        raise Fail(CONFLICT, "invalid_state", str(error), f"it would have to be {allowed}") from None
    except psycopg.Error as error:
        raise postgres_fail(error) from None
    except (DoorError, RedisError, OSError) as error:
        reason = " ".join(str(error).split())
        raise Fail(UNAVAILABLE, "redis", f"Redis: {reason}", "check it with: fairclaim doctor") from None
