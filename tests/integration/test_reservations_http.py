"""Holds through HTTP: for one order, for a time, seen and let go by who may, freed by the clock alone."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.keys import ROLES
from lua.keys import Shard
from tests.conftest import Eventually, redis_binaries
from tests.integration.site_http import open_http
from tests.integration.tilling import Till, an_order, done, told

pytestmark = pytest.mark.parametrize("redis_server", list(redis_binaries().items())[:1], ids=["valkey"], indirect=True)
"""What the scripts do on Redis 7 is tests/scripts' to prove; here it is HTTP and what follows."""


@pytest.fixture
async def till(redis_url: str, postgres_url: str, tmp_path: Path) -> AsyncIterator[Till]:
    """A worker with a campaign whose coupons are their holders', and one whose coupons may be passed on."""
    async with open_http(redis_url, postgres_url, tmp_path) as http:
        await http.publish(stock=200)
        await http.publish(id="gift", transferable=True)
        yield Till(http)


def seconds(hold: dict[str, Any]) -> float:
    """How long the hold lasts."""
    until, now = (datetime.fromisoformat(hold[name]) for name in ("reserved_until", "server_time"))
    return (until - now).total_seconds()


async def test_a_hold_is_made_and_seen(till: Till) -> None:
    """201 with the order, the deadline and where it is; GET says the same; 900 seconds unless it is said."""
    [code] = await till.claimed("ann")

    made = await till.reserve(code, "o-7")

    hold = done(made)
    assert (hold["code"], hold["campaign"], hold["state"], hold["order_id"]) == (code, "flash", "reserved", "o-7")
    assert made.headers["location"] == f"/v1/reservations/{code}"
    assert "idempotency-replayed" not in made.headers
    assert seconds(hold) == 900
    seen = done(await till.hold(code), 200)
    assert {**seen, "server_time": ""} == {**hold, "server_time": ""}


async def test_the_same_order_gets_the_same_hold(till: Till) -> None:
    """200 and Idempotency-Replayed with the first deadline, whatever is asked now and whoever asks."""
    [code] = await till.claimed("ann")
    first = done(await till.reserve(code, ttl_s=100))

    for who in ("store", "admin", "@ann"):
        again = await till.reserve(code, who=who, ttl_s=1800)
        assert done(again, 200)["reserved_until"] == first["reserved_until"]
        assert again.headers["idempotency-replayed"] == "true"
        assert "location" not in again.headers
    whole = await till.ask("POST", "/v1/reservations", "store", {"code": code, "order": an_order()})
    assert done(whole, 200)["reserved_until"] == first["reserved_until"]


async def test_another_order_is_refused_and_told_which_one_where_it_may_know(till: Till) -> None:
    """409 reserved_by_other with from, to, allowed and the deadline; order_id for the owner and who holds it only."""
    [code], [gift] = await till.claimed("ann"), await till.claimed("ann", campaign="gift")
    until = done(await till.reserve(code, "o-1"))["reserved_until"]
    done(await till.reserve(gift, "o-1"))
    members = ("from", "to", "allowed", "reserved_until")

    for who in ("store", "@ann", "admin"):
        refused = await till.reserve(code, "o-2", who=who)
        assert told(refused, *members) == (409, "reserved_by_other", "reserved", "reserved", ["claimed"], until)
        assert refused.json().get("order_id") == ("o-1" if who != "admin" else None)
    assert told(await till.reserve(gift, "o-2", who="@bob"), "order_id") == (409, "reserved_by_other", None)
    spending = await till.redeem(code, an_order("o-2"), who="admin")
    assert told(spending, *members) == (409, "reserved_by_other", "reserved", "redeemed", ["claimed"], until)
    assert told(await till.release(code, order="o-2"), "to", "allowed", "order_id") == (
        (409, "reserved_by_other", "claimed", [], "o-1")
    )


async def test_the_time_of_a_hold_has_bounds(till: Till) -> None:
    """1 to 1800 whole seconds; a coupon is never held beyond its own end."""
    codes = await till.claimed("a", "b")

    for ttl_s in (0, -1, 1801, 1.5, "900", None):
        assert told(await till.reserve(codes[0], ttl_s=ttl_s), "field") == (400, "bad_request", "ttl_s"), ttl_s
    assert await till.state(codes[0]) == "claimed"
    for code, ttl_s in zip(codes, (1, 1800), strict=True):
        assert seconds(done(await till.reserve(code, ttl_s=ttl_s))) == ttl_s


async def test_the_clock_alone_frees_a_hold(till: Till, eventually: Eventually) -> None:
    """No sweeper runs here: after its second, not before, the coupon is free, and another order may have it."""
    [code] = await till.claimed("ann")
    until = done(await till.reserve(code, "o-1", ttl_s=1))["reserved_until"]

    async def held() -> dict[str, Any] | None:
        answer = await till.reserve(code, "o-2")
        if answer.status_code == 201:
            return done(answer)
        assert told(answer)[1] == "reserved_by_other"
        return None

    assert (await eventually(held))["server_time"] >= until
    assert done(await till.hold(code), 200)["order_id"] == "o-2"
    late = await till.redeem(code, an_order("o-1"))
    assert told(late)[1] == "reserved_by_other"


async def test_a_late_order_still_redeems_what_nobody_took(till: Till, eventually: Eventually) -> None:
    """Its hold is over and the coupon is free: the redemption goes through all the same."""
    [code] = await till.claimed("ann")
    done(await till.reserve(code, "o-1", ttl_s=1))

    async def over() -> bool:
        return await till.state(code) == "claimed"

    await eventually(over)

    assert done(await till.redeem(code, an_order("o-1")))["coupon_state"] == "redeemed"


async def test_who_sees_a_hold_and_its_order(till: Till) -> None:
    """Its owner and who put it on see the order; other staff sees that it is held; other holders see nothing."""
    [code], [gift] = await till.claimed("ann"), await till.claimed("ann", campaign="gift")
    for each in (code, gift):
        done(await till.reserve(each, "o-1"))

    assert done(await till.hold(code, "@ann"), 200)["order_id"] == "o-1"
    assert done(await till.hold(code, "store"), 200)["order_id"] == "o-1"
    seen = done(await till.hold(code, "admin"), 200)
    assert (seen["state"], seen["order_id"]) == ("reserved", None)
    assert seen["reserved_until"]
    assert told(await till.hold(code, "@bob")) == (404, "coupon_not_found")
    assert done(await till.hold(gift, "@bob"), 200)["order_id"] is None


async def test_what_is_not_held_is_told_so(till: Till) -> None:
    """GET gives the state and no hold; DELETE changes nothing, with 200 both."""
    [code] = await till.claimed("ann")
    before = await till.dump()

    for answer in (await till.hold(code), await till.release(code), await till.release(code, "@ann")):
        found = done(answer, 200)
        assert (found["state"], found["order_id"], found["reserved_until"]) == ("claimed", None, None)
    assert await till.dump() == before
    done(await till.redeem(code))
    assert done(await till.release(code), 200)["state"] == "redeemed"


async def test_a_hold_is_let_go_for_a_reason(till: Till) -> None:
    """It stands in the entry; a reason that says nothing is refused and the hold stays."""
    [code] = await till.claimed("ann")
    done(await till.reserve(code))
    for reason in ("", "%20", "x" * 201, "a%00"):
        answer = await till.ask("DELETE", f"/v1/reservations/{code}?reason={reason}", "store")
        assert told(answer) == (400, "bad_request")
    done(await till.ask("DELETE", f"/v1/reservations/{code}?reason=went%20home", "store"), 200)
    redis: Any = till.http.worker.services.door.redis
    [(_, last)] = await redis.xrevrange(Shard.parse("flash/0").key("entries"), count=1)
    assert b"went home" in b" ".join(last.values())


async def test_who_lets_a_hold_go(till: Till) -> None:
    """Its owner any; staff what it holds, or by the order's name; another holder only what he holds himself."""
    [code], [gift] = await till.claimed("ann"), await till.claimed("ann", campaign="gift")
    done(await till.reserve(code, "o-1"))

    assert told(await till.release(code, "admin")) == (409, "reserved_by_other")
    assert done(await till.release(code, "admin", "o-1"), 200)["state"] == "claimed"
    done(await till.reserve(code, "o-1"))
    assert done(await till.release(code, "store"), 200)["state"] == "claimed"
    done(await till.reserve(code, "o-1"))
    assert done(await till.release(code, "@ann"), 200)["state"] == "claimed"
    assert await till.state(code) == "claimed"

    done(await till.reserve(gift, "o-1"))
    for order in ("", "o-1"):
        assert told(await till.release(gift, "@bob", order)) == (409, "reserved_by_other")
    assert await till.state(gift) == "reserved"
    done(await till.release(gift), 200)
    done(await till.reserve(gift, "o-2", who="@bob"))
    assert done(await till.release(gift, "@bob"), 200)["state"] == "claimed"


async def test_a_coupon_that_ended_can_t_be_held(till: Till) -> None:
    """409 invalid_state with from, to and what it can become; not even by the order that spent it."""
    spent, gone = await till.claimed("a", "b")
    done(await till.redeem(spent, an_order("o-1")))
    done(await till.revoke(gone), 200)

    for code, state, allowed in ((spent, "redeemed", ["claimed", "expired"]), (gone, "revoked", [])):
        refused = await till.reserve(code, "o-1")
        assert told(refused, "from", "to", "allowed") == (409, "invalid_state", state, "reserved", allowed)


async def test_strangers_learn_nothing(till: Till) -> None:
    """Somebody else's coupon, one that is absent and one that is none: the same 404 for each verb."""
    [code] = await till.claimed("ann")
    bodies = set()
    for each in (code, "0001" + "A" * 14, "no"):
        for answer in (
            await till.reserve(each, who="@bob"),
            await till.hold(each, "@bob"),
            await till.release(each, "@bob"),
        ):
            assert told(answer) == (404, "coupon_not_found")
            body = answer.json()
            bodies.add(tuple(body[name] for name in sorted(body.keys() - {"request_id", "server_time"})).__repr__())
    assert len(bodies) == 1


async def test_who_may_hold(till: Till) -> None:
    """Holders, stores and admins; other staff is forbidden, nobody is not authenticated; nothing changes then."""
    [code] = await till.claimed("ann")
    before = await till.dump()

    for who in (None, *(role for role in ROLES if role not in ("admin", "store"))):
        for answer in (await till.reserve(code, who=who), await till.hold(code, who), await till.release(code, who)):
            assert told(answer) == ((401, "unauthenticated") if who is None else (403, "forbidden")), who
    assert await till.dump() == before


async def test_a_bad_body_names_its_field(till: Till) -> None:
    """400 with the field, and nothing has changed."""
    [code] = await till.claimed("ann")
    before = await till.dump()
    bad: list[tuple[dict[str, Any], str]] = [
        ({}, "order_id"),
        ({"order_id": "o", "order": {"id": "o"}}, "order_id"),
        ({"order_id": ""}, "order_id"),
        ({"order_id": "  "}, "order_id"),
        ({"order_id": "x" * 129}, "order_id"),
        ({"order_id": "a\nb"}, "order_id"),
        ({"order_id": 7}, "order_id"),
        ({"order": {"id": ""}}, "order.id"),
        ({"order": {}}, "order.id"),
        ({"order_id": "o", "code": ""}, "code"),
        ({"order_id": "o", "by": "me"}, "by"),
    ]
    for changes, field in bad:
        answer = await till.ask("POST", "/v1/reservations", "store", {"code": code, **changes})
        assert told(answer, "field") == (400, "bad_request", field), changes
    assert told(await till.hold(code, order="x" * 129), "field") == (400, "bad_request", "order_id")
    assert await till.dump() == before


async def test_a_hundred_orders_want_one_coupon(till: Till) -> None:
    """At once, by a hundred orders: one holds it, the others are told so; the same hundred once more change nothing."""
    [code] = await till.claimed("ann")

    for expected in (201, 200):
        answers = await asyncio.gather(*(till.reserve(code, f"o-{n}") for n in range(100)))
        statuses = sorted(answer.status_code for answer in answers)
        assert statuses == sorted([expected, *[409] * 99])


async def test_a_shared_code_is_held_once_an_order(till: Till, eventually: Eventually) -> None:
    """As many orders as there are uses hold it, the next is refused; each sees and lets go its own."""
    await till.shared(eventually, "OPENDAY24", 3)
    done(await till.reserve("openday-24", "o-0"))
    answers = await asyncio.gather(*(till.reserve("OPENDAY24", f"o-{n}") for n in range(10)))

    assert sorted(answer.status_code for answer in answers) == [200, 201, 201, *[409] * 7]
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert told(refused, "from", "to", "allowed") == (409, "invalid_state", "reserved", "reserved", ["claimed"])
    assert done(await till.hold("OPENDAY24", order="o-0"), 200)["order_id"] == "o-0"
    done(await till.release("OPENDAY24", order="o-0"), 200)
    done(await till.reserve("OPENDAY24", "o-77"))


async def test_no_holder_takes_the_uses_of_a_shared_code_from_the_others(till: Till, eventually: Eventually) -> None:
    """Holding it is the store's: with orders of his own making one person could hold every use of it."""
    await till.shared(eventually, "OPENDAY24", 3)

    assert told(await till.reserve("OPENDAY24", "o-1", who="@mallory")) == (403, "forbidden")
    assert done(await till.quote("OPENDAY24", an_order(), "@ann"), 200)["items"][0]["applies"]
    done(await till.redeem("OPENDAY24", an_order("o-1")))
