"""What the tests of the open loop share: a run made by hand, and a server that answers when it is told to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import inf

from loadtest.client import Address
from loadtest.pacer import Paced

QUIET = {"gateway": 0.5, "Redis": 0.2, "generator": 0.3, "drain": 0.4, "others": 0.01}
ANSWER = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}"


def a_paced(*claims: tuple[float, int, float]) -> Paced:
    """What became of claims given as due time, status and latency; none was sent late."""
    dues_s, statuses, latencies_s = ([each[part] for each in claims] for part in range(3))
    return Paced(dues_s, statuses, latencies_s, [0.0] * len(claims), elapsed_s=1.0)  # type: ignore[arg-type]


class Echo(asyncio.Protocol):
    """Answers 201 *answer_s* after each request; None closes the connection instead, infinity never answers."""

    def __init__(self, answer_s: float | None, open_now: dict[asyncio.Transport, asyncio.Event]) -> None:
        self._answer_s, self._open_now = answer_s, open_now

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._open_now[transport] = asyncio.Event()

    def connection_lost(self, error: Exception | None) -> None:
        self._open_now.pop(self._transport).set()

    def data_received(self, data: bytes) -> None:
        if self._answer_s is None:
            self._transport.close()
        elif self._answer_s < inf:
            asyncio.get_running_loop().call_later(self._answer_s, self._transport.write, ANSWER)


@asynccontextmanager
async def echoing(answer_s: float | None) -> AsyncIterator[Address]:
    """Where the echo listens."""
    open_now: dict[asyncio.Transport, asyncio.Event] = {}
    server = await asyncio.get_running_loop().create_server(lambda: Echo(answer_s, open_now), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()
        ended = list(open_now.values())
        for transport in open_now:
            transport.abort()
        await asyncio.wait_for(asyncio.gather(*(each.wait() for each in ended)), 60)
