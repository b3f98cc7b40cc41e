"""What is out now: how far every shard is that may have coupons of a campaign or a holder."""

import asyncio
from collections.abc import Sequence
from typing import Any

from psycopg_pool import AsyncConnectionPool

from gateway.campaigns.shards import Shards, not_ready
from gateway.sql import load_queries, postgres, rows
from lua.keys import CampaignId, HolderId, Shard, shard_of

LOOKS_AT_ONCE = 16
_LIVE = load_queries("revocations")["live_campaigns"]


async def out_now(
    pool: AsyncConnectionPool[Any], shards: Shards, campaign: CampaignId | None, holder: HolderId | None
) -> dict[str, int]:
    """
    The seq of each of those shards; a coupon with a later one is not out yet.

    Errors: Refusal("not_ready") where a server is away, or a shard is behind the books perhaps.
    """
    async with postgres(pool) as connection:
        campaigns = await rows(connection, _LIVE, campaign=campaign)
    concerned: list[Shard] = []
    for found in campaigns:
        live = CampaignId(found["id"])
        if holder is None:
            concerned += (Shard(live, number) for number in range(found["shards"]))
        else:
            concerned.append(shard_of(live, holder, found["shards"]))
    return await seqs(shards, concerned)


async def seqs(shards: Shards, concerned: Sequence[Shard]) -> dict[str, int]:
    """The seq of each shard, as name → seq. Errors: Refusal("not_ready"), also for a shard that may not serve."""
    found: dict[str, int] = {}
    for at in range(0, len(concerned), LOOKS_AT_ONCE):
        part = concerned[at : at + LOOKS_AT_ONCE]
        for shard, look in zip(part, await asyncio.gather(*map(shards.look, part)), strict=True):
            if not look.ready:  # what it says is nothing, or from before the books
                raise not_ready(shard)
            found[str(shard)] = look.seq
    return found
