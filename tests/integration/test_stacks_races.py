"""Stacks that want the same coupons at once, for one order: one gets them, and nobody is told of another body."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.conftest import Eventually, redis_binaries
from tests.integration.site_http import open_http
from tests.integration.tilling import Till, an_order, done, told

pytestmark = pytest.mark.parametrize("redis_server", list(redis_binaries().items())[:1], ids=["valkey"], indirect=True)
TIMES = 12
TEN = {"type": "percent", "basis_points": 1000, "cap_minor": 900}


@pytest.fixture
async def till(redis_url: str, postgres_url: str, tmp_path: Path) -> AsyncIterator[Till]:
    """A worker that sells coupons of three campaigns."""
    async with open_http(redis_url, postgres_url, tmp_path) as http:
        await http.publish(id="flash", stock=100)
        await http.publish(id="ten", stock=100, value=TEN)
        await http.publish(id="more", stock=100, value=TEN)
        yield Till(http)


async def codes_of(till: Till, holder: str) -> list[str]:
    """A coupon of each campaign."""
    return [(await till.http.claim(holder, campaign))["code"] for campaign in ("flash", "ten", "more")]


@pytest.mark.parametrize("held", [False, True], ids=["free", "held"])
async def test_one_order_with_its_codes_in_two_orders(till: Till, held: bool) -> None:
    """Two keys at once, also where the order held the codes before: one redemption, which both get in the end."""
    for n in range(TIMES):
        codes, order = await codes_of(till, f"h{n}"), an_order(f"o-{n}", 9000)
        for code in codes if held else ():
            done(await till.reserve(code, order["id"]))

        answers = await asyncio.gather(
            *(till.redeem(given, order, key=f"{n} {at}") for at, given in enumerate((codes, codes[::-1], codes)))
        )

        assert {answer.status_code for answer in answers} <= {200, 201, 503}, [answer.text for answer in answers]
        assert sum(answer.status_code == 201 for answer in answers) == 1
        again = [await till.redeem(given, order, key=f"{n} {at}") for at, given in enumerate((codes, codes[::-1]))]
        assert [answer.status_code for answer in again] == [200, 200]
        assert again[0].content == again[1].content
        assert [await till.state(code) for code in codes] == ["redeemed"] * 3


@pytest.mark.parametrize("held", [False, True], ids=["free", "held"])
async def test_one_order_with_sets_that_share_a_code(till: Till, held: bool) -> None:
    """{A, B} beside {B, C}: one of them is redeemed whole, the other is a conflict that names B, and lets go."""
    for n in range(TIMES):
        a, b, c = await codes_of(till, f"h{n}")
        order = an_order(f"o-{n}", 9000)
        if held:
            done(await till.reserve(b, order["id"]))
        sets = ([a, b], [c, b])

        answers = await asyncio.gather(*(till.redeem(given, order, key=f"{n} {at}") for at, given in enumerate(sets)))

        assert sorted(answer.status_code for answer in answers) == [201, 409], [answer.text for answer in answers]
        lost = next(answer for answer in answers if answer.status_code == 409)
        _, code, coupon, to = told(lost, "coupon", "to")
        assert (code in ("reserved_by_other", "invalid_state"), coupon, to) == (True, b, "redeemed")
        won = 0 if answers[0].status_code == 201 else 1
        assert [await till.state(code) for code in (a, b, c)] == (
            ["redeemed", "redeemed", "claimed"] if won == 0 else ["claimed", "redeemed", "redeemed"]
        )


async def test_two_shops_that_number_their_orders_alike(till: Till, eventually: Eventually) -> None:
    """The same order id and codes that many may use, in two stores: each redeems for itself."""
    for code, campaign in (("WELCOME1", "flash"), ("WELCOME2", "ten")):
        await till.shared(eventually, code, 5, campaign)
    codes, order = ["WELCOME1", "WELCOME2"], an_order("1", 9000)

    stacks = [done(await till.redeem(codes, order, key=store, store=store)) for store in ("north", "south")]

    assert len({stack["id"] for stack in stacks}) == 2
