"""
Crowds of phones over keep-alive connections: one request in flight a connection.

drive() is a closed loop: each connection asks again when it has its answer. Pacer is an open loop: each request leaves
at a time fixed before, whatever became of the others. Plain asyncio protocols, because the generator shares the machine
with what it drives.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter, process_time
from typing import cast
from urllib.parse import urlsplit

TICK_S = 0.001
CONNECT_AT_ONCE, RECONNECT_S = 64, 0.1
UNSENT, GAVE_UP, LOST = 0, 1, 2
"""In the place of a status: no connection came free in time; no answer came in time; the connection broke."""

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


@dataclass
class Paced:
    """
    What became of each claim, in the order they were due.

    *latencies_s* count from the due time, *lags_s* are how late the generator was; *statuses* may be UNSENT, GAVE_UP or
    LOST. *waited* claims found no free connection when they were due. *began_s* is on the clock of perf_counter().
    """

    dues_s: list[float]
    statuses: list[int]
    latencies_s: list[float]
    lags_s: list[float]
    waited: int = 0
    began_s: float = 0.0
    elapsed_s: float = 0.0
    generator_s: float = 0.0


class _PacedPhone(asyncio.Protocol):
    """One connection, with one claim in flight at most."""

    def __init__(self, pacer: "Pacer") -> None:
        self._pacer, self._buffer = pacer, b""
        self.number = -1
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it
        self._pacer.free(self)

    def data_received(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
        answer = read_answer(data)
        if answer is None:
            self._buffer = data
            return
        self._buffer = b""
        if self.number >= 0:
            self._pacer.over(self.number, answer[0])
            self._pacer.free(self)

    def connection_lost(self, error: Exception | None) -> None:
        if self.number >= 0:
            self._pacer.over(self.number, LOST)
            self.number = -1
        self._pacer.lost(self)


class Pacer:
    """Sends *requests* at *dues_s* over *connections* that are used in turn, so that none is idle for long."""

    def __init__(
        self, address: Address, requests: Sequence[bytes], dues_s: list[float], connections: int, give_up_s: float
    ) -> None:
        self._address, self._requests, self._dues_s = address, requests, dues_s
        self._connections, self._give_up_s = connections, give_up_s
        self._next, self._unresolved = 0, len(dues_s)
        self._paced = Paced(dues_s, [UNSENT] * len(dues_s), [0.0] * len(dues_s), [])
        self._free: deque[_PacedPhone] = deque()
        self._waiting: deque[int] = deque()
        self._flying: deque[tuple[int, _PacedPhone]] = deque()
        self._phones: set[_PacedPhone] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._closing = False

    async def run(self) -> Paced:
        """Connect, keep to the schedule until every claim is resolved, and disconnect. Errors: OSError."""
        for first in range(0, self._connections, CONNECT_AT_ONCE):
            missing = min(CONNECT_AT_ONCE, self._connections - first)
            await asyncio.gather(*(self._connect() for _ in range(missing)))
        used_s, found = process_time(), self._paced
        found.began_s = perf_counter()
        while self._unresolved:
            self._give_up()
            self.send_due()
            await asyncio.sleep(TICK_S)
        found.elapsed_s, found.generator_s = perf_counter() - found.began_s, process_time() - used_s
        self._closing = True
        await asyncio.gather(*self._opening)
        for phone in self._phones:
            phone.transport.abort()
        return found

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        _, phone = await loop.create_connection(lambda: _PacedPhone(self), *self._address)
        self._phones.add(phone)

    async def _reconnect(self) -> None:
        while not self._closing:
            try:
                await self._connect()
            except OSError:  # a gateway with no room for it now may have some later
                await asyncio.sleep(RECONNECT_S)
            else:
                return

    def send_due(self) -> None:
        """Send every claim that is due by now; where no connection is free it waits for one."""
        dues_s, count, found = self._dues_s, len(self._dues_s), self._paced
        while self._next < count and (lag_s := perf_counter() - found.began_s - dues_s[self._next]) >= 0:
            found.lags_s.append(lag_s)
            number = self._next
            self._next += 1
            if self._free:
                self._send(self._free.popleft(), number)
            else:
                found.waited += 1
                self._waiting.append(number)

    def _send(self, phone: _PacedPhone, number: int) -> None:
        phone.number = number
        self._flying.append((number, phone))
        phone.transport.write(self._requests[number])

    def over(self, number: int, status: int) -> None:
        """The claim has its answer, or will have none."""
        self._paced.latencies_s[number] = perf_counter() - self._paced.began_s - self._dues_s[number]
        self._paced.statuses[number] = status
        self._unresolved -= 1

    def free(self, phone: _PacedPhone) -> None:
        """The connection may be used: by whoever has waited longest, else later."""
        if self._waiting:
            self._send(phone, self._waiting.popleft())
        else:
            phone.number = -1
            self._free.append(phone)
            if self._paced.began_s:
                self.send_due()

    def lost(self, phone: _PacedPhone) -> None:
        """The connection is gone; there is another one soon."""
        self._phones.discard(phone)
        if phone in self._free:
            self._free.remove(phone)
        if not self._closing:
            task = asyncio.create_task(self._reconnect())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    def _give_up(self) -> None:
        """Whoever has waited too long goes: a claim in flight leaves with its connection."""
        now_s = perf_counter() - self._paced.began_s - self._give_up_s
        while self._waiting and self._dues_s[self._waiting[0]] <= now_s:
            self.over(self._waiting.popleft(), UNSENT)
        flying = self._flying
        while flying and (flying[0][1].number != flying[0][0] or self._dues_s[flying[0][0]] <= now_s):
            number, phone = flying.popleft()
            if phone.number == number:
                self.over(number, GAVE_UP)
                phone.number = -1
                phone.transport.abort()
