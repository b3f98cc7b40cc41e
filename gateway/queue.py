"""
Group commit of one script on one shard: what arrives while a call is in flight travels together in the next one.

    submit ─► queue, bounded ─► call of ≤ claim_batch_max asks ─► one answer each
                                (≤ claim_calls_max in flight)

No timer holds an ask back: a call leaves when a slot is free, with what has come by then. The call belongs to no
client, so one that is gone never touches the others.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections import deque
from functools import partial
from math import inf
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import msgspec

from gateway.settings import Settings
from lua.door import Full, Refused, Unreachable
from lua.link import Link, ScriptCall

log = logging.getLogger("fairclaim.queue")


class Undecided(NamedTuple):
    """An ask without an answer: *code* is a problem code (overloaded, not_ready, unknown), *detail* says why."""

    code: str
    detail: str


QUEUE_FULL = Undecided("overloaded", "More is waiting than can be decided in time.")
WAITED_TOO_LONG = Undecided("overloaded", "The request waited too long and was not sent.")
LOST = Undecided("unknown", "The answer was lost on the way. Retry with the same Idempotency-Key to learn the truth.")
CLOSING = Undecided("overloaded", "This gateway is stopping; nothing was sent.")
NO_MEMORY = Undecided("overloaded", "There is no memory left to write it down; nothing was changed.")
NO_STORE = Undecided("not_ready", "The claim store can't be reached; nothing was sent.")


class Waiting(Protocol):
    """What a queue holds; *deadline* is by the loop's clock, set by submit()."""

    deadline: float

    def undecided(self, why: Undecided) -> None:
        """No answer; perhaps before submit() returns."""


A = TypeVar("A", bound=Waiting)
C = TypeVar("C")


class CallQueue(ABC, Generic[A, C]):
    """
    What waits for one script on one shard in one worker.

    A kind of it says how a batch is packed, and what becomes of it; C is what it has to remember of a call meanwhile.
    """

    def __init__(self, call: ScriptCall, link: Link, settings: Settings) -> None:
        self._call, self._link = call, link
        self._calls_max, self._batch_max = settings.claim_calls_max, settings.claim_batch_max
        self._queue_max, self._wait_s_max = settings.claim_queue_max, settings.claim_wait_ms_max / 1000
        self._loop = asyncio.get_running_loop()
        self._queue: deque[A] = deque()
        self._flying = 0
        self._pump_due = False
        self._deadline_timer: asyncio.TimerHandle | None = None
        self._landing: asyncio.Future[None] | None = None  # close() waits on it

    @abstractmethod
    def _packed(self, batch: list[A]) -> tuple[bytes, C]:
        """The payload of a call with *batch*, and what is to be remembered of it."""

    @abstractmethod
    def _resolve(self, batch: list[A], context: C, reply: Any) -> None:
        """Answer everybody in *batch*. *reply* is bytes, or the exception that came instead."""

    @abstractmethod
    def _report(self, waiting: int) -> None:
        """So many wait now; called once a call."""

    @abstractmethod
    def _called(self, asks: int, seconds: float) -> None:
        """A call with *asks* took *seconds*."""

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing is in flight."""
        return not self._queue and not self._flying

    def submit(self, ask: A) -> None:
        """Queue *ask*."""
        if len(self._queue) >= self._queue_max:
            ask.undecided(QUEUE_FULL)
            return
        ask.deadline = self._loop.time() + self._wait_s_max
        self._queue.append(ask)
        if not self._pump_due:
            self._pump_due = True
            self._loop.call_soon(self._pump)  # what else arrives in this turn of the loop comes along

    def _pump(self) -> None:
        """Fill the free slots from the queue, and see that what must wait is not kept beyond its deadline."""
        self._pump_due = False
        self._expire()
        while len(self._queue) >= self._worth_a_call():
            self._send(min(len(self._queue), self._batch_max))
        self._report(len(self._queue))
        if self._deadline_timer is None:
            self._watch_deadline()

    def _worth_a_call(self) -> float:
        """
        How many have to wait for a call to leave now.

        Redis runs one call at a time: a second one in flight only keeps the way there busy, and is worth that from half
        a batch on. Fewer are better off in one larger call (docs/performance.md).
        """
        if self._flying == 0:
            return 1
        return (self._batch_max + 1) // 2 if self._flying < self._calls_max else inf

    def _send(self, size: int) -> None:
        """One call with the *size* asks that have waited longest."""
        queue = self._queue
        batch = [queue.popleft() for _ in range(size)]
        payload, context = self._packed(batch)
        self._flying += 1
        self._link.call(self._call, payload, partial(self._landed, batch, context, self._loop.time()))

    def _watch_deadline(self) -> None:
        if self._queue:
            self._deadline_timer = self._loop.call_at(self._queue[0].deadline, self._deadline_reached)

    def _deadline_reached(self) -> None:
        self._deadline_timer = None
        self._pump()

    def _expire(self) -> None:
        now = self._loop.time()
        while self._queue and self._queue[0].deadline <= now:
            tell(self._queue.popleft(), WAITED_TOO_LONG)

    def _landed(self, batch: list[A], context: C, began: float, reply: Any) -> None:
        """A call is over, one way or another: everybody in *batch* is answered and the slot is free."""
        self._flying -= 1
        self._called(len(batch), self._loop.time() - began)
        try:
            if isinstance(reply, bytes):
                self._resolve(batch, context, reply)
            else:
                self._fail(batch, reply if isinstance(reply, Exception) else None)
        except msgspec.DecodeError as error:
            self._fail(batch, error)
        self._pump()
        if self._landing is not None and not self._landing.done():
            self._landing.set_result(None)

    def _fail(self, batch: list[A], error: Exception | None) -> None:
        reason = "the reply does not fit the call" if error is None else str(error)
        log.warning("%s failed", self._call, extra={"asks": len(batch), "reason": reason})
        why = _failed(error)
        for ask in batch:
            tell(ask, why)

    async def close(self) -> None:
        """Answer what is in flight; refuse what was not sent."""
        while self._queue:
            tell(self._queue.popleft(), CLOSING)
        self._report(0)
        if self._deadline_timer is not None:
            self._deadline_timer.cancel()
        while self._flying:  # what was answered in part leaves in another call
            self._landing = self._loop.create_future()
            await self._landing


def tell(ask: Waiting, why: Undecided) -> None:
    """Say that there is no answer; one caller's failure is not the others'."""
    try:
        ask.undecided(why)
    except Exception:
        log.exception("a caller failed on its answer")


def _failed(error: Exception | None) -> Undecided:
    """What a failed call means: only what was certainly not decided is said so."""
    if isinstance(error, Full):
        return NO_MEMORY
    if isinstance(error, Refused | Unreachable):
        return NO_STORE
    return LOST
