"""
Claims as a phone makes them: every status, replay and refusal, and rushes of phones at the same instant.

Each test runs through every front of a claim: the application's own ASGI door, the Starlette route on a socket behind
the guard, and the lane. test_lane_alike.py compares the last two byte for byte.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gateway.batcher import Batcher
from gateway.codes import parse_code
from gateway.errors import PROBLEMS
from gateway.guard import Guard
from gateway.lane import Lane
from tests.builders import amid_a_day
from tests.conftest import Eventually, redis_binaries
from tests.http import Worker, a_campaign
from tests.proxy import Proxy

HOUR_LATER = "2099-01-01T00:00:00Z"
Front = type[Any] | None

SERVERS = list(redis_binaries().items())
FRONTS = [(SERVERS[0], None), (SERVERS[0], Lane), (SERVERS[-1], Guard)]  # so every kind of server sees all of them too
FRONT_NAMES = {None: "asgi", Guard: "route", Lane: "lane"}

pytestmark = pytest.mark.parametrize(
    ("redis_server", "front"),
    FRONTS,
    ids=[f"{FRONT_NAMES[front]}-{server[0]}" for server, front in FRONTS],
    indirect=["redis_server"],
    scope="session",  # else every test starts a server of its own
)


@pytest.fixture
async def worker(redis_url: str, postgres_url: str, tmp_path: Path, front: Front) -> AsyncIterator[Worker]:
    """One worker on an emptied Redis and a fresh database, behind the front of this test."""
    async with Worker(redis_url, postgres_url, tmp_path, http=front) as worker:
        yield worker


@pytest.fixture
async def second_worker(worker: Worker, tmp_path: Path, front: Front) -> AsyncIterator[Worker]:
    """Another worker beside the first, on the same servers."""
    settings = worker.settings
    async with Worker(settings.redis_url, settings.postgres_url, tmp_path, slot=1, http=front) as second:
        yield second


def problem(response: httpx2.Response, code: str) -> dict[str, Any]:
    """The problem *response* has to be: the status of the table, the members of RFC 9457 and ours."""
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert (body["code"], response.status_code) == (code, PROBLEMS[code].status), body
    assert body["type"].endswith(code)
    assert (body["title"], body["status"]) == (PROBLEMS[code].title, response.status_code)
    assert body["retryable"] is PROBLEMS[code].retryable
    assert body["request_id"] == response.headers["x-request-id"]
    assert body["detail"]
    assert body["server_time"].endswith("Z")
    if response.status_code in (429, 503):
        assert int(response.headers["retry-after"]) >= 1
    return body


async def test_a_claim_is_answered_with_the_coupon_and_a_retry_with_the_same(worker: Worker) -> None:
    """201 with the coupon; the same key again is 200, marked, and the same body byte for byte."""
    await worker.publish()

    first = await worker.claim("ann")
    again = await worker.claim("ann")

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert again.content == first.content
    coupon = first.json()
    assert {**coupon, "code": "", "display_code": "", "expires_at": "", "server_time": ""} == {
        "code": "",
        "display_code": "",
        "campaign": "flash",
        "seq": coupon["seq"],
        "state": "claimed",
        "value": {"type": "amount_off", "minor": 500, "threshold_minor": 3000},
        "currency": "CNY",
        "expires_at": "",
        "server_time": "",
    }
    parsed = parse_code(coupon["display_code"].lower())
    assert parsed is not None
    assert (parsed.code, parsed.shard_number) == (coupon["code"], 0)


async def test_a_holder_at_the_limit_sees_the_codes_he_holds(worker: Worker) -> None:
    """Another key at the limit: 409 with the code of the coupon already held."""
    await worker.publish()
    won = (await worker.claim("ann", key="1")).json()

    refused = problem(await worker.claim("ann", key="2"), "limit_reached")

    assert refused["codes"] == [won["code"]]


async def test_the_same_key_with_another_payload_is_422(worker: Worker) -> None:
    """A key stands for one request, whatever the second one asks; spaces and order in the JSON are not a change."""
    await worker.publish()
    await worker.claim("ann", key="k", body={"channel": "app"})

    problem(await worker.claim("ann", key="k", body={"channel": "web"}), "idempotency_key_reused")
    problem(await worker.claim("ann", key="k", body={}), "idempotency_key_reused")
    assert (await worker.claim("ann", key="k", body={"channel": "app"})).status_code == 200


async def test_keys_of_two_holders_do_not_meet(worker: Worker) -> None:
    """The same key in two holders' hands is two claims, and neither sees the other's coupon."""
    await worker.publish()

    ann, bob = await worker.claim("ann", key="k"), await worker.claim("bob", key="k")

    assert (ann.status_code, bob.status_code) == (201, 201)
    assert ann.json()["code"] != bob.json()["code"]


async def test_each_refusal_has_its_status_and_what_helps(worker: Worker) -> None:
    """Sold out, not started, ended, paused, not eligible, period limit, budget: each as the contract has it."""
    await worker.publish("few", stock=1)
    await worker.claim("ann", campaign="few")
    problem(await worker.claim("bob", campaign="few"), "sold_out")

    await worker.publish("later", starts_at=HOUR_LATER, ends_at="2099-01-02T00:00:00Z")
    early = await worker.claim("ann", campaign="later")
    assert problem(early, "not_started")["starts_at"] == "2099-01-01T00:00:00.000Z"
    assert int(early.headers["retry-after"]) > 3600

    await worker.publish("over")
    won = await worker.claim("ann", campaign="over")
    await worker.state("ended", "over")
    problem(await worker.claim("bob", campaign="over"), "campaign_ended")
    assert (await worker.claim("ann", campaign="over")).content == won.content

    await worker.publish("still")
    await worker.state("paused", "still")
    problem(await worker.claim("ann", campaign="still"), "campaign_paused")
    await worker.state("active", "still")
    assert (await worker.claim("ann", campaign="still")).status_code == 201

    await worker.publish("shops", channels=["pos"])
    problem(await worker.claim("ann", campaign="shops", body={"channel": "app"}), "not_eligible")

    zone = amid_a_day("Asia/Shanghai", "America/New_York")
    await worker.publish("daily", limits={"per_holder": 2, "per_holder_per_day": 1}, timezone=zone)
    await worker.claim("ann", campaign="daily", key="1")
    tomorrow = await worker.claim("ann", campaign="daily", key="2")
    assert problem(tomorrow, "period_limit")

    await worker.publish("purse", limits={"per_holder": 1, "budget_minor": 999})
    await worker.claim("ann", campaign="purse")
    problem(await worker.claim("bob", campaign="purse"), "budget_exhausted")


async def test_what_is_not_there_is_404(worker: Worker) -> None:
    """An unknown campaign, a malformed id and a draft can't be told apart."""
    created = await worker.http.post("/v1/campaigns", json=a_campaign("draft"), headers=await worker.key("admin"))
    assert created.status_code == 201

    for campaign in ("nothing", "draft", "NOT-AN-ID", "a" * 100):
        problem(await worker.claim("ann", campaign=campaign), "campaign_not_found")


async def test_a_claim_without_credentials_is_401(worker: Worker) -> None:
    """No header, another scheme, a forged token, two headers: 401 with the challenge; an API key is no holder: 403."""
    await worker.publish()
    for headers in (
        {},
        {"Authorization": "Basic YTpi"},
        {"Authorization": "Bearer x.y.z"},
        worker.token("ann", ttl_s=-60),
    ):
        response = await worker.http.post("/v1/campaigns/flash/claims", headers={**headers, "Idempotency-Key": "k"})
        problem(response, "unauthenticated")
        assert response.headers["www-authenticate"] == "Bearer"

    response = await worker.http.post(
        "/v1/campaigns/flash/claims", headers={**(await worker.key("admin")), "Idempotency-Key": "k"}
    )
    problem(response, "forbidden")


async def test_a_malformed_body_is_400_and_names_the_field(worker: Worker) -> None:
    """What can't be read is refused with the field, and nothing is claimed."""
    await worker.publish()
    headers = {**worker.token("ann"), "Idempotency-Key": "k", "Content-Type": "application/json"}
    for content, says in (
        (b"{", "body"),
        (b"[]", "body"),
        (b'{"chanel": "app"}', "chanel"),
        (b'{"channel": 1}', "channel"),
        (b'{"channel": "APP"}', "channel"),
        (b'{"channel": "' + b"x" * 33 + b'"}', "channel"),
        (b'{"channel": "app\\n"}', "channel"),
        (b"\xff", "body"),
        (b"[" * 5000, "body"),
    ):
        response = await worker.http.post("/v1/campaigns/flash/claims", content=content, headers=headers)
        assert says in problem(response, "bad_request")["detail"], content

    assert (await worker.claim("ann", key="k")).status_code == 201


async def test_bounds_of_header_and_body_are_enforced(worker: Worker) -> None:
    """No key, an empty, too long or non-ASCII key: 400; a body over its bound: 413; another media type: 415."""
    await worker.publish()
    path, ann = "/v1/campaigns/flash/claims", worker.token("ann")
    for headers in ({}, {"Idempotency-Key": ""}, {"Idempotency-Key": "x" * 256}, {"Idempotency-Key": "a\tb"}):
        response = await worker.http.post(path, headers={**ann, **headers})
        assert problem(response, "bad_request")["field"] == "Idempotency-Key"
    twice = [*ann.items(), ("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    assert problem(await worker.http.post(path, headers=twice), "bad_request")["field"] == "Idempotency-Key"

    keyed = {**ann, "Idempotency-Key": "x" * 255}
    problem(await worker.http.post(path, content=b" " * 8193, headers=keyed), "too_large")
    problem(
        await worker.http.post(path, content=b"a=b", headers={**keyed, "Content-Type": "text/plain"}),
        "unsupported_media_type",
    )
    assert (await worker.http.post(path, headers=keyed)).status_code == 201


async def test_fifty_phones_at_the_same_instant_and_one_coupon(worker: Worker, second_worker: Worker) -> None:
    """Over two workers exactly one of fifty wins; the others are told sold_out, and stock is 0."""
    await worker.publish(stock=1)
    start = asyncio.Event()

    async def phone(number: int) -> str:
        await start.wait()
        response = await (worker, second_worker)[number % 2].claim(f"h{number}")
        return "claimed" if response.status_code == 201 else str(response.json()["code"])

    phones = [asyncio.create_task(phone(number)) for number in range(50)]
    start.set()

    assert Counter(await asyncio.gather(*phones)) == {"claimed": 1, "sold_out": 49}
    assert await worker.services.door.redis.get("fc:{flash/0}:stock") == b"0"


async def test_one_holder_a_hundred_times_gets_one_coupon(worker: Worker, second_worker: Worker) -> None:
    """A hundred keys of one holder at once: one coupon, 99 refusals that all name it; a hundred units are not burnt."""
    await worker.publish(stock=50)

    responses = await asyncio.gather(*((worker, second_worker)[n % 2].claim("ann", key=f"k{n}") for n in range(100)))

    won = [response.json()["code"] for response in responses if response.status_code == 201]
    assert len(won) == 1
    assert all(problem(r, "limit_reached")["codes"] == won for r in responses if r.status_code != 201)
    assert await worker.services.door.redis.get("fc:{flash/0}:stock") == b"49"


async def test_one_key_a_hundred_times_gets_one_answer(worker: Worker, second_worker: Worker) -> None:
    """A hundred sends of one request at once: one 201, 99 replays, one body."""
    await worker.publish(stock=50)

    responses = await asyncio.gather(*((worker, second_worker)[n % 2].claim("ann", key="k") for n in range(100)))

    assert Counter(response.status_code for response in responses) == {201: 1, 200: 99}
    assert len({response.content for response in responses}) == 1


async def test_what_was_just_told_is_in_my_claims(worker: Worker) -> None:
    """Right after 201 the coupon is in the holder's own list, read from Redis, and in nobody else's."""
    await worker.publish()
    won = (await worker.claim("ann")).json()

    mine = await worker.http.get("/v1/campaigns/flash/claims/mine", headers=worker.token("ann"))
    bobs = await worker.http.get("/v1/campaigns/flash/claims/mine", headers=worker.token("bob"))

    assert [item["code"] for item in mine.json()["items"]] == [won["code"]]
    assert bobs.json()["items"] == []


async def test_a_short_redis_closes_admission_and_says_why(worker: Worker, eventually: Eventually) -> None:
    """Near maxmemory claims get 503 with the reason and readiness says so; with room again they are taken."""
    await worker.publish()
    redis, pressure = worker.services.door.redis, worker.services.pressure
    used = (await redis.info("memory"))["used_memory"]
    await redis.config_set("maxmemory", used // 2)  # buffers of clients and what was flushed last may go meanwhile
    await pressure.look()

    refused = await worker.claim("ann")
    ready = await worker.http.get("/readyz")

    assert "books are behind" in problem(refused, "overloaded")["detail"]
    assert ready.status_code == 503
    assert ready.json()["not_ready"] == ["admission"]
    assert int(ready.headers["retry-after"]) >= 1
    await redis.config_set("maxmemory", used * 10)
    await eventually(lambda: pressure.closed_because is None)
    assert (await worker.claim("ann")).status_code == 201


async def test_claims_go_on_without_postgres(
    redis_url: str, postgres_url: str, worker: Worker, tmp_path: Path, front: Front
) -> None:
    """With PostgreSQL cut off, known and unknown holders claim and replay; what needs the books says not_ready."""
    await worker.publish()
    folder = tmp_path / "cut"
    async with (
        Proxy(postgres_url) as proxy,
        Worker(redis_url, proxy.url, folder, http=front, postgres_ms_max=300) as cut,
    ):
        proxy.refuse = True
        proxy.cut()
        won = await cut.claim("ann")
        replayed = await cut.claim("ann")
        wallet = await cut.http.get("/v1/coupons", headers=cut.token("ann"))
        unknown = await cut.claim("ann", campaign="never-heard-of")
        ready = await cut.http.get("/readyz")
        metrics = await cut.http.get("/metrics")

    assert (won.status_code, replayed.status_code) == (201, 200)
    problem(wallet, "not_ready")
    problem(unknown, "not_ready")
    assert ready.status_code == 200
    assert ready.json()["not_ready"] == ["postgres"]
    assert "fairclaim_books_up 0" in metrics.text


async def test_without_redis_nothing_is_claimed_and_nothing_is_sold_out(
    redis_url: str, postgres_url: str, worker: Worker, tmp_path: Path, front: Front
) -> None:
    """A worker that lost Redis answers not_ready, is not ready, and decides again when Redis is back."""
    await worker.publish()
    async with Proxy(redis_url) as proxy, Worker(proxy.url, postgres_url, tmp_path / "cut", http=front) as cut:
        assert (await cut.claim("ann")).status_code == 201
        proxy.refuse = True
        proxy.cut()
        refused = await cut.claim("bob")
        ready = await cut.http.get("/readyz")
        proxy.refuse = False
        taken = await cut.claim("bob")

    assert refused.json()["code"] in {"not_ready", "unknown"}
    assert (ready.status_code, "redis" in ready.json()["not_ready"]) == (503, True)
    assert taken.status_code in (200, 201)


async def test_a_failure_of_ours_shows_nothing_of_the_inside(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An unexpected exception is 500 without stack, key name or statement; our log has stack and request id."""
    await worker.publish()

    def broken(*_: Any) -> None:
        raise RuntimeError("fc:{flash/0}:stock SELECT secret")

    monkeypatch.setattr(Batcher, "submit", broken)
    with caplog.at_level(logging.ERROR):
        response = await worker.claim("ann", **{"X-Request-Id": "mine-1"})

    body = problem(response, "internal")
    assert body["request_id"] == "mine-1"
    assert "secret" not in response.text
    assert "RuntimeError" not in response.text
    assert any(getattr(record, "request_id", "") == "mine-1" for record in caplog.records)


async def test_a_request_id_is_kept_where_it_is_harmless(worker: Worker) -> None:
    """A caller's request id comes back; one that is long or odd is replaced, by another each time."""
    await worker.publish()
    seen = set()
    for told, kept in (("abc-1.2:3", True), ("x" * 65, False), ("a b", False), ("a\u00e9", False), ("", False)):
        headers = [(b"X-Request-Id", told.encode("latin-1"))]
        for method, path in (("GET", "/healthz"), ("POST", "/v1/campaigns/flash/claims")):
            heard = (await worker.http.request(method, path, headers=headers)).headers["x-request-id"]
            assert (heard == told) is kept, told
            seen.add(heard)

    assert len(seen) == 1 + 2 * 4


async def test_unknown_routes_and_methods_are_problems(worker: Worker) -> None:
    """404 and 405 have the same shape as every other refusal."""
    problem(await worker.http.get("/nothing/here"), "not_found")
    response = await worker.http.delete("/v1/campaigns/flash/claims")
    problem(response, "method_not_allowed")
    assert response.headers["allow"] == "POST"
