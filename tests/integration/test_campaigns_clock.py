"""Campaigns through Postgres and Redis by the clock: when they begin and end, and when a day of theirs does."""

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import NamedTuple

import pytest

from gateway.errors import Refusal
from gateway.wire import rfc3339
from lua.door import Door
from lua.keys import CampaignId
from lua.outcomes import Outcome
from tests.builders import HOUR_MS, amid_a_day, now_ms
from tests.conftest import Eventually
from tests.integration.campaigning import ACTOR, Site, a_patch, open_pool


@pytest.fixture
async def site(postgres_url: str, door: Door) -> AsyncIterator[Site]:
    """Services on an empty Redis and an empty database."""
    async with open_pool(postgres_url) as pool:
        yield Site(pool, door, postgres_url)


async def test_a_campaign_lives_by_the_clock_of_redis(site: Site, eventually: Eventually) -> None:
    """A scheduled campaign becomes active, and then ended, with nobody doing anything, for status and claim alike."""
    here = await about_to(site, "starts_at")
    assert (here.state, here.told) == ("scheduled", Outcome.NOT_STARTED)
    await eventually(lambda: is_now(site, here.campaign, "active"), within_s=90)
    assert await site.claim(here.campaign, 0, "ann") > 0

    here = await about_to(site, "ends_at")
    assert (here.state, here.told > 0) == ("active", True)
    await eventually(lambda: is_now(site, here.campaign, "ended"), within_s=90)
    assert await site.claim(here.campaign, 0, "late") == Outcome.ENDED


class Near(NamedTuple):
    """A campaign a moment before an end of its window: its state then, and what a claim was told."""

    campaign: CampaignId
    state: str
    told: int


async def about_to(site: Site, end: str) -> Near:
    """One that was looked at in time: on a machine that stalled meanwhile another one is, with more of it."""
    for seconds in (2, 15, 60):
        at_ms = now_ms() + seconds * 1000
        with suppress(Refusal):  # none can be published whose time is over
            campaign = await site.publish(id=f"{end[:-3]}-{seconds}", **{end: rfc3339(at_ms)})
            state = (await site.campaigns.see(campaign)).effective
            near = Near(campaign, state, await site.claim(campaign, 0, "early"))
            if now_ms() < at_ms:
                return near
    raise AssertionError("no campaign was looked at within a minute")


async def is_now(site: Site, campaign: CampaignId, state: str) -> bool:
    """Whether the campaign is in that state."""
    return (await site.campaigns.see(campaign)).effective == state


async def test_day_limits_begin_at_midnight_of_the_zone(site: Site) -> None:
    """A limit by day that is set while a campaign runs counts what the day has had before."""
    campaign = await site.publish(
        limits={"per_holder": 1},
        timezone=amid_a_day("Asia/Kathmandu", "Pacific/Marquesas"),
        ends_at=rfc3339(now_ms() + 30 * 24 * HOUR_MS),
    )
    assert await site.claim("flash", 0, "ann") > 0
    assert await site.claim("flash", 0, "bob") > 0

    await site.campaigns.patch(campaign, a_patch(limits={"per_day": 2}), ACTOR)

    assert await site.claim("flash", 0, "eve") == Outcome.PERIOD_LIMIT
