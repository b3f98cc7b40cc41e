"""Revocations of many: whoever dies, every coupon that was out is revoked once, and no other."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.campaigns.life import State
from gateway.issuing.revocations import Revocation, RevocationBody, Revocations
from gateway.issuing.revoking import Revoking
from lua.door import Door
from lua.keys import CampaignId, Shard
from tests.builders import ShardUnderTest, a_code, an_ask
from tests.conftest import Eventually, redis_binaries
from tests.integration.campaigning import ACTOR, Died, Site, every_point, open_pool
from tests.integration.draining import draining
from tests.integration.issuing import ask, make
from tests.integration.site_http import open_http

pytestmark = pytest.mark.parametrize("redis_server", list(redis_binaries().items())[:1], ids=["valkey"], indirect=True)
"""What the scripts do on Redis 7 is tests/scripts' to prove; here it is HTTP and what follows."""


@pytest.fixture
async def site(postgres_url: str, redis_url: str, door: Door, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    """Services whose pages are of three coupons, and a reconciler."""
    monkeypatch.setattr("gateway.issuing.revoking.PAGE", 3)
    patient: dict[str, Any] = {"call_ms_max": 30_000, "postgres_ms_max": 30_000}  # starting anew makes shards ready
    async with open_pool(postgres_url) as pool, draining(redis_url, postgres_url, **patient):
        yield Site(pool, door, postgres_url)


async def revoke(site: Site, key: str = "k", **scope: str) -> Revocation:
    """A revocation that is asked for."""
    asked, _ = await Revocations(site.pool, site.door).ask(key, RevocationBody("stolen", **scope), ACTOR)
    return asked


async def work(site: Site, revocation: Revocation, eventually: Eventually) -> Revocation:
    """The revocation when it is done, by a worker that looks again and again."""

    async def done() -> Revocation | None:
        site.rows("UPDATE revocations SET leased_until = NULL")
        await Revoking(site.pool, site.door).once("w")
        seen = await Revocations(site.pool, site.door).see(revocation.id)
        return seen if seen.state == "done" else None

    found: Revocation = await eventually(done)
    return found


def revoked_codes(site: Site, campaign: str) -> list[str]:
    """The codes of every step of revoked in the books, which a revocation that is done has waited for."""
    query = "SELECT code FROM coupon_entries WHERE kind = 'revoked' AND shard LIKE %s"
    return [found["code"] for found in site.rows(query, f"{campaign}/%")]


async def test_a_campaign_is_revoked_with_what_was_issued(site: Site, eventually: Eventually) -> None:
    """Claims and issued codes of both shards, each once, and the books follow; another campaign's stay."""
    campaign = await site.publish(stock=40, shards=2)
    other = await site.publish(id="other", stock=5)
    holders = [(0, "a"), (1, "b"), (0, "c"), (1, "d"), (0, "e")]
    for shard, holder in holders:
        await claim(site, campaign, holder, shard=shard)
    await claim(site, other, "a")
    await ask(site, campaign, count=5)
    await make(site)

    over = await work(site, await revoke(site, campaign=campaign), eventually)

    assert (over.revoked, over.waits_for, over.pass_) == (10, None, 2)
    codes = revoked_codes(site, campaign)
    assert len(codes) == len(set(codes)) == 10
    await eventually(
        lambda: (
            site.rows("SELECT campaign, state, count(*) FROM coupons GROUP BY 1, 2 ORDER BY 1, 2")
            == [
                {"campaign": "flash", "state": "revoked", "count": 10},
                {"campaign": "other", "state": "claimed", "count": 1},
            ]
        )
    )
    detail = site.rows("SELECT detail FROM coupon_entries WHERE kind = 'revoked' LIMIT 1")[0]["detail"]
    assert (detail["actor"], detail["reason"]) == (ACTOR, "stolen")


async def test_a_holder_is_revoked_everywhere_or_in_one_campaign(site: Site, eventually: Eventually) -> None:
    """His coupons of every campaign, or of the one named; nobody else's."""
    for name in ("one", "two", "three"):
        await site.publish(id=name)
        await claim(site, name, "ann")
        await claim(site, name, "bob")

    first = await work(site, await revoke(site, "k1", holder="ann", campaign="one"), eventually)
    second = await work(site, await revoke(site, "k2", holder="ann"), eventually)
    third = await work(site, await revoke(site, "k3", holder="nobody"), eventually)

    assert (first.revoked, second.revoked, third.revoked) == (1, 2, 0)
    left = site.rows("SELECT holder, count(*) FROM coupons WHERE state = 'claimed' GROUP BY 1")
    assert left == [{"holder": "bob", "count": 3}]


async def test_what_comes_out_later_stays(site: Site, eventually: Eventually) -> None:
    """A coupon claimed after the revocation was asked for is left alone, however late a worker takes it on."""
    campaign = await site.publish(stock=40)
    await claim(site, campaign, "early")
    asked = await revoke(site, campaign=campaign)
    assert asked.until == {f"{campaign}/0": 4}
    await claim(site, campaign, "late")

    over = await work(site, asked, eventually)

    assert over.revoked == 1
    holders = "SELECT holder FROM coupons WHERE state = 'claimed'"
    await eventually(lambda: site.rows(holders) == [{"holder": "late"}])


@pytest.mark.parametrize("scope", ["campaign", "holder"])
async def test_it_waits_for_a_shard_that_is_not_ready(
    site: Site, scope: str, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis that has lost a shard, or is behind the books, has not revoked it: it is not done until it has."""
    monkeypatch.setattr("reconciler.drain.EXAMINE_S", 3600.0)  # or the reconciler makes it ready meanwhile
    campaign = await site.publish()
    await claim(site, campaign, "ann")
    await _books_have(site, eventually, campaign, 1)
    redis: Any = site.door.redis
    key = Shard(CampaignId(campaign), 0).key("rules")
    server = await redis.hget(key, "server")
    await redis.hset(key, "server", "another one")  # as after a restart
    asked = await revoke(site, **{scope: campaign if scope == "campaign" else "ann"})
    assert asked.until is None

    await Revoking(site.pool, site.door).once("w")

    waiting = await Revocations(site.pool, site.door).see(asked.id)
    assert (waiting.state, waiting.waits_for, waiting.revoked) == ("running", "not_ready", 0)
    await redis.hset(key, "server", server)
    assert (await work(site, asked, eventually)).revoked == 1


async def test_coupons_of_an_archived_campaign_are_revoked(site: Site, eventually: Eventually) -> None:
    """They redeem until they expire, so they are taken back too; an archived campaign with none out keeps nobody."""
    for name in ("old", "empty"):
        await site.publish(id=name)
    await claim(site, "old", "bob")
    for name in ("old", "empty"):
        for to in (State.ENDED, State.ARCHIVED):
            await site.campaigns.set_state(CampaignId(name), to, ACTOR)
    await _books_have(site, eventually, "old", 1)
    site.rows("UPDATE campaigns SET updated_at = now() - interval '1 day'")
    redis: Any = site.door.redis

    async def left() -> bool:
        """The reconciler has it in its books to the end."""
        seq = await redis.hget(Shard(CampaignId("empty"), 0).key("counters"), "seq")
        found = site.rows("SELECT seq FROM checkpoints WHERE shard = 'empty/0'")
        return bool(int(seq) == found[0]["seq"])

    await eventually(left)
    await redis.hset(Shard(CampaignId("empty"), 0).key("rules"), "server", "nobody compares it any more")

    by_holder = await work(site, await revoke(site, "k1", holder="bob"), eventually)
    nothing = await work(site, await revoke(site, "k2", campaign="empty"), eventually)
    again = await work(site, await revoke(site, "k3", campaign="old"), eventually)

    assert (by_holder.revoked, nothing.revoked, again.revoked) == (1, 0, 0)


@pytest.mark.parametrize("scope", ["campaign", "holder"])
async def test_a_worker_killed_at_any_point_is_followed_by_another(
    site: Site, eventually: Eventually, scope: str
) -> None:
    """Between any two of its calls: the next worker revokes the rest, each coupon once."""
    for at in every_point():
        campaign = CampaignId(f"c{at}")
        await site.publish(id=campaign, limits={"per_holder": 9})
        for number in range(4):
            holder = "ann" if scope == "holder" else f"h{number}"
            await claim(site, campaign, holder, str(number))
        chosen: dict[str, str] = (
            {"campaign": campaign} if scope == "campaign" else {"campaign": campaign, "holder": "ann"}
        )
        asked = await revoke(site, f"k{at}", **chosen)
        await _books_have(site, eventually, campaign, 4)
        try:
            dying = site.trapped(at)
            await Revoking(dying.pool, dying.door).once("dies")
            survived = True
        except Died:
            survived = False
        over = await work(site, asked, eventually)

        codes = revoked_codes(site, campaign)
        assert len(codes) == len(set(codes)) == 4
        assert over.revoked <= 4
        if survived:
            assert over.revoked == 4
            return


async def claim(site: Site, campaign: str, holder: str, key: str = "", shard: int = 0) -> None:
    """A coupon with a code of its own."""
    asked = an_ask(holder, key=key, code=a_code(f"{campaign} {holder} {key}"))
    rush = await ShardUnderTest(site.door, campaign, shard).claim(asked)
    assert isinstance(rush.replies[0], int)
    assert rush.replies[0] > 0


async def _books_have(site: Site, eventually: Eventually, campaign: str, count: int) -> None:
    query = "SELECT count(*) FROM coupons WHERE campaign = %s"
    await eventually(lambda: site.rows(query, campaign)[0]["count"] == count)


async def test_it_waits_for_books_that_are_behind(
    postgres_url: str, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a reconciler nothing can be walked: it says so, and is left alone for a while."""
    monkeypatch.setattr("gateway.issuing.revoking.REST_S", 600.0)
    async with open_pool(postgres_url) as pool:
        site = Site(pool, door, postgres_url)
        campaign = await site.publish()
        await claim(site, campaign, "ann")
        asked = await revoke(site, campaign=campaign)

        await Revoking(site.pool, site.door).once("w")

        waiting = await Revocations(site.pool, site.door).see(asked.id)
        assert (waiting.state, waiting.waits_for, waiting.revoked) == ("running", "books", 0)
        assert not await Revoking(site.pool, site.door).once("w")


async def test_through_http(redis_url: str, postgres_url: str, tmp_path: Path, eventually: Eventually) -> None:
    """202 and where to look, done by itself; once a key; who may, and what is no scope."""
    async with open_http(redis_url, postgres_url, tmp_path) as http, draining(redis_url, postgres_url):
        await http.publish()
        await http.claim("ann")
        body: dict[str, Any] = {"campaign": "flash", "reason": "recalled"}

        asked = await http.ask("POST", "/v1/revocations", "marketer", body, idempotency_key="k")
        again = await http.ask("POST", "/v1/revocations", "admin", body, idempotency_key="k")
        other = await http.ask("POST", "/v1/revocations", "admin", {**body, "reason": "x"}, idempotency_key="k")

        assert (asked.status_code, asked.json()["state"]) == (202, "pending")
        assert (again.json()["id"], again.headers["idempotency-replayed"]) == (asked.json()["id"], "true")
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
        path = asked.headers["location"]

        async def done() -> bool:
            seen = (await http.ask("GET", path, "finance")).json()
            return bool(seen["state"] == "done" and seen["revoked"] == 1)

        await eventually(done)
        coupons = await http.ask("GET", "/v1/coupons", "@ann")
        await eventually(lambda: msgspec.json.decode(coupons.content)["items"] != [])
        for wrong, status in (
            ({"reason": "x"}, 400),
            ({"campaign": "flash", "reason": " "}, 400),
            ({"holder": "a b", "reason": "x"}, 400),
            ({"campaign": "none", "reason": "x"}, 404),
            ({"campaign": "NONE", "reason": "x"}, 404),
        ):
            answer = await http.ask("POST", "/v1/revocations", "admin", wrong, idempotency_key="other")
            assert answer.status_code == status, wrong
        for who in ("store", "finance", "auditor", "@ann"):
            assert (await http.ask("POST", "/v1/revocations", who, body, idempotency_key="k")).status_code == 403
        assert (await http.ask("GET", "/v1/revocations/rv_none", "auditor")).json()["code"] == "revocation_not_found"
