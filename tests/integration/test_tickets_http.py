"""Claim tickets through HTTP: got before the sale, used in it, and good for nothing else."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gateway.errors import PROBLEMS
from lua.keys import CampaignId, Shard
from tests.conftest import ON_VALKEY
from tests.http import Worker
from tests.proxy import Proxy

pytestmark = ON_VALKEY

DAY_S, HOUR_S = 86_400, 3600


async def ask(worker: Worker, who: dict[str, str], campaign: str = "flash", **request: Any) -> httpx2.Response:
    """Ask for a ticket with the Authorization header *who*."""
    return await worker.http.post(f"/v1/campaigns/{campaign}/tickets", headers=who, **request)


async def a_ticket(worker: Worker, holder: str = "ann", campaign: str = "flash") -> str:
    """A ticket that *holder* was given."""
    given = await ask(worker, worker.token(holder), campaign)
    assert given.status_code == 201, given.text
    return str(given.json()["ticket"])


async def claim(worker: Worker, ticket: str, key: str = "k", campaign: str = "flash") -> httpx2.Response:
    """Claim with a ticket and nothing else."""
    headers = {"Authorization": f"Bearer {ticket}", "Idempotency-Key": key}
    return await worker.http.post(f"/v1/campaigns/{campaign}/claims", headers=headers)


def code(response: httpx2.Response) -> str:
    """The code of a problem, whose status is the table's."""
    found = str(response.json()["code"])
    assert response.status_code == PROBLEMS[found].status
    return found


def at(text: str) -> datetime:
    """A time of an answer."""
    return datetime.fromisoformat(text)


async def test_a_ticket_claims_what_its_holder_s_token_claims(worker: Worker) -> None:
    """One holder, one key: with the ticket 201, with ticket or token again 200 and the same bytes, in his own list."""
    await worker.publish()
    ticket = await a_ticket(worker)

    first = await claim(worker, ticket)
    again = [await claim(worker, ticket), await worker.claim("ann", key="k")]
    mine = await worker.http.get("/v1/campaigns/flash/claims/mine", headers=worker.token("ann"))

    assert first.status_code == 201
    assert [(each.status_code, each.content) for each in again] == [(200, first.content)] * 2
    assert [item["code"] for item in mine.json()["items"]] == [first.json()["code"]]


async def test_tickets_do_not_multiply_coupons(worker: Worker, second_worker: Worker) -> None:
    """However many tickets a holder has and however often he uses them, at once too, he gets his one coupon."""
    await worker.publish(stock=50)
    tickets = [await a_ticket((worker, second_worker)[n % 2]) for n in range(10)]

    answers = await asyncio.gather(
        *(claim((worker, second_worker)[n % 2], ticket, key=f"{n} {ticket}") for n in range(3) for ticket in tickets)
    )

    assert len(set(tickets)) == 10
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 29}
    assert {code(answer) for answer in answers if answer.status_code == 409} == {"limit_reached"}
    assert await worker.services.door.redis.get("fc:{flash/0}:stock") == b"49"


async def test_fifty_tickets_and_one_coupon(worker: Worker, second_worker: Worker) -> None:
    """A ticket is no right to a coupon: of fifty holders with tickets one wins and the others are told sold_out."""
    await worker.publish(stock=1)
    tickets = [await a_ticket(worker, f"h{number}") for number in range(50)]

    answers = await asyncio.gather(*(claim((worker, second_worker)[n % 2], each) for n, each in enumerate(tickets)))

    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 49}
    assert {code(answer) for answer in answers if answer.status_code == 409} == {"sold_out"}


async def test_a_ticket_is_got_before_the_sale_and_used_in_it(worker: Worker) -> None:
    """Of a campaign that starts later there are tickets; a claim with one is not_started, and wins once it has."""
    now = datetime.now(UTC)
    await worker.publish(
        starts_at=(now + timedelta(hours=1)).isoformat(), ends_at=(now + timedelta(days=9)).isoformat()
    )
    ticket = await a_ticket(worker)

    assert code(await claim(worker, ticket)) == "not_started"
    await worker.services.door.redis.hset(Shard(CampaignId("flash"), 0).key("rules"), "starts_ms", 1)
    assert (await claim(worker, ticket)).status_code == 201


@pytest.mark.parametrize(("ends_in_s", "good_s"), [(9 * DAY_S, DAY_S), (HOUR_S, HOUR_S)])
async def test_a_ticket_ends_with_its_campaign_or_its_time(worker: Worker, ends_in_s: int, good_s: int) -> None:
    """The answer says from when until when: from Redis' now to the campaign's end, but at most ticket_s_max."""
    ends_at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=ends_in_s)
    await worker.publish(ends_at=ends_at.isoformat())

    given = await ask(worker, worker.token("ann"))

    answer = given.json()
    assert given.headers["cache-control"] == "no-store"
    assert answer.keys() == {"ticket", "campaign", "not_before", "expires_at", "server_time"}
    assert (answer["campaign"], answer["not_before"]) == ("flash", answer["server_time"])
    expires_at = at(answer["not_before"]) + timedelta(seconds=DAY_S) if good_s == DAY_S else ends_at
    assert at(answer["expires_at"]) == expires_at
    credentials = worker.services.credentials
    assert credentials.claimant(answer["ticket"], "flash", at(answer["not_before"]).timestamp()) == "ann"
    assert credentials.claimant(answer["ticket"], "flash", expires_at.timestamp()) == "ann"  # the leeway
    late = await _claim_at(worker, answer["ticket"], expires_at.timestamp() + worker.settings.jwt_leeway_s)
    assert code(late) == "unauthenticated"
    assert "expired" in late.json()["detail"]


async def _claim_at(worker: Worker, ticket: str, now_s: float) -> httpx2.Response:
    """Claim on a worker whose clock shows *now_s*."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gateway.routes.access.time.time", lambda: now_s)
        return await claim(worker, ticket)


async def test_a_ticket_is_good_for_its_own_campaign_alone(worker: Worker) -> None:
    """On another campaign, there or not, a ticket is 401 with the challenge and claims nothing."""
    await worker.publish()
    await worker.publish("other")
    ticket = await a_ticket(worker)

    for campaign in ("other", "nothing", "NOT-AN-ID"):
        refused = await claim(worker, ticket, campaign=campaign)
        assert code(refused) == "unauthenticated"
        assert "another campaign" in refused.json()["detail"]
        assert refused.headers["www-authenticate"] == "Bearer"
    assert (await claim(worker, await a_ticket(worker, campaign="other"), campaign="other")).status_code == 201


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/campaigns/flash/tickets"),
        ("GET", "/v1/campaigns/flash"),
        ("GET", "/v1/campaigns/flash/claims/mine"),
        ("GET", "/v1/coupons"),
        ("GET", "/v1/coupons/0000000000000000"),
        ("POST", "/v1/campaigns"),
        ("GET", "/v1/campaigns"),
        ("PATCH", "/v1/campaigns/flash"),
        ("POST", "/v1/campaigns/flash/state"),
        ("POST", "/v1/campaigns/flash/stock-adjustments"),
    ],
)
async def test_a_ticket_opens_no_other_route(worker: Worker, method: str, path: str) -> None:
    """Everywhere but at a claim a ticket is 401 and says what it is good for; no ticket is got by a ticket."""
    await worker.publish()
    headers = {"Authorization": f"Bearer {await a_ticket(worker)}"}

    refused = await worker.http.request(method, path, headers=headers, json={} if method != "GET" else None)

    assert code(refused) == "unauthenticated"
    assert "good for a claim only" in refused.json()["detail"]
    assert refused.headers["www-authenticate"] == "Bearer"


async def test_a_forged_ticket_claims_nothing(worker: Worker) -> None:
    """One character changed anywhere, a part, too long, not ASCII: 401, and the coupon is still there."""
    await worker.publish(stock=1)
    ticket = await a_ticket(worker)
    forged = [ticket[:at] + ("A" if ticket[at] != "A" else "B") + ticket[at + 1 :] for at in range(4, len(ticket), 7)]

    for text in (*forged, ticket[:-1], ticket + "A", "fct_", "fct_1.......", "fct_" + "A" * 2000, "fct_1.é.é"):
        headers = [(b"Authorization", f"Bearer {text}".encode()), (b"Idempotency-Key", b"k")]
        assert code(await worker.http.post("/v1/campaigns/flash/claims", headers=headers)) == "unauthenticated"
    assert (await claim(worker, ticket)).status_code == 201


async def test_who_may_not_have_a_ticket_is_told_why(worker: Worker) -> None:
    """An API key holds no coupons: 403; no credentials, a forged and an expired token: 401."""
    await worker.publish()

    assert code(await ask(worker, await worker.key("admin"))) == "forbidden"
    for who in ({}, {"Authorization": "Bearer x.y.z"}, worker.token("ann", ttl_s=-60)):
        assert code(await ask(worker, who)) == "unauthenticated"


@pytest.mark.parametrize(
    ("content", "field"),
    [(b'{"holder": "bob"}', "holder"), (b'{"expires_at": 1}', "expires_at"), (b"[]", ""), (b"{", "")],
)
async def test_a_request_for_a_ticket_says_nothing_else(worker: Worker, content: bytes, field: str) -> None:
    """No body or {} is all there is; anything else is 400 and named, so nobody gets a ticket for another holder."""
    await worker.publish()
    ann = worker.token("ann")

    refused = await ask(worker, ann, content=content)

    assert (code(refused), refused.json()["field"]) == ("bad_request", field)
    assert [(await ask(worker, ann, content=good)).status_code for good in (b"", b"{}", b" { } ")] == [201] * 3


async def test_there_are_no_tickets_where_nothing_can_be_claimed(worker: Worker) -> None:
    """An unknown campaign and a draft: 404; one that is over or was ended: 410; one being compared: 503."""
    redis = worker.services.door.redis
    for campaign in ("nothing", "NOT-AN-ID"):
        assert code(await ask(worker, worker.token("ann"), campaign)) == "campaign_not_found"
    for campaign in ("over", "stopped", "compared"):
        await worker.publish(campaign)
    await redis.hset(Shard(CampaignId("over"), 0).key("rules"), "ends_ms", 1000)
    await worker.state("ended", "stopped")
    await redis.hset(Shard(CampaignId("compared"), 0).key("rules"), "server", "another")

    answers = {name: await ask(worker, worker.token("ann"), name) for name in ("over", "stopped", "compared")}

    assert [code(answer) for answer in answers.values()] == ["campaign_ended", "campaign_ended", "not_ready"]
    assert answers["over"].json()["ended_at"] == "1970-01-01T00:00:01.000Z"
    assert "ended_at" not in answers["stopped"].json()
    assert int(answers["compared"].headers["retry-after"]) >= 1


async def test_a_paused_campaign_gives_tickets(worker: Worker) -> None:
    """A pause passes: a ticket got in it claims once it is over."""
    await worker.publish()
    await worker.state("paused")
    ticket = await a_ticket(worker)

    assert code(await claim(worker, ticket)) == "campaign_paused"
    await worker.state("active")
    assert (await claim(worker, ticket)).status_code == 201


async def test_each_shard_s_holders_get_tickets_from_it(worker: Worker) -> None:
    """A holder's own shard answers: where it is not ready there is no ticket, for the holders of another there is."""
    await worker.publish(shards=2)
    await worker.services.door.redis.hset(Shard(CampaignId("flash"), 1).key("rules"), "server", "another")

    answers = [(await ask(worker, worker.token(f"h{number}"))).status_code for number in range(12)]

    assert set(answers) == {201, 503}


async def test_tickets_are_given_and_used_without_postgres(
    redis_url: str, postgres_url: str, worker: Worker, tmp_path: Path
) -> None:
    """With PostgreSQL cut off, a ticket is got and claimed with: the way to a coupon needs Redis alone."""
    await worker.publish()
    async with Proxy(postgres_url) as proxy, Worker(redis_url, proxy.url, tmp_path / "cut", postgres_ms_max=300) as cut:
        proxy.refuse = True
        proxy.cut()

        assert (await claim(cut, await a_ticket(cut))).status_code == 201
