"""Code batches are made exactly: whoever dies, waits, or is late, each code is there once and none is missing."""

from collections.abc import AsyncIterator
from datetime import timedelta

import msgspec
import pytest
from psycopg.types.json import Jsonb

from gateway.campaigns.life import State
from gateway.campaigns.stock import StockBody
from gateway.codes import parse_code
from gateway.errors import Refusal
from gateway.issuing import batch as batches
from gateway.issuing import making
from gateway.issuing.batch import BatchState
from lua.door import Door
from lua.keys import CampaignId
from tests.conftest import redis_binaries
from tests.integration.campaigning import ACTOR, Died, Site, every_point, open_pool
from tests.integration.issuing import ask, codes_of, issued_codes, make, prove_exact, rest_is_over

pytestmark = pytest.mark.parametrize("redis_server", list(redis_binaries().items())[:1], ids=["valkey"], indirect=True)
"""What the scripts do on Redis 7 is tests/scripts' to prove; here it is HTTP and what follows."""


@pytest.fixture
async def site(postgres_url: str, door: Door, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    """Services on an empty Redis and an empty database, whose chunks are of four codes; leases end when told to."""
    monkeypatch.setattr(batches, "CHUNK_CODES", 4)
    monkeypatch.setattr(making, "LEASE_S", 3600.0)
    async with open_pool(postgres_url) as pool:
        yield Site(pool, door, postgres_url)


async def test_codes_are_made_in_chunks_over_the_shards(site: Site) -> None:
    """Nine codes of two shards: each says its campaign and shard, the stock is even, the batch is done."""
    campaign = await site.publish(stock=20, shards=2)
    asked = await ask(site, campaign, count=9)
    assert (asked.state, asked.done) == (BatchState.PENDING, 0)

    assert await make(site)

    made = await codes_of(site).see(campaign, asked.id)
    assert (made.state, made.done, made.flight, made.reason) == (BatchState.DONE, 9, None, None)
    assert made.finished_at is not None
    codes = await prove_exact(site, made, 9, 20)
    assert {parsed.shard_number for code in codes if (parsed := parse_code(code))} == {0, 1}
    assert sorted(look.stock for look in await site.looks(campaign, 2)) == [5, 6]
    assert not await make(site)


@pytest.mark.parametrize("kind", ["single", "shared", "imported"])
async def test_a_worker_killed_at_any_point_repeats_and_loses_nothing(site: Site, kind: str) -> None:
    """
    A worker dies between any two of its calls; another one goes on, and there are exactly the codes asked for, each
    once, and named ones are all known.
    """
    for at in every_point():
        campaign = await site.publish(id=f"c{at}", stock=40, shards=2)
        match kind:
            case "single":
                count, asked = 10, await ask(site, campaign, count=10)
            case "shared":
                count, asked = 1, await ask(site, campaign, kind="shared", code=f"SUMMER-{at}", uses=7)
            case _:
                lines = "".join(f"legacy{at}x{number}\n" for number in range(10))
                came = await codes_of(site).bring(campaign, "k", lines.encode(), None, ACTOR, dry_run=False)
                assert came.batch is not None
                count, asked = 10, came.batch
        try:
            await make(site.trapped(at), "the one that dies")
            survived = True
        except Died:
            survived = False
            rest_is_over(site)
            await make(site, "the next one")

        made = await codes_of(site).see(campaign, asked.id)
        assert (made.state, made.done) == (BatchState.DONE, count)
        codes = await prove_exact(site, made, count, 40)
        if kind != "single":
            known = site.rows("SELECT code, state FROM named_codes WHERE batch = %s ORDER BY code", asked.id)
            assert known == [{"code": code, "state": "issued"} for code in sorted(codes)]
        if survived:
            return


@pytest.mark.parametrize("at", [5, 6, 7, 8, 9])
async def test_a_worker_that_is_late_issues_nothing_further(site: Site, at: int) -> None:
    """Whatever a worker was about to do when another one took its batch, nothing of it counts twice."""
    campaign = await site.publish(stock=40, shards=2)
    asked = await ask(site, campaign, count=10)
    with pytest.raises(Died):
        await make(site.trapped(at), "late")
    late = site.rows("SELECT flight, parts, worker FROM code_batches")
    rest_is_over(site)
    await make(site, "next")

    site.rows("UPDATE code_batches SET state = 'running', worker = 'late', flight = %s", _jsonb(late[0]["flight"]))
    rest_is_over(site)
    await make(site, "late again")

    await prove_exact(site, asked, 10, 40)
    assert (await codes_of(site).see(campaign, asked.id)).done == 10


def _jsonb(value: object) -> Jsonb | None:
    return None if value is None else Jsonb(value)


async def test_a_batch_waits_for_stock_and_goes_on(site: Site) -> None:
    """Claims take the stock while codes are made: the batch says what it waits for, and a restock finishes it."""
    campaign = await site.publish(stock=10)
    asked = await ask(site, campaign, count=10)
    for holder in "abc":
        await site.claim(campaign, 0, holder)
    await make(site)
    waiting = await codes_of(site).see(campaign, asked.id)

    await site.stock.adjust(campaign, "more", StockBody(3, "more"), ACTOR)
    rest_is_over(site)
    await make(site)

    assert (waiting.state, waiting.done, waiting.reason, waiting.flight) == (BatchState.RUNNING, 7, "sold_out", None)
    made = await codes_of(site).see(campaign, asked.id)
    assert (made.state, made.done, made.reason) == (BatchState.DONE, 10, None)
    assert len(set(await issued_codes(site, campaign, 1, asked.id))) == 10


async def test_a_cancelled_batch_keeps_what_it_issued(site: Site) -> None:
    """Cancelled half-way: what is issued stays, the rest is never made, named codes that are not issued are free."""
    campaign = await site.publish(stock=40)
    lines = "".join(f"legacy-{number}\n" for number in range(10)).encode()
    came = await codes_of(site).bring(campaign, "k", lines, None, ACTOR, dry_run=False)
    assert came.batch is not None
    with pytest.raises(Died):
        await make(site.trapped(9))

    await codes_of(site).cancel(campaign, came.batch.id, ACTOR)
    rest_is_over(site)
    await make(site)

    over = await codes_of(site).see(campaign, came.batch.id)
    assert (over.state, over.done, over.cancelled_by) == (BatchState.CANCELLED, 4, ACTOR)
    await prove_exact(site, over, 4, 40)
    again = await codes_of(site).bring(campaign, "k2", lines, None, ACTOR, dry_run=False)
    assert (again.ok, again.refused) == (6, 4)
    assert await codes_of(site).cancel(campaign, came.batch.id, ACTOR) == over


async def test_a_batch_stops_where_the_campaign_has_ended(site: Site) -> None:
    """Ended before the codes are made: the batch stops and says why."""
    campaign = await site.publish(stock=40)
    asked = await ask(site, campaign, count=10)
    await site.campaigns.set_state(campaign, State.ENDED, ACTOR)

    await make(site)

    over = await codes_of(site).see(campaign, asked.id)
    assert (over.state, over.done, over.reason) == (BatchState.STOPPED, 0, "campaign_ended")


async def test_a_batch_stops_at_the_budget(site: Site) -> None:
    """Codes are paid for at the worst case, like claims; a budget that is used up does not come back."""
    campaign = await site.publish(stock=40, limits={"budget_minor": 3000})
    asked = await ask(site, campaign, count=10)

    await make(site)

    over = await codes_of(site).see(campaign, asked.id)
    assert (over.state, over.done, over.reason) == (BatchState.STOPPED, 4, "budget_exhausted")


async def test_codes_that_redis_has_already_are_refused_by_line(site: Site) -> None:
    """A named code that is taken where it goes is told with its line, and the others of its chunk are issued."""
    campaign = await site.publish(stock=40)
    await site.door.redis.hset(f"fc:{{{campaign}/0}}:coupons", "LEGACY2", b"c" + bytes(17) + b"ann")

    came = await codes_of(site).bring(campaign, "k", b"legacy1\nlegacy2\nlegacy3\n", None, ACTOR, dry_run=False)
    assert came.batch is not None
    await make(site)

    made = await codes_of(site).see(campaign, came.batch.id)
    assert (made.state, made.done, made.refused) == (BatchState.DONE, 2, 1)
    assert site.rows("SELECT line, code, problem FROM import_refusals") == [
        {"line": 2, "code": "legacy2", "problem": "exists"}
    ]


async def test_a_shard_that_lost_chunks_gets_its_codes_again(site: Site) -> None:
    """Redis came back from a copy without the last chunks: the batch makes up for what is missing."""
    campaign = await site.publish(stock=40)
    asked = await ask(site, campaign, count=10)
    with pytest.raises(Died):
        await make(site.trapped(15))
    key = f"fc:{{{campaign}/0}}"
    before = site.rows("SELECT parts FROM code_batches")[0]["parts"][0]
    assert before["next"] >= 2
    await _back_to_first_chunk(site, key, asked.id)
    rest_is_over(site)

    await make(site)

    assert (await codes_of(site).see(campaign, asked.id)).state is BatchState.DONE
    assert len(await site.door.redis.hkeys(f"{key}:coupons")) == 10


async def _back_to_first_chunk(site: Site, key: str, batch: str) -> None:
    """What a Redis has that lost everything after the first chunk of four."""
    redis = site.door.redis
    first, *lost = [entry for entry in await site.entries("flash", 0) if entry.count == 4]
    assert getattr(first, "batch", None) == batch
    gone = [code for entry in lost for code in getattr(entry, "codes", ())]
    await redis.hdel(f"{key}:coupons", *gone)
    await redis.incrby(f"{key}:stock", len(gone))
    await redis.hset(f"{key}:batches", batch, msgspec.msgpack.encode([1, 4]))


async def test_a_shard_that_may_not_serve_is_waited_for(site: Site) -> None:
    """A Redis that is being compared with the books: the batch says so, and goes on when it is there again."""
    campaign = await site.publish(stock=40)
    asked = await ask(site, campaign, count=10)
    rules = f"fc:{{{campaign}/0}}:rules"
    server = await site.door.redis.hget(rules, "server")
    await site.door.redis.hset(rules, "server", "another")
    await make(site)
    waiting = await codes_of(site).see(campaign, asked.id)
    await site.door.redis.hset(rules, "server", server)
    rest_is_over(site)

    await make(site)

    assert (waiting.state, waiting.done, waiting.reason) == (BatchState.RUNNING, 0, "not_ready")
    assert (await codes_of(site).see(campaign, asked.id)).done == 10


async def test_two_batches_take_turns_and_one_worker_has_each(site: Site) -> None:
    """A batch that a worker has is not given to another one; the next open one is."""
    campaign = await site.publish(stock=40)
    first, second = await ask(site, campaign, "k1", count=4), await ask(site, campaign, "k2", count=6)
    with pytest.raises(Died):
        await make(site.trapped(3), "one")

    assert await make(site, "two")
    assert not await make(site, "three")

    seen = {each.id: each.state for each in await codes_of(site).page(CampaignId(campaign), None, 10)}
    assert seen == {first.id: BatchState.RUNNING, second.id: BatchState.DONE}


async def test_codes_expire_together_by_the_campaign_or_by_request(site: Site) -> None:
    """All codes of a batch have one expiry: that of a coupon claimed when it was asked for, or the one given."""
    campaign = await site.publish(stock=40, validity={"days": 7})
    by_rule = await ask(site, campaign, "k1", count=5)
    by_wish = await ask(site, campaign, "k2", count=5, expires_at="2030-01-01T00:00:00Z")

    assert timedelta(days=6, hours=23) < by_rule.expires_at - by_rule.requested_at <= timedelta(days=7, minutes=1)
    assert by_wish.expires_at.year == 2030
    with pytest.raises(Refusal, match="expires_at"):
        await ask(site, campaign, "k3", expires_at="2020-01-01T00:00:00Z")
