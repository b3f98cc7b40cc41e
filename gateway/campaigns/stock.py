"""
Stock in and out of a published campaign, over all its shards, once an Idempotency-Key.

A withdrawal that is more than what is left changes nothing. When claims take a shard's stock between
the plan and its step, the rest is taken from other shards, or everything is put back.
"""

from typing import Any

import msgspec
from psycopg_pool import AsyncConnectionPool

from gateway.campaigns import store
from gateway.campaigns.bounds import STOCK_REASON_CHARS_MAX, StockDelta, StockReason
from gateway.campaigns.broken import MINOR_MAX, is_text
from gateway.campaigns.life import Stored
from gateway.campaigns.publish import Publisher
from gateway.campaigns.shards import Shards, all_ready
from gateway.campaigns.steps import plan
from gateway.campaigns.store import Adjustment, Campaign, Connection
from gateway.codes import STOCK_MAX
from gateway.errors import Refusal
from lua.door import Door
from lua.keys import CampaignId, Shard

_ROUNDS_MAX = 16


class StockBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The body of a stock adjustment: *delta* coupons in (> 0) or out (< 0), and why."""

    delta: StockDelta
    reason: StockReason


class ShardMove(msgspec.Struct, frozen=True):
    """What one step did: the *seq* it has on the shard, and the shard's *stock* after it."""

    shard: str
    delta: int
    seq: int
    stock: int


class Moved(msgspec.Struct, frozen=True):
    """The answer to a stock adjustment, the same for every repetition. *stock* is of all shards, after it."""

    campaign: str
    delta: int
    reason: str
    stock: int
    shards: list[ShardMove]


class Stock:
    """Stock adjustments."""

    def __init__(self, pool: AsyncConnectionPool[Any], door: Door) -> None:
        self._shards = Shards(door)
        self._publisher = Publisher(pool, self._shards)

    async def plan(self, campaign: CampaignId, body: StockBody) -> tuple[Campaign, int]:
        """The campaign and what is left of its stock, where adjust() would do it now. Errors: as adjust()."""
        _check(body)
        async with self._publisher.hold(campaign) as (_, here):
            return here, sum(await self._room(here, body.delta))

    async def adjust(
        self, campaign: CampaignId, key: str, body: StockBody, actor: str, *, once: bool = False
    ) -> tuple[Moved, bool]:
        """
        Move stock; True when *key* was there before. What was refused is tried again with its key, but not with *once*.

        Errors: Refusal bad_request; campaign_not_found; invalid_state for a draft and an archived campaign;
        stock_floor with stock (what is left), and nothing changed; idempotency_key_reused;
        not_ready, after which a repetition with the same key finishes it.
        """
        _check(body)
        replayed = None
        for _ in range(_ROUNDS_MAX):
            async with self._publisher.hold(campaign) as (connection, here):
                known = await store.read_adjustment(connection, campaign, key)
                if known is not None and (known.delta, known.reason) != (body.delta, body.reason):
                    raise Refusal("idempotency_key_reused", "This Idempotency-Key came with another delta or reason.")
                if known is not None and known.state == "refused" and (once or replayed is not None):
                    raise await self._floor(here)
                if replayed is None:
                    replayed = known is not None and known.state != "refused"
                if known is not None and known.state == "done":
                    return _moved(here, known), replayed
                await self._plan(connection, here, known, Adjustment(key, body.delta, body.reason, actor, []))
        raise Refusal("not_ready", "Stock keeps moving; repeat the request with the same Idempotency-Key.")

    async def _plan(self, connection: Connection, here: Campaign, known: Adjustment | None, asked: Adjustment) -> None:
        """Write down the steps, of a new adjustment or of one that was refused before; hold() runs them next."""
        stocks = await self._room(here, asked.delta)
        if known is None:
            await store.add_adjustment(
                connection, here.id, store.with_steps(asked, plan(stocks, asked.delta), "pending")
            )
        else:
            steps = known.steps + plan(stocks, known.delta)
            await store.set_adjustment(connection, here.id, store.with_steps(known, steps, "pending"))

    async def _room(self, here: Campaign, delta: int) -> list[int]:
        """The stock of each shard, where *delta* more or less is possible. Errors: Refusal."""
        if here.state in (Stored.DRAFT, Stored.ARCHIVED):
            raise Refusal(
                "invalid_state", f"The stock of a campaign that is {here.state} does not move by adjustments."
            )
        looks = all_ready(here.id, await self._shards.look_all(here.id, here.definition.shards))
        stocks = [look.stock for look in looks]
        issued = sum(stocks) + sum(look.claimed for look in looks) + delta
        if issued > STOCK_MAX or issued * (here.definition.unit_minor or 0) > MINOR_MAX:
            raise _bad("delta", "more than a campaign of this value may have; see stock of POST /v1/campaigns")
        if sum(stocks) + delta < 0:
            raise await self._floor(here)
        return stocks

    async def _floor(self, here: Campaign) -> Refusal:
        looks = await self._shards.look_all(here.id, here.definition.shards)
        left = sum(max(0, look.stock) for look in looks)
        return Refusal("stock_floor", f"Only {left} coupons are left; nothing was withdrawn.", stock=left)


def _check(body: StockBody) -> None:
    if body.delta == 0 or abs(body.delta) > STOCK_MAX:
        raise _bad("delta", f"a whole number from -{STOCK_MAX} to {STOCK_MAX}, not 0")
    if not is_text(body.reason, STOCK_REASON_CHARS_MAX):
        raise _bad("reason", f"1 to {STOCK_REASON_CHARS_MAX} characters, not only blanks, no control characters")


def _bad(field: str, rule: str) -> Refusal:
    return Refusal("bad_request", f"{field}: {rule}.", field=field, errors=[{"field": field, "rule": rule}])


def _moved(here: Campaign, adjustment: Adjustment) -> Moved:
    moves = [
        ShardMove(str(Shard(here.id, step.shard)), step.delta, step.seq, step.stock)
        for step in adjustment.steps
        if step.state == "done"
    ]
    total = adjustment.steps[-1].total
    assert total is not None, "a done adjustment has its total"
    return Moved(here.id, adjustment.delta, adjustment.reason, total, moves)
