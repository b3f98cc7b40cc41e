"""
The claim calls' own connection: asked and answered by callback, in order, nothing ever sent twice.

redis-py makes the connection (address, TLS, AUTH, run id, retries off: door.connect). The calls then run on its
transport directly and hiredis reads the replies: a call through the client's streams, locks and timeouts costs
three times the CPU of the bytes themselves. Calls of all shards share the connection: Redis runs one script at a
time anyway, and what is asked in one turn of the loop leaves in one write.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import hiredis
from redis.asyncio import Redis
from redis.exceptions import InvalidResponse, NoScriptError, RedisError

from lua.door import LostReply, Unreachable, as_door_error
from lua.keys import Shard
from lua.scripts import Script

Done = Callable[[Any], None]
"""Gets the reply; an exception among DoorError and ResponseError is given as a value, not raised."""

CLOSE_S_MAX = 1.0


def _words(*words: bytes) -> bytes:
    """Words of a command in RESP, without the line that counts them."""
    return b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


class ScriptCall:
    """
    One script on one shard, with all of the command that never changes encoded beforehand.

    *head* are arguments between the server's run id and the payload.
    """

    def __init__(self, script: Script, shard: Shard, *head: bytes) -> None:
        keys = [key.encode() for key in script.keys(shard)]
        count = len(keys) + 5 + len(head)  # the verb, digest or source, number of keys, server, payload
        self._name, self._head = f"{script.name} of {shard}", _words(*head)
        tail = _words(b"%d" % len(keys), *keys)
        source = script.source.encode()
        self._by_digest = b"*%d\r\n" % count + _words(b"EVALSHA", script.digest.encode()) + tail
        self._by_source = b"*%d\r\n" % count + _words(b"EVAL", source) + tail
        self.load = b"*3\r\n" + _words(b"SCRIPT", b"LOAD", source)

    def by_digest(self, server: bytes, payload: bytes) -> bytes:
        """The EVALSHA of this call."""
        return b"%b%b%b$%d\r\n%b\r\n" % (self._by_digest, server, self._head, len(payload), payload)

    def by_source(self, server: bytes, payload: bytes) -> bytes:
        """The EVAL of this call, which can't miss."""
        return b"%b%b%b$%d\r\n%b\r\n" % (self._by_source, server, self._head, len(payload), payload)

    def __str__(self) -> str:
        return self._name


class _Sent:
    """A call on its way. *call* is None where the reply can't be NOSCRIPT, or nobody waits for it."""

    __slots__ = ("call", "done", "due", "payload")

    def __init__(self, call: ScriptCall | None, payload: bytes, done: Done, due: float) -> None:
        self.call, self.payload, self.done, self.due = call, payload, done, due


class _Line(asyncio.Protocol):
    """One connection, from its being taken over to its end; what is on it when it ends is lost."""

    def __init__(self, connection: Any, call_s_max: float) -> None:
        self._loop, self._call_s_max = asyncio.get_running_loop(), call_s_max
        self._server = _words(connection.server_id.encode())
        self._reader = hiredis.Reader(protocolError=InvalidResponse, replyError=connection._parser.parse_error)
        self._sent: deque[_Sent] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._over = asyncio.Event()
        # The transport is ours now: neither the connection nor a collected StreamWriter may close it.
        self._writer, connection._writer, connection._reader = connection._writer, None, None
        self._transport: asyncio.Transport = self._writer.transport
        self._transport.set_protocol(self)

    @property
    def is_up(self) -> bool:
        """Whether a call may be sent."""
        return not self._over.is_set() and not self._transport.is_closing()

    def call(self, call: ScriptCall, payload: bytes, done: Done) -> None:
        """As Link.call."""
        self._send(call, payload, done, call.by_digest(self._server, payload))

    def _send(self, call: ScriptCall | None, payload: bytes, done: Done, data: bytes) -> None:
        due = self._loop.time() + self._call_s_max
        self._sent.append(_Sent(call, payload, done, due))
        if self._timer is None:
            self._timer = self._loop.call_at(due, self._look_at_clock)
        self._transport.write(data)

    def data_received(self, data: bytes) -> None:
        """Give each reply to whoever waits for it."""
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not False:
                self._landed(self._sent.popleft(), reply)
        except (InvalidResponse, IndexError) as error:  # not RESP, or a reply nobody asked for
            self.give_up(LostReply(f"Redis answered out of turn: {error}"))

    def _landed(self, sent: _Sent, reply: Any) -> None:
        if isinstance(reply, Exception):
            if isinstance(reply, NoScriptError) and sent.call is not None:  # proof that it did not run
                self._send(None, b"", _nobody, sent.call.load)  # LOAD keeps it from eviction, EVAL can't miss
                self._send(None, b"", sent.done, sent.call.by_source(self._server, sent.payload))
                return
            reply = as_door_error(reply)
        sent.done(reply)

    def _look_at_clock(self) -> None:
        self._timer = None
        if not self._sent:
            return
        if self._loop.time() >= self._sent[0].due:
            self.give_up(LostReply("no reply in time"))
        else:
            self._timer = self._loop.call_at(self._sent[0].due, self._look_at_clock)

    def connection_lost(self, error: Exception | None) -> None:
        """What was sent and not answered may have run."""
        self.give_up(LostReply(str(error or "the connection was closed")))

    def give_up(self, why: LostReply) -> None:
        """Drop the connection; everybody on it is told that the answer is lost."""
        self._over.set()
        self._transport.abort()
        if self._timer is not None:
            self._timer.cancel()
        sent, self._sent = self._sent, deque()
        for each in sent:
            each.done(why)

    async def close(self) -> None:
        """Close in good order; whoever closes has seen to it that nothing is in flight."""
        if self._timer is not None:
            self._timer.cancel()
        self._transport.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S_MAX):
                await self._over.wait()


class Link:
    """
    The connection to the Redis of *redis*, made at the first call and again after it was lost.

    Units: *call_ms_max* bounds a call from its sending to its reply; past it the connection is given up, because
    replies come in order and the ones behind can't be told apart any more.
    """

    def __init__(self, redis: Redis, call_ms_max: int) -> None:
        self._redis, self._call_s_max = redis, call_ms_max / 1000
        self._line: _Line | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._unsent: list[tuple[ScriptCall, bytes, Done]] = []

    def call(self, call: ScriptCall, payload: bytes, done: Done) -> None:
        """
        Run *call* with *payload* once; *done* is called once, from the loop, never before this returns.

        *done* gets the reply, or as a value: Unreachable, Refused, Full, LostReply, or the script's ResponseError.
        """
        line = self._line
        if line is not None and line.is_up:
            line.call(call, payload, done)
            return
        self._unsent.append((call, payload, done))
        if self._connecting is None:
            self._connecting = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        """Have redis-py connect, take the connection over, and send what waits for it."""
        while self._unsent:  # whoever is told of a failure may ask again at once
            try:
                pool: Any = self._redis.connection_pool
                connection = pool.make_connection()
                await connection.connect()
                line = self._line = _Line(connection, self._call_s_max)
            except (RedisError, OSError) as error:  # TimeoutError is an OSError
                unsent, self._unsent = self._unsent, []
                for _, _, done in unsent:
                    done(Unreachable(str(error)))
            else:
                unsent, self._unsent = self._unsent, []
                for call, payload, done in unsent:
                    line.call(call, payload, done)
        self._connecting = None

    async def close(self) -> None:
        """Close the connection. Who calls this has seen to it that nothing is in flight."""
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait({self._connecting})
        if self._line is not None:
            await self._line.close()


def _nobody(reply: Any) -> None:
    """The reply of a SCRIPT LOAD: if it failed, the EVAL behind it says so."""
