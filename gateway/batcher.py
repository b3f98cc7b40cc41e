"""
Group commit: claims that arrive while a script call is in flight travel together in the next one.

    submit ─► queue of the shard, bounded ─► call of ≤ claim_batch_max asks ─► one answer each
                                             (≤ claim_calls_max in flight)

No timer holds a claim back: a call leaves when a slot is free, with what has come by then. The call
belongs to no client, so one that is gone never touches the others.
"""

import asyncio
import logging
from collections import deque
from functools import partial
from math import inf
from typing import Any

import msgspec

from gateway.asks import Ask, Rush, Undecided
from gateway.codes import CodeMaker
from gateway.settings import Settings
from gateway.telemetry import Telemetry
from lua.door import Full, Refused, Unreachable
from lua.keys import CouponCode, Shard
from lua.link import Link, ScriptCall
from lua.outcomes import Outcome
from lua.scripts import load_script

log = logging.getLogger("fairclaim.batcher")

QUEUES_IDLE_MAX = 4096
CODE_TRIES_MAX = 3
_CLAIM = load_script("claim")
_CODE_TAKEN = int(Outcome.CODE_TAKEN)

_read_reply = msgspec.msgpack.Decoder(Rush).decode
_pack = msgspec.msgpack.Encoder().encode

QUEUE_FULL = Undecided("overloaded", "More claims are waiting than can be decided in time.")
WAITED_TOO_LONG = Undecided("overloaded", "The claim waited too long and was not sent.")
LOST = Undecided("unknown", "The answer was lost on the way. Retry with the same Idempotency-Key to learn the truth.")
CLOSING = Undecided("overloaded", "This gateway is stopping; nothing was sent.")
NO_MEMORY = Undecided("overloaded", "There is no memory left to write a claim down; nothing was changed.")
NO_STORE = Undecided("not_ready", "The claim store can't be reached; nothing was sent.")


class ShardQueue:
    """What waits for one shard in one worker."""

    def __init__(self, shard: Shard, codes: CodeMaker, link: Link, settings: Settings, telemetry: Telemetry) -> None:
        self._shard, self._codes, self._link, self._telemetry = shard, codes, link, telemetry
        self._call = ScriptCall(_CLAIM, shard)
        self._calls_max, self._batch_max = settings.claim_calls_max, settings.claim_batch_max
        self._queue_max, self._wait_s_max = settings.claim_queue_max, settings.claim_wait_ms_max / 1000
        self._loop = asyncio.get_running_loop()
        self._queue: deque[Ask] = deque()
        self._flying = 0
        self._pump_due = False
        self._deadline_timer: asyncio.TimerHandle | None = None
        self._reported = 0
        self._landing: asyncio.Future[None] | None = None  # close() waits on it

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing is in flight."""
        return not self._queue and not self._flying

    def submit(self, ask: Ask) -> None:
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
        self._report()
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
        codes = self._codes.take(size)
        flat: list[str] = []
        for ask, code in zip(batch, codes, strict=True):
            flat += (ask.holder, ask.idem, code, ask.channel)
        self._flying += 1
        self._link.call(self._call, _pack(flat), partial(self._landed, batch, codes, self._loop.time()))

    def _watch_deadline(self) -> None:
        if self._queue:
            self._deadline_timer = self._loop.call_at(self._queue[0].deadline, self._deadline_reached)

    def _deadline_reached(self) -> None:
        self._deadline_timer = None
        self._pump()

    def _expire(self) -> None:
        now = self._loop.time()
        while self._queue and self._queue[0].deadline <= now:
            _tell(self._queue.popleft(), WAITED_TOO_LONG)

    def _report(self) -> None:
        """Bring the gauge of waiting claims up to date; once a call is often enough."""
        self._telemetry.waiting(len(self._queue) - self._reported)
        self._reported = len(self._queue)

    def _landed(self, batch: list[Ask], codes: list[CouponCode], began: float, reply: Any) -> None:
        """A call is over, one way or another: everybody in *batch* is answered and the slot is free."""
        self._flying -= 1
        self._telemetry.call(len(batch), self._loop.time() - began)
        try:
            self._resolve(batch, codes, _read_reply(reply) if isinstance(reply, bytes) else reply)
        except msgspec.DecodeError as error:
            self._fail(batch, error)
        self._pump()
        if self._landing is not None and not self._landing.done():
            self._landing.set_result(None)

    def _resolve(self, batch: list[Ask], codes: list[CouponCode], reply: Any) -> None:
        if not isinstance(reply, Rush) or len(reply.replies) != len(batch):
            self._fail(batch, reply if isinstance(reply, Exception) else None)
            return
        for ask, each, code in zip(batch, reply.replies, codes, strict=True):
            try:
                if each == _CODE_TAKEN:
                    self._again(ask)
                else:
                    ask.decided(reply, each, code)
            except Exception:  # one caller's failure is not the others'; he may still be told to ask again
                log.exception("a claim's caller failed on its answer")
                _tell(ask, LOST)

    def _again(self, ask: Ask) -> None:
        """Not granted for its code only: another code, in the same place of the queue."""
        if ask.code_tries == CODE_TRIES_MAX:
            ask.undecided(LOST)  # so many collisions of 60 random bits: the random source is broken
            return
        ask.code_tries += 1
        self._queue.appendleft(ask)

    def _fail(self, batch: list[Ask], error: Exception | None) -> None:
        reason = "the reply does not fit the call" if error is None else str(error)
        log.warning("claim call failed", extra={"shard": str(self._shard), "claims": len(batch), "reason": reason})
        why = _failed(error)
        for ask in batch:
            _tell(ask, why)

    async def close(self) -> None:
        """Answer what is in flight; refuse what was not sent."""
        while self._queue:
            _tell(self._queue.popleft(), CLOSING)
        self._report()
        if self._deadline_timer is not None:
            self._deadline_timer.cancel()
        while self._flying:  # a claim whose code was taken leaves in another call
            self._landing = self._loop.create_future()
            await self._landing


def _tell(ask: Ask, why: Undecided) -> None:
    try:
        ask.undecided(why)
    except Exception:  # one caller's failure is not the others'
        log.exception("a claim's caller failed on its answer")


def _failed(error: Exception | None) -> Undecided:
    """What a failed call means: only what was certainly not decided is said so."""
    if isinstance(error, Full):
        return NO_MEMORY
    if isinstance(error, Refused | Unreachable):
        return NO_STORE
    return LOST


class Batcher:
    """The queues of one worker."""

    def __init__(self, link: Link, settings: Settings, telemetry: Telemetry) -> None:
        self._link, self._settings, self._telemetry = link, settings, telemetry
        self._queues: dict[Shard, ShardQueue] = {}
        self._closed = False

    def submit(self, shard: Shard, campaign_number: int, ask: Ask) -> None:
        """Queue *ask* for *shard*."""
        queue = self._queues.get(shard)
        if queue is None or self._closed:
            if self._closed:
                ask.undecided(CLOSING)
                return
            self._drop_idle()
            codes = CodeMaker(campaign_number, shard.number)
            queue = self._queues[shard] = ShardQueue(shard, codes, self._link, self._settings, self._telemetry)
        queue.submit(ask)

    def _drop_idle(self) -> None:
        if len(self._queues) >= QUEUES_IDLE_MAX:
            self._queues = {shard: queue for shard, queue in self._queues.items() if not queue.idle}

    async def close(self) -> None:
        """Take no more, answer what is in flight, refuse what was not sent."""
        self._closed = True
        await asyncio.gather(*(queue.close() for queue in self._queues.values()))
