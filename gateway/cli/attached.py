"""Waiting for the reconciler to let the shards serve on a Redis that has just been started."""

import asyncio
from contextlib import AsyncExitStack
from time import monotonic

import psycopg
from redis.exceptions import RedisError

from gateway.campaigns.shards import Shards
from gateway.cli.running import say
from gateway.errors import Refusal
from gateway.settings import Settings
from gateway.stack.processes import StackError
from gateway.stack.supervisor import Supervisor
from lua.door import Door, DoorError, connect
from lua.keys import Shard

ATTACH_S_MAX = 30.0
POLL_S = 0.05
SERVING = """
SELECT shard FROM checkpoints JOIN campaigns ON campaigns.id = checkpoints.campaign
WHERE checkpoints.state = 'running' AND campaigns.state <> 'archived' ORDER BY shard
"""
"""Shards that have no break: the others wait for a person, not for us."""


async def await_attached(settings: Settings, supervisor: Supervisor) -> None:
    """
    Wait until every shard of the books that may serve does; after ATTACH_S_MAX say which one does not, and go on.

    Until then its claims would be answered not_ready, which is no way to greet whoever waited for the ready file.
    Errors: StackError when a server or a part of the stack fails meanwhile.
    """
    give_up = monotonic() + ATTACH_S_MAX
    try:
        async with AsyncExitStack() as stack:
            door = Door(
                connect(
                    settings.redis_url,
                    connections_max=1,
                    call_ms_max=settings.redis_call_ms_max,
                    connect_ms_max=settings.redis_connect_ms_max,
                )
            )
            stack.push_async_callback(door.close)
            books = await psycopg.AsyncConnection.connect(
                settings.postgres_url, autocommit=True, connect_timeout=10, options="-c role=fairclaim_reader"
            )
            await stack.enter_async_context(books)
            while (shard := await _first_closed(door, books)) is not None:
                supervisor.check()
                if monotonic() > give_up:
                    say(f"warning: {shard} does not serve yet; `fairclaim status` says why")
                    return
                await asyncio.sleep(POLL_S)
    except (psycopg.Error, RedisError, DoorError, Refusal, OSError) as error:
        raise StackError(f"can't look at the shards: {' '.join(str(error).split())}") from error


async def _first_closed(door: Door, books: psycopg.AsyncConnection) -> Shard | None:
    """A shard that may serve by the books and does not by Redis; None when all do."""
    shards = Shards(door)
    for (name,) in await (await books.execute(SERVING)).fetchall():
        shard = Shard.parse(name)
        if not (await shards.look(shard)).ready:
            return shard
    return None
