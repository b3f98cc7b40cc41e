"""
Brings every shard to the newest version of its campaign, and finishes what a crash left half done.

A change is first written down as a version (committed), then published to every shard, then noted in
the campaign's row. So a number never stands for two contents, every version a shard may run is in
Postgres, and whoever next holds the campaign finishes what is open. Who holds it has its row locked.

A change of what moves money must not leave some shards with the old and some with the new value of a
coupon. One shard refuses it by itself (FROZEN); of several, service.py has them all paused by a version
before, so that no coupon is claimed between the look at all of them and the last publish. A version
that is refused is followed by one that restores what was.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from psycopg_pool import AsyncConnectionPool

from gateway.campaigns import store
from gateway.campaigns.compile import compile_rules, frozen_digest
from gateway.campaigns.life import Stored
from gateway.campaigns.shards import Shards
from gateway.campaigns.steps import Next, moved, plan, undo, what_next
from gateway.campaigns.store import Adjustment, Campaign, Connection, Version
from gateway.errors import Refusal
from gateway.sql import postgres
from lua.keys import CampaignId, Shard
from lua.outcomes import Outcome

INITIAL = "«initial»"
"""Key of the stock a campaign starts with; not ASCII, so that it can't be anybody's Idempotency-Key."""

_ROUNDS_MAX = 16  # each finishes one thing; more can only be open while others keep adding to it


class Publisher:
    """Changes of campaigns, one at a time a campaign."""

    def __init__(self, pool: AsyncConnectionPool[Any], shards: Shards) -> None:
        self._pool, self._shards = pool, shards

    @asynccontextmanager
    async def hold(self, campaign: CampaignId) -> AsyncIterator[tuple[Connection, Campaign]]:
        """
        The campaign with nothing open, its row locked, in a transaction that commits at the end of the block.

        Errors: Refusal campaign_not_found; not_ready when Redis or Postgres is away, or somebody else keeps it busy.
        """
        for _ in range(_ROUNDS_MAX):
            async with postgres(self._pool) as connection, connection.transaction():
                here = await store.lock_campaign(connection, campaign)
                versions = await store.versions_after(connection, campaign, here.version)
                adjustments = await store.pending_adjustments(connection, campaign)
                if not versions and not adjustments:
                    yield connection, here
                    return
                if versions:
                    await self._bring(connection, here, versions)
                else:
                    await self.advance(connection, here, adjustments[0])
        raise Refusal("not_ready", "Others keep changing this campaign; nothing was changed.")

    async def finish_all(self, campaigns_max: int = 1000) -> tuple[list[CampaignId], list[CampaignId]]:
        """
        Finish what a crash left half done, of every campaign: those finished, and those that can't be yet.

        Errors: Refusal("not_ready") when Postgres is away.
        """
        async with postgres(self._pool) as connection:
            campaigns = await store.unfinished_campaigns(connection, campaigns_max)
        finished, left = [], []
        for campaign in campaigns:
            try:
                async with self.hold(campaign):
                    finished.append(campaign)
            except Refusal:
                left.append(campaign)
        return finished, left

    async def _bring(self, connection: Connection, here: Campaign, versions: list[Version]) -> None:
        last = versions[-1]
        if here.state is Stored.DRAFT:
            await self._prepare(connection, here)
        refused = False
        for version in versions:
            refused = not await self._publish(connection, here, version)
        if refused:
            # Written down and committed before any shard sees it, like every version.
            restoring = Version(last.version + 1, here.state, here.definition, last.changed_by)
            await store.add_version(connection, here.id, restoring)
            detail = {"version": last.version, "rule": "a coupon is out", "restored_as": restoring.version}
            await store.audit(connection, last.changed_by, "campaign.refused", here.id, detail)
            return
        await store.set_campaign(connection, here.id, last)
        await store.notify(connection, here.id)

    async def _prepare(self, connection: Connection, here: Campaign) -> None:
        """Make the shards of a draft, paused, and put their first stock in: they open with all of it."""
        draft = Version(here.version, Stored.DRAFT, here.definition, "")
        await self._publish(connection, here, draft)
        initial = await store.read_adjustment(connection, here.id, INITIAL)
        assert initial is not None, "the first version and the first stock are written down together"
        if initial.state == "pending":
            await self.advance(connection, here, initial)

    async def _publish(self, connection: Connection, here: Campaign, version: Version) -> bool:
        """Put *version* on every shard; False when a shard refuses it because a coupon is out."""
        shards = version.definition.shards
        if shards > 1 and frozen_digest(version.definition) != frozen_digest(here.definition):
            looks = await self._shards.look_all(here.id, shards)
            if any(look.claimed for look in looks):
                return False
        books = await store.checkpoints(connection, here.id)
        each = compile_rules(version.definition, number=here.number, version=version.version, state=version.state)
        for number, rules in enumerate(each):
            shard = Shard(here.id, number)
            epoch, seq = books[str(shard)]
            # Only a draft's shards are made: one that is missing later was lost, and would come back without its stock.
            fresh = seq == 0 and here.state is Stored.DRAFT
            if await self._shards.publish(shard, rules, epoch=epoch, fresh=fresh) is Outcome.FROZEN:
                return False
        return True

    async def advance(self, connection: Connection, here: Campaign, adjustment: Adjustment) -> None:
        """
        Run the pending steps of a stock adjustment, then note that it is done or refused, or which steps come next.

        Every step was committed before it runs, and runs once by its key, however often this is repeated.
        """
        steps = list(adjustment.steps)
        for place, step in enumerate(steps):
            if step.state == "pending":
                steps[place] = await self._step(here.id, adjustment, place)
        adjustment = store.with_steps(adjustment, steps, "pending")
        match what_next(adjustment):
            case Next.DONE:
                total = sum(look.stock for look in await self._shards.look_all(here.id, here.definition.shards))
                adjustment = store.finished(adjustment, total)
                await self._note(connection, here.id, adjustment)
            case Next.REFUSED:
                adjustment = store.with_steps(adjustment, steps, "refused")
                await self._note(connection, here.id, adjustment)
            case Next.MORE:
                adjustment = store.with_steps(adjustment, steps + await self._more(here, adjustment), "pending")
                if len(adjustment.steps) == len(steps):
                    adjustment = store.with_steps(adjustment, steps, "refused")
                    await self._note(connection, here.id, adjustment)
        await store.set_adjustment(connection, here.id, adjustment)

    async def _step(self, campaign: CampaignId, adjustment: Adjustment, place: int) -> store.Step:
        step = adjustment.steps[place]
        shard, key = Shard(campaign, step.shard), f"{adjustment.key}#{place}"
        reason = f"undo: {adjustment.reason}" if step.undo else adjustment.reason
        done = await self._shards.adjust(shard, key, step.delta, reason, adjustment.actor)
        assert done.outcome is not Outcome.KEY_REUSED, f"{shard} knows step {key} with another delta"
        state = "floor" if done.outcome is Outcome.STOCK_FLOOR else "done"
        return store.Step(step.shard, step.delta, state, step.undo, done.seq, done.stock)

    async def _more(self, here: Campaign, adjustment: Adjustment) -> list[store.Step]:
        """Where else the rest can be taken from; what takes all of it back when nowhere."""
        looks = await self._shards.look_all(here.id, here.definition.shards)
        stocks, rest = [max(0, look.stock) for look in looks], adjustment.delta - moved(adjustment.steps)
        return plan(stocks, rest) if sum(stocks) + rest >= 0 else undo(adjustment.steps)

    @staticmethod
    async def _note(connection: Connection, campaign: CampaignId, adjustment: Adjustment) -> None:
        detail: dict[str, Any] = {"key": adjustment.key, "delta": adjustment.delta, "reason": adjustment.reason}
        total = adjustment.steps[-1].total if adjustment.steps else None
        if total is not None:
            detail |= {"before": {"stock": total - adjustment.delta}, "after": {"stock": total}}
        await store.audit(connection, adjustment.actor, f"stock.{adjustment.state}", campaign, detail)
