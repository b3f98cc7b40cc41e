"""Quotes through HTTP: what a coupon takes off or why not, for whom, and that it is advice that changes nothing."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.keys import ROLES
from gateway.redeeming.calls import Calls
from tests.conftest import Eventually, redis_binaries
from tests.integration.site_http import open_http
from tests.integration.tilling import Till, an_order, done, told

pytestmark = pytest.mark.parametrize("redis_server", list(redis_binaries().items())[:1], ids=["valkey"], indirect=True)
"""What the scripts do on Redis 7 is tests/scripts' to prove; here it is HTTP and what follows."""

SHOP: dict[str, dict[str, Any]] = {
    "flash": {},
    "ten": {"value": {"type": "percent", "basis_points": 1000, "cap_minor": 900}, "stacking": {"priority": 5}},
    "gift": {"value": {"type": "balance", "minor": 6000}, "limits": {"per_holder": 5}},
    "post": {"value": {"type": "free_shipping"}, "transferable": True},
    "alone": {"stacking": {"exclusive": True}},
}


@pytest.fixture
async def till(redis_url: str, postgres_url: str, tmp_path: Path) -> AsyncIterator[Till]:
    """A worker that sells coupons of five kinds."""
    async with open_http(redis_url, postgres_url, tmp_path) as http:
        for campaign, changes in SHOP.items():
            await http.publish(id=campaign, stock=100, **changes)
        yield Till(http)


async def test_a_quote_says_line_by_line_what_is_taken_off(till: Till) -> None:
    """200 with the discount allotted to lines so that the parts sum, the total with shipping, and the clock's time."""
    [code] = await till.claimed("ann")

    quote = done(await till.quote(code, an_order("o-9", 1000, 1000, 1001, shipping_minor=700)), 200)

    [item] = quote["items"]
    assert {name: item[name] for name in ("code", "applies", "discount", "shipping_discount_minor", "reason")} == {
        "code": code,
        "applies": True,
        "discount": {"minor": 500, "currency": "CNY"},
        "shipping_discount_minor": 0,
        "reason": None,
    }
    assert [line["sku"] for line in item["lines"]] == ["sku-0", "sku-1", "sku-2"]
    assert sum(line["discount_minor"] for line in item["lines"]) == 500
    assert (quote["order_id"], quote["discount"]["minor"], quote["total_minor"]) == ("o-9", 500, 3001 + 700 - 500)
    assert quote["as_of"].endswith("Z")


async def test_a_quote_says_why_nothing_is_taken_off(till: Till) -> None:
    """200 all the same, with the reason's stable code, and the whole order left to pay."""
    [code] = await till.claimed("ann")

    quote = done(await till.quote(code, an_order("o-1", 2999)), 200)

    [item] = quote["items"]
    assert (item["applies"], item["discount"]["minor"], quote["total_minor"]) == (False, 0, 2999)
    assert item["reason"]["code"] == "below_threshold"
    assert "2999" in item["reason"]["detail"]
    dollars = done(await till.quote(code, an_order("o-1", 9000, currency="USD")), 200)
    assert dollars["items"][0]["reason"]["code"] == "currency_mismatch"


@pytest.mark.parametrize("choose", ["given", "best"])
async def test_several_coupons_each_see_what_the_earlier_ones_left(till: Till, choose: str) -> None:
    """Ten percent first by its priority, then the fixed amount, then shipping, in the order they were given."""
    codes = [(await till.claimed("ann", campaign=campaign))[0] for campaign in ("flash", "ten", "post")]

    quote = done(await till.quote(codes, an_order("o-1", 8000, shipping_minor=600), mode="PARTIAL", choose=choose), 200)

    assert [item["code"] for item in quote["items"]] == codes
    assert [item["discount"]["minor"] for item in quote["items"]] == [500, 800, 600]
    assert (quote["discount"]["minor"], quote["total_minor"]) == (1900, 6700)


async def test_all_means_all_and_partial_takes_what_it_can(till: Till) -> None:
    """With one that does not apply, ALL quotes nothing and says which one; PARTIAL quotes the rest."""
    codes = [(await till.claimed("ann", campaign=campaign))[0] for campaign in ("flash", "post")]

    whole = done(await till.quote(codes, an_order()), 200)
    part = done(await till.quote(codes, an_order(), mode="PARTIAL"), 200)

    assert [item["reason"]["code"] for item in whole["items"]] == ["all_or_nothing", "no_shipping"]
    assert whole["items"][0]["reason"]["by"] == codes[1]
    assert [item["applies"] for item in part["items"]] == [True, False]
    assert part["discount"]["minor"] == 500


async def test_the_best_choice_leaves_out_what_costs_more_than_it_gives(till: Till) -> None:
    """Of an exclusive coupon and two others the better side is chosen, and each of the rest says why not."""
    alone, flash, ten = [(await till.claimed("ann", campaign=c))[0] for c in ("alone", "flash", "ten")]
    codes, order = [alone, flash, ten], an_order("o-1", 9000)

    given = done(await till.quote(codes, order, mode="PARTIAL"), 200)
    best = done(await till.quote(codes, order, mode="PARTIAL", choose="best"), 200)

    assert [item["discount"]["minor"] for item in best["items"]] == [0, 500, 900]
    assert best["discount"]["minor"] > 0
    assert best["discount"]["minor"] >= given["discount"]["minor"]
    assert best["items"][0]["reason"]["code"] in ("excluded", "not_chosen")


async def test_a_quote_knows_the_state_of_each_coupon(till: Till) -> None:
    """Held for another order, spent, revoked, not there: a reason each; held for this order it applies."""
    held, spent, gone, mine = await till.claimed("a", "b", "c", "d")
    done(await till.reserve(held, "other"))
    done(await till.redeem(spent, an_order("other")))
    done(await till.revoke(gone), 200)
    done(await till.reserve(mine, "o-1"))
    codes = [held, spent, gone, "NOT-A-CODE", mine]

    quote = done(await till.quote(codes, an_order("o-1", 90_000), mode="PARTIAL"), 200)

    assert [None if item["applies"] else item["reason"]["code"] for item in quote["items"]] == [
        "reserved_by_other",
        "not_usable",
        "not_usable",
        "coupon_not_found",
        None,
    ]


async def test_every_use_of_a_shared_code_taken_is_said(till: Till, eventually: Eventually) -> None:
    """While its uses are held by other orders there is nothing to quote; to one of those there is."""
    await till.shared(eventually, "OPENDAY24", 2)
    done(await till.reserve("OPENDAY24", "first"))
    done(await till.reserve("OPENDAY24", "another"))

    other = done(await till.quote("OPENDAY24", an_order("second")), 200)
    same = done(await till.quote("OPENDAY24", an_order("first")), 200)

    assert other["items"][0]["reason"]["code"] == "not_usable"
    assert same["items"][0]["applies"]


async def claimed(till: Till, campaign: str) -> str:
    """Ann's coupon of *campaign*, however often she asks for it."""
    path = f"/v1/campaigns/{campaign}/claims"
    found: str = (await till.ask("POST", path, "@ann", {}, idempotency_key="k")).json()["code"]
    return found


async def test_a_quote_equals_the_redemption_that_follows(till: Till) -> None:
    """For each kind: the same minor, lines and shipping; of a balance what is left, the second time too."""
    for campaign, order in (
        ("flash", an_order("o-1", 1234, 5678)),
        ("ten", an_order("o-2", 333, 333, 334)),
        ("gift", an_order("o-3", 1999, 2001, shipping_minor=500)),
        ("gift", an_order("o-4", 1000, 2000, shipping_minor=500)),
        ("post", an_order("o-5", 100, shipping_minor=799)),
    ):
        code = await claimed(till, campaign)
        item = done(await till.quote(code, order), 200)["items"][0]
        spent = done(await till.redeem(code, order, key=order["id"]))

        assert item["discount"]["minor"] > 0
        for member in ("discount", "lines", "shipping_discount_minor"):
            assert spent[member] == item[member], campaign


async def test_a_quote_changes_nothing(till: Till) -> None:
    """Redis holds the same bytes after a hundred quotes as before."""
    codes = await till.claimed("a", "b")
    before = await till.dump()

    for n in range(50):
        done(await till.quote(codes, an_order(f"o-{n}", 9000), mode="PARTIAL"), 200)
        done(await till.quote(codes[0], an_order(f"o-{n}", n + 1)), 200)

    assert await till.dump() == before


async def test_holders_see_their_own_and_what_may_be_passed_on(till: Till) -> None:
    """A holder quotes his own; another's is not there for him, unless it may be passed on and is of use."""
    [own], [post] = await till.claimed("ann"), await till.claimed("ann", campaign="post")
    order = an_order(shipping_minor=300)

    assert done(await till.quote(own, order, who="@ann"), 200)["items"][0]["applies"]
    assert told(await till.quote(own, order, who="@bob")) == (404, "coupon_not_found")
    assert done(await till.quote(post, order, who="@bob"), 200)["items"][0]["applies"]
    done(await till.redeem(post, order))
    assert told(await till.quote(post, order, who="@bob")) == (404, "coupon_not_found")
    assert done(await till.quote(post, order, who="@ann"), 200)["items"][0]["reason"]["code"] == "not_usable"


async def test_who_may_ask(till: Till) -> None:
    """Holders, stores and admins; other staff is forbidden, nobody is not authenticated."""
    [code] = await till.claimed("ann")

    for who in (*ROLES, "@ann", None):
        answer = await till.quote(code, an_order(), who=who)
        if who in ("admin", "store", "@ann"):
            assert answer.status_code == 200, who
        else:
            assert told(answer) == ((401, "unauthenticated") if who is None else (403, "forbidden")), who


BAD: list[tuple[dict[str, Any], str]] = [
    ({"code": None}, "code"),
    ({"code": ""}, "code"),
    ({"code": "A" * 256}, "code"),
    ({"codes": ["A", "B"]}, "code"),
    ({"mode": "SOME"}, "mode"),
    ({"choose": "worst"}, "choose"),
    ({"holder": "ann"}, "holder"),
    ({"order": None}, "order"),
    ({"order": an_order("")}, "order.id"),
    ({"order": an_order("x" * 129)}, "order.id"),
    ({"order": an_order(currency="CNX")}, "order.currency"),
    ({"order": an_order(lines=[])}, "order.lines"),
    ({"order": an_order("o", -1)}, "order.lines[0].unit_price_minor"),
    ({"order": an_order("o", 2**53)}, "order.lines[0].unit_price_minor"),
    ({"order": an_order("o", 2**52, 2**52)}, "order.lines"),
    ({"order": an_order("o", 1.5)}, "order.lines[0].unit_price_minor"),
    ({"order": an_order(shipping_minor=-1)}, "order.shipping_minor"),
    ({"order": an_order(store=" ")}, "order.store"),
    ({"order": an_order(channel="Upper")}, "order.channel"),
    ({"order": an_order(total=1)}, "order.total"),
    ({"order": an_order(first_order="yes")}, "order.first_order"),
]


async def test_a_bad_body_names_its_field(till: Till) -> None:
    """400 bad_request with the field."""
    for changes, field in BAD:
        body = {"code": "0001", "order": an_order(), **changes}

        answer = await till.ask("POST", "/v1/quotes", "store", {k: v for k, v in body.items() if v is not None})

        assert told(answer, "field") == (400, "bad_request", field), changes


async def test_codes_are_one_to_ten_each_once(till: Till) -> None:
    """None, eleven, or one twice: 400."""
    [code] = await till.claimed("ann")

    for codes in ([], [code] * 11, [code, code], [code, code.lower()]):
        assert told(await till.quote(codes, an_order())) == (400, "bad_request"), codes


async def test_a_stores_failures_are_limited(till: Till) -> None:
    """Thirty codes a minute that are not there, then 429 with Retry-After, before anything is looked up."""
    for _ in range(3):
        assert told(await till.quote([f"NO{n}" for n in range(10)], an_order())) == (404, "coupon_not_found")
    last = await till.quote("NONE", an_order())
    assert told(last) == (429, "rate_limited")
    assert int(last.headers["retry-after"]) >= 1


async def test_a_right_guess_among_many_codes_takes_as_long_as_a_wrong_one(
    redis_url: str, postgres_url: str, tmp_path: Path, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond his limit a holder is refused after every code was looked at: when he is refused tells nothing."""
    looks: list[str] = []
    inspect = Calls.inspect

    async def noting(self: Calls, shard: Any, known: str, code: str, order: str) -> Any:
        looks.append(code)
        return await inspect(self, shard, known, code, order)

    async with open_http(redis_url, postgres_url, tmp_path, code_failures_holder_max=3) as http:
        await http.publish(stock=9)
        till = Till(http)
        await till.shared(eventually, "OPENDAY24", 3)
        wrong = [f"NOTHING{n}" for n in range(9)]
        assert told(await till.quote(wrong, an_order(), "@eve")) == (429, "rate_limited")
        monkeypatch.setattr(Calls, "inspect", noting)

        for first in ("NOTHING9", "OPENDAY24"):
            looks.clear()
            assert told(await till.quote([first, *wrong], an_order(), "@eve")) == (429, "rate_limited")
            assert len(looks) == 10
