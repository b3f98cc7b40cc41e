"""Codes that many may use: as many uses as they have, held by several orders at once, each use a unit of its own."""

from typing import Any

import pytest

from lua.door import Door
from lua.entries import Step
from lua.outcomes import Outcome
from tests.builders import HOUR_MS, a_redeem, a_rollback
from tests.life import LifeShard, open_life

CODE = "SUMMER"


async def a_shared_code(door: Door, units: int = 3, **changes: Any) -> LifeShard:
    """A shard with a budget and a code that *units* may use."""
    shard = await open_life(door, budget_minor=90_000, **changes)
    await shard.issue_shared(CODE, units)
    return shard


def moved(step: Step) -> tuple[str, ...]:
    """What a step says of units."""
    return (step.verb, step.ref, step.state, step.source, step.destination, step.units, step.left)


def spend(number: str, order: str = "") -> list[str]:
    """A redemption of one use."""
    return a_redeem(number, CODE, order, minor=500)


async def test_it_is_used_as_often_as_it_may_be_and_not_once_more(door: Door) -> None:
    """Three uses by three orders; a use moves a unit; the last one ends it; the fourth and a hold are refused."""
    shard = await a_shared_code(door)

    replies = await shard.redeem(*(spend(f"RD-{n}") for n in range(4)))

    assert replies == [
        [Outcome.DONE, 4, "", "c", 2], [Outcome.DONE, 5, "", "c", 1], [Outcome.DONE, 6, "", "u", 0],
        [Outcome.WRONG_STATE, "u", ""],
    ]  # fmt: skip
    assert moved((await shard.steps(1))[0]) == (
        "redeemed", "RD-2", "redeemed", "outstanding", "redeemed", "1", "0",
    )  # fmt: skip
    assert await shard.reserve(CODE, "o") == [Outcome.WRONG_STATE, "u", ""]
    assert await shard.unpacked("uses") == {CODE: [0, 3, "", "", 0, 0]}
    assert await shard.assert_balanced() == {"supply": -10, "stock": 7, "redeemed": 3}
    assert await shard.budget_used() == 1500


async def test_one_order_uses_it_once_however_often_it_asks(door: Door) -> None:
    """The same order with another key gets its first redemption again, and no second use is taken."""
    shard = await a_shared_code(door)

    first, again = await shard.redeem(spend("RD-1", "o"), spend("RD-2", "o"))

    assert (first[4], again[:2]) == (2, [Outcome.REPLAYED, "RD-1"])
    assert (await shard.inspect(CODE, "o"))[0][5:7] == [2, 3]


async def test_several_orders_hold_it_at_once_and_each_sees_its_own(door: Door) -> None:
    """Two holds are two records and two deadlines; the same order gets its own again, and inspect tells no other's."""
    shard = await a_shared_code(door)
    until_ms = shard.now + 1000

    assert await shard.reserve(CODE, "単 1", by="x") == [Outcome.DONE, until_ms, ""]
    assert await shard.reserve(CODE, "o-2", by="y", ttl_ms=5) == [Outcome.DONE, shard.now + 5, ""]
    async with shard.unchanged():
        assert await shard.reserve(CODE, "単 1", ttl_ms=5000) == [Outcome.REPLAYED, until_ms, "", "x"]
        assert [one[5:10] for one in await shard.inspect(CODE, "単 1", CODE, "o-3", CODE, "")] == [
            [1, 3, "単 1", "x", until_ms], [1, 3, "", "", 0], [1, 3, "", "", 0],
        ]  # fmt: skip

    assert await shard.unpacked("uses") == {
        CODE: [1, 3, "", "", 0, 2], f"{CODE} 単 1": ["x", until_ms], f"{CODE} o-2": ["y", shard.now + 5],
    }  # fmt: skip
    assert await shard.holds() == {f"{CODE} 単 1": until_ms, f"{CODE} o-2": shard.now + 5}
    assert await shard.assert_balanced() == {"supply": -10, "stock": 7, "outstanding": 1, "reserved": 2}


async def test_a_hold_is_redeemed_by_its_order_though_every_use_is_taken(door: Door) -> None:
    """With both uses held a third order is SHORT; the holding ones redeem, from reserved, and the last ends it."""
    shard = await a_shared_code(door, units=2)
    await shard.reserve(CODE, "o-1")
    await shard.reserve(CODE, "o-2")

    async with shard.unchanged():
        assert await shard.reserve(CODE, "o-3") == [Outcome.SHORT, ""]
        assert await shard.redeem(spend("RD-3", "o-3")) == [[Outcome.SHORT, 0, ""]]
    assert await shard.redeem(spend("RD-1", "o-1"), spend("RD-2", "o-2")) == [
        [Outcome.DONE, 6, "", "c", 0], [Outcome.DONE, 7, "", "u", 0],
    ]  # fmt: skip
    assert [moved(step)[2:] for step in await shard.steps(2)] == [
        ("claimed", "reserved", "redeemed", "1", "0"), ("redeemed", "reserved", "redeemed", "1", "0"),
    ]  # fmt: skip
    assert await shard.holds() == {}


@pytest.mark.parametrize("verb", ["reserve", "redeem"])
async def test_a_hold_past_its_time_makes_room_with_no_sweeper(door: Door, verb: str) -> None:
    """Every use is held; at the first deadline another order gets that use, and inspect said so before."""
    shard = await a_shared_code(door, units=2)
    await shard.reserve(CODE, "o-1", ttl_ms=10)
    await shard.reserve(CODE, "o-2", ttl_ms=20)
    await shard.move_to(shard.now + 10)

    assert (await shard.inspect(CODE, "o-1"))[0][5:9] == [1, 2, "", ""]
    [reply] = await shard.redeem(spend("RD-1", "o-3")) if verb == "redeem" else [await shard.reserve(CODE, "o-3")]

    assert reply[0] == Outcome.DONE
    assert moved((await shard.steps(2))[0]) == (
        "released", "o-1", "claimed", "reserved", "outstanding", "1", "1",
    )  # fmt: skip
    assert f"{CODE} o-1" not in await shard.fields("uses")
    await shard.assert_balanced()


async def test_an_order_whose_own_hold_lapsed_may_hold_redeem_or_release_anew(door: Door) -> None:
    """Past its time a hold is released on the way, as lapsed, whatever its order asks for."""
    shard = await a_shared_code(door)
    for order in ("o-1", "o-2", "o-3"):
        await shard.reserve(CODE, order)
    await shard.move_to(shard.now + 1000)

    assert (await shard.reserve(CODE, "o-1"))[0] == Outcome.DONE
    assert (await shard.redeem(spend("RD-2", "o-2")))[0][0] == Outcome.DONE
    assert await shard.ask("release", CODE, "o-3", "", "other", "{}") == [Outcome.UNCHANGED]

    steps = await shard.steps(5)
    assert [step.verb for step in steps] == ["released", "reserved", "released", "redeemed", "released"]
    assert {step.detail for step in steps if step.verb == "released"} == {'{"reason":"lapsed"}'}
    assert await shard.assert_balanced() == {"supply": -10, "stock": 7, "outstanding": 1, "reserved": 1, "redeemed": 1}


async def test_a_release_needs_the_order_and_by_whom(door: Door) -> None:
    """Without the order, or with another one, nothing is held; by another it is HELD; then it is let go once."""
    shard = await a_shared_code(door)
    await shard.reserve(CODE, "o-1", by="x")

    assert await shard.ask(
        "release", CODE, "", "", "", "{}", CODE, "o-2", "", "x", "{}", CODE, "o-1", "", "y", "{}",
        CODE, "o-1", "", "x", "{}", CODE, "o-1", "", "x", "{}",
    ) == [
        Outcome.UNCHANGED, Outcome.UNCHANGED, [Outcome.HELD, "o-1", "x", shard.now + 1000, ""],
        [Outcome.DONE, "o-1", ""], Outcome.UNCHANGED,
    ]  # fmt: skip
    assert (await shard.inspect(CODE, ""))[0][5] == 3


async def test_a_use_comes_back_and_may_be_used_by_another(door: Door) -> None:
    """Whole from redeemed: one use is out again, and the order may redeem anew; in part: nothing moves."""
    shard = await a_shared_code(door, units=1 + 1)
    await shard.redeem(spend("RD-1", "o-1"), spend("RD-2", "o-2"))

    await shard.rollback(a_rollback("RD-1", 200), a_rollback("RD-1", 300, number_before=1))

    assert [moved(step) for step in await shard.steps(2)] == [
        ("rolled_back", "RD-1", "redeemed", "", "", "0", "0"),
        ("rolled_back", "RD-1", "claimed", "redeemed", "outstanding", "1", "1"),
    ]
    assert (await shard.redeem(spend("RD-3", "o-1")))[0] == [Outcome.DONE, 8, "", "u", 0]


@pytest.mark.parametrize("is_booked", [False, True])
@pytest.mark.parametrize(("returns", "place"), [("", "expired"), ("stock,slot", "stock")])
async def test_a_use_that_comes_back_after_the_end_goes_where_the_policy_says(
    door: Door, returns: str, place: str, is_booked: bool
) -> None:
    """Past its time no rollback extends a code for everybody: the one unit goes, whether or not the end is booked."""
    shard = await a_shared_code(door)
    await shard.redeem(spend("RD-1"))
    await shard.move_to(shard.now + 24 * HOUR_MS)
    if is_booked:
        await shard.ask("expire", CODE)

    await shard.rollback(a_rollback("RD-1", 500, extend_ms=HOUR_MS, returns=returns))
    step = (await shard.steps(1))[0]
    await shard.ask("expire", CODE)

    assert (step.source, step.destination, step.units, step.until_ms) == ("redeemed", place, "1", "")
    assert await shard.budget_used() == 0
    book = await shard.assert_balanced()
    assert (book["outstanding"], book["redeemed"]) == (0, 0)
    assert book["stock"] == 7 + (place == "stock")


@pytest.mark.parametrize(("returns", "place"), [("", "revoked"), ("stock", "stock")])
async def test_a_revoked_code_ends_for_those_who_hold_it_too(door: Door, returns: str, place: str) -> None:
    """What is left goes at once; a holding order can't redeem or hold any more; its use goes when the hold does."""
    shard = await a_shared_code(door, revoke_returns=returns)
    await shard.redeem(spend("RD-1"))
    await shard.reserve(CODE, "o-1")
    await shard.reserve(CODE, "o-2")

    assert (await shard.ask("revoke", CODE, "{}", CODE, "{}"))[1] == Outcome.UNCHANGED
    wrong = [Outcome.WRONG_STATE, "v", ""]
    async with shard.unchanged():
        assert await shard.redeem(spend("RD-2", "o-1")) == [wrong]
        assert await shard.reserve(CODE, "o-1") == await shard.reserve(CODE, "o-3") == wrong
    await shard.ask("release", CODE, "o-1", "", "", "{}")
    await shard.move_to(shard.now + 1000)
    assert await shard.lapse() == [1, 0]

    assert [moved(step)[2:6] for step in await shard.steps(2)] == [("revoked", "reserved", place, "1")] * 2
    assert await shard.budget_used() == 500
    await shard.rollback(a_rollback("RD-1", 500))
    assert moved((await shard.steps(1))[0])[2:6] == ("revoked", "redeemed", "revoked", "1")
    assert await shard.budget_used() == 0
    book = await shard.assert_balanced()
    assert (book["outstanding"], book["reserved"], book["redeemed"]) == (0, 0, 0)


async def test_a_code_of_a_campaign_of_balances_counts_uses_and_not_money(door: Door) -> None:
    """A code that many may use takes one use of a redemption, whatever the charge, and its end frees whole units."""
    shard = await open_life(door, kind="balance", unit_minor=1000, budget_minor=90_000)
    await shard.issue_shared(CODE, 3, unit_minor=1000)

    assert await shard.redeem(a_redeem("RD-1", CODE, charge="700", minor=700)) == [[Outcome.DONE, 4, "", "c", 2]]
    await shard.ask("revoke", CODE, "{}")

    assert (await shard.recall("RD-1"))[1][3:5] == ["700", "1"]
    assert await shard.budget_used() == 1000
    assert await shard.assert_balanced() == {"supply": -10, "stock": 7, "redeemed": 1, "revoked": 2}


async def test_a_code_for_one_that_nobody_holds_is_a_coupon_of_no_ones(door: Door) -> None:
    """Whoever has it redeems it, whatever holder he names, once."""
    shard = await a_shared_code(door)
    await door.redis.hdel(shard.shard.key("uses"), CODE)

    assert await shard.redeem(a_redeem("RD-1", CODE, holder="b"), a_redeem("RD-2", CODE, holder="c")) == [
        [Outcome.DONE, 4, "", "u", 0], [Outcome.WRONG_STATE, "u", ""],
    ]  # fmt: skip
