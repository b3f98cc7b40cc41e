"""A campaign's rows in Postgres. Every function here takes a connection; who calls it owns the transaction."""

from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace
from psycopg import AsyncConnection

from gateway.campaigns.definition import Definition, write_definition
from gateway.campaigns.life import Stored
from gateway.errors import Refusal
from gateway.sql import load_queries, row, rows
from lua.keys import CampaignId, Shard

_QUERIES = load_queries("campaigns")

Connection = AsyncConnection[Any]


class Version(msgspec.Struct, frozen=True):
    """One version of a campaign, as decided; it is in Redis once campaigns.version has reached it."""

    version: int
    state: Stored
    definition: Definition
    changed_by: str


class Campaign(msgspec.Struct, frozen=True):
    """A campaign as it stands."""

    id: CampaignId
    number: int
    version: int
    state: Stored
    definition: Definition
    created_at: datetime
    updated_at: datetime


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    One adjust.lua of a stock adjustment, on one shard; its key is ``<key>#<place in steps>``.

    *state* is pending, done, or floor (refused by the shard). *undo* takes back what earlier steps did. *seq* and
    *stock* are the shard's after it; the last step of a done adjustment has *total*, the stock of all shards.
    """

    shard: int
    delta: int
    state: str = "pending"
    undo: bool = False
    seq: int = 0
    stock: int = 0
    total: int | None = None


class Adjustment(msgspec.Struct, frozen=True):
    """A stock adjustment: what was asked, how it was split, how far it has come (pending, done, refused)."""

    key: str
    delta: int
    reason: str
    actor: str
    steps: list[Step]
    state: str = "pending"


def with_steps(adjustment: Adjustment, steps: list[Step], state: str) -> Adjustment:
    """The adjustment, so much further."""
    return replace(adjustment, steps=steps, state=state)


def finished(adjustment: Adjustment, total: int) -> Adjustment:
    """The adjustment, done, with *total* coupons left on all shards."""
    *before, last = adjustment.steps
    return replace(adjustment, steps=[*before, replace(last, total=total)], state="done")


async def read_campaign(connection: Connection, campaign: CampaignId) -> Campaign:
    """The campaign as last finished. Errors: Refusal("campaign_not_found")."""
    return _campaign(await row(connection, _QUERIES["campaign"], id=campaign))


async def lock_campaign(connection: Connection, campaign: CampaignId) -> Campaign:
    """The campaign, its row locked until the transaction ends. Errors: Refusal("campaign_not_found")."""
    return _campaign(await row(connection, _QUERIES["lock_campaign"], id=campaign))


async def list_campaigns(connection: Connection, after: str, limit: int) -> list[Campaign]:
    """At most *limit* campaigns in the order of ids, from after *after*."""
    return [_campaign(found) for found in await rows(connection, _QUERIES["list_campaigns"], after=after, limit=limit)]


async def create_campaign(connection: Connection, definition: Definition) -> Campaign:
    """A new draft. Errors: Refusal("campaign_exists")."""
    text = write_definition(definition).decode()
    found = await row(connection, _QUERIES["create_campaign"], id=definition.id, definition=text)
    if found is None:
        raise Refusal("campaign_exists", f"There is a campaign {definition.id} already.", field="id")
    return _campaign(found)


async def has_entity(connection: Connection, entity: str) -> bool:
    """Whether a legal entity of this name keeps books here."""
    return bool(await rows(connection, _QUERIES["entity"], id=entity))


async def set_campaign(connection: Connection, campaign: CampaignId, to: Version) -> Campaign:
    """Note that *to* is what the campaign is now."""
    text = write_definition(to.definition).decode()
    found = await row(
        connection, _QUERIES["set_campaign"], id=campaign, version=to.version, state=to.state.value, definition=text
    )
    return _campaign(found)


async def add_version(connection: Connection, campaign: CampaignId, version: Version) -> None:
    """Write down what has been decided."""
    await rows(
        connection,
        _QUERIES["add_version"],
        id=campaign,
        version=version.version,
        state=version.state.value,
        definition=write_definition(version.definition).decode(),
        actor=version.changed_by,
    )


async def versions_after(connection: Connection, campaign: CampaignId, version: int) -> list[Version]:
    """What has been decided since *version*, in order."""
    found = await rows(connection, _QUERIES["versions_after"], id=campaign, version=version)
    return msgspec.convert(found, list[Version])


async def version_by(connection: Connection, campaign: CampaignId, actor: str) -> tuple[Version | None, bool]:
    """The last version that *actor* made, and whether the shards refused it, so that it is one that restores."""
    found = await row(connection, _QUERIES["version_by"], id=campaign, actor=actor, subject=f"campaign:{campaign}")
    if found is None:
        return None, False
    refused = found.pop("refused")
    return msgspec.convert(found, Version), refused


async def was_refused(connection: Connection, campaign: CampaignId, version: int) -> bool:
    """Whether the shards refused *version*, so that what was before it was restored."""
    subject = f"campaign:{campaign}"
    return bool(await rows(connection, _QUERIES["refusals"], subject=subject, version=version))


async def add_checkpoints(connection: Connection, campaign: CampaignId, shards: int) -> None:
    """Let the drain know the shards of a campaign that is about to be published."""
    for number in range(shards):
        shard = str(Shard(campaign, number))
        await rows(connection, _QUERIES["add_checkpoint"], shard=shard, campaign=campaign)


async def checkpoints(connection: Connection, campaign: CampaignId) -> dict[str, tuple[int, int]]:
    """Shard → epoch and seq of the books."""
    found = await rows(connection, _QUERIES["checkpoints"], id=campaign)
    return {each["shard"]: (each["epoch"], each["seq"]) for each in found}


async def notify(connection: Connection, campaign: CampaignId) -> None:
    """Wake the reconcilers for this campaign, when the transaction commits."""
    await rows(connection, _QUERIES["notify_campaign"], id=campaign)


async def audit(connection: Connection, actor: str, action: str, campaign: CampaignId, detail: dict[str, Any]) -> None:
    """Who did what."""
    text = msgspec.json.encode(detail).decode()
    await rows(connection, _QUERIES["audit"], actor=actor, action=action, subject=f"campaign:{campaign}", detail=text)


async def read_adjustment(connection: Connection, campaign: CampaignId, key: str) -> Adjustment | None:
    """The stock adjustment of this key."""
    found = await row(connection, _QUERIES["adjustment"], id=campaign, key=key)
    return None if found is None else msgspec.convert(found, Adjustment)


async def pending_adjustments(connection: Connection, campaign: CampaignId) -> list[Adjustment]:
    """Stock adjustments that are not finished, oldest first."""
    return msgspec.convert(await rows(connection, _QUERIES["pending_adjustments"], id=campaign), list[Adjustment])


async def add_adjustment(connection: Connection, campaign: CampaignId, adjustment: Adjustment) -> None:
    """Write down how a stock adjustment will be made."""
    await rows(
        connection,
        _QUERIES["add_adjustment"],
        id=campaign,
        key=adjustment.key,
        delta=adjustment.delta,
        reason=adjustment.reason,
        actor=adjustment.actor,
        steps=msgspec.json.encode(adjustment.steps).decode(),
    )


async def set_adjustment(connection: Connection, campaign: CampaignId, adjustment: Adjustment) -> None:
    """Write down how far a stock adjustment has come."""
    steps = msgspec.json.encode(adjustment.steps).decode()
    await rows(
        connection, _QUERIES["set_adjustment"], id=campaign, key=adjustment.key, steps=steps, state=adjustment.state
    )


async def unfinished_campaigns(connection: Connection, limit: int) -> list[CampaignId]:
    """Campaigns with something decided that may not have reached Redis."""
    return [CampaignId(found["id"]) for found in await rows(connection, _QUERIES["unfinished_campaigns"], limit=limit)]


def _campaign(found: dict[str, Any] | None) -> Campaign:
    if found is None:
        raise Refusal("campaign_not_found")
    return msgspec.convert(found, Campaign)
