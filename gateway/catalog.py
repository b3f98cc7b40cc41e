"""
Which campaigns there are to claim from: id → number and shards, for the path of a claim.

Both never change once a campaign is published, so a positive answer is kept for good; "there is none"
is believed for a second, so that a campaign can be claimed from soon after it is published.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, TypeVar

from psycopg_pool import AsyncConnectionPool

from gateway.campaigns.bounds import ID_PATTERN
from gateway.campaigns.shards import Shards
from gateway.errors import Refusal
from gateway.sql import load_queries, postgres, row
from lua.door import Door
from lua.keys import CampaignId, HolderId, Shard, shard_of

ABSENT_S = 1.0
_KNOWN_MAX = 10_000
_ABSENT_MAX = 10_000
_QUERIES = load_queries("campaigns")
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


@dataclass(slots=True, unsafe_hash=True)
class Published:
    """A campaign that has been published: what a claim needs to find its shard and make its code."""

    id: CampaignId
    number: int
    shards: int
    _only: Shard | None = field(init=False, compare=False)

    def __post_init__(self) -> None:
        self._only = Shard(self.id, 0) if self.shards == 1 else None

    def shard(self, holder: HolderId) -> Shard:
        """The shard that owns *holder*."""
        return self._only or shard_of(self.id, holder, self.shards)


class Catalog:
    """One worker's knowledge of the campaigns. Bounded; what was learnt first is forgotten first."""

    def __init__(self, pool: AsyncConnectionPool[Any], door: Door) -> None:
        self._pool, self._shards = pool, Shards(door)
        self._known: OrderedDict[CampaignId, Published] = OrderedDict()
        self.claim_paths: OrderedDict[bytes, Published] = OrderedDict()
        """The path of a claim on each campaign that is known, as it comes on the wire."""
        self._absent: OrderedDict[CampaignId, float] = OrderedDict()
        self._by_number: OrderedDict[int, Published] = OrderedDict()
        self._asking: dict[CampaignId, asyncio.Task[Published | None]] = {}

    async def shards(self, campaign: CampaignId) -> int:
        """How many shards the campaign has. Errors: as published()."""
        return (await self.published(campaign)).shards

    async def published(self, campaign: CampaignId) -> Published:
        """
        The campaign, if it has been published; a draft has not.

        Errors: Refusal campaign_not_found; not_ready when that can't be told, or Redis has lost the campaign.
        """
        known = self._known.get(campaign)
        if known is not None:
            return known
        if self._is_absent(campaign) or not ID_PATTERN.fullmatch(campaign):
            raise Refusal("campaign_not_found")
        # A rush on a cold worker asks once: everybody else waits for the same answer.
        asking = self._asking.get(campaign)
        if asking is None:
            asking = self._asking[campaign] = asyncio.create_task(self._ask(campaign))
            asking.add_done_callback(lambda task: self._answered(campaign, task))
        found = await asyncio.shield(asking)
        if found is None:
            raise Refusal("campaign_not_found")
        return found

    def knows_number(self, number: int) -> bool:
        """Whether by_number() answers without Postgres."""
        return number in self._by_number

    async def by_number(self, number: int) -> Published | None:
        """
        The published campaign of this number, which its codes carry; None where there is none.

        Errors: Refusal("not_ready") when Postgres has to be asked and can't be.
        """
        known = self._by_number.get(number)
        if known is None:
            async with postgres(self._pool) as connection:
                found = await row(connection, _QUERIES["campaign_by_number"], number=number)
            if found is not None:
                known = Published(CampaignId(found["id"]), number, found["shards"])
                _keep(self._by_number, number, known, _KNOWN_MAX)
        return known

    def _is_absent(self, campaign: CampaignId) -> bool:
        since = self._absent.get(campaign)
        return since is not None and monotonic() - since < ABSENT_S

    def _answered(self, campaign: CampaignId, task: "asyncio.Task[Published | None]") -> None:
        self._asking.pop(campaign, None)
        if task.cancelled() or task.exception() is not None:
            return
        found = task.result()
        if found is None:
            _keep(self._absent, campaign, monotonic(), _ABSENT_MAX)
        else:
            _keep(self._known, campaign, found, _KNOWN_MAX)
            _keep(self.claim_paths, _claim_path(campaign), found, _KNOWN_MAX)

    async def _ask(self, campaign: CampaignId) -> Published | None:
        """Redis first, which a claim needs anyway; only what it does not know is asked of Postgres."""
        rules = (await self._shards.look(Shard(campaign, 0))).rules
        if rules:
            return Published(campaign, int(rules["number"]), int(rules["shards"]))
        async with postgres(self._pool) as connection:
            found = await row(connection, _QUERIES["is_published"], id=campaign)
        if found is None:
            return None
        raise Refusal("not_ready", "This campaign's stock is being put in place; nothing was changed.")


def _claim_path(campaign: CampaignId) -> bytes:
    return f"/v1/campaigns/{campaign}/claims".encode()


def _keep(cache: OrderedDict[_Key, _Value], key: _Key, value: _Value, entries_max: int) -> None:
    cache[key] = value
    cache.move_to_end(key)
    while len(cache) > entries_max:
        cache.popitem(last=False)
