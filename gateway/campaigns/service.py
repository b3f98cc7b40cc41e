"""
Create, change and publish campaigns.

Each change is one version, with who made it in campaign_versions and audit_log. A request that comes
again, because its answer was lost, changes nothing further.
"""

from typing import Any

import msgspec
from msgspec import UNSET
from psycopg_pool import AsyncConnectionPool

from gateway.campaigns import store
from gateway.campaigns.broken import Broken, refuse
from gateway.campaigns.check import ENTITY_RULE, checked
from gateway.campaigns.compile import frozen_digest
from gateway.campaigns.definition import Definition
from gateway.campaigns.life import State, Stored, next_stored, state_at
from gateway.campaigns.patch import DefinitionPatch, difference, patched, refuse_alone, refuse_fixed
from gateway.campaigns.publish import INITIAL, Publisher
from gateway.campaigns.shards import Look, Shards, all_ready
from gateway.campaigns.steps import plan
from gateway.campaigns.store import Adjustment, Campaign, Connection, Version
from gateway.errors import Refusal
from gateway.sql import postgres
from lua.door import Door
from lua.keys import CampaignId


class Seen(store.Campaign, frozen=True):
    """A campaign and its shards at one instant. *looks* is empty for a draft."""

    now_ms: int
    looks: list[Look]

    @property
    def effective(self) -> State:
        """The state at *now_ms*."""
        return state_at(self.state, self.definition.starts_ms, self.definition.ends_ms, self.now_ms)


class Campaigns:
    """What the staff does with campaigns."""

    def __init__(self, pool: AsyncConnectionPool[Any], door: Door) -> None:
        self._pool, self._shards = pool, Shards(door)
        self._publisher = Publisher(pool, self._shards)

    async def create(self, definition: Definition, actor: str) -> Seen:
        """
        A new draft, version 1.

        Errors: Refusal bad_request with every rule broken; campaign_exists; not_ready.
        """
        now_ms = await self._shards.now_ms(CampaignId("clock"))
        definition = checked(definition, now_ms)
        async with postgres(self._pool) as connection, connection.transaction():
            await _has_books(connection, definition)
            created = await store.create_campaign(connection, definition)
            await store.add_version(connection, created.id, Version(1, Stored.DRAFT, definition, actor))
            detail = {"version": 1, "before": None, "after": msgspec.to_builtins(definition)}
            await store.audit(connection, actor, "campaign.created", created.id, detail)
        return _seen(created, now_ms, [])

    async def see(self, campaign: CampaignId) -> Seen:
        """The campaign as it is now. Errors: Refusal campaign_not_found, not_ready."""
        async with postgres(self._pool) as connection:
            here = await store.read_campaign(connection, campaign)
        return await self._see(here)

    async def page(self, after: str, limit: int) -> tuple[list[Campaign], int]:
        """At most *limit* campaigns by id, from after *after*, and Redis TIME. Errors: Refusal("not_ready")."""
        async with postgres(self._pool) as connection:
            found = await store.list_campaigns(connection, after, limit)
        return found, await self._shards.now_ms(CampaignId("clock"))

    async def patch(
        self,
        campaign: CampaignId,
        patch: DefinitionPatch,
        actor: str,
        *,
        once: bool = False,
        two_people: bool = False,
    ) -> Seen:
        """
        Change some fields. What changes nothing makes no version.

        With *once*, *actor* stands for this very act: where it made its version before, nothing further is changed.
        With *two_people*, what moves money of a published campaign is refused. Errors: Refusal bad_request; frozen or
        invalid_state with every rule broken; version_conflict; second_person_needed; campaign_not_found; not_ready,
        after which a repetition finishes the change.
        """
        async with self._publisher.hold(campaign) as (connection, here):
            wanted, refused = await store.version_by(connection, campaign, actor) if once else (None, False)
            if refused:
                raise _frozen_meanwhile()
            if wanted is None:
                seen, new = await self._planned(connection, here, patch)
                if two_people:
                    refuse_alone(here.definition, new, seen.effective)
                if new == here.definition:
                    return seen
                versions = _versions(here, new, actor)
                await self._decide(connection, here, versions, "campaign.changed")
                wanted = versions[-1]
        return await self._finished(campaign, wanted)

    async def plan(self, campaign: CampaignId, patch: DefinitionPatch) -> tuple[Seen, Definition]:
        """The campaign, and what patch() would make of it; nothing is changed. Errors: as patch()."""
        async with self._publisher.hold(campaign) as (connection, here):
            return await self._planned(connection, here, patch)

    async def _planned(self, connection: Connection, here: Campaign, patch: DefinitionPatch) -> tuple[Seen, Definition]:
        seen = await self._see(here)
        if patch.version is not UNSET and patch.version != here.version:
            raise Refusal("version_conflict", f"The campaign is at version {here.version}.", version=here.version)
        if seen.effective in (State.ENDED, State.ARCHIVED):
            raise Refusal("invalid_state", f"A campaign that is {seen.effective} does not change.")
        new = checked(patched(here.definition, patch), seen.now_ms)
        stock, claimed = sum(look.stock for look in seen.looks), sum(look.claimed for look in seen.looks)
        refuse_fixed(here.definition, new, seen.effective, seen.now_ms, stock=stock, claimed=claimed)
        if new != here.definition:
            await _has_books(connection, new)
            all_ready(here.id, seen.looks)
        return seen, new

    async def set_state(self, campaign: CampaignId, to: State, actor: str) -> Seen:
        """
        Publish, pause, resume, end or archive. Nothing happens when the campaign is there already.

        A draft that is archived never has a shard, nor stock: it is a word that was taken back.

        Errors: Refusal invalid_state with from, to and allowed; campaign_not_found; not_ready, after which a
        repetition finishes the change.
        """
        async with self._publisher.hold(campaign) as (connection, here):
            seen, definition = await self._see(here), here.definition
            stored = next_stored(here.state, to, definition.starts_ms, definition.ends_ms, seen.now_ms)
            if stored is None:
                return seen
            all_ready(campaign, seen.looks)
            if here.state is Stored.DRAFT and stored is not Stored.ARCHIVED:
                await store.add_checkpoints(connection, campaign, definition.shards)
                steps = plan([0] * definition.shards, definition.stock)
                initial = Adjustment(INITIAL, definition.stock, "initial stock", actor, steps)
                await store.add_adjustment(connection, campaign, initial)
                await store.notify(connection, campaign)
            version = Version(here.version + 1, stored, definition, actor)
            await self._decide(connection, here, [version], f"campaign.{stored.value}")
        return await self._finished(campaign, version)

    async def _decide(self, connection: Connection, here: Campaign, versions: list[Version], action: str) -> None:
        for version in versions:
            await store.add_version(connection, here.id, version)
        last = versions[-1]
        before, after = difference(here.definition, last.definition)
        if last.state is not here.state:
            before["state"], after["state"] = here.state.value, last.state.value
        detail = {"version": last.version, "before": before, "after": after}
        await store.audit(connection, last.changed_by, action, here.id, detail)
        if here.state is Stored.DRAFT and last.state in (Stored.DRAFT, Stored.ARCHIVED):
            await store.set_campaign(connection, here.id, last)  # no shard knows a draft

    async def _finished(self, campaign: CampaignId, wanted: Version) -> Seen:
        async with self._publisher.hold(campaign) as (connection, here):
            differs = frozen_digest(here.definition) != frozen_digest(wanted.definition)
            if differs and await store.was_refused(connection, campaign, wanted.version):
                raise _frozen_meanwhile()
        return await self._see(here)

    async def _see(self, here: Campaign) -> Seen:
        if here.state is Stored.DRAFT:
            return _seen(here, await self._shards.now_ms(here.id), [])
        looks = await self._shards.look_all(here.id, here.definition.shards)
        return _seen(here, looks[0].now_ms, looks)


def _frozen_meanwhile() -> Refusal:
    return Refusal("frozen", "A coupon was claimed just before the change; nothing was changed.")


async def _has_books(connection: Connection, definition: Definition) -> None:
    """Errors: Refusal("bad_request") when no such legal entity keeps books here."""
    if not await store.has_entity(connection, definition.legal_entity):
        raise refuse("bad_request", [Broken("legal_entity", ENTITY_RULE)])


def _seen(here: Campaign, now_ms: int, looks: list[Look]) -> Seen:
    return Seen(**{name: getattr(here, name) for name in here.__struct_fields__}, now_ms=now_ms, looks=looks)


def _versions(here: Campaign, new: Definition, actor: str) -> list[Version]:
    """The versions that lead to *new*: open shards are paused first when several change what moves money."""
    first = here.version + 1
    moves_money = frozen_digest(here.definition) != frozen_digest(new)
    if moves_money and here.state is Stored.SCHEDULED and here.definition.shards > 1:
        paused = Version(first, Stored.PAUSED, here.definition, actor)
        return [paused, Version(first + 1, here.state, new, actor)]
    return [Version(first, here.state, new, actor)]
