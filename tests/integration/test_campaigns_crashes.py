"""A gateway that dies in the middle of changing a campaign, at every point there is."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.campaigns.life import State
from gateway.campaigns.publish import Publisher
from gateway.campaigns.shards import Shards
from gateway.errors import Refusal
from lua.door import Door
from lua.keys import CampaignId
from tests.conftest import ON_VALKEY
from tests.integration.campaigning import (
    ACTOR,
    Died,
    Site,
    a_definition,
    a_patch,
    every_point,
    open_pool,
    prove_whole,
)

pytestmark = ON_VALKEY


@pytest.fixture
async def site(postgres_url: str, door: Door) -> AsyncIterator[Site]:
    """Services on an empty Redis and an empty database."""
    async with open_pool(postgres_url) as pool:
        yield Site(pool, door, postgres_url)


ACTS: dict[str, tuple[int, Any]] = {
    "publish": (2, lambda site, c: site.campaigns.set_state(c, State.SCHEDULED, ACTOR)),
    "pause": (2, lambda site, c: site.campaigns.set_state(c, State.PAUSED, ACTOR)),
    "rename": (1, lambda site, c: site.campaigns.patch(c, a_patch(name="Renamed"), ACTOR)),
    "money": (2, lambda site, c: site.campaigns.patch(c, a_patch(value={"type": "balance", "minor": 7}), ACTOR)),
}
KILLED = [
    ("publish", "repeat"),
    ("publish", "other"),
    ("publish", "finish_all"),
    ("pause", "repeat"),
    ("rename", "other"),
    ("money", "repeat"),
    ("money", "finish_all"),
]


@pytest.mark.parametrize(("act", "healer"), KILLED)
async def test_a_process_killed_at_any_point_is_healed(site: Site, act: str, healer: str) -> None:
    """
    Whatever a gateway was doing when it died, between any two calls: a repetition, any other change, or the
    clean-up at a start brings Redis and Postgres to one and the same state, with the whole stock.
    """
    shards, run = ACTS[act]
    for at in every_point():
        campaign = CampaignId(f"c{at}")
        await site.campaigns.create(a_definition(id=campaign, shards=shards), ACTOR)
        if act != "publish":
            await site.campaigns.set_state(campaign, State.SCHEDULED, ACTOR)
        try:
            await run(site.trapped(at), campaign)
            survived = True
        except Died:
            survived = False

        await _heal(site, healer, campaign, run)

        seen = await site.campaigns.see(campaign)
        if seen.state == "draft":
            assert healer != "repeat"
        else:
            await prove_whole(site, campaign, shards)
            assert sum(look.stock for look in seen.looks) == 10
        if healer == "repeat":
            assert (await run(site, campaign)).version == seen.version
        if survived:
            return


async def _heal(site: Site, healer: str, campaign: CampaignId, run: Any) -> None:
    match healer:
        case "repeat":
            await run(site, campaign)
        case "other":
            await site.campaigns.patch(campaign, a_patch(channels=["app"]), ACTOR)
        case "finish_all":
            publisher = Publisher(site.pool, Shards(site.door))
            await publisher.finish_all()
            assert await publisher.finish_all() == ([], [])


@pytest.mark.parametrize("books_seq", [0, 3])
async def test_a_shard_that_was_lost_is_not_made_anew(site: Site, books_seq: int) -> None:
    """A Redis that lost a shard gets no empty one in its place, drained before or not, however a change is repeated."""
    campaign = await site.publish()
    with pytest.raises(Died):  # after the version has been written down, before Redis has it
        await site.trapped(6).campaigns.set_state(campaign, State.PAUSED, ACTOR)
    assert site.rows("SELECT max(version) AS version FROM campaign_versions") == [{"version": 3}]
    site.rows(f"UPDATE checkpoints SET seq = {books_seq}")
    await site.door.redis.flushall()

    with pytest.raises(Refusal) as refused:
        await site.campaigns.set_state(campaign, State.PAUSED, ACTOR)

    assert refused.value.code == "not_ready"
    assert await site.door.redis.dbsize() == 0
