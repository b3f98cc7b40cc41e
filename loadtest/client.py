"""
A crowd of phones over keep-alive connections, in a closed loop: each connection asks again when it has its answer.

Plain asyncio protocols, because the generator shares the machine with what it drives.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import cast
from urllib.parse import urlsplit

Address = tuple[str, int]
Request = tuple[int, bytes]
"""Which one it is, and its bytes on the wire."""


@dataclass
class Tally:
    """What came back: answers by status, seconds each took, and requests that got none."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    unanswered: list[int] = field(default_factory=list)
    elapsed_s: float = 0.0

    def percentile_ms(self, percent: float) -> float:
        """The latency that *percent* of the answers stayed within."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] * 1000 if ordered else 0.0


def read_answer(data: bytes) -> tuple[int, bytes, bytes] | None:
    """Status, head and body of the answer that *data* is; None while it is not all there."""
    head, separator, body = data.partition(b"\r\n\r\n")
    if not separator:
        return None
    lowered = head.lower()
    at = lowered.find(b"content-length:")
    length = int(lowered[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
    return (int(head[9:12]), head, body) if len(body) >= length else None


def local_address(url: str) -> Address:
    """Host and port of *url*. Errors: ValueError for another machine."""
    where = urlsplit(url)
    if where.hostname not in ("127.0.0.1", "localhost", "::1") or where.port is None:
        raise ValueError("load goes to this machine only: http://127.0.0.1:<port>")
    return where.hostname, where.port


Seen = Callable[[int, int, bytes, bytes], None]
"""Called with each answer: which request, status, head, body."""


class _Phone(asyncio.Protocol):
    """One connection; asks the next request when the last one is answered."""

    def __init__(self, requests: Iterator[Request], tally: Tally, seen: Seen, done: "asyncio.Future[None]") -> None:
        self._requests, self._tally, self._seen, self._done = requests, tally, seen, done
        self._buffer, self._number, self._sent_at = b"", -1, 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it
        self._next()

    def _next(self) -> None:
        assert self._transport is not None
        request = next(self._requests, None)
        if request is None:
            self._number = -1
            self._transport.close()
            return
        self._number, data = request
        self._sent_at = perf_counter()
        self._transport.write(data)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        answer = read_answer(self._buffer)
        if answer is None:
            return
        self._tally.seconds.append(perf_counter() - self._sent_at)
        status, head, body = answer
        self._tally.statuses[status] += 1
        self._buffer = b""
        self._seen(self._number, status, head, body)
        self._next()

    def connection_lost(self, error: Exception | None) -> None:
        if self._number >= 0:
            self._tally.unanswered.append(self._number)
        if not self._done.done():
            self._done.set_result(None)


async def drive(url: str, requests: Iterable[Request], connections: int, seen: Seen) -> Tally:
    """
    Send *requests* to *url* over *connections* until all are answered.

    A connection that breaks leaves its request in Tally.unanswered and is opened again while there is more to send.
    """
    host, port = local_address(url)
    tally, remaining = Tally(), _Pushable(requests)

    async def phone() -> None:
        loop = asyncio.get_running_loop()
        while (first := next(remaining, None)) is not None:
            remaining.push(first)
            done: asyncio.Future[None] = loop.create_future()
            await loop.create_connection(partial(_Phone, remaining, tally, seen, done), host, port)
            await done

    began = perf_counter()
    await asyncio.gather(*(phone() for _ in range(connections)))
    tally.elapsed_s = perf_counter() - began
    return tally


class _Pushable(Iterator[Request]):
    """An iterator that takes one item back, so that a phone can see whether there is more before it connects."""

    def __init__(self, requests: Iterable[Request]) -> None:
        self._pushed: list[Request] = []
        self._requests = iter(requests)

    def __next__(self) -> Request:
        return self._pushed.pop() if self._pushed else next(self._requests)

    def push(self, request: Request) -> None:
        """Give *request* to whoever asks next."""
        self._pushed.append(request)
