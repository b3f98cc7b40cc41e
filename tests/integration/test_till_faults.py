"""What a till is told when something is away: lost replies, shards that may not serve, a gateway that stops."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx2
import pytest

from lua.keys import CampaignId, Shard
from lua.link import Done, Link, ScriptCall
from lua.scripts import load_script
from tests.conftest import Eventually, redis_binaries
from tests.integration.site_http import Http, open_http
from tests.integration.tilling import Till, an_order, done, told
from tests.proxy import Proxy

pytestmark = pytest.mark.parametrize("redis_server", list(redis_binaries().items())[:1], ids=["valkey"], indirect=True)
"""What the scripts do on Redis 7 is tests/scripts' to prove; here it is HTTP and what follows."""

Asking = Callable[[Till, str, str], Coroutine[Any, Any, httpx2.Response]]
"""Till, code and the id of an earlier redemption of it → the answer; repeated with the same key."""

ASKS: dict[str, tuple[Asking, str]] = {
    "redeem": (lambda till, code, _: till.redeem(code, an_order("o-2"), key="lost"), "redeemed"),
    "reserve": (lambda till, code, _: till.reserve(code, "o-2"), "reserved"),
    "rollback": (lambda till, _, id_: till.roll_back(id_, "lost", amount_minor=5), ""),
    "revoke": (lambda till, code, _: till.revoke(code), "revoked"),
}


@pytest.fixture
async def proxy(redis_url: str) -> AsyncIterator[Proxy]:
    """A network before Redis."""
    async with Proxy(redis_url) as proxy:
        yield proxy


@pytest.fixture
async def till(proxy: Proxy, postgres_url: str, tmp_path: Path) -> AsyncIterator[Till]:
    """A worker behind that network."""
    async with open_http(proxy.url, postgres_url, tmp_path) as http:
        await http.publish(limits={"per_holder": 2})
        yield Till(http)


async def two_coupons(till: Till) -> tuple[str, str]:
    """A code that is claimed, and the id of a redemption of another one."""
    code = (await till.http.claim("ann"))["code"]
    other = (await till.http.claim("ann", key="other"))["code"]
    return code, done(await till.redeem(other, key="other"))["id"]


@pytest.mark.parametrize("verb", ASKS)
async def test_a_lost_reply_is_unknown_and_the_same_request_gets_the_truth(
    till: Till, proxy: Proxy, verb: str, eventually: Eventually
) -> None:
    """503 unknown with Retry-After, done all the same; the repetition is answered as a replay, and nothing twice."""
    code, id_ = await two_coupons(till)
    ask, state = ASKS[verb]
    redis: Any = till.http.worker.services.door.redis
    await redis.script_load(load_script(verb).source)  # or the reply that is lost would be NOSCRIPT
    calls = till.http.worker.services.redeeming.coupons.calls
    step = calls.step

    async def losing(asked: str, *parts: Any) -> Any:
        proxy.lose_replies = asked == verb
        return await step(asked, *parts)

    calls.step = losing  # type: ignore[method-assign, assignment]
    lost = await ask(till, code, id_)
    proxy.lose_replies, calls.step = False, step  # type: ignore[method-assign]

    assert told(lost, "retryable") == (503, "unknown", True)
    assert int(lost.headers["retry-after"]) >= 1

    async def replayed() -> httpx2.Response | None:
        again = await ask(till, code, id_)
        return again if again.status_code != 503 else None

    again: httpx2.Response = await eventually(replayed)
    assert (again.status_code, again.headers.get("idempotency-replayed")) == (200, "true")
    if state:
        assert await till.state(code) == state
    else:
        assert done(await till.redemption(id_), 200)["rolled_back"]["minor"] == 5


async def test_a_stack_that_lost_a_reply_is_undone_or_done(till: Till, proxy: Proxy, eventually: Eventually) -> None:
    """A lost reply while it holds: nothing is held afterwards, and the same key redeems all of it."""
    codes = [(await till.http.claim(holder))["code"] for holder in ("ann", "bob")]
    calls = till.http.worker.services.redeeming.coupons.calls
    step, seen = calls.step, Counter[str]()

    async def losing(asked: str, *parts: Any) -> Any:
        seen[asked] += 1
        proxy.lose_replies = (asked, seen[asked]) == ("reserve", 2)
        return await step(asked, *parts)

    calls.step = losing  # type: ignore[method-assign, assignment]
    lost = await till.redeem(codes, an_order("o-1", 9000))
    proxy.lose_replies = False

    assert told(lost)[0] == 503

    async def redeemed() -> httpx2.Response | None:
        again = await till.redeem(codes, an_order("o-1", 9000))
        return again if again.status_code != 503 else None

    again: httpx2.Response = await eventually(redeemed)
    assert again.status_code in (200, 201)
    assert [await till.state(code) for code in codes] == ["redeemed", "redeemed"]


async def everything(till: Till, code: str, id_: str) -> list[httpx2.Response]:
    """One request of each kind."""
    return [
        await till.quote(code, an_order("o-2")),
        await till.reserve(code, "o-2"),
        await till.hold(code),
        await till.release(code),
        await till.redeem(code, an_order("o-2"), key="k2"),
        await till.redemption(id_),
        await till.roll_back(id_),
        await till.revoke(code),
    ]


async def test_a_shard_that_may_not_serve(till: Till) -> None:
    """503 not_ready with Retry-After for each request, and nothing has changed; then everything goes on."""
    code, id_ = await two_coupons(till)
    redis: Any = till.http.worker.services.door.redis
    rules = Shard(CampaignId("flash"), 0).key("rules")
    server = await redis.hget(rules, "server")
    await redis.hset(rules, "server", "another run id")
    before = await till.dump()

    for answer in await everything(till, code, id_):
        assert told(answer, "retryable") == (503, "not_ready", True), answer.request
        assert int(answer.headers["retry-after"]) >= 1
    assert await till.dump() == before
    await redis.hset(rules, "server", server)
    assert {answer.status_code for answer in await everything(till, code, id_)} == {200, 201, 409}


async def test_what_was_done_is_told_even_where_the_shard_may_not_serve(till: Till) -> None:
    """A replay needs no shard that serves: the same key gets its answer."""
    code, _ = await two_coupons(till)
    first = await till.redeem(code, an_order("o-2"), key="k2")
    redis: Any = till.http.worker.services.door.redis
    await redis.hset(Shard(CampaignId("flash"), 0).key("rules"), "server", "another run id")

    again = await till.redeem(code, an_order("o-2"), key="k2")

    assert (again.status_code, again.content) == (200, first.content)


async def test_a_gateway_that_stops_takes_no_more(till: Till) -> None:
    """503 overloaded: nothing was sent, so nothing has changed."""
    code, id_ = await two_coupons(till)
    before = await till.dump()
    await till.http.worker.services.redeeming.coupons.calls.close()

    for answer in await everything(till, code, id_):
        assert told(answer) == (503, "overloaded"), answer.request
    assert await till.dump() == before


async def test_a_coupon_whose_terms_are_known_is_spent_by_one_call(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of a campaign is looked at and spent, every other one is only spent: one script call."""
    called: Counter[str] = Counter()
    call = Link.call

    def counting(link: Link, script: ScriptCall, payload: bytes, answered: Done) -> None:
        called[str(script).split()[0]] += 1
        call(link, script, payload, answered)

    codes = [(await till.http.claim(f"h{n}"))["code"] for n in range(5)]
    monkeypatch.setattr(Link, "call", counting)

    for n, code in enumerate(codes):
        done(await till.redeem(code, an_order(f"o-{n}"), key=f"k{n}"))

    assert called == {"inspect": 1, "redeem": 5}


async def test_terms_that_changed_since_they_were_known_are_looked_up(till: Till) -> None:
    """Only a campaign without a coupon out can change them: a worker that knew the old ones pays by the new ones."""
    http: Http = till.http
    await http.publish(id="early", value={"type": "amount_off", "minor": 500, "threshold_minor": 3000})
    known = till.http.worker.services.redeeming.coupons
    [code] = await till.claimed("ann", campaign="early")
    kept = await known.spot(code)
    assert kept is None
    done(await till.quote(code, an_order()), 200)
    kept = await known.spot(code)
    assert kept is not None
    # As if this worker had learnt them before the campaign was changed.
    known._terms[kept.shard.campaign] = known._terms[kept.shard.campaign]._replace(frozen="0" * 16)

    assert done(await till.redeem(code))["discount"]["minor"] == 500
    [other] = await till.claimed("bob", campaign="early")
    known._terms[kept.shard.campaign] = known._terms[kept.shard.campaign]._replace(frozen="0" * 16)
    refused = await till.redeem(other, an_order("o-2", 2999), key="k2")
    assert told(refused, "reason") == (422, "conditions_not_met", "below_threshold")
