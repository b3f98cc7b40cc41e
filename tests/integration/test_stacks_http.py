"""Several codes as one redemption through HTTP: all or what can, chosen, exclusive; seen, replayed, rolled back."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ON_VALKEY, Eventually
from tests.integration.site_http import open_http
from tests.integration.tilling import Till, an_order, done, told

pytestmark = ON_VALKEY

SHOP: dict[str, dict[str, Any]] = {
    "flash": {"shards": 4},
    "ten": {"value": {"type": "percent", "basis_points": 1000, "cap_minor": 900}, "stacking": {"priority": 5}},
    "purse": {"value": {"type": "balance", "minor": 6000}, "stacking": {"priority": -5}},
    "post": {"value": {"type": "free_shipping"}},
    "alone": {"stacking": {"exclusive": True}},
}
ORDER = an_order("o-1", 8000, 2000)


@pytest.fixture
async def till(redis_url: str, postgres_url: str, tmp_path: Path) -> AsyncIterator[Till]:
    """A worker that sells coupons of five campaigns, one of them on four shards."""
    async with open_http(redis_url, postgres_url, tmp_path) as http:
        for campaign, changes in SHOP.items():
            await http.publish(id=campaign, stock=100, **changes)
        yield Till(http)


async def codes_of(till: Till, *campaigns: str, holder: str = "ann") -> list[str]:
    """A coupon of each campaign."""
    return [(await till.http.claim(holder, campaign))["code"] for campaign in campaigns]


async def test_all_of_them_are_one_redemption(till: Till) -> None:
    """201 with an id of its own, one redemption a code that names it, and the sum; each can be seen, and so can it."""
    codes = await codes_of(till, "flash", "ten", "purse")

    answer = await till.redeem(codes, ORDER, store="s-1")

    stack = done(answer)
    assert answer.headers["location"] == f"/v1/redemptions/{stack['id']}"
    assert (stack["id"][:2], stack["state"], stack["order_id"]) == ("ST", "redeemed", "o-1")
    assert [item["code"] for item in stack["items"]] == codes
    each = [item["redemption"] for item in stack["items"]]
    assert [one["discount"]["minor"] for one in each] == [500, 900, 6000]
    assert (stack["discount"]["minor"], {one["stack"] for one in each}) == (7400, {stack["id"]})
    assert [one["coupon_state"] for one in each] == ["redeemed"] * 3
    assert done(await till.redemption(stack["id"]), 200) == stack
    for one in each:
        seen = done(await till.redemption(one["id"]), 200)
        assert (seen["stack"], seen["store"]) == (stack["id"], "s-1")


async def test_the_same_request_is_answered_the_same(till: Till) -> None:
    """By its key, or by its order with the codes in another order: byte for byte; another body is 422."""
    codes = await codes_of(till, "flash", "ten")
    first = await till.redeem(codes, ORDER)
    done(first)

    for key in ("k", "another"):
        for given in (codes, codes[::-1]):
            again = await till.redeem(given, ORDER, key=key)
            assert (again.status_code, again.content) == (200, first.content)
            assert again.headers["idempotency-replayed"] == "true"
    assert told(await till.redeem(codes, an_order("o-1", 9000))) == (422, "idempotency_key_reused")
    assert told(await till.redeem(codes, an_order("o-1", 9000), key="k2")) == (422, "idempotency_key_reused")


async def test_a_quote_equals_the_stack_that_follows(till: Till) -> None:
    """The same codes, order, mode and choice: the same discount line by line, and the same reasons."""
    codes = await codes_of(till, "flash", "ten", "post", "alone")
    for n, choice in enumerate(({"choose": "best"}, {"choose": "given"})):
        order = an_order(f"o-{n}", 8000, 2000)
        quote = done(await till.quote(codes, order, mode="PARTIAL", **choice), 200)
        stack = done(await till.redeem(codes, order, key=f"k{n}", mode="PARTIAL", **choice))

        assert stack["discount"] == quote["discount"]
        for item, quoted in zip(stack["items"], quote["items"], strict=True):
            assert (item["applies"], item["reason"]) == (quoted["applies"], quoted["reason"])
            if item["applies"]:
                assert item["redemption"]["lines"] == quoted["lines"]
        done(await till.roll_back(stack["id"], f"b{n}"))


async def test_with_all_one_that_does_not_apply_stops_the_rest(till: Till) -> None:
    """422 conditions_not_met with a reason an item; nothing has changed, and the key is free."""
    codes = await codes_of(till, "flash", "post")
    before = await till.dump()

    refused = await till.redeem(codes, ORDER)

    assert told(refused, "reason") == (422, "conditions_not_met", "no_shipping")
    assert {item["code"]: item["reason"]["code"] for item in refused.json()["items"]} == {
        codes[0]: "all_or_nothing",
        codes[1]: "no_shipping",
    }
    assert await till.dump() == before
    assert len(done(await till.redeem(codes, an_order("o-1", 8000, shipping_minor=300)))["items"]) == 2


async def test_with_partial_those_apply_that_can(till: Till) -> None:
    """Spent, absent and unfit codes stay out with their reasons; where none applies it is 422 all the same."""
    flash, post, ten = await codes_of(till, "flash", "post", "ten")
    done(await till.redeem(ten, an_order("other"), key="first"))

    stack = done(await till.redeem([flash, post, ten, "NO-SUCH"], ORDER, mode="PARTIAL"))

    reasons = [item["reason"] and item["reason"]["code"] for item in stack["items"]]
    assert reasons == [None, "no_shipping", "not_usable", "coupon_not_found"]
    assert (stack["discount"]["minor"], await till.state(post)) == (500, "claimed")
    assert told(await till.redeem([post, ten], ORDER, key="k2", mode="PARTIAL")) == (422, "conditions_not_met")


@pytest.mark.parametrize("mode", ["ALL", "PARTIAL"])
async def test_a_code_that_another_order_holds(till: Till, mode: str) -> None:
    """With ALL nothing is redeemed and nothing stays held but that hold; with PARTIAL the rest goes without it."""
    codes = await codes_of(till, "flash", "ten")
    done(await till.reserve(codes[1], "other"))
    before = await till.dump()

    answer = await till.redeem(codes, ORDER, mode=mode)

    if mode == "ALL":
        assert told(answer, "coupon") == (409, "reserved_by_other", codes[1])
        assert await till.dump() == before
    else:
        assert [item["applies"] for item in done(answer)["items"]] == [True, False]
    assert done(await till.hold(codes[1]), 200)["order_id"] == "other"


@pytest.mark.parametrize("state", ["redeemed", "revoked", "reserved"])
async def test_a_code_that_can_not_be_redeemed_is_refused_as_it_is_alone(till: Till, state: str) -> None:
    """409 with from, to and what is allowed, and the coupon it is of; nothing has changed."""
    codes = await codes_of(till, "flash", "ten")
    match state:
        case "redeemed":
            done(await till.redeem(codes[1], an_order("other"), key="first"))
        case "revoked":
            done(await till.revoke(codes[1]), 200)
        case _:
            done(await till.reserve(codes[1], "other"))
    before = await till.dump()
    members = ("from", "to", "allowed", "detail", "order_id", "reserved_until")

    alone, together = await till.redeem(codes[1], ORDER), await till.redeem(codes, ORDER, key="k2")

    assert told(together, *members) == told(alone, *members)
    status, _, *states = told(together, "from", "to", "coupon")
    assert (status, states) == (409, [state, "redeemed", codes[1]])
    assert await till.dump() == before


async def test_text_that_is_no_code_and_no_id(till: Till) -> None:
    """A NUL in a code is a code that is not there; ids that can't be a stack's are 404."""
    [code] = await codes_of(till, "flash")

    stack = done(await till.redeem([code, "\0abcd"], ORDER, mode="PARTIAL"))

    assert [item["applies"] for item in stack["items"]] == [True, False]
    for id_ in ("ST%00", "ST", f"{stack['id']}%00", f"{stack['id']}%0A", stack["id"].lower().replace("st", "ST", 1)):
        assert told(await till.redemption(id_)) == (404, "redemption_not_found")
        assert told(await till.roll_back(id_)) == (404, "redemption_not_found")


async def test_exclusive_coupons_go_alone(till: Till) -> None:
    """As given the first one stands and excludes; the best choice may be the other side."""
    codes = await codes_of(till, "alone", "flash", "ten")

    assert told(await till.redeem(codes, ORDER)) == (422, "conditions_not_met")
    stack = done(await till.redeem(codes, ORDER, mode="PARTIAL", choose="best"))

    assert [item["applies"] for item in stack["items"]] == [False, True, True]
    assert await till.state(codes[0]) == "claimed"


async def test_the_holder_before_the_till(till: Till) -> None:
    """A named holder has to own them all: else 403, and nothing stays held."""
    codes = [*await codes_of(till, "flash"), *await codes_of(till, "ten", holder="bob")]

    refused = await till.redeem(codes, ORDER, holder="ann")

    assert told(refused, "coupon") == (403, "not_holder", codes[1])
    assert [await till.state(code) for code in codes] == ["claimed", "claimed"]
    done(await till.redeem(codes, ORDER, key="k2"))


async def test_a_stack_rolls_back_whole(till: Till) -> None:
    """201 with a rollback a redemption and the sum; the same key replays; another one is told that all came back."""
    codes = await codes_of(till, "flash", "ten", "purse")
    stack = done(await till.redeem(codes, ORDER))

    first = await till.roll_back(stack["id"])

    back = done(first)
    assert (back["id"], back["state"], back["amount"]["minor"]) == (stack["id"], "rolled_back", 7400)
    assert [item["code"] for item in back["items"]] == codes
    again = await till.roll_back(stack["id"])
    assert (again.status_code, again.content) == (200, first.content)
    assert told(await till.roll_back(stack["id"], "b2")) == (409, "already_rolled_back")
    assert [await till.state(code) for code in codes] == ["claimed"] * 3
    second = done(await till.redeem(codes, ORDER, key="k2"))
    assert second["id"] != stack["id"]
    assert done(await till.redeem(codes, ORDER, key="k"), 200)["id"] == stack["id"]


async def test_a_child_goes_alone_then_the_rest(till: Till) -> None:
    """Whole or in part by its own id; the stack's rollback gives back what is left of each."""
    codes = await codes_of(till, "flash", "ten", "purse")
    stack = done(await till.redeem(codes, ORDER))
    flash, ten, _ = [item["redemption"]["id"] for item in stack["items"]]
    done(await till.roll_back(flash, "one"))
    done(await till.roll_back(ten, "part", amount_minor=300))
    assert [await till.state(code) for code in codes] == ["claimed", "redeemed", "redeemed"]

    back = done(await till.roll_back(stack["id"], "rest"))

    assert (back["amount"]["minor"], [item["amount"]["minor"] for item in back["items"]]) == (6600, [600, 6000])
    assert [await till.state(code) for code in codes] == ["claimed"] * 3


async def test_amounts_and_lines_are_of_a_redemption(till: Till) -> None:
    """Of a stack they are 400 with the field, and nothing comes back."""
    stack = done(await till.redeem(await codes_of(till, "flash", "ten"), ORDER))
    before = await till.dump()

    for more in ({"amount_minor": 1}, {"lines": [{"index": 0}]}):
        assert told(await till.roll_back(stack["id"], **more), "field") == (400, "bad_request", next(iter(more)))
    assert told(await till.roll_back(stack["id"], reason="")) == (400, "bad_request")
    assert await till.dump() == before


async def test_a_hundred_at_once(till: Till) -> None:
    """With one key: one redemption, everybody told so or to come again; then a hundred rollbacks: one."""
    codes = await codes_of(till, "flash", "ten", "purse")

    answers = await asyncio.gather(*(till.redeem(codes, ORDER) for _ in range(100)))

    assert {answer.status_code for answer in answers} <= {200, 201, 503}
    stack = done(await till.redeem(codes, ORDER), 200)
    assert {answer.content for answer in answers if answer.status_code != 503} <= {
        answer.content for answer in answers if answer.status_code == 201
    }
    backs = await asyncio.gather(*(till.roll_back(stack["id"]) for _ in range(100)))
    assert {answer.status_code for answer in backs} <= {200, 201, 503}
    again = await till.roll_back(stack["id"])
    assert {answer.content for answer in backs if answer.status_code != 503} <= {again.content}
    assert done(again, 200)["amount"]["minor"] == 7400
    amounts = [done(await till.redemption(item["redemption"]["id"]), 200)["rollbacks"] for item in stack["items"]]
    assert [len(rollbacks) for rollbacks in amounts] == [1, 1, 1]


async def test_one_order_with_a_hundred_keys_at_once(till: Till) -> None:
    """One redemption: whoever is too late gets it too, or is told to come again."""
    codes = await codes_of(till, "flash", "ten", "purse")

    answers = await asyncio.gather(*(till.redeem(codes, ORDER, key=f"k{n}") for n in range(100)))

    assert {answer.status_code for answer in answers} <= {200, 201, 503}
    assert len({answer.json()["id"] for answer in answers if answer.status_code != 503}) == 1
    assert done(await till.redeem(codes, ORDER, key="late"), 200)["discount"]["minor"] == 7400


async def test_one_order_from_two_tills_at_once(till: Till) -> None:
    """Two callers, each with the same key again and again: one redemption, and nobody is told of another body."""
    codes = await codes_of(till, "flash", "ten", "purse")

    whos = ("store", "admin") * 40
    answers = await asyncio.gather(*(till.redeem(codes, ORDER, who=who) for who in whos))

    assert {answer.status_code for answer in answers} <= {200, 201, 503}
    assert [done(await till.redeem(codes, ORDER, who=who), 200)["discount"]["minor"] for who in whos[:2]] == [7400] * 2


async def test_many_stacks_at_once(till: Till, eventually: Eventually) -> None:
    """Forty stacks of three coupons at one worker, which has four connections to Postgres: each is redeemed once."""
    all_codes = [await codes_of(till, "flash", "ten", "purse", holder=f"h{n}") for n in range(40)]

    async def redeemed(n: int) -> bool:
        answer = await till.redeem(all_codes[n], an_order(f"o-{n}", 9000), key=f"k{n}")
        assert answer.status_code in (200, 201, 503), answer.text
        return answer.status_code != 503

    await asyncio.gather(*(eventually(partial(redeemed, n)) for n in range(40)))

    for codes in all_codes:
        assert [await till.state(code) for code in codes] == ["redeemed"] * 3
