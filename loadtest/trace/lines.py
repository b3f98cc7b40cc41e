"""
Keep-alive connections to one gateway, one request in flight on each, asked again until there is an answer.

Whatever is asked here has to be safe to ask twice: claims and redemptions are, by their keys.
"""

import asyncio
import json
import re
from collections.abc import Coroutine, Sequence
from time import perf_counter
from types import TracebackType
from typing import Any, NamedTuple, Self, cast

from loadtest.client import Address, Tally, read_answer

AGAIN_S = 0.1
AGAIN_STATUSES = frozenset({429, 503})

_RETRY_AFTER = re.compile(rb"retry-after: *([0-9]{1,3})\b")


class Away(Exception):
    """The gateway has not answered for too long."""


class Answer(NamedTuple):
    """Status and body."""

    status: int
    content: bytes

    def text(self) -> str:
        """The body as text."""
        return self.content.decode(errors="replace")

    def json(self) -> Any:
        """The body's JSON; an empty object where it is none."""
        try:
            return json.loads(self.content)
        except ValueError:
            return {}


class _Connection(asyncio.Protocol):
    """One connection; what it is asked is a future, of None where the connection was lost before the answer."""

    def __init__(self) -> None:
        self._buffer = b""
        self._awaited: asyncio.Future[tuple[int, bytes, bytes] | None] | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it

    def ask(self, request: bytes) -> "asyncio.Future[tuple[int, bytes, bytes] | None]":
        """Send *request*; the answer, when it is there."""
        self._awaited = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self._awaited

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        answer = read_answer(self._buffer)
        if answer is not None:
            self._buffer = b""
            self._resolve(answer)

    def connection_lost(self, error: Exception | None) -> None:
        self._resolve(None)

    def _resolve(self, answer: tuple[int, bytes, bytes] | None) -> None:
        if self._awaited is not None and not self._awaited.done():
            self._awaited.set_result(answer)
        self._awaited = None


class Line:
    """
    One connection at a time to *address*; ``async with`` closes it. Answers are counted in *tally*.

    An answer may take *answer_s_max*; the gateway may be away, or say that it can't, for *away_s_max*.
    """

    def __init__(self, address: Address, tally: Tally, *, answer_s_max: float = 30.0, away_s_max: float = 20.0) -> None:
        self._address, self._tally = address, tally
        self._answer_s_max, self._away_s_max = answer_s_max, away_s_max
        self._connection: _Connection | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connection is not None:
            self._connection.transport.abort()

    async def ask(self, request: bytes) -> Answer:
        """
        The answer to *request*, which is sent again while there is none, or one that says "later".

        Errors: Away.
        """
        began = asked = perf_counter()
        while True:
            wait_s = AGAIN_S
            try:
                found = await self._once(request)
            except OSError:
                found = None
            if found is not None:
                status, head, body = found
                if status not in AGAIN_STATUSES:
                    self._tally.seconds.append(perf_counter() - asked)
                    self._tally.statuses[status] += 1
                    return Answer(status, body)
                after = _RETRY_AFTER.search(head.lower())
                wait_s = float(after[1]) if after else AGAIN_S
            if perf_counter() + wait_s - began > self._away_s_max:
                raise Away(f"no answer within {self._away_s_max:g} s" if found is None else f"it answers {found[0]}")
            await asyncio.sleep(wait_s)
            asked = perf_counter()

    async def _once(self, request: bytes) -> tuple[int, bytes, bytes] | None:
        """The answer, None where the connection was lost. Errors: OSError."""
        loop = asyncio.get_running_loop()
        if self._connection is None or self._connection.transport.is_closing():
            _, self._connection = await loop.create_connection(_Connection, *self._address)
        awaited = self._connection.ask(request)
        too_long = loop.call_later(self._answer_s_max, self._connection.transport.abort)
        try:
            return await awaited
        finally:
            too_long.cancel()


async def together(coroutines: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Run all of them; the first failure, or being cancelled, ends the others."""
    tasks = [asyncio.create_task(each) for each in coroutines]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
