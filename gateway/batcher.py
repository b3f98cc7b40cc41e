"""
Group commit: claims that arrive while a script call is in flight travel together in the next one.

    submit ─► lane of the shard: bounded queue ─► call of ≤ claim_batch_max asks ─► one answer each
                                                  (≤ claim_calls_max in flight)

No timer holds a claim back: a call leaves when a slot is free, with what has come by then. The call
belongs to no client, so one that is cancelled or gone never touches the others.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import msgspec
from redis.exceptions import ResponseError

from gateway.codes import CodeMaker
from gateway.settings import Settings
from gateway.telemetry import Telemetry
from lua.door import Door, DoorError, Full, LostReply
from lua.keys import HolderId, Shard
from lua.outcomes import Outcome
from lua.scripts import load_script

log = logging.getLogger("fairclaim.batcher")

LANES_IDLE_MAX = 4096
CODE_TRIES_MAX = 3
_CLAIM = load_script("claim")


class Ask(NamedTuple):
    """One claim on its way: *idem* is lua.keys.idempotency_hash, *channel* is '' where none was named."""

    holder: HolderId
    idem: str
    channel: str


class Rush(msgspec.Struct, array_like=True, frozen=True):
    """What claim.lua says of the whole call; times in milliseconds by Redis TIME. See its header."""

    now_ms: int
    version: int
    stock: int
    starts_ms: int
    ends_ms: int
    day_ends_ms: int
    expires_ms: int
    value: str
    currency: str
    replies: list[int | list[int | str]]


class Decided(NamedTuple):
    """
    What became of an ask.

    Shape: CLAIMED and REPLAYED carry *code*, *seq*, *claimed_ms*, *expires_ms*; LIMIT_REACHED carries *held*.
    """

    outcome: Outcome
    rush: Rush
    code: str = ""
    seq: int = 0
    claimed_ms: int = 0
    expires_ms: int = 0
    held: tuple[str, ...] = ()


class Undecided(NamedTuple):
    """An ask without an answer: *code* is a problem code (overloaded, not_ready, unknown), *detail* says why."""

    code: str
    detail: str


Answer = Decided | Undecided
Done = Callable[[Answer], None]

_read_reply = msgspec.msgpack.Decoder(Rush).decode
_pack = msgspec.msgpack.Encoder().encode

QUEUE_FULL = Undecided("overloaded", "More claims are waiting than can be decided in time.")
WAITED_TOO_LONG = Undecided("overloaded", "The claim waited too long and was not sent.")
LOST = Undecided("unknown", "The answer was lost on the way. Retry with the same Idempotency-Key to learn the truth.")
CLOSING = Undecided("overloaded", "This gateway is stopping; nothing was sent.")


class _Waiting(NamedTuple):
    ask: Ask
    done: Done
    deadline: float
    code_tries: int


class Lane:
    """The queue of one shard in one worker."""

    def __init__(self, shard: Shard, codes: CodeMaker, door: Door, settings: Settings, telemetry: Telemetry) -> None:
        self.shard, self._codes, self._door = shard, codes, door
        self._settings, self._telemetry = settings, telemetry
        self._queue: deque[_Waiting] = deque()
        self._calls: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._pump_due = False
        self._deadline_timer: asyncio.TimerHandle | None = None

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing is in flight."""
        return not self._queue and not self._calls

    def submit(self, ask: Ask, done: Done) -> None:
        """Queue *ask*; *done* is called once, from the loop, perhaps before this returns."""
        if len(self._queue) >= self._settings.claim_queue_max:
            done(QUEUE_FULL)
            return
        self._queue.append(_Waiting(ask, done, self._loop.time() + self._settings.claim_wait_ms_max / 1000, 0))
        self._telemetry.waiting(1)
        if len(self._calls) >= self._settings.claim_calls_max:
            self._watch_deadline()
        elif not self._pump_due:
            self._pump_due = True
            self._loop.call_soon(self._pump)  # what else arrives in this turn of the loop comes along

    def _pump(self) -> None:
        """Fill the free slots from the queue, and see that what must wait is not kept beyond its deadline."""
        self._pump_due = False
        self._expire()
        while self._queue and len(self._calls) < self._settings.claim_calls_max:
            size = min(len(self._queue), self._settings.claim_batch_max)
            batch = [self._queue.popleft() for _ in range(size)]
            self._telemetry.waiting(-size)
            call = self._loop.create_task(self._call(batch))
            self._calls.add(call)
        self._watch_deadline()

    def _watch_deadline(self) -> None:
        if self._queue and self._deadline_timer is None:
            self._deadline_timer = self._loop.call_at(self._queue[0].deadline, self._deadline_reached)

    def _deadline_reached(self) -> None:
        self._deadline_timer = None
        self._pump()

    def _expire(self) -> None:
        now = self._loop.time()
        while self._queue and self._queue[0].deadline <= now:
            self._telemetry.waiting(-1)
            _tell(self._queue.popleft(), WAITED_TOO_LONG)

    async def _call(self, batch: list[_Waiting]) -> None:
        """One script call; whatever happens, everybody in *batch* is answered and the slot is freed."""
        began = self._loop.time()
        answers: list[Answer] | None = None
        codes = [self._codes.make() for _ in batch]
        try:
            flat = [part for waiting, code in zip(batch, codes, strict=True) for part in _parts(waiting.ask, code)]
            reply = await self._door.call(_CLAIM, self.shard, _pack(flat))
            rush = _read_reply(reply if isinstance(reply, bytes) else b"")
            if len(rush.replies) == len(batch):
                answers = [_answer(rush, *decided) for decided in zip(rush.replies, codes, strict=True)]
            else:
                log.error("reply of a wrong length", extra={"shard": str(self.shard)})
        except (DoorError, ResponseError, msgspec.DecodeError) as error:
            answers = [_failed(error)] * len(batch)
            log.warning(
                "claim call failed", extra={"shard": str(self.shard), "claims": len(batch), "reason": str(error)}
            )
        finally:
            self._telemetry.call(len(batch), self._loop.time() - began)
            self._resolve(batch, answers or [LOST] * len(batch))
            self._calls.discard(asyncio.current_task())
            self._pump()

    def _resolve(self, batch: list[_Waiting], answers: list[Answer]) -> None:
        for waiting, answer in zip(batch, answers, strict=True):
            if isinstance(answer, Decided) and answer.outcome is Outcome.CODE_TAKEN:
                if waiting.code_tries < CODE_TRIES_MAX:  # not granted for its code only: another code, same place
                    self._queue.appendleft(waiting._replace(code_tries=waiting.code_tries + 1))
                    self._telemetry.waiting(1)
                    continue
                answer = LOST  # noqa: PLW2901 - three collisions of 60 random bits: the random source is broken
            _tell(waiting, answer)

    async def close(self) -> None:
        """Answer what is in flight; refuse what was not sent."""
        while self._queue:
            self._telemetry.waiting(-1)
            _tell(self._queue.popleft(), CLOSING)
        if self._deadline_timer is not None:
            self._deadline_timer.cancel()
        while self._calls:  # a claim whose code was taken leaves in another call
            await asyncio.gather(*self._calls)


def _parts(ask: Ask, code: str) -> tuple[str, str, str, str]:
    return ask.holder, ask.idem, code, ask.channel


def _tell(waiting: _Waiting, answer: Answer) -> None:
    try:
        waiting.done(answer)
    except Exception:  # one caller's failure is not the others'
        log.exception("a claim's caller failed on its answer")


def _answer(rush: Rush, reply: int | list[int | str], code: str) -> Decided:
    if isinstance(reply, int):
        if reply > 0:
            return Decided(Outcome.CLAIMED, rush, code, reply, rush.now_ms, rush.expires_ms)
        return Decided(Outcome(reply), rush)
    if reply[0] == Outcome.REPLAYED:
        return Decided(Outcome.REPLAYED, rush, str(reply[1]), int(reply[2]), int(reply[3]), int(reply[4]))
    return Decided(Outcome(int(reply[0])), rush, held=tuple(str(held) for held in reply[1:]))


def _failed(error: Exception) -> Undecided:
    if isinstance(error, LostReply | ResponseError | msgspec.DecodeError):
        return LOST
    if isinstance(error, Full):
        return Undecided("overloaded", "There is no memory left to write a claim down; nothing was changed.")
    return Undecided("not_ready", "The claim store can't be reached; nothing was sent.")


class Batcher:
    """The lanes of one worker."""

    def __init__(self, door: Door, settings: Settings, telemetry: Telemetry) -> None:
        self._door, self._settings, self._telemetry = door, settings, telemetry
        self._lanes: dict[Shard, Lane] = {}
        self._closed = False

    def submit(self, shard: Shard, campaign_number: int, ask: Ask, done: Done) -> None:
        """Queue *ask* on the lane of *shard*; *done* is called once with its Answer."""
        if self._closed:
            done(CLOSING)
            return
        lane = self._lanes.get(shard)
        if lane is None:
            self._drop_idle()
            lane = Lane(shard, CodeMaker(campaign_number, shard.number), self._door, self._settings, self._telemetry)
            self._lanes[shard] = lane
        lane.submit(ask, done)

    def _drop_idle(self) -> None:
        if len(self._lanes) >= LANES_IDLE_MAX:
            self._lanes = {shard: lane for shard, lane in self._lanes.items() if not lane.idle}

    async def close(self) -> None:
        """Take no more, answer what is in flight, refuse what was not sent."""
        self._closed = True
        await asyncio.gather(*(lane.close() for lane in self._lanes.values()))
