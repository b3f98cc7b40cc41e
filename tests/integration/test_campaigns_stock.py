"""Stock in and out: once a key, over all shards or not at all, whoever dies on the way."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.campaigns.life import State
from gateway.campaigns.publish import Publisher
from gateway.campaigns.shards import Shards
from gateway.campaigns.stock import Moved, StockBody
from gateway.errors import Refusal
from lua.door import Door
from lua.keys import CampaignId, Shard
from tests.builders import ShardUnderTest
from tests.integration.campaigning import ACTOR, Died, Site, a_definition, every_point, open_pool, prove_whole


@pytest.fixture
async def site(postgres_url: str, door: Door) -> AsyncIterator[Site]:
    """Services on an empty Redis and an empty database."""
    async with open_pool(postgres_url) as pool:
        yield Site(pool, door, postgres_url)


async def stocks(site: Site, campaign: str, shards: int) -> list[int]:
    """What each shard has left."""
    return [look.stock for look in await site.looks(campaign, shards)]


async def uneven(site: Site, campaign: str, wanted: list[int]) -> CampaignId:
    """A published campaign whose shards have been claimed down to *wanted*."""
    await site.publish(id=campaign, shards=len(wanted), stock=max(wanted) * len(wanted))
    for shard, stock in enumerate(wanted):
        for n in range(max(wanted) - stock):
            assert await site.claim(campaign, shard, f"{campaign} {shard} {n}") > 0
    assert await stocks(site, campaign, len(wanted)) == wanted
    return CampaignId(campaign)


async def refused(awaitable: Any) -> Refusal:
    """What the awaited is refused with."""
    with pytest.raises(Refusal) as found:
        await awaitable
    return found.value


async def test_a_restock_is_made_once_a_key(site: Site) -> None:
    """The same key and body gives the same answer and moves nothing; it is on the log and in the audit once."""
    campaign = await site.publish()

    first = await site.stock.adjust(campaign, "k1", StockBody(5, "more"), ACTOR)
    again = await site.stock.adjust(campaign, "k1", StockBody(5, "more"), ACTOR)

    assert first == (
        Moved("flash", 5, "more", 15, first[0].shards),
        False,
    )
    assert [(move.shard, move.delta, move.seq, move.stock) for move in first[0].shards] == [("flash/0", 5, 4, 15)]
    assert again == (first[0], True)
    assert await stocks(site, "flash", 1) == [15]
    entry = (await site.entries("flash", 0))[-1]
    assert [getattr(entry, name) for name in ("delta", "reason", "actor", "key")] == [5, "more", ACTOR, "k1#0"]
    audited = site.rows("SELECT action, detail FROM audit_log WHERE detail ->> 'key' = 'k1'")
    moved = {"key": "k1", "delta": 5, "reason": "more", "before": {"stock": 10}, "after": {"stock": 15}}
    assert audited == [{"action": "stock.done", "detail": moved}]


async def test_the_answer_of_a_key_outlives_what_comes_after(site: Site) -> None:
    """A repetition is told what was, not what is."""
    campaign = await site.publish(shards=2)
    first, _ = await site.stock.adjust(campaign, "k1", StockBody(4, "more"), ACTOR)
    await site.stock.adjust(campaign, "k2", StockBody(-6, "less"), ACTOR)
    assert await site.claim("flash", 0, "ann") > 0

    again, replayed = await site.stock.adjust(campaign, "k1", StockBody(4, "more"), ACTOR)

    assert (again, replayed) == (first, True)


@pytest.mark.parametrize("other", [StockBody(6, "more"), StockBody(5, "another reason"), StockBody(-5, "more")])
async def test_a_key_with_another_body_is_refused(site: Site, other: StockBody) -> None:
    """idempotency_key_reused, and nothing moves."""
    campaign = await site.publish()
    await site.stock.adjust(campaign, "k1", StockBody(5, "more"), ACTOR)

    assert (await refused(site.stock.adjust(campaign, "k1", other, ACTOR))).code == "idempotency_key_reused"
    assert await stocks(site, "flash", 1) == [15]


async def test_the_same_key_at_the_same_instant_moves_stock_once(site: Site) -> None:
    """Ten requests with one key, and ten with keys of their own: eleven adjustments."""
    campaign = await site.publish(shards=2)

    answers = await asyncio.gather(
        *(site.stock.adjust(campaign, "same", StockBody(3, "r"), ACTOR) for _ in range(10)),
        *(site.stock.adjust(campaign, f"own {n}", StockBody(2, "r"), ACTOR) for n in range(10)),
    )

    assert sum(await stocks(site, "flash", 2)) == 10 + 3 + 20
    assert len({answer[0].stock for answer in answers[:10]}) == 1
    await prove_whole(site, "flash", 2)


async def test_a_withdrawal_takes_from_where_stock_is(site: Site) -> None:
    """Over uneven shards all that is left can be withdrawn, from those that have most."""
    campaign = await uneven(site, "u", [1, 7, 0, 4])

    moved, _ = await site.stock.adjust(campaign, "k", StockBody(-7, "back"), ACTOR)
    assert await stocks(site, "u", 4) == [1, 2, 0, 2]
    assert moved.stock == 5
    await site.stock.adjust(campaign, "k2", StockBody(-5, "rest"), ACTOR)

    assert await stocks(site, "u", 4) == [0, 0, 0, 0]
    await site.stock.adjust(campaign, "k3", StockBody(6, "again"), ACTOR)
    assert sorted(await stocks(site, "u", 4)) == [1, 1, 2, 2]
    await prove_whole(site, "u", 4)


async def test_more_than_is_left_is_refused_and_changes_nothing(site: Site) -> None:
    """stock_floor says what is left; no shard changes, no entry is written; after a restock the same key succeeds."""
    campaign = await uneven(site, "u", [1, 3])
    logs = [await site.entries("u", n) for n in range(2)]

    no = await refused(site.stock.adjust(campaign, "k", StockBody(-5, "back"), ACTOR))

    assert (no.code, no.context) == ("stock_floor", {"stock": 4})
    assert [await site.entries("u", n) for n in range(2)] == logs
    await site.stock.adjust(campaign, "r", StockBody(1, "more"), ACTOR)
    assert (await site.stock.adjust(campaign, "k", StockBody(-5, "back"), ACTOR))[0].stock == 0


class Rush(Door):
    """*through*, but *claims* coupons of *shard* are claimed just before the first adjust that takes from it."""

    def __init__(self, site: Site, through: Door, shard: Shard, claims: int) -> None:
        super().__init__(through.redis)
        self._site, self._through, self._shard, self._claims = site, through, shard, claims

    async def call(self, script: Any, shard: Any, *args: Any, with_server: bool = True) -> Any:
        """As Door.call."""
        if script.name == "adjust" and shard == self._shard:
            while self._claims:
                self._claims -= 1
                await self._site.claim(shard.campaign, shard.number, f"rush {self._claims}")
        return await self._through.call(script, shard, *args, with_server=with_server)


async def test_a_shard_that_shrank_is_made_up_for_by_others(site: Site) -> None:
    """When claims take what was to be withdrawn from one shard, the rest comes from where there still is some."""
    campaign = await uneven(site, "u", [5, 5, 5, 5])
    rushed = Site(site.pool, Rush(site, site.door, Shard(campaign, 2), 5), site.postgres_url)

    moved, _ = await rushed.stock.adjust(campaign, "k", StockBody(-12, "back"), ACTOR)

    assert sum(move.delta for move in moved.shards) == -12
    assert (moved.stock, await stocks(site, "u", 4)) == (3, [1, 1, 0, 1])
    await prove_whole(site, "u", 4)


async def test_a_withdrawal_that_can_not_be_made_any_more_is_taken_back(site: Site) -> None:
    """When what is left no longer suffices, every shard gets back what was taken, and the refusal says what is left."""
    campaign = await uneven(site, "u", [5, 5, 5, 5])
    rushed = Site(site.pool, Rush(site, site.door, Shard(campaign, 3), 5), site.postgres_url)

    no = await refused(rushed.stock.adjust(campaign, "k", StockBody(-18, "back"), ACTOR))

    assert (no.code, no.context) == ("stock_floor", {"stock": 15})
    assert await stocks(site, "u", 4) == [5, 5, 5, 0]
    assert site.rows("SELECT state FROM stock_adjustments WHERE key = 'k'") == [{"state": "refused"}]
    await prove_whole(site, "u", 4)
    moved, replayed = await site.stock.adjust(campaign, "r", StockBody(3, "more"), ACTOR)
    assert (moved.stock, replayed) == (18, False)
    assert (await site.stock.adjust(campaign, "k", StockBody(-18, "back"), ACTOR))[0].stock == 0


@pytest.mark.parametrize(("delta", "healer"), [(-4, "repeat"), (-4, "another"), (4, "finish_all")])
async def test_a_process_killed_at_any_point_moves_stock_once(site: Site, delta: int, healer: str) -> None:
    """
    Whatever point of an adjustment over three uneven shards a gateway dies at, afterwards all of it is done or
    nothing of it is known: a repetition completes it, so does any other adjustment, so does the start of a gateway.
    """
    for at in every_point():
        campaign = await uneven(site, f"c{at}", [1, 3, 2])
        try:
            await site.trapped(at).stock.adjust(campaign, "k", StockBody(delta, "r"), ACTOR)
            survived = True
        except Died:
            survived = False
        began = bool(site.rows("SELECT 1 AS one FROM stock_adjustments WHERE campaign = %s AND key = 'k'", campaign))

        if healer == "finish_all":
            await Publisher(site.pool, Shards(site.door)).finish_all()
        elif healer == "another":
            await site.stock.adjust(campaign, "other", StockBody(1, "r"), ACTOR)
        healed = sum(await stocks(site, campaign, 3))
        if healer != "repeat":
            assert healed == 6 + (delta if began else 0) + (1 if healer == "another" else 0)
        moved, replayed = await site.stock.adjust(campaign, "k", StockBody(delta, "r"), ACTOR)

        assert replayed == began
        assert sum(move.delta for move in moved.shards) == delta
        assert sum(await stocks(site, campaign, 3)) == 6 + delta + (1 if healer == "another" else 0)
        await prove_whole(site, campaign, 3)
        if survived:
            return


async def test_a_rush_killed_at_any_point_is_taken_back_whole(site: Site) -> None:
    """The same where the withdrawal has to be taken back: afterwards no shard has lost or won a coupon."""
    for at in every_point():
        campaign = await uneven(site, f"c{at}", [2, 2, 2])
        trapped = site.trapped(at)
        rushed = Site(trapped.pool, Rush(site, trapped.door, Shard(campaign, 2), 2), "")
        with pytest.raises((Died, Refusal)) as end:
            await rushed.stock.adjust(campaign, "k", StockBody(-6, "r"), ACTOR)
        await Publisher(site.pool, Shards(site.door)).finish_all()

        found = site.rows("SELECT state FROM stock_adjustments WHERE campaign = %s AND key = 'k'", campaign)
        left = sum(await stocks(site, campaign, 3))
        claimed = sum(look.claimed for look in await site.looks(campaign, 3))
        assert left + claimed == (0 if found == [{"state": "done"}] else 6)
        await prove_whole(site, campaign, 3)
        if isinstance(end.value, Refusal):
            assert (end.value.code, found) == ("stock_floor", [{"state": "refused"}])
            return


REFUSED = [
    (StockBody(0, "r"), "delta"),
    (StockBody(10**13, "r"), "delta"),
    (StockBody((1 << 60) // 1_000_000, "r"), "delta"),
    (StockBody(1, ""), "reason"),
    (StockBody(1, "a\x00b"), "reason"),
    (StockBody(1, "x" * 201), "reason"),
]


@pytest.mark.parametrize(("body", "field"), REFUSED, ids=str)
async def test_a_bad_adjustment_names_the_field(site: Site, body: StockBody, field: str) -> None:
    """bad_request with field and rule, and nothing moves."""
    campaign = await site.publish()

    no = await refused(site.stock.adjust(campaign, "k", body, ACTOR))

    assert (no.code, no.context["errors"][0]["field"]) == ("bad_request", field)
    assert await stocks(site, "flash", 1) == [10]


async def test_a_draft_or_archived_campaign_has_no_stock_to_move(site: Site) -> None:
    """invalid_state; an absent campaign is not found; the stock of one that has ended can be withdrawn."""
    body = StockBody(-1, "r")
    await site.campaigns.create(a_definition(id="d"), ACTOR)
    campaign = await site.publish()
    await site.campaigns.set_state(campaign, State.ENDED, ACTOR)

    assert (await refused(site.stock.adjust(CampaignId("d"), "k", body, ACTOR))).code == "invalid_state"
    assert (await refused(site.stock.adjust(CampaignId("none"), "k", body, ACTOR))).code == "campaign_not_found"
    assert (await site.stock.adjust(campaign, "k", body, ACTOR))[0].stock == 9
    await site.campaigns.set_state(campaign, State.ARCHIVED, ACTOR)
    assert (await refused(site.stock.adjust(campaign, "k2", body, ACTOR))).code == "invalid_state"


async def test_stock_behind_the_books_does_not_move(site: Site) -> None:
    """A shard that may not serve answers not_ready, and no other shard moves."""
    campaign = await site.publish(shards=2)
    await ShardUnderTest(site.door, "flash", 1).rule(server="another")

    assert (await refused(site.stock.adjust(campaign, "k", StockBody(4, "r"), ACTOR))).code == "not_ready"
    assert await stocks(site, "flash", 2) == [5, 5]
