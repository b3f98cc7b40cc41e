"""
A crowd of phones over keep-alive connections, in an open loop: each request leaves at a time fixed before, whatever
became of the others.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter, process_time
from typing import cast

from loadtest.client import Address, read_answer

TICK_S = 0.001
CONNECT_AT_ONCE, RECONNECT_S = 64, 0.1
UNSENT, GAVE_UP, LOST = 0, 1, 2
"""In the place of a status: no connection came free in time; no answer came in time; the connection broke."""


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
