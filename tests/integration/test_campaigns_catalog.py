"""The catalog: what a worker knows of campaigns, what it asks, and what it says when it can't tell."""

import asyncio
from collections.abc import AsyncIterator
from time import monotonic
from typing import Any

import pytest

import gateway.catalog
from gateway.campaigns.life import State
from gateway.catalog import Catalog, Published
from gateway.errors import Refusal
from lua.door import Door
from lua.keys import CampaignId
from tests.conftest import ON_VALKEY
from tests.integration.campaigning import ACTOR, Site, a_definition, open_pool

pytestmark = ON_VALKEY

FLASH = CampaignId("flash")


@pytest.fixture
async def site(postgres_url: str, door: Door) -> AsyncIterator[Site]:
    """Services on an empty Redis and an empty database."""
    async with open_pool(postgres_url) as pool:
        yield Site(pool, door, postgres_url)


class Counting(Door):
    """A door that counts its calls."""

    calls = 0

    async def call(self, script: Any, shard: Any, *args: Any, with_server: bool = True) -> Any:
        """As Door.call."""
        self.calls += 1
        return await super().call(script, shard, *args, with_server=with_server)


async def code_of(catalog: Catalog, campaign: str) -> str:
    """What the catalog refuses *campaign* with."""
    with pytest.raises(Refusal) as refused:
        await catalog.published(CampaignId(campaign))
    return refused.value.code


async def test_a_published_campaign_is_asked_for_once(site: Site) -> None:
    """A rush on a cold worker makes one call, and afterwards none; the path of its claims is known then."""
    await site.publish(shards=4)
    door = Counting(site.door.redis)
    catalog = Catalog(site.pool, door)
    assert not catalog.claim_paths

    found = await asyncio.gather(*(catalog.published(FLASH) for _ in range(100)))

    assert set(found) == {Published(FLASH, 1, 4)}
    assert (await catalog.shards(FLASH), door.calls) == (4, 1)
    assert catalog.claim_paths == {f"/v1/campaigns/{FLASH}/claims".encode(): found[0]}


async def test_a_caller_who_is_gone_leaves_the_others_their_answer(site: Site) -> None:
    """Cancelling the one who asked first does not cancel the question."""
    await site.publish()
    catalog = Catalog(site.pool, site.door)
    first = asyncio.create_task(catalog.published(FLASH))
    second = asyncio.create_task(catalog.published(FLASH))
    await asyncio.sleep(0)

    first.cancel()

    assert (await second).shards == 1


async def test_a_campaign_can_be_claimed_from_soon_after_it_is_published(site: Site) -> None:
    """A draft is not found, and "not found" is believed for a second only."""
    catalog = Catalog(site.pool, site.door)
    await site.campaigns.create(a_definition(), ACTOR)
    assert await code_of(catalog, "flash") == "campaign_not_found"
    believed_until = monotonic() + 1.0
    await site.campaigns.set_state(FLASH, State.SCHEDULED, ACTOR)

    found = None
    while found is None:
        asked_at = monotonic()
        try:
            found = await catalog.published(FLASH)
        except Refusal:
            assert asked_at < believed_until, "whoever asks after that second is told what is"
            await asyncio.sleep(0.02)
    assert found.number == 1


async def test_absent_campaigns_are_not_asked_for_again_at_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same wrong id costs one call as long as it is believed to be none; what can be no id costs none."""
    monkeypatch.setattr(gateway.catalog, "ABSENT_S", 3600.0)
    door = Counting(site.door.redis)
    catalog = Catalog(site.pool, door)

    assert [await code_of(catalog, "none") for _ in range(20)] == ["campaign_not_found"] * 20
    assert door.calls == 1
    for text in ("UPPER", "a/0", "a}b", "x" * 64, "", "a\n"):
        assert await code_of(catalog, text) == "campaign_not_found"
    assert door.calls == 1


async def test_what_is_remembered_is_bounded(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for ever more ids makes the worker forget, not grow."""
    monkeypatch.setattr(gateway.catalog, "_ABSENT_MAX", 5)
    catalog = Catalog(site.pool, site.door)

    for n in range(20):
        await code_of(catalog, f"none-{n}")

    assert len(catalog._absent) == 5
    assert catalog._asking == {}


async def test_a_campaign_that_redis_lost_is_not_ready(site: Site) -> None:
    """Published in the books but not in Redis: not_ready, never "not found"; and so when nobody can be asked."""
    await site.publish()
    await site.door.redis.flushall()

    assert await code_of(Catalog(site.pool, site.door), "flash") == "not_ready"
    await site.pool.close()
    assert await code_of(Catalog(site.pool, site.door), "flash") == "not_ready"
    nowhere = Door(type(site.door.redis).from_url("redis://127.0.0.1:1"))
    assert await code_of(Catalog(site.pool, nowhere), "flash") == "not_ready"
    await nowhere.close()
