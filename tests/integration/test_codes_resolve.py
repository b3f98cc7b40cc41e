"""A code as somebody typed it leads to its shard, whichever kind it is; what is none of ours leads nowhere."""

from collections.abc import AsyncIterator

import psycopg
import pytest

from gateway.api.examples import ORDER
from gateway.catalog import Catalog
from gateway.codes import CodeMaker
from gateway.errors import Refusal
from gateway.issuing import resolve
from gateway.issuing.resolve import Resolved, Resolver
from lua.door import Door
from lua.keys import CampaignId, CouponCode, Shard
from tests.conftest import ON_VALKEY, Eventually
from tests.http import Worker
from tests.integration.campaigning import ACTOR, Died, Site, a_definition, open_pool
from tests.integration.issuing import ask, codes_of, issued_codes, make

pytestmark = ON_VALKEY


@pytest.fixture
async def site(postgres_url: str, door: Door) -> AsyncIterator[Site]:
    """Services on an empty Redis and an empty database."""
    async with open_pool(postgres_url) as pool:
        yield Site(pool, door, postgres_url)


def resolver_of(site: Site) -> Resolver:
    """A worker's resolver that knows nothing yet."""
    return Resolver(site.pool, Catalog(site.pool, site.door))


async def test_a_code_made_here_says_where_it_is(site: Site) -> None:
    """Campaign and shard are in the code, in every spelling; Postgres is asked once a campaign."""
    campaign = await site.publish(stock=20, shards=2)
    asked = await ask(site, campaign, count=6)
    await make(site)
    codes, resolver = await issued_codes(site, campaign, 2, asked.id), resolver_of(site)

    for code in codes:
        found = await resolver.resolve(f" {code[:6]}-{code[6:].lower()}")
        assert found is not None
        assert found.code == code
        assert await site.door.redis.hexists(found.shard.key("coupons"), code)
    site.pool = None  # whoever asks Postgres now fails
    assert await resolver.resolve(codes[0]) is not None


async def test_a_code_of_no_campaign_leads_nowhere(site: Site) -> None:
    """A number that is nobody's, a draft's, a shard the campaign has not."""
    await site.campaigns.create(a_definition(id="draft"), ACTOR)
    await site.publish(id="small")
    numbers = {row["id"]: row["number"] for row in site.rows("SELECT id, number FROM campaigns")}
    resolver = resolver_of(site)

    for number, shard in ((numbers["draft"], 0), (numbers["small"], 1), (999_999, 0)):
        assert await resolver.resolve(CodeMaker(number, shard).take(1)[0]) is None
    for text in ("", "x", "x" * 200, "=1+1", "ключ12345", "NOSUCHCODE"):
        assert await resolver.resolve(text) is None


async def test_a_named_code_is_found_once_it_is_sent(site: Site) -> None:
    """Reserved and never sent: nowhere. Sent: there, in every spelling. Issued: without asking Postgres again."""
    campaign = await site.publish(stock=20)
    asked = await ask(site, campaign, kind="shared", code="Welcome-10", uses=5)
    resolver, known = resolver_of(site), Resolved(CouponCode("WELCOME10"), Shard(campaign, 0))
    assert await resolver.resolve("welcome10") is None
    with pytest.raises(Died):
        await make(site.trapped(6))
    assert await resolver.resolve("WEL COME 10") == known

    site.rows("UPDATE code_batches SET leased_until = NULL")
    await make(site)

    assert (await codes_of(site).see(CampaignId(campaign), asked.id)).done == 1
    assert await resolver.resolve("welcome-10") == known
    resolver._pool = None  # type: ignore[assignment] # whoever asks Postgres now fails
    assert await resolver.resolve("WELCOME10") == known


async def test_what_is_remembered_is_bounded(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more named codes than are remembered the first is asked for again."""
    monkeypatch.setattr(resolve, "KNOWN_MAX", 2)
    campaign = await site.publish(stock=20)
    await codes_of(site).bring(campaign, "k", b"legacy1\nlegacy2\nlegacy3\n", None, ACTOR, dry_run=False)
    await make(site)
    resolver = resolver_of(site)

    for code in ("legacy1", "legacy2", "legacy3"):
        assert await resolver.resolve(code) is not None

    assert list(resolver._named) == ["LEGACY2", "LEGACY3"]


async def test_without_postgres_it_can_not_be_told(site: Site) -> None:
    """A code that has to be looked up is not_ready, never absent."""
    resolver = resolver_of(site)
    await site.pool.close()

    for text in ("LEGACY1", CodeMaker(7, 0).take(1)[0]):
        with pytest.raises(Refusal) as refused:
            await resolver.resolve(text)
        assert refused.value.code == "not_ready"


async def test_a_code_that_has_moved_is_looked_up_again(worker: Worker, eventually: Eventually) -> None:
    """Redis lost its chunk and another shard has it now: the worker that remembers the old place finds it there."""
    await worker.publish(shards=2)
    sent = {**await worker.key("marketer"), "Idempotency-Key": "batch"}
    path = "/v1/campaigns/flash/code-batches"
    asked = await worker.http.post(path, json={"kind": "shared", "code": "WELCOME10", "uses": 5}, headers=sent)

    async def done() -> bool:
        return bool((await worker.http.get(asked.headers["location"], headers=sent)).json()["state"] == "done")

    await eventually(done)
    resolver, redis = worker.services.resolver, worker.services.door.redis
    for order in ("quote", "redeem"):
        known = await resolver.resolve("WELCOME10")
        assert known is not None
        there = Shard(known.shard.campaign, 1 - known.shard.number)
        for kind in ("coupons", "uses"):
            for field, value in (await redis.hgetall(known.shard.key(kind))).items():
                await redis.hset(there.key(kind), field, value)
            await redis.delete(known.shard.key(kind))
        with psycopg.connect(worker.settings.postgres_url, autocommit=True) as connection:
            connection.execute("UPDATE named_codes SET shard = %s", (there.number,))

        body = {"code": "WELCOME10", "order": {**ORDER, "id": order}}
        keyed = {**await worker.key("store"), "Idempotency-Key": order}
        answer = await worker.http.post(
            "/v1/quotes" if order == "quote" else "/v1/redemptions", json=body, headers=keyed
        )

        assert answer.status_code in (200, 201), answer.text
        assert answer.json().get("items", [{"applies": True}])[0]["applies"]
        assert await resolver.resolve("WELCOME10") == Resolved(CouponCode("WELCOME10"), there)
