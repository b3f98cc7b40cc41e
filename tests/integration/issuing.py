"""What the tests of code batches share: a site that makes codes, one that dies on the way, and what has to hold."""

from typing import Any

import msgspec

from gateway.campaigns.shards import Look
from gateway.issuing.asked import CodesBody
from gateway.issuing.batch import Batch
from gateway.issuing.batches import CodeBatches
from gateway.issuing.making import Making
from lua.entries import Issued
from lua.keys import CampaignId, Shard
from tests.integration.campaigning import ACTOR, Site


def codes_of(site: Site) -> CodeBatches:
    """The service."""
    return CodeBatches(site.pool, site.door)


def a_codes_body(**changes: Any) -> CodesBody:
    """A request for five single codes; *changes* override."""
    body: CodesBody = msgspec.convert(
        changes if "kind" in changes else {"kind": "single", "count": 5, **changes}, CodesBody
    )
    return body


async def ask(site: Site, campaign: str, key: str = "k", **changes: Any) -> Batch:
    """A batch of a_codes_body(**changes)."""
    batch, _ = await codes_of(site).ask(CampaignId(campaign), key, a_codes_body(**changes), ACTOR)
    return batch


async def make(site: Site, worker: str = "w") -> bool:
    """One turn of a worker."""
    return await Making(site.pool, site.door).once(worker)


def rest_is_over(site: Site) -> None:
    """As if the time of every lease and rest had passed."""
    site.rows("UPDATE code_batches SET leased_until = now() - interval '1 second' WHERE leased_until IS NOT NULL")


async def issued_codes(site: Site, campaign: str, shards: int, batch: str) -> list[str]:
    """Every code of the batch as the streams of the shards have it, duplicates included."""
    return [
        code
        for number in range(shards)
        for entry in await site.entries(campaign, number)
        if isinstance(entry, Issued) and entry.batch == batch
        for code in entry.codes
    ]


async def prove_exact(site: Site, batch: Batch, count: int, stock: int) -> list[str]:
    """
    Exactly *count* codes of the batch are in Redis, each once and in the log too; the stock went down by them.

    *stock* is what all shards had before.
    """
    shards = len(batch.parts)
    codes = await issued_codes(site, batch.campaign, shards, batch.id)
    assert len(codes) == len(set(codes)) == count
    redis: Any = site.door.redis
    kept = [await redis.hkeys(Shard(batch.campaign, number).key("coupons")) for number in range(shards)]
    assert set(codes) <= {code.decode() for keys in kept for code in keys}
    looks: list[Look] = await site.looks(batch.campaign, shards)
    assert sum(look.stock for look in looks) == stock - count * batch.units
    return codes
