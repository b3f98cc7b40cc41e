"""
One script call on one connection, never sent twice.

redis-py retries ten times by default, so one logical EVALSHA can run twice. Here nothing retries: a
call whose reply is lost raises LostReply, and the caller says "unknown". The one exception is
NOSCRIPT, which proves that the script did not run.

Each connection learns the run id of its server when it connects, and hands it to the scripts: a
shard serves only on the Redis that it was attached to (attach.lua).
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection, BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.driver_info import DriverInfo
from redis.exceptions import (
    BusyLoadingError,
    ClusterDownError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError

from lua.keys import Shard
from lua.scripts import Script


class DoorError(Exception):
    """
    A call got no answer.

    DoorError
    ├── Unreachable   nothing was sent: no connection
    ├── Refused       Redis said no and changed nothing (loading, read-only, busy, not allowed)
    │   └── Full      because it has no memory left
    └── LostReply     sent, but no answer came: it may have run
    """


class Unreachable(DoorError):
    """Redis can't be reached; nothing was sent."""


class Refused(DoorError):
    """Redis refused the call and changed nothing."""


class Full(Refused):
    """Redis has no memory left; nothing was changed."""


class LostReply(DoorError):
    """The call was sent and its answer is lost: whether it ran is unknown."""


def as_door_error(error: Exception) -> Exception:
    """What *error* of redis-py means to a caller; a script's own failure (ResponseError) stays what it is."""
    if isinstance(error, OutOfMemoryError):
        return Full(str(error))
    if isinstance(error, BusyLoadingError | ReadOnlyError | ClusterDownError):  # the last is MASTERDOWN too
        return Refused(str(error))
    if isinstance(error, ResponseError):
        return Refused(str(error)) if str(error).startswith(("BUSY", "NOREPLICAS", "MISCONF")) else error
    return LostReply(str(error))


async def _learn_server(connection: AbstractConnection) -> None:
    """Finish the handshake and keep the server's run id on the connection."""
    await connection.on_connect()
    await connection.send_command("INFO", "server")
    info = await connection.read_response(disable_decoding=True)
    for line in bytes(info).splitlines():
        name, _, value = line.partition(b":")
        if name == b"run_id":
            connection.server_id = value.decode()  # type: ignore[attr-defined]
            return
    raise RedisConnectionError("INFO server gave no run_id")


_DRIVER = DriverInfo()
"""Of all connections: each would read its version from the installed package's description by itself, for 3 ms."""


def connect(url: str, *, connections_max: int, call_ms_max: int, connect_ms_max: int) -> Redis:
    """
    A client whose connections never retry and know their server.

    Units: milliseconds. *call_ms_max* bounds one read or write on the socket.
    Errors: ValueError for a URL redis-py can't read.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=connections_max,
        timeout=connect_ms_max / 1000,
        socket_timeout=call_ms_max / 1000,
        socket_connect_timeout=connect_ms_max / 1000,
        retry=Retry(NoBackoff(), 0),
        retry_on_error=[],
        retry_on_timeout=False,
        protocol=2,
        redis_connect_func=_learn_server,
        driver_info=_DRIVER,
    )
    return Redis.from_pool(pool)


class Door:
    """Script calls through a client made by connect()."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis

    async def call(self, script: Script, shard: Shard, *args: bytes | str | int, with_server: bool = True) -> Any:
        """
        Run *script* on *shard* once.

        *with_server* puts the run id of the connection's server before *args* (every script but held).
        Errors: Unreachable, Refused, LostReply; ResponseError when the script itself failed, in which
        case it has undone its writes.
        """
        async with self._connection() as connection:
            keys = script.keys(shard)
            server = (connection.server_id,) if with_server else ()
            command = (len(keys), *keys, *server, *args)
            try:
                return await self._ask(connection, "EVALSHA", script.digest, *command)
            except NoScriptError:  # proof that it did not run; LOAD keeps it from eviction, EVAL can't miss
                await self._ask(connection, "SCRIPT", "LOAD", script.source)
                return await self._ask(connection, "EVAL", script.source, *command)

    async def call_each(self, script: Script, shards: Sequence[Shard], *args: bytes | str | int) -> list[Any]:
        """
        Run a *script* that writes nothing on each of *shards*: sent together, so that all of them take one way there.

        Shape: a reply a shard, in their order. Redis serves nobody else meanwhile: some dozens, not thousands of them.
        Errors: as call().
        """
        async with self._connection() as connection:
            calls = [(len(keys), *keys, connection.server_id, *args) for keys in map(script.keys, shards)]
            replies = await self._ask_each(connection, [("EVALSHA", script.digest, *call) for call in calls])
            if None in replies:  # not there yet, and nothing was written by those that were
                await self._ask(connection, "SCRIPT", "LOAD", script.source)
                replies = await self._ask_each(connection, [("EVAL", script.source, *call) for call in calls])
            return replies

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        """One of the pool, for the length of the block. Errors: Unreachable."""
        pool: Any = self.redis.connection_pool
        try:
            connection = await pool.get_connection()
        except (RedisError, OSError) as error:
            raise Unreachable(str(error)) from error
        try:
            yield connection
        finally:
            await pool.release(connection)

    @staticmethod
    async def _ask_each(connection: Any, commands: Sequence[tuple[bytes | str | int, ...]]) -> list[Any]:
        """A reply a command, None where the script was not there; after any other failure the connection is closed."""
        replies: list[Any] = []
        try:
            await connection.send_packed_command(connection.pack_commands(commands))
            for _ in commands:
                try:
                    replies.append(await connection.read_response(disable_decoding=True))
                except NoScriptError:
                    replies.append(None)
        except (RedisError, OSError) as error:
            await connection.disconnect(nowait=True)  # the replies that are left would be taken for those of others
            known = as_door_error(error)
            if known is error:
                raise
            raise known from error
        return replies

    @staticmethod
    async def _ask(connection: Any, *command: bytes | str | int) -> Any:
        try:
            await connection.send_command(*command)
            return await connection.read_response(disable_decoding=True)
        except NoScriptError:
            raise
        except (RedisError, OSError) as error:
            known = as_door_error(error)
            if known is error:
                raise
            raise known from error

    async def close(self) -> None:
        """Close every connection."""
        await self.redis.aclose()
        await self.redis.connection_pool.disconnect()


def stream_fields(flat: list[bytes] | Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """A stream record's fields as a mapping, from the flat list RESP2 gives or from a mapping."""
    if isinstance(flat, Mapping):
        return dict(flat)
    return dict(zip(flat[::2], flat[1::2], strict=True))
