"""Group commit of the scripts of a coupon's life: a queue a script and shard, one answer an ask, awaited."""

import asyncio
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from gateway.errors import Refusal
from gateway.queue import CLOSING, CallQueue, Undecided
from gateway.redeeming.records import Inspection, Recalled, Steps
from gateway.settings import Settings
from lua.keys import Shard
from lua.link import Link, ScriptCall
from lua.scripts import load_script

QUEUES_IDLE_MAX = 4096
R = TypeVar("R", Inspection, Steps)
Part = str | int

_pack = msgspec.msgpack.Encoder().encode
_read_recalled = msgspec.msgpack.Decoder(Recalled).decode


class Answered(NamedTuple, Generic[R]):
    """What a script said of the whole call, and of one ask in it."""

    call: R
    reply: Any


class _Ask(Generic[R]):
    """One ask on its way. Who stops waiting for it leaves it decided all the same."""

    __slots__ = ("answer", "deadline", "parts")

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts, self.deadline = parts, 0.0
        self.answer: asyncio.Future[Answered[R]] = asyncio.get_running_loop().create_future()

    def decided(self, call: R, reply: Any) -> None:
        """The script's reply."""
        if not self.answer.done():
            self.answer.set_result(Answered(call, reply))

    def undecided(self, why: Undecided) -> None:
        """No answer."""
        if not self.answer.done():
            self.answer.set_exception(Refusal(why.code, why.detail))


class _Queue(CallQueue[_Ask[R], None]):
    def __init__(self, call: ScriptCall, kind: type[R], link: Link, settings: Settings) -> None:
        super().__init__(call, link, settings)
        self._read: Callable[[bytes], R] = msgspec.msgpack.Decoder(kind).decode

    def _packed(self, batch: list[_Ask[R]]) -> tuple[bytes, None]:
        return _pack(list(chain.from_iterable(ask.parts for ask in batch))), None

    def _report(self, waiting: int) -> None:
        """Nobody counts these: a till waits for its own."""

    def _called(self, asks: int, seconds: float) -> None:
        """As _report()."""

    def _resolve(self, batch: list[_Ask[R]], context: None, reply: Any) -> None:
        call: R = self._read(reply)
        if len(call.replies) != len(batch):
            self._fail(batch, None)
            return
        for ask, each in zip(batch, call.replies, strict=True):
            ask.decided(call, each)


class Calls:
    """The queues of one worker. Errors of each verb: Refusal overloaded, not_ready, unknown."""

    def __init__(self, link: Link, settings: Settings) -> None:
        self._link, self._settings = link, settings
        self._queues: dict[tuple[str, Shard, str], _Queue[Any]] = {}
        self._closed = False

    async def inspect(self, shard: Shard, known: str, code: str, order: str) -> Answered[Inspection]:
        """Look at one coupon, of which the terms of digest *known* are known."""
        return await self._ask("inspect", shard, known, Inspection, [code, order])

    async def step(self, verb: str, shard: Shard, parts: Sequence[Part], frozen: str = "") -> Answered[Steps]:
        """One ask of *verb*; *parts* are its members, in the order of the script's header."""
        return await self._ask(verb, shard, frozen, Steps, parts)

    async def recall(self, shard: Shard, known: str, redemption: str) -> Recalled:
        """Look at one redemption. It is not put in a group: a rollback is rare."""
        if self._closed:
            raise Refusal(CLOSING.code, CLOSING.detail)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def landed(reply: Any) -> None:
            if not answer.done():
                answer.set_result(reply)

        self._link.call(ScriptCall(load_script("recall"), shard, known.encode()), redemption.encode(), landed)
        reply = await answer
        if not isinstance(reply, bytes):
            raise Refusal("not_ready", "The claim store can't be reached; nothing was changed.")
        return _read_recalled(reply)

    async def _ask(self, verb: str, shard: Shard, head: str, kind: type[R], parts: Sequence[Part]) -> Answered[R]:
        ask: _Ask[R] = _Ask(parts)
        if self._closed:
            ask.undecided(CLOSING)
        else:
            self._queue(verb, shard, head, kind).submit(ask)
        return await ask.answer

    def _queue(self, verb: str, shard: Shard, head: str, kind: type[R]) -> _Queue[R]:
        queue = self._queues.get((verb, shard, head))
        if queue is None:
            if len(self._queues) >= QUEUES_IDLE_MAX:
                self._queues = {key: each for key, each in self._queues.items() if not each.idle}
            heads = (head.encode(),) if verb in HEADED else ()
            call = ScriptCall(load_script(verb), shard, *heads)
            queue = self._queues[verb, shard, head] = _Queue(call, kind, self._link, self._settings)
        return queue

    async def close(self) -> None:
        """Take no more, answer what is in flight, refuse what was not sent."""
        self._closed = True
        await asyncio.gather(*(queue.close() for queue in self._queues.values()))


HEADED = frozenset({"inspect", "redeem"})
"""Scripts that take the digest of the terms before their asks."""
