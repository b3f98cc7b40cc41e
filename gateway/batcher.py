"""Group commit of claims: a queue a shard, each with the codes it gives out."""

import asyncio
from typing import Any

import msgspec

from gateway.asks import Ask, Rush
from gateway.codes import CodeMaker
from gateway.queue import CLOSING, LOST, CallQueue, log, tell
from gateway.settings import Settings
from gateway.telemetry import Telemetry
from lua.keys import CouponCode, Shard
from lua.link import Link, ScriptCall
from lua.outcomes import Outcome
from lua.scripts import load_script

QUEUES_IDLE_MAX = 4096
CODE_TRIES_MAX = 3
_CLAIM = load_script("claim")
_CODE_TAKEN = int(Outcome.CODE_TAKEN)

_read_reply = msgspec.msgpack.Decoder(Rush).decode
_pack = msgspec.msgpack.Encoder().encode


class ClaimQueue(CallQueue[Ask, list[CouponCode]]):
    """Claims that wait for one shard in one worker."""

    def __init__(self, shard: Shard, codes: CodeMaker, link: Link, settings: Settings, telemetry: Telemetry) -> None:
        super().__init__(ScriptCall(_CLAIM, shard), link, settings)
        self._codes, self._telemetry, self._reported = codes, telemetry, 0

    def _packed(self, batch: list[Ask]) -> tuple[bytes, list[CouponCode]]:
        codes = self._codes.take(len(batch))
        flat: list[str] = []
        for ask, code in zip(batch, codes, strict=True):
            flat += (ask.holder, ask.idem, code, ask.channel)
        return _pack(flat), codes

    def _report(self, waiting: int) -> None:
        """Bring the gauge of waiting claims up to date."""
        self._telemetry.waiting(waiting - self._reported)
        self._reported = waiting

    def _called(self, asks: int, seconds: float) -> None:
        self._telemetry.call(asks, seconds)

    def _resolve(self, batch: list[Ask], context: list[CouponCode], reply: Any) -> None:
        rush = _read_reply(reply)
        if len(rush.replies) != len(batch):
            self._fail(batch, None)
            return
        for ask, each, code in zip(batch, rush.replies, context, strict=True):
            try:
                if each == _CODE_TAKEN:
                    self._again(ask)
                else:
                    ask.decided(rush, each, code)
            except Exception:  # one caller's failure is not the others'; he may still be told to ask again
                log.exception("a claim's caller failed on its answer")
                tell(ask, LOST)

    def _again(self, ask: Ask) -> None:
        """Not granted for its code only: another code, in the same place of the queue."""
        if ask.code_tries == CODE_TRIES_MAX:
            ask.undecided(LOST)  # so many collisions of 60 random bits: the random source is broken
            return
        ask.code_tries += 1
        self._queue.appendleft(ask)


class Batcher:
    """The queues of one worker."""

    def __init__(self, link: Link, settings: Settings, telemetry: Telemetry) -> None:
        self._link, self._settings, self._telemetry = link, settings, telemetry
        self._queues: dict[Shard, ClaimQueue] = {}
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
            queue = self._queues[shard] = ClaimQueue(shard, codes, self._link, self._settings, self._telemetry)
        queue.submit(ask)

    def _drop_idle(self) -> None:
        if len(self._queues) >= QUEUES_IDLE_MAX:
            self._queues = {shard: queue for shard, queue in self._queues.items() if not queue.idle}

    async def close(self) -> None:
        """Take no more, answer what is in flight, refuse what was not sent."""
        self._closed = True
        await asyncio.gather(*(queue.close() for queue in self._queues.values()))
