"""Rollbacks through HTTP: whole, by amount, by line, the rest; once, however often and however parallel; and policy."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from gateway.keys import ROLES
from lua.keys import CampaignId, Shard
from tests.builders import now_ms
from tests.conftest import redis_binaries
from tests.integration.site_http import open_http
from tests.integration.tilling import Till, an_order, done, told

pytestmark = pytest.mark.parametrize("redis_server", list(redis_binaries().items())[:1], ids=["valkey"], indirect=True)
"""What the scripts do on Redis 7 is tests/scripts' to prove; here it is HTTP and what follows."""

ORDER = an_order("o-1", 1000, 2000, shipping_minor=50)
"""A coupon of 500 takes 167 of its first line and 333 of its second."""


@pytest.fixture
async def till(redis_url: str, postgres_url: str, tmp_path: Path) -> AsyncIterator[Till]:
    """A worker with coupons of 500, and balances."""
    async with open_http(redis_url, postgres_url, tmp_path) as http:
        funders = [{"account": "shop", "basis_points": 3000}, {"account": "brand", "basis_points": 7000}]
        await http.publish(stock=200, funders=funders)
        await http.publish(id="purse", value={"type": "balance", "minor": 6000})
        yield Till(http)


async def spent(till: Till, campaign: str = "flash", order: dict[str, Any] | None = None, key: str = "k") -> Any:
    """A redemption on ORDER of a coupon of its own."""
    code = (await till.http.claim(f"holder-of-{key}", campaign))["code"]
    return done(await till.redeem(code, order or ORDER, key=key))


def lines(rollback: dict[str, Any]) -> list[int]:
    """What came back of each line."""
    return [line["discount_minor"] for line in rollback["lines"]]


async def test_a_whole_rollback_gives_the_coupon_back(till: Till) -> None:
    """201 with every line as it was taken; the coupon is claimed again, and the redemption says what came back."""
    taken = await spent(till)

    back = done(await till.roll_back(taken["id"]))

    assert {name: back[name] for name in ("redemption", "number", "code", "state", "reason", "coupon_state")} == {
        "redemption": taken["id"],
        "number": 1,
        "code": taken["code"],
        "state": "rolled_back",
        "reason": "returned",
        "coupon_state": "claimed",
    }
    assert (back["amount"], back["left"]["minor"], lines(back)) == ({"minor": 500, "currency": "CNY"}, 0, [167, 333])
    seen = done(await till.redemption(taken["id"]), 200)
    assert (seen["state"], seen["rolled_back"]["minor"], seen["rollbacks"]) == ("rolled_back", 500, [back])
    assert await till.state(taken["code"]) == "claimed"


async def test_by_amount_by_line_and_the_rest(till: Till) -> None:
    """Parts of whatever kind end at exactly what was taken; the coupon comes back with the last one."""
    id_ = (await spent(till))["id"]

    amount = done(await till.roll_back(id_, "b1", amount_minor=100))
    line = done(await till.roll_back(id_, "b2", lines=[{"index": 0, "discount_minor": 50}]))
    whole_line = done(await till.roll_back(id_, "b3", lines=[{"index": 1}]))
    rest = done(await till.roll_back(id_, "b4"))

    parts = [amount, line, whole_line, rest]
    assert [sum(column) for column in zip(*map(lines, parts), strict=True)] == [167, 333]
    assert sum(part["amount"]["minor"] for part in parts) == 500
    assert [part["number"] for part in parts] == [1, 2, 3, 4]
    assert [part["left"]["minor"] for part in parts] == [400, 350, 350 - whole_line["amount"]["minor"], 0]
    assert [part["state"] for part in parts] == [*["partly_rolled_back"] * 3, "rolled_back"]
    assert [part["coupon_state"] for part in parts] == [*["redeemed"] * 3, "claimed"]


async def test_the_same_request_is_answered_the_same(till: Till) -> None:
    """200, replayed, byte for byte, later too; with another body 422; another redemption has keys of its own."""
    one, other = await spent(till), await spent(till, key="k2")
    first = await till.roll_back(one["id"], "b1", amount_minor=100)
    done(first)
    done(await till.roll_back(one["id"], "b2"))

    again = await till.roll_back(one["id"], "b1", amount_minor=100)

    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert told(await till.roll_back(one["id"], "b1", amount_minor=101)) == (422, "idempotency_key_reused")
    assert told(await till.roll_back(one["id"], "b1")) == (422, "idempotency_key_reused")
    assert done(await till.roll_back(other["id"], "b1", amount_minor=100))["number"] == 1


async def test_a_till_with_another_key_repeats_it_too(till: Till) -> None:
    """A retry after the API key was changed, or from another terminal, gives back once."""
    one = await spent(till)
    first = await till.roll_back(one["id"], "b1", amount_minor=100)
    done(first)

    again = await till.roll_back(one["id"], "b1", who="admin", amount_minor=100)

    assert (again.status_code, again.content) == (200, first.content)


async def test_a_redemption_is_rolled_back_a_hundred_times_at_most(till: Till) -> None:
    """Each rollback is kept with it: after 99 parts only all that is left comes back."""
    one = await spent(till)
    for n in range(99):
        done(await till.roll_back(one["id"], f"b{n}", amount_minor=1))

    refused = await till.roll_back(one["id"], "one more", amount_minor=1)

    assert told(refused, "left_minor") == (409, "rollback_exceeds", 401)
    assert done(await till.roll_back(one["id"], "the rest"))["left"]["minor"] == 0


async def test_no_more_comes_back_than_was_taken(till: Till) -> None:
    """409 rollback_exceeds with what is left, of a line with its field; all back: 409 already_rolled_back."""
    id_ = (await spent(till))["id"]

    assert told(await till.roll_back(id_, "b1", amount_minor=501), "left_minor") == (409, "rollback_exceeds", 500)
    one_line = await till.roll_back(id_, "b2", lines=[{"index": 0, "discount_minor": 168}])
    assert told(one_line, "left_minor", "field") == (409, "rollback_exceeds", 167, "lines[0].discount_minor")
    done(await till.roll_back(id_, "b3", lines=[{"index": 0}]))
    again = await till.roll_back(id_, "b4", lines=[{"index": 0}])
    assert told(again, "left_minor") == (409, "rollback_exceeds", 0)
    done(await till.roll_back(id_, "b5"))
    for more in ({}, {"amount_minor": 1}, {"lines": [{"index": 1}]}):
        assert told(await till.roll_back(id_, "b6", **more)) == (409, "already_rolled_back"), more


async def test_a_refused_rollback_has_not_used_its_key(till: Till) -> None:
    """The key of a request that was refused may ask for something else."""
    id_ = (await spent(till))["id"]
    assert told(await till.roll_back(id_, "b", amount_minor=501))[1] == "rollback_exceeds"

    assert done(await till.roll_back(id_, "b", amount_minor=500))["state"] == "rolled_back"


async def test_a_hundred_at_once_with_one_key(till: Till) -> None:
    """One 201 and ninety-nine replays of the same bytes."""
    id_ = (await spent(till))["id"]

    answers = await asyncio.gather(*(till.roll_back(id_, amount_minor=7) for _ in range(100)))

    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 99}
    assert len({answer.content for answer in answers}) == 1
    assert done(await till.redemption(id_), 200)["rolled_back"]["minor"] == 7


async def test_a_hundred_at_once_with_other_keys(till: Till) -> None:
    """Each wants all of it: one has it, the others are told so, and the coupon came back once."""
    taken = await spent(till)

    answers = await asyncio.gather(*(till.roll_back(taken["id"], f"b{n}") for n in range(100)))

    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 99}
    assert {told(answer)[1] for answer in answers if answer.status_code == 409} == {"already_rolled_back"}
    assert len(done(await till.redemption(taken["id"]), 200)["rollbacks"]) == 1


async def test_a_hundred_parts_of_one_minor_unit_end_exactly(till: Till) -> None:
    """A hundred and five at once of a hundred that were taken: a hundred are done, five are too many."""
    taken = await spent(till, "purse", an_order("o-1", 33, 67))
    assert taken["discount"]["minor"] == 100

    answers = await asyncio.gather(*(till.roll_back(taken["id"], f"b{n}", amount_minor=1) for n in range(105)))

    assert Counter(answer.status_code for answer in answers) == {201: 100, 409: 5}
    parts = [answer.json() for answer in answers if answer.status_code == 201]
    assert sorted(part["number"] for part in parts) == list(range(1, 101))
    assert [sum(column) for column in zip(*map(lines, parts), strict=True)] == [33, 67]
    [other] = [item for item in done(await till.quote(taken["code"], an_order("o-9", 9000)), 200)["items"]]
    assert other["discount"]["minor"] == 6000


async def test_a_balance_gets_back_what_came_back(till: Till) -> None:
    """At once and in parts; what was redeemed to zero is claimed again with the first of it."""
    taken = await spent(till, "purse", an_order("o-1", 9000))
    assert (taken["coupon_state"], taken["left"]) == ("redeemed", 0)

    back = done(await till.roll_back(taken["id"], "b1", amount_minor=10))

    assert back["coupon_state"] == "claimed"
    assert done(await till.redeem(taken["code"], an_order("o-2", 9000), key="k2"))["discount"]["minor"] == 10
    assert done(await till.roll_back(taken["id"], "b2"))["amount"]["minor"] == 5990


async def test_a_coupon_that_came_back_after_its_end(till: Till) -> None:
    """By policy it is expired, or good for days more; slot and unit go back, or stay; exempt reasons keep both."""
    policies: dict[str, dict[str, Any]] = {
        "keeps": {},
        "longer": {"extend_days": 2},
        "returns": {"stock": "restore", "holder_slot": "restore"},
        "exempt": {"extend_days": 2, "stock": "restore", "holder_slot": "restore", "reasons_exempt": ["fraud"]},
    }
    for campaign, policy in policies.items():
        await till.http.publish(id=campaign, on_rollback=policy)
    taken = {campaign: await spent(till, campaign) for campaign in policies}
    redis: Any = till.http.worker.services.door.redis
    for campaign, each in taken.items():
        if campaign != "exempt":  # as if its time had gone by meanwhile
            key = Shard(CampaignId(campaign), 0).key("coupons")
            record = await redis.hget(key, each["code"])
            await redis.hset(key, each["code"], record[:12] + now_ms().to_bytes(6, "big") + record[18:])
    back = {
        campaign: done(await till.roll_back(each["id"], reason="fraud" if campaign == "exempt" else "returned"))
        for campaign, each in taken.items()
    }

    states = {campaign: each["coupon_state"] for campaign, each in back.items()}
    assert states == {"keeps": "expired", "longer": "claimed", "returns": "expired", "exempt": "expired"}
    good_until = datetime.fromisoformat(back["longer"]["expires_at"])
    assert 1.9 < (good_until - datetime.now(UTC)).total_seconds() / 86_400 <= 2
    stock = {c: (await till.ask("GET", f"/v1/campaigns/{c}", "marketer")).json()["remaining"] for c in policies}
    assert stock == {"keeps": 9, "longer": 9, "returns": 10, "exempt": 9}
    again = await till.ask("POST", "/v1/campaigns/exempt/claims", "@holder-of-k", {}, idempotency_key="k2")
    assert told(again)[1] == "limit_reached"
    done(await till.redeem(taken["longer"]["code"], an_order("o-2"), key="k2"))
    assert told(await till.redeem(taken["keeps"]["code"], an_order("o-2"), key="k2"), "from", "allowed") == (
        (409, "invalid_state", "expired", [])
    )


async def test_a_coupon_that_a_rollback_ends(till: Till) -> None:
    """on_rollback.coupon end: expired before its time; slot and unit are given out again where policy says so."""
    await till.http.publish(id="once", stock=2, on_rollback={"coupon": "end"})
    await till.http.publish(
        id="back", stock=2, on_rollback={"coupon": "end", "stock": "restore", "holder_slot": "restore"}
    )
    for campaign in ("once", "back"):
        taken = await spent(till, campaign)
        assert done(await till.roll_back(taken["id"]))["coupon_state"] == "expired"
        seen = (await till.ask("GET", f"/v1/campaigns/{campaign}", "marketer")).json()
        again = await till.ask("POST", f"/v1/campaigns/{campaign}/claims", "@holder-of-k", {}, idempotency_key="again")
        assert (seen["remaining"], again.status_code) == ((1, 409) if campaign == "once" else (2, 201))


async def test_who_may(till: Till) -> None:
    """Stores and admins alone; nothing changes for whoever may not."""
    id_ = (await spent(till))["id"]
    before = await till.dump()

    for who in (None, "@ann", *(role for role in ROLES if role not in ("admin", "store"))):
        expected = (401, "unauthenticated") if who is None else (403, "forbidden")
        assert told(await till.roll_back(id_, who=who)) == expected, who
    assert await till.dump() == before
    done(await till.roll_back(id_, who="admin"))


async def test_a_bad_request_names_its_field(till: Till) -> None:
    """400 with the field, and nothing has changed."""
    id_ = (await spent(till))["id"]
    before = await till.dump()
    bad: list[tuple[dict[str, Any], str]] = [
        ({"reason": ""}, "reason"),
        ({"reason": "x" * 201}, "reason"),
        ({"reason": 5}, "reason"),
        ({"amount_minor": 0}, "amount_minor"),
        ({"amount_minor": -1}, "amount_minor"),
        ({"amount_minor": 2**53}, "amount_minor"),
        ({"amount_minor": 1.5}, "amount_minor"),
        ({"lines": []}, "lines"),
        ({"lines": [{"index": 2}]}, "lines[0].index"),
        ({"lines": [{"index": 0}, {"index": 0}]}, "lines[1].index"),
        ({"lines": [{"index": 0, "discount_minor": 0}]}, "lines[0].discount_minor"),
        ({"lines": [{"index": 0, "sku": "A"}]}, "lines[0].sku"),
        ({"amount_minor": 1, "lines": [{"index": 0}]}, "lines"),
        ({"amount": 1}, "amount"),
    ]
    for changes, field in bad:
        answer = await till.roll_back(id_, **{"reason": "returned", **changes})
        assert told(answer, "field") == (400, "bad_request", field), changes
    path = f"/v1/redemptions/{id_}/rollback"
    assert told(await till.ask("POST", path, "store", {}, idempotency_key="b"), "field") == (
        (400, "bad_request", "reason")
    )
    assert told(await till.ask("POST", path, "store", {"reason": "r"}), "field") == (
        (400, "bad_request", "Idempotency-Key")
    )
    assert await till.dump() == before


async def test_a_rollback_wakes_an_archived_campaign(till: Till) -> None:
    """Nothing of it is out, so nobody drains it any more: what comes back is drained all the same."""
    taken = await spent(till)
    with psycopg.connect(till.http.worker.settings.postgres_url, autocommit=True) as books:
        books.execute("UPDATE campaigns SET state = 'archived', updated_at = now() - interval '1 year'")

        done(await till.roll_back(taken["id"]))

        woken = books.execute("SELECT id FROM campaigns WHERE updated_at > now() - interval '1 minute'").fetchall()
    assert woken == [("flash",)]
