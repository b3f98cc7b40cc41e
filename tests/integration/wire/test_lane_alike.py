"""
The lane and the Starlette route answer alike: the same bytes to both, and what comes back is compared to the byte.

Two workers, each with a Redis database of its own in which the same campaigns are, so that the same request of the same
holder meets the same state. Only what no two answers share is masked (WireAnswer.masked).
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.errors import PROBLEMS
from gateway.guard import Guard
from gateway.lane import Lane
from gateway.stack.postgres import Postgres
from gateway.stack.valkey import Valkey
from gateway.tickets import Tickets
from gateway.tokens import parse_keys
from lua.keys import CampaignId, HolderId
from tests.conftest import fresh_database
from tests.http import JWT_KEYS, ON_SOCKETS, Worker, bearer, claim_bytes
from tests.phone import Phone, WireAnswer, request_bytes
from tests.proxy import Proxy

PATH = "/v1/campaigns/flash/claims"
HOUR_LATER, DAY_LATER = "2099-01-01T00:00:00Z", "2099-01-02T00:00:00Z"

pytestmark = ON_SOCKETS


class Twins(NamedTuple):
    """Two workers that should not be told apart. *redis* is in front of both their Redis."""

    lane: Worker
    route: Worker
    redis: Proxy

    async def both(self, *requests: bytes) -> list[WireAnswer]:
        """Send *requests* to each, one after the other on one connection; the answers, which have to be alike."""
        answers = []
        for worker in (self.lane, self.route):
            async with Phone(worker.port) as phone:
                answers.append([await phone.ask(request) for request in requests])
        masked = [[answer.masked() for answer in each] for each in answers]
        assert masked[0] == masked[1]
        return answers[0]

    def counted(self) -> list[dict[str, int]]:
        """What each has counted so far: claims by outcome, answers by status, how many of each histogram."""
        found = (re.findall(r"^(\w+_(?:total|count)\S*) (\d+)$", worker.services.telemetry.render(), re.MULTILINE)
                 for worker in (self.lane, self.route))  # fmt: skip
        return [{name: int(number) for name, number in each} for each in found]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def twins(
    redis_server: Valkey, postgres_server: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Twins]:
    """The two, on the campaigns of all cases."""
    async with AsyncExitStack() as stack:
        database = stack.enter_context(fresh_database(postgres_server))
        proxy = await stack.enter_async_context(Proxy(redis_server.url))
        workers = []
        for number, protocol in enumerate((Lane, Guard)):
            url = f"{proxy.url.rpartition('/')[0]}/{number}"
            folder = tmp_path_factory.mktemp("twin")
            workers.append(
                await stack.enter_async_context(Worker(url, database, folder, http=protocol, retry_after_s_max=1))
            )
        redis: Any = workers[0].services.door.redis
        await redis.flushall()
        await _publish(workers[0])
        for key in await redis.keys():
            await redis.copy(key, key, destination_db=1)
        for worker in workers:  # a campaign that nobody has asked for yet is the Starlette route's in both
            await asyncio.gather(*(worker.claim("nobody", campaign=campaign) for campaign in CAMPAIGNS))
        lane, route = workers
        yield Twins(lane, route, proxy)


CAMPAIGNS: dict[str, dict[str, Any]] = {
    "flash": {"stock": 100_000},
    "few": {"stock": 2},
    "later": {"starts_at": HOUR_LATER, "ends_at": DAY_LATER},
    "over": {},
    "still": {},
    "shops": {"channels": ["pos"]},
    "daily": {"limits": {"per_holder": 2, "per_holder_per_day": 1}},
    "purse": {"limits": {"per_holder": 1, "budget_minor": 1499}},
    "gifts": {"value": {"type": "gift_item", "sku": '50 % off "é"'}, "shards": 3, "stock": 1000},
}


async def _publish(worker: Worker) -> None:
    for campaign, changes in CAMPAIGNS.items():
        await worker.publish(campaign, **changes)
    await worker.state("ended", "over")
    await worker.state("paused", "still")


class Case(NamedTuple):
    """*requests* are sent in this order; the last one is answered with *says*: a status, or a problem's code."""

    says: int | str
    requests: tuple[bytes, ...]
    in_lane: bool = True


def alike(says: int | str, *requests: bytes) -> Case:
    """A case that the lane decides."""
    return Case(says, requests)


def beside(says: int | str, *requests: bytes) -> Case:
    """A case that even the lane leaves to Starlette."""
    return Case(says, requests, in_lane=False)


def claim_with(credential: str | None, *lines: str, key: str | None = "k", body: bytes = b"{}") -> bytes:
    """A claim whose credential and key are spelt out; None leaves the header out."""
    head = [] if credential is None else [f"Authorization: {credential}"]
    head += [] if key is None else [f"Idempotency-Key: {key}"]
    return request_bytes("POST", PATH, *head, *lines, body=body)


def a_ticket(holder: str, campaign: str) -> str:
    """The credential of a holder who got his ticket in time."""
    tickets, now_s = Tickets(parse_keys(JWT_KEYS), 0), time.time()
    return f"Bearer {tickets.mint(HolderId(holder), CampaignId(campaign), now_s, now_s + 86_400)}"


def in_chunks(holder: str, *parts: bytes) -> bytes:
    """A claim whose body comes in chunks."""
    head = claim_bytes(holder, "Transfer-Encoding: chunked", body=None)
    return head + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


ANN = bearer("ann-of-the-table")
CASES = {
    "claimed": alike(201, claim_bytes("c1")),
    "claimed on a channel": alike(201, claim_bytes("c2", body=b' {"channel" : "app"} ')),
    "an empty body": alike(201, claim_bytes("c3", body=b"")),
    "no body": alike(201, claim_bytes("c4", body=None)),
    "a value to be escaped, in shards": alike(201, claim_bytes("c5", campaign="gifts")),
    "replayed": alike(200, *[claim_bytes("r1")] * 2),
    "replayed, the JSON spelt otherwise": alike(200, claim_bytes("r2"), claim_bytes("r2", body=b" {}")),
    "limit_reached": alike("limit_reached", claim_bytes("l1"), claim_bytes("l1", key="another")),
    "the key reused": alike(
        "idempotency_key_reused", claim_bytes("u1"), claim_bytes("u1", body=b'{"channel":"web"}')
    ),
    "sold_out": alike("sold_out", claim_bytes("s1", campaign="few"), claim_bytes("s2", campaign="few")),
    "not_started": alike("not_started", claim_bytes("a", campaign="later")),
    "ended": alike("campaign_ended", claim_bytes("a", campaign="over")),
    "paused": alike("campaign_paused", claim_bytes("a", campaign="still")),
    "not_eligible": alike("not_eligible", claim_bytes("a", campaign="shops", body=b'{"channel":"app"}')),
    "period_limit": alike(
        "period_limit", *(claim_bytes("d1", campaign="daily", key=key) for key in ("one", "two"))
    ),
    "budget_exhausted": alike(
        "budget_exhausted", *(claim_bytes(holder, campaign="purse") for holder in ("b1", "b2"))
    ),
    "unknown campaign": beside("campaign_not_found", claim_bytes("a", campaign="nothing")),
    "malformed campaign": beside("campaign_not_found", claim_bytes("a", campaign="NOT-AN-ID")),
    "a query": beside(201, claim_bytes("q1").replace(b"claims HTTP", b"claims?a=1 HTTP")),
    "a path with an escape": beside(201, claim_bytes("q2", campaign="fl%61sh")),
    "no credential": alike("unauthenticated", claim_with(None)),
    "another scheme": alike("unauthenticated", claim_with("Basic YTpi")),
    "a scheme alone": alike("unauthenticated", claim_with("Bearer")),
    "a scheme and a blank": alike("unauthenticated", claim_with("Bearer ")),
    "a scheme and blanks": alike("unauthenticated", claim_with("Bearer   ")),
    "a scheme and a tab": alike("unauthenticated", claim_with(ANN.replace(" ", "\t"))),
    "a scheme in small letters": alike(201, claim_with(bearer("t1").replace("Bearer", "bearer"))),
    "two blanks before the token": alike(201, claim_with(bearer("t2").replace(" ", "  "))),
    "a forged token": alike("unauthenticated", claim_with(f"{ANN}x")),
    "a token that is none": alike("unauthenticated", claim_with("Bearer caf\xe9")),
    "an expired token": alike("unauthenticated", claim_with(bearer("a", -60))),
    "two credentials": beside("unauthenticated", claim_with(ANN, f"Authorization: {ANN}")),
    "a ticket": alike(201, claim_with(a_ticket("t3", "flash"))),
    "a ticket of another campaign": alike("unauthenticated", claim_with(a_ticket("t4", "few"))),
    "a ticket that was changed": alike("unauthenticated", claim_with(f"{a_ticket('t5', 'flash')}x")),
    "an API key": beside("forbidden", claim_with("API-KEY")),
    "an API key that is none": beside("unauthenticated", claim_with("Bearer fck_x")),
    "no key": alike("bad_request", claim_with(ANN, key=None)),
    "an empty key": alike("bad_request", claim_with(ANN, key="")),
    "the longest key": alike(201, claim_bytes("k1", key="k" * 255)),
    "too long a key": alike("bad_request", claim_with(ANN, key="k" * 256)),
    "a key with a tab": alike("bad_request", claim_with(ANN, key="a\tb")),
    "a key that is not ASCII": alike("bad_request", claim_with(ANN, key="\xe9")),
    "two keys, spelt differently": beside("bad_request", claim_with(ANN, "idempotency-key: k")),
    "two keys": beside("bad_request", claim_with(ANN, "Idempotency-Key: k")),
    "a body that is no JSON": alike("bad_request", claim_with(ANN, body=b"{")),
    "a body that is a list": alike("bad_request", claim_with(ANN, body=b"[]")),
    "an unknown field": alike("bad_request", claim_with(ANN, body=b'{"chanel":"app"}')),
    "a channel that is none": alike("bad_request", claim_with(ANN, body=b'{"channel":"APP"}')),
    "a body that is not UTF-8": alike("bad_request", claim_with(ANN, body=b'{"channel":"\xff"}')),
    "a body too deep": alike("bad_request", claim_with(ANN, body=b"[" * 5000)),
    "the longest body": alike(201, claim_bytes("z1", body=b"{}" + b" " * 8190)),
    "too long a body": alike("too_large", claim_with(ANN, body=b"{}" + b" " * 8191)),
    "in chunks": beside(201, in_chunks("z2", b'{"channel"', b':"app"}')),
    "too long in chunks": beside("too_large", in_chunks("z3", *[b" " * 5000] * 2)),
    "text": alike("unsupported_media_type", claim_with(ANN, "Content-Type: text/plain")),
    "text without a body": alike(201, claim_bytes("m1", "Content-Type: text/plain", body=b"")),
    "JSON": alike(201, claim_bytes("m2", "Content-Type: application/json")),
    "JSON and a parameter": alike(201, claim_bytes("m3", "content-type: Application/JSON; charset=utf-8")),
    "an empty media type": alike(201, claim_bytes("m4", "Content-Type:")),
    "two media types": beside(201, claim_bytes("m5", *["Content-Type: application/json"] * 2)),
    "a request id": alike(201, claim_bytes("i1", "X-Request-Id: abc-1.2:3")),
    "a request id of a refusal": alike("bad_request", claim_with(ANN, "X-Request-Id: abc", key=None)),
    "a request id that is too long": alike(201, claim_bytes("i2", f"X-Request-Id: {'x' * 65}")),
    "a request id that is odd": alike(201, claim_bytes("i3", "X-Request-Id: caf\xe9")),
    "an empty request id": alike(201, claim_bytes("i4", "X-Request-Id:")),
    "two request ids": beside(201, claim_bytes("i5", "X-Request-Id: one", "X-Request-Id: two")),
    "other headers": alike(201, claim_bytes("o1", "Accept: */*", "Cookie: a=b", "X-Odd: \xff", "X-Empty:")),
    "several things wrong": alike("unauthenticated", claim_with(None, "Content-Type: a/b", key=None, body=b"{" * 9999)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
async def test_lane_and_route_answer_alike(twins: Twins, name: str) -> None:
    """Status line, headers in their order, body and counters are the same; who answered is as intended."""
    case, before = CASES[name], twins.counted()
    api_key = (await twins.lane.key("admin"))["Authorization"].encode()
    entered = [len(worker.entered) for worker in twins[:2]]

    answers = await twins.both(*(request.replace(b"API-KEY", api_key) for request in case.requests))

    last = answers[-1]
    assert case.says in (last.status, last.code)
    assert not last.code or last.status == PROBLEMS[last.code].status
    entered_now = [len(worker.entered) - count for worker, count in zip(twins[:2], entered, strict=True)]
    assert entered_now == [0 if case.in_lane else len(case.requests), len(case.requests)]
    lane, route = (
        {name: after[name] - was[name] for name in after} for was, after in zip(before, twins.counted(), strict=True)
    )
    assert lane == route
    assert sum(number for name, number in lane.items() if "responses" in name) == len(case.requests)


async def test_what_is_masked_is_right_in_each(twins: Twins) -> None:
    """A given request id comes back from both, one that is made is in the body too; Retry-After and Date are there."""
    given = await twins.both(claim_bytes("a", "X-Request-Id: mine", campaign="later"))
    made = await twins.both(claim_bytes("a", campaign="later"))

    assert given[0].header(b"x-request-id") == b"mine"
    assert b'"request_id":"mine"' in given[0].body
    assert b'"request_id":"%b"' % (made[0].header(b"x-request-id") or b"?") in made[0].body
    assert int(made[0].header(b"retry-after") or 0) > 86_400
    assert made[0].header(b"date")


async def test_admission_closed_is_told_alike(twins: Twins) -> None:
    """Near maxmemory both fronts say overloaded and why, and neither has sent anything."""
    redis = twins.lane.services.door.redis
    used = (await redis.info("memory"))["used_memory"]
    await redis.config_set("maxmemory", int(used * 1.05))
    for worker in twins[:2]:
        await worker.services.pressure.look()

    [refused] = await twins.both(claim_bytes("short"))

    assert refused.code == "overloaded"
    assert b"books are behind" in refused.body
    await redis.config_set("maxmemory", 1024**3)
    for worker in twins[:2]:
        await worker.services.pressure.look()
    assert [answer.status for answer in await twins.both(claim_bytes("short"))] == [201]


async def test_redis_away_is_told_alike(twins: Twins) -> None:
    """A lost reply is unknown, an unreachable Redis not_ready, and afterwards both tell the truth about either."""
    twins.redis.lose_replies = True
    [lost] = await twins.both(claim_bytes("lost"))
    twins.redis.lose_replies = False
    twins.redis.refuse = True
    twins.redis.cut()
    [refused] = await twins.both(claim_bytes("refused"))
    twins.redis.refuse = False

    assert (lost.code, refused.code) == ("unknown", "not_ready")
    answers = await twins.both(claim_bytes("lost"), claim_bytes("refused"))
    assert [answer.status for answer in answers] == [200, 201]


async def test_stopping_is_told_alike(twins: Twins) -> None:
    """A claim that comes while the worker stops is overloaded in both, with when to come back."""
    async with AsyncExitStack() as stack:
        stopping = []
        for worker, protocol in zip(twins[:2], (Lane, Guard), strict=True):
            here = worker.settings
            again = Worker(here.redis_url, here.postgres_url, Path(here.data_dir) / "again", http=protocol)
            stopping.append(await stack.enter_async_context(again))
            assert (await again.claim("early")).status_code in (200, 201)
            await again.services.batcher.close()

        [refused] = await Twins(stopping[0], stopping[1], twins.redis).both(claim_bytes("late"))

    assert (refused.code, refused.header(b"retry-after") is not None) == ("overloaded", True)
    assert b"stopping" in refused.body


async def test_no_input_is_answered_differently(twins: Twins) -> None:
    """Fuzzed paths, keys, credentials, bodies and media types: a status of the table, never 500, never a difference."""
    loop = asyncio.get_running_loop()
    texts = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=300)
    bodies = st.binary(max_size=300) | st.recursive(st.none() | st.text(), st.lists).map(repr).map(str.encode)

    @given(
        st.just("flash") | texts, st.just("k") | texts, st.just(ANN) | texts, st.just("application/json") | texts,
        st.just(b"{}") | bodies,
    )  # fmt: skip
    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    def fuzz(path: str, key: str, credential: str, media_type: str, body: bytes) -> None:
        request = claim_with(credential, f"Content-Type: {media_type}", key=key, body=body)
        request = request.replace(b"flash", quote(path, safe="").encode(), 1)
        [answer] = asyncio.run_coroutine_threadsafe(twins.both(request), loop).result()
        assert answer.status in {200, 201, 400, 401, 404, 405, 409, 413, 415, 422}

    await asyncio.to_thread(fuzz)
