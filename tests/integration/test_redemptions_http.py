"""Redemptions through HTTP: once an order, by whom, from which state, with what recorded; a hundred at once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gateway.codes import show_code
from gateway.keys import ROLES
from tests.conftest import Eventually, redis_binaries
from tests.integration.site_http import open_http
from tests.integration.tilling import Till, an_order, done, told

pytestmark = pytest.mark.parametrize("redis_server", list(redis_binaries().items())[:1], ids=["valkey"], indirect=True)
"""What the scripts do on Redis 7 is tests/scripts' to prove; here it is HTTP and what follows."""


@pytest.fixture
async def till(redis_url: str, postgres_url: str, tmp_path: Path) -> AsyncIterator[Till]:
    """A worker with coupons that are their holders', coupons that may be passed on, and balances."""
    async with open_http(redis_url, postgres_url, tmp_path) as http:
        await http.publish(stock=200)
        await http.publish(id="gift", transferable=True)
        await http.publish(id="purse", value={"type": "balance", "minor": 6000})
        yield Till(http)


async def test_a_redemption_says_what_was_taken(till: Till) -> None:
    """201 with amounts, lines, merchant, store, staff, channel; Location leads to it, with what came back: nothing."""
    [code] = await till.claimed("ann")
    words = {"merchant": "m-1", "store": "s-1", "staff": "e-7", "channel": "pos"}

    answer = await till.redeem(code, an_order("o-1", 1000, 2001), **words)

    spent = done(answer)
    assert {name: spent[name] for name in words} == words
    assert (spent["code"], spent["campaign"], spent["state"], spent["order_id"]) == (code, "flash", "redeemed", "o-1")
    assert spent["discount"] == {"minor": 500, "currency": "CNY"}
    assert spent["lines"] == [{"sku": "sku-0", "discount_minor": 167}, {"sku": "sku-1", "discount_minor": 333}]
    assert (spent["coupon_state"], spent["left"], spent["stack"]) == ("redeemed", 0, None)
    assert answer.headers["location"] == f"/v1/redemptions/{spent['id']}"
    seen = done(await till.redemption(spent["id"]), 200)
    assert seen == {**spent, "rolled_back": {"minor": 0, "currency": "CNY"}, "rollbacks": []}


async def test_the_same_request_is_answered_the_same(till: Till) -> None:
    """By its key, or by its order with another key: 200, replayed, byte for byte; also when it came back meanwhile."""
    [code] = await till.claimed("ann")
    first = await till.redeem(code)

    for key, who in (("k", "store"), ("another", "store"), ("k", "admin")):
        again = await till.redeem(code, key=key, who=who)
        assert (again.status_code, again.content) == (200, first.content)
        assert again.headers["idempotency-replayed"] == "true"
        assert "location" not in again.headers
    done(await till.roll_back(first.json()["id"]))
    again = await till.redeem(code)
    assert (again.status_code, again.content) == (200, first.content)


async def test_a_changed_request_is_refused(till: Till) -> None:
    """The same key, or the same order, with another body: 422; and nothing is taken twice."""
    [code] = await till.claimed("ann")
    done(await till.redeem(code))

    assert told(await till.redeem(code, an_order("o-1", 9999))) == (422, "idempotency_key_reused")
    assert told(await till.redeem(code, an_order("o-2"))) == (422, "idempotency_key_reused")
    assert told(await till.redeem(code, an_order("o-1", 9999), key="k2")) == (422, "idempotency_key_reused")


async def test_after_a_whole_rollback_the_order_may_redeem_again(till: Till) -> None:
    """With a new key; while a part is still taken its order replays."""
    [code] = await till.claimed("ann")
    first = done(await till.redeem(code))
    done(await till.roll_back(first["id"], "b1", amount_minor=100))
    assert done(await till.redeem(code, key="k2"), 200)["id"] == first["id"]
    done(await till.roll_back(first["id"], "b2"))

    second = done(await till.redeem(code, key="k3"))

    assert second["id"] != first["id"]
    assert done(await till.redeem(code, key="k4"), 200)["id"] == second["id"]


async def test_what_is_spent_is_spent_for_every_other_order(till: Till) -> None:
    """409 invalid_state with from, to and allowed; likewise for what was revoked."""
    spent, gone = await till.claimed("a", "b")
    done(await till.redeem(spent, an_order("o-1")))
    done(await till.revoke(gone), 200)

    for code, state, allowed in ((spent, "redeemed", ["claimed", "expired"]), (gone, "revoked", [])):
        refused = await till.redeem(code, an_order("o-2"), key=f"k {code}")
        assert told(refused, "from", "to", "allowed") == (409, "invalid_state", state, "redeemed", allowed)


async def test_an_order_that_is_not_worth_it_is_refused_and_the_coupon_stays(till: Till) -> None:
    """422 conditions_not_met with the reason's code, at the first look and when the terms are known."""
    codes = await till.claimed("a", "b")

    for code in codes:
        refused = await till.redeem(code, an_order("o-1", 2999), key=code)
        assert told(refused, "reason") == (422, "conditions_not_met", "below_threshold")
        assert await till.state(code) == "claimed"
        done(await till.redeem(code, an_order("o-1"), key=code))


async def test_from_a_hold_or_straight(till: Till) -> None:
    """The order that holds it redeems it; another one is told whose it is, if it may know."""
    [code] = await till.claimed("ann")
    until = done(await till.reserve(code, "o-1", who="@ann"))["reserved_until"]

    refused = await till.redeem(code, an_order("o-2"))

    members = ("from", "to", "allowed", "reserved_until", "order_id")
    assert told(refused, *members) == (409, "reserved_by_other", "reserved", "redeemed", ["claimed"], until, None)
    done(await till.redeem(code, an_order("o-1"), key="k2"))


async def test_the_holder_before_the_till(till: Till) -> None:
    """A named holder has to own the coupon: else 403 not_holder; one that may be passed on is anybody's."""
    [code], [gift] = await till.claimed("ann"), await till.claimed("ann", campaign="gift")

    for known in range(2):  # the terms are known from the second time on
        assert told(await till.redeem(code, key=f"k{known}", holder="bob")) == (403, "not_holder")
    assert await till.state(code) == "claimed"
    done(await till.redeem(code, holder="ann"))
    done(await till.redeem(gift, key="g", holder="bob"))


async def test_a_balance_pays_several_orders(till: Till) -> None:
    """It stays claimed with what is left, and is redeemed at zero; an order it can't pay any of is told so."""
    [code] = await till.claimed("ann", campaign="purse")
    figures = []
    for n, price in enumerate((2500, 3000, 9000)):
        spent = done(await till.redeem(code, an_order(f"o-{n}", price), key=f"k{n}"))
        figures.append((spent["discount"]["minor"], spent["left"], spent["coupon_state"]))

    assert figures == [(2500, 3500, "claimed"), (3000, 500, "claimed"), (500, 0, "redeemed")]
    refused = await till.redeem(code, an_order("o-9"), key="k9")
    assert told(refused, "from", "to") == (409, "invalid_state", "redeemed", "redeemed")


async def test_a_balance_that_many_want_at_once_ends_exactly(till: Till) -> None:
    """Sixty orders of 150 on 6,000: forty have 150 each, nobody less than the rest, the sum is the balance."""
    [code] = await till.claimed("ann", campaign="purse")

    answers = await asyncio.gather(*(till.redeem(code, an_order(f"o-{n}", 150), key=f"k{n}") for n in range(60)))
    for _ in range(60):  # whoever met too many others at once is told to come again
        busy = [n for n, answer in enumerate(answers) if answer.status_code == 503]
        if not busy:
            break
        for n in busy:
            answers[n] = await till.redeem(code, an_order(f"o-{n}", 150), key=f"k{n}")

    assert Counter(answer.status_code for answer in answers) == {201: 40, 409: 20}
    assert sum(answer.json()["discount"]["minor"] for answer in answers if answer.status_code == 201) == 6000


async def test_one_code_a_hundred_times_with_one_key(till: Till) -> None:
    """One 201 and ninety-nine replays, all of the same bytes."""
    [code] = await till.claimed("ann")

    answers = await asyncio.gather(*(till.redeem(code) for _ in range(100)))

    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 99}
    assert len({answer.content for answer in answers}) == 1


async def test_one_code_a_hundred_times_with_other_keys_and_orders(till: Till) -> None:
    """One order has it, whichever; the others are told that it is redeemed; of one order with a hundred keys, one."""
    one, two = await till.claimed("ann", "bob")

    orders = await asyncio.gather(*(till.redeem(one, an_order(f"o-{n}"), key=f"k{n}") for n in range(100)))
    keys = await asyncio.gather(*(till.redeem(two, an_order("o-1"), key=f"q{n}") for n in range(100)))

    assert Counter(answer.status_code for answer in orders) == {201: 1, 409: 99}
    assert {told(answer, "from") for answer in orders if answer.status_code == 409} == {
        (409, "invalid_state", "redeemed")
    }
    assert Counter(answer.status_code for answer in keys) == {201: 1, 200: 99}


async def test_redeem_against_reserve_of_another_order(till: Till) -> None:
    """Of fifty pairs at once each coupon goes to one side, and the other is told why not."""
    codes = await till.claimed(*(f"h{n}" for n in range(50)))

    async def race(n: int, code: str) -> tuple[httpx2.Response, httpx2.Response]:
        redeem, reserve = till.redeem(code, an_order("o-1"), key=f"k{n}"), till.reserve(code, "o-2")
        if n % 2:
            redeemed, reserved = await asyncio.gather(redeem, reserve)
        else:
            reserved, redeemed = await asyncio.gather(reserve, redeem)
        return redeemed, reserved

    for redeemed, reserved in await asyncio.gather(*(race(n, code) for n, code in enumerate(codes))):
        if redeemed.status_code == 201:
            assert told(reserved, "from") == (409, "invalid_state", "redeemed")
        else:
            assert (told(redeemed), reserved.status_code) == ((409, "reserved_by_other"), 201)


async def test_a_shared_code_is_spent_once_an_order(till: Till, eventually: Eventually) -> None:
    """As many orders as there are uses; every use taken is 409 whether the hold or the redemption took it."""
    await till.shared(eventually, "OPENDAY24", 3)
    done(await till.redeem("OPENDAY24", an_order("o-0"), key="k0"))
    done(await till.reserve("OPENDAY24", "o-1"))
    answers = await asyncio.gather(*(till.redeem("OPENDAY24", an_order(f"o-{n}"), key=f"k{n}") for n in range(2, 10)))

    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 7}
    refused = await till.redeem("OPENDAY24", an_order("o-11"), key="k11")
    assert told(refused, "from", "to", "allowed") == (409, "invalid_state", "reserved", "redeemed", ["claimed"])
    assert done(await till.redeem("OPENDAY24", an_order("o-1"), key="k1"))["coupon_state"] == "redeemed"
    assert done(await till.redeem("OPENDAY24", an_order("o-0"), key="k0"), 200)["left"] == 2


async def test_a_code_is_one_however_it_is_spelt(till: Till) -> None:
    """The same key or order, with the code as shown, in lower case, or alone in a list, is the same request."""
    [code] = await till.claimed("ann")
    first = await till.redeem(code)
    done(first)

    for spelt in (show_code(code), code.lower(), [code]):
        for key in ("k", f"k {spelt}"):
            again = await till.redeem(spelt, key=key)
            assert (again.status_code, again.content) == (200, first.content), (spelt, key)


async def test_two_shops_may_number_their_orders_alike(till: Till, eventually: Eventually) -> None:
    """Order 17 of one store and order 17 of another are two, each with its use of a code that many may use."""
    await till.shared(eventually, "OPENDAY24", 3)
    done(await till.redeem("OPENDAY24", an_order("17"), key="north", store="north"))
    south = done(await till.redeem("OPENDAY24", an_order("17"), key="south", store="south"))

    assert (south["store"], south["left"]) == ("south", 1)
    north = done(await till.redeem("OPENDAY24", an_order("17"), key="again", store="north"), 200)
    assert (north["store"], north["left"]) == ("north", 2)


async def test_what_is_not_there(till: Till) -> None:
    """404 coupon_not_found for an absent code and for none; 404 redemption_not_found for ids of every kind."""
    for code in ("0001" + "A" * 14, "no"):
        assert told(await till.redeem(code)) == (404, "coupon_not_found")
    [code] = await till.claimed("ann")
    id_: str = done(await till.redeem(code))["id"]
    for absent in ("RD", "RDX", id_[:-1], id_ + "0", id_[2:], code, "ST" + "A" * 24, "RD" + code, "%00"):
        assert told(await till.redemption(absent)) == (404, "redemption_not_found"), absent
        assert told(await till.roll_back(absent)) == (404, "redemption_not_found"), absent


async def test_who_may(till: Till) -> None:
    """Stores and admins redeem; finance and auditors may look; holders and marketers neither."""
    [code] = await till.claimed("ann")
    before = await till.dump()
    for who in (None, "@ann", *ROLES):
        if who not in ("admin", "store"):
            expected = (401, "unauthenticated") if who is None else (403, "forbidden")
            assert told(await till.redeem(code, who=who)) == expected, who
    assert await till.dump() == before

    id_ = done(await till.redeem(code))["id"]
    for who in (None, "@ann", *ROLES):
        seen = await till.redemption(id_, who)
        if who in ("admin", "store", "finance", "auditor"):
            assert seen.status_code == 200, who
        else:
            assert told(seen) == ((401, "unauthenticated") if who is None else (403, "forbidden")), who


async def test_a_bad_request_names_its_field(till: Till) -> None:
    """400 with the field, and nothing has changed."""
    [code] = await till.claimed("ann")
    before = await till.dump()
    bad: list[tuple[dict[str, Any], str]] = [
        ({"code": ""}, "code"),
        ({"codes": [code, code]}, "code"),
        ({"order": {}}, "order.id"),
        ({"order": an_order("o", 2**53)}, "order.lines[0].unit_price_minor"),
        ({"order": an_order(lines=[])}, "order.lines"),
        ({"merchant": ""}, "merchant"),
        ({"store": "x" * 65}, "store"),
        ({"staff": 7}, "staff"),
        ({"holder": "x" * 129}, "holder"),
        ({"store": "s-1", "order": an_order(store="s-2")}, "store"),
        ({"channel": "app", "order": an_order(channel="web")}, "channel"),
        ({"amount": 1}, "amount"),
        ({"mode": "all"}, "mode"),
    ]
    for changes, field in bad:
        body = {"code": code, "order": an_order(), **changes}
        answer = await till.ask("POST", "/v1/redemptions", "store", body, idempotency_key="k")
        assert told(answer, "field") == (400, "bad_request", field), changes
    body = {"code": code, "order": an_order()}
    for headers in ({}, {"idempotency_key": ""}, {"idempotency_key": "x" * 256}):
        answer = await till.ask("POST", "/v1/redemptions", "store", body, **headers)
        assert told(answer, "field") == (400, "bad_request", "Idempotency-Key")
    large = await till.redeem(code, an_order(lines=[{"sku": "s" * 60, "quantity": 1, "unit_price_minor": 1}] * 1000))
    assert told(large) == (413, "too_large")
    assert await till.dump() == before
