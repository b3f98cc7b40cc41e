"""Campaigns as they are looked up by people: filtered and sorted by their true state, their versions, their books."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

import msgspec
from psycopg_pool import AsyncConnectionPool

from gateway.campaigns.definition import Definition
from gateway.campaigns.life import State, Stored
from gateway.campaigns.shards import Look, Shards
from gateway.campaigns.store import Campaign
from gateway.errors import Refusal
from gateway.sql import load_queries, postgres, row, rows
from lua.door import Door
from lua.keys import CampaignId, Shard

_QUERIES = load_queries("campaign_register")

Sort = Literal["id", "name", "starts", "ends", "changed"]


class Listed(Campaign, frozen=True):
    """A campaign, its state by Redis' clock, and what it is sorted by."""

    effective: State
    key: str


class Past(msgspec.Struct, frozen=True):
    """A version as it was decided, by whom and when."""

    version: int
    state: Stored
    definition: Definition
    changed_by: str
    changed_at: datetime


class Moved(msgspec.Struct, frozen=True):
    """What went in (> 0) or out (< 0) of stock until *at*, since the one before."""

    at: datetime
    delta: int


class Channel(msgspec.Struct, frozen=True):
    """Coupons claimed in a channel, redemptions of them, and what was given away then, minor units."""

    channel: str
    claimed: int
    redeemed: int
    minor: int


class Holder(msgspec.Struct, frozen=True):
    """How many coupons somebody has claimed, and when the last one."""

    holder: str
    count: int
    last_at: datetime


class Called(NamedTuple):
    """What a campaign is called, and what its money is in."""

    name: str
    currency: str


class Register:
    """Looks up; changes nothing. Errors of all of it: Refusal("not_ready") where the books or Redis are away."""

    def __init__(self, pool: AsyncConnectionPool[Any], door: Door) -> None:
        self._pool, self._shards = pool, Shards(door)

    async def listed(
        self, *, text: str, state: str, sort: Sort, down: bool, after: tuple[str, str], limit: int
    ) -> tuple[list[Listed], int]:
        """
        At most *limit* campaigns with *text* in name or id, in *state* (empty: all but the archived), and Redis TIME.

        *after* is the place (key, id) of the last one seen; two empty texts are the beginning.
        """
        now_ms = await self._shards.now_ms(CampaignId("clock"))
        now = datetime.fromtimestamp(now_ms / 1000, UTC)
        asked = {"text": text, "state": state, "sort": sort, "down": down, "limit": limit}
        async with postgres(self._pool) as connection:
            found = await rows(connection, _QUERIES["listed"], now=now, key=after[0], id=after[1], **asked)
        return msgspec.convert(found, list[Listed]), now_ms

    async def looks(self, here: Campaign) -> Sequence[Look]:
        """The shards of *here*; none of a draft."""
        return [] if here.state is Stored.DRAFT else await self._shards.look_all(here.id, here.definition.shards)

    async def called(self, campaigns: Sequence[str]) -> dict[str, Called]:
        """Id of each of *campaigns* that there is → what it is called."""
        if not campaigns:
            return {}
        async with postgres(self._pool) as connection:
            found = await rows(connection, _QUERIES["called"], ids=list(campaigns))
        return {each["id"]: Called(each["name"], each["currency"]) for each in found}

    async def versions(self, campaign: CampaignId, limit: int, before: int | None = None) -> list[Past]:
        """At most *limit* versions, the newest first, from before the number *before*."""
        async with postgres(self._pool) as connection:
            found = await rows(connection, _QUERIES["versions"], id=campaign, before=before, limit=limit)
        return msgspec.convert(found, list[Past])

    async def version(self, campaign: CampaignId, number: int) -> Past:
        """One version. Errors: Refusal("not_found")."""
        async with postgres(self._pool) as connection:
            found = await row(connection, _QUERIES["version"], id=campaign, version=number)
        if found is None:
            raise Refusal("not_found")
        return msgspec.convert(found, Past)

    async def stock_moved(self, here: Campaign, parts: int) -> list[Moved]:
        """Stock in and out by the unit book, in at most *parts* + 1 sums, in order of time."""
        async with postgres(self._pool) as connection:
            found = await rows(connection, _QUERIES["stock_moved"], shards=_names(here), buckets=parts)
        return msgspec.convert(found, list[Moved])

    async def channels(self, here: Campaign) -> list[Channel]:
        """Each channel that something was claimed in, the busiest first."""
        async with postgres(self._pool) as connection:
            found = await rows(connection, _QUERIES["channels"], shards=_names(here))
        return msgspec.convert(found, list[Channel])

    async def acts(self, campaign: CampaignId, limit: int) -> list[dict[str, Any]]:
        """Rows of the audit log that are about the campaign, the newest first."""
        async with postgres(self._pool) as connection:
            return await rows(connection, _QUERIES["acts"], subject=f"campaign:{campaign}", limit=limit)

    async def holders(self, here: Campaign, limit: int, after: tuple[int, str] | None) -> list[Holder]:
        """At most *limit* people, whoever claimed most first, from after the place *after* (count, holder)."""
        count, holder = after or (0, None)
        asked = {"count": count, "holder": holder, "limit": limit}
        async with postgres(self._pool) as connection:
            found = await rows(connection, _QUERIES["holders"], shards=_names(here), **asked)
        return msgspec.convert(found, list[Holder])


def _names(here: Campaign) -> list[str]:
    return [str(Shard(here.id, number)) for number in range(here.definition.shards)]
