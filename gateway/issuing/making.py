"""
Makes the codes of a batch, chunk by chunk, so that any process may die at any point and another one goes on.

    look at the stock ─► write the next chunk down ─► issue.lua ─► what the shard says, and the next chunk ─► …

A chunk is written down and committed before it is sent, and the script does it once by its number. What can't be issued
on its shard (no stock, no budget) is passed over there, so that nobody who is late issues it after all; another shard
gets its codes. Which worker has a batch is a lease in its row; two that believe so still make each chunk once.
"""

from time import monotonic
from typing import Any

import msgspec
from msgspec.structs import replace
from psycopg_pool import AsyncConnectionPool

from gateway.campaigns.shards import Shards, not_ready
from gateway.codes import CodeMaker
from gateway.errors import Refusal
from gateway.issuing import store
from gateway.issuing.batch import Batch, BatchState, Flight, Kind, Part, Reply, landed, next_flight
from gateway.sql import postgres
from gateway.wire import time_ms
from lua.door import Door
from lua.keys import CouponCode, Shard
from lua.outcomes import Outcome

LEASE_S = 5.0
"""After so long without a word from its worker a batch is taken by another one."""
REST_S = 1.0
"""How long a batch that waits for something rests."""
_TRIES_MAX = 16
_RATE_KEPT = 0.8  # of the rate so far, at each chunk
_PROBLEM = {
    Outcome.ENDED: "campaign_ended",
    Outcome.BUDGET_EXHAUSTED: "budget_exhausted",
    Outcome.SOLD_OUT: "sold_out",
}


class Landing(msgspec.Struct, frozen=True):
    """The end of a flight: what the shard said, and why its codes were passed over, if they were."""

    flight: Flight
    reply: Reply
    refused: Outcome | None = None


class Making:
    """The work of code batches, one of those of background.py."""

    def __init__(self, pool: AsyncConnectionPool[Any], door: Door) -> None:
        self._pool, self._door = pool, door

    async def once(self, worker: str) -> bool:
        """Take one open batch and bring it as far as it goes; False when there is none. Errors: Refusal not_ready."""
        async with postgres(self._pool) as connection:
            batch = await store.take_batch(connection, worker, LEASE_S)
        if batch is None:
            return False
        await _Run(self._pool, self._door, batch, worker).go()
        return True


class _Run:
    """One worker's work on one batch."""

    def __init__(self, pool: AsyncConnectionPool[Any], door: Door, batch: Batch, worker: str) -> None:
        self._pool, self._shards, self._worker = pool, Shards(door), worker
        self._batch = batch
        self._stocks: list[int] = []
        self._unpaid: set[int] = set()  # shards whose budget is used up
        self._makers: dict[int, CodeMaker] = {}
        self._at = monotonic()

    async def go(self) -> None:
        """Until the batch is over, has to wait, or is another worker's."""
        try:
            await self._look()
            going = True
            while going:
                landing = await self._fly(self._batch.flight) if self._batch.flight is not None else None
                going = await self._advance(landing)
        except Refusal as refusal:
            await self._rest(refusal)

    async def _look(self) -> None:
        looks = await self._shards.look_all(self._batch.campaign, len(self._batch.parts))
        for number, look in enumerate(looks):
            if not look.ready:
                raise not_ready(Shard(self._batch.campaign, number))
            self._makers[number] = CodeMaker(int(look.rules["number"]), number)
        self._stocks = [look.stock for look in looks]

    async def _rest(self, refusal: Refusal) -> None:
        """A server is away, or a shard may not serve: the flight stays, and somebody tries again soon."""
        async with postgres(self._pool) as connection, connection.transaction():
            now = await store.lock_batch(connection, self._batch.id, self._worker)
            if now is not None:
                await store.advance(connection, replace(now, reason=refusal.code), REST_S, keep=False)

    async def _fly(self, flight: Flight) -> Landing:
        """Send the chunk, until it is done or passed over. Errors: Refusal("not_ready")."""
        codes = await self._codes(flight)
        refused: Outcome | None = None
        for _ in range(_TRIES_MAX):
            reply = await self._issue(flight, codes)
            match reply.outcome:
                case Outcome.DONE | Outcome.REPLAYED | Outcome.BEHIND:
                    return Landing(flight, reply, refused)
                case Outcome.NOT_READY:
                    raise not_ready(Shard(self._batch.campaign, flight.shard))
                case Outcome.CODE_TAKEN:
                    codes = await self._without(flight, codes, reply.taken)
                case Outcome.ENDED | Outcome.BUDGET_EXHAUSTED | Outcome.SOLD_OUT:
                    refused, codes = reply.outcome, []
                case outcome:
                    raise AssertionError(f"issue does not answer {outcome}")
        raise Refusal("not_ready", "Codes that are drawn are in use, again and again.")

    async def _codes(self, flight: Flight) -> list[CouponCode]:
        if self._batch.kind is Kind.SINGLE:
            return self._makers[flight.shard].take(flight.count)
        async with postgres(self._pool) as connection:
            return await store.aboard(connection, self._batch.id, flight)

    async def _issue(self, flight: Flight, codes: list[CouponCode]) -> Reply:
        batch = self._batch
        asked: list[str | int] = [batch.id, flight.chunk, batch.units, time_ms(batch.expires_at), *codes]
        return read_reply(await self._shards.issue(Shard(batch.campaign, flight.shard), asked))

    async def _without(self, flight: Flight, codes: list[CouponCode], taken: tuple[int, ...]) -> list[CouponCode]:
        """Other codes for those at the places *taken*; a named one is refused, which is written down first."""
        gone = {codes[place - 1] for place in taken}
        if self._batch.kind is Kind.SINGLE:
            return [code for code in codes if code not in gone] + self._makers[flight.shard].take(len(gone))
        async with postgres(self._pool) as connection, connection.transaction():
            await store.take_named(connection, self._batch.id, list(gone))
        return [code for code in codes if code not in gone]

    async def _advance(self, landing: Landing | None) -> bool:
        """Write down what has landed and what flies next, together; False when nothing does."""
        async with postgres(self._pool) as connection, connection.transaction():
            batch = await store.lock_batch(connection, self._batch.id, self._worker)
            if batch is None:
                return False
            if landing is not None:
                batch = await self._land(connection, batch, landing)
            batch = await self._next(connection, batch, landing)
            going = batch.flight is not None
            await store.advance(connection, batch, LEASE_S if going else REST_S, keep=going)
        self._batch = batch
        return going

    async def _land(self, connection: store.Connection, batch: Batch, landing: Landing) -> Batch:
        flight, reply = landing.flight, landing.reply
        before = batch.parts[flight.shard]
        if batch.kind is not Kind.SINGLE:
            if reply.outcome is not Outcome.BEHIND and reply.part.issued > before.issued:
                await store.named_issued(connection, batch.id, flight)
            else:
                await store.unboard(connection, batch.id, flight.shard, min(reply.part.next, flight.chunk))
        self._stocks[flight.shard] = reply.stock
        if landing.refused is Outcome.BUDGET_EXHAUSTED:
            self._unpaid.add(flight.shard)
        after = landed(batch, reply)
        now = monotonic()
        rate = max(0, after.done - batch.done) / max(now - self._at, 1e-6)
        self._at = now
        return replace(after, rate=rate if not batch.rate else _RATE_KEPT * batch.rate + (1 - _RATE_KEPT) * rate)

    async def _next(self, connection: store.Connection, batch: Batch, landing: Landing | None) -> Batch:
        """The batch with its next flight, or over, or at rest."""
        if batch.flight is not None:
            return batch  # of a worker that died: it flies first
        single = batch.kind is Kind.SINGLE
        remaining = batch.count - batch.done if single else await store.named_left(connection, batch.id)
        if remaining == 0:
            return replace(batch, state=BatchState.DONE, reason=None)
        if batch.cancelled_by is not None:
            return replace(batch, state=BatchState.CANCELLED, reason=None)
        if landing is not None and landing.refused is Outcome.ENDED:
            return replace(batch, state=BatchState.STOPPED, reason=_PROBLEM[Outcome.ENDED])
        stocks = [0 if number in self._unpaid else stock for number, stock in enumerate(self._stocks)]
        flight = next_flight(batch, remaining, stocks)
        if flight is None:
            if self._unpaid and max(self._stocks) >= batch.units:  # a budget is fixed once a coupon is out
                return replace(batch, state=BatchState.STOPPED, reason=_PROBLEM[Outcome.BUDGET_EXHAUSTED])
            return replace(batch, reason=_PROBLEM[Outcome.SOLD_OUT])
        if not single:
            await store.board(connection, batch.id, flight)
        return replace(batch, flight=flight, reason=None)


def read_reply(reply: list[int]) -> Reply:
    """What issue.lua answers, as its header says."""
    outcome, next_chunk, issued, stock, *taken = reply
    return Reply(Outcome(outcome), Part(next_chunk, issued), stock, tuple(taken))
