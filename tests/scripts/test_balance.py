"""Balance coupons: spent by several orders to the last minor unit, given back in parts, ended with what was left."""

from typing import Any

import pytest

from lua.door import Door
from lua.entries import Step
from lua.outcomes import Outcome
from tests.builders import HOUR_MS, a_redeem, a_rollback, an_ask
from tests.life import LifeShard, open_life

DAY_MS = 24 * HOUR_MS


async def a_balance(door: Door, **changes: Any) -> tuple[LifeShard, str]:
    """A shard of balances of 1,000 with a budget, and the code of one."""
    shard = await open_life(door, kind="balance", unit_minor=1000, budget_minor=90_000, **changes)
    [code] = await shard.claimed("a")
    return shard, code


async def spend(shard: LifeShard, number: str, code: str, minor: int) -> list[object]:
    """One redemption of *minor*."""
    [reply] = await shard.redeem(a_redeem(number, code, charge=str(minor), minor=minor))
    told: list[object] = reply
    return told


def moved(step: Step) -> tuple[str, ...]:
    """What a step says of units and money."""
    return (step.verb, step.minor, step.state, step.source, step.destination, step.units, step.left, step.until_ms)


async def test_several_orders_spend_it_and_the_last_one_moves_its_unit(door: Door) -> None:
    """400, then 600 from a hold: outstanding until nothing is left, then redeemed; then there is nothing to spend."""
    shard, code = await a_balance(door)

    assert await spend(shard, "RD-1", code, 400) == [Outcome.DONE, 4, "a", "c", 600]
    assert await shard.unpacked("uses") == {code: [600, 1000, "", "", 0]}
    await shard.reserve(code, "order of RD-2")
    assert await spend(shard, "RD-2", code, 600) == [Outcome.DONE, 6, "a", "u", 0]

    first, held, last = map(moved, await shard.steps())
    assert first == ("redeemed", "400", "claimed", "", "", "0", "600", "")
    assert held[:7] == ("reserved", "", "reserved", "outstanding", "reserved", "1", "600")
    assert last == ("redeemed", "600", "redeemed", "reserved", "redeemed", "1", "0", "")
    assert await shard.fields("uses") == {}
    assert await spend(shard, "RD-3", code, 1) == [Outcome.WRONG_STATE, "u", "a"]
    assert await shard.assert_balanced() == {"supply": -10, "stock": 9, "redeemed": 1}


async def test_a_part_spent_from_a_hold_gives_the_hold_up(door: Door) -> None:
    """The unit goes from reserved to outstanding, and another order may hold what is left."""
    shard, code = await a_balance(door)
    await shard.reserve(code, "order of RD-1")

    assert await spend(shard, "RD-1", code, 999) == [Outcome.DONE, 5, "a", "c", 1]
    assert moved((await shard.steps(1))[0]) == (
        "redeemed", "999", "claimed", "reserved", "outstanding", "1", "1", "",
    )  # fmt: skip
    assert (await shard.reserve(code, "o-2"))[0] == Outcome.DONE
    assert await shard.unpacked("uses") == {code: [1, 1000, "o-2", "by", shard.now + 1000]}


async def test_more_than_is_left_is_short_and_takes_nothing(door: Door) -> None:
    """One minor unit too many is refused with what is left; exactly what is left is taken, in the same call."""
    shard, code = await a_balance(door)
    await spend(shard, "RD-1", code, 400)

    async with shard.unchanged():
        assert await spend(shard, "RD-2", code, 601) == [Outcome.SHORT, 600, "a"]
    replies = await shard.redeem(
        *(a_redeem(f"RD-{n}", code, charge=str(minor), minor=minor) for n, minor in ((3, 500), (4, 101), (5, 100)))
    )
    assert replies == [[Outcome.DONE, 5, "a", "c", 100], [Outcome.SHORT, 100, "a"], [Outcome.DONE, 6, "a", "u", 0]]


async def test_money_comes_back_in_parts_to_a_coupon_that_is_out_and_to_one_that_is_spent(door: Door) -> None:
    """From claimed only money moves; from redeemed the first part moves the unit back; the sum is never passed."""
    shard, code = await a_balance(door)
    await spend(shard, "RD-1", code, 400)
    assert await shard.rollback(a_rollback("RD-1", 150)) == [
        [Outcome.DONE, 5, "claimed", shard.now + DAY_MS, "150"]
    ]  # fmt: skip
    await spend(shard, "RD-2", code, 750)

    replies = await shard.rollback(
        a_rollback("RD-1", 251, number_before=1), a_rollback("RD-1", 100, number_before=1),
        a_rollback("RD-2", 750), a_rollback("RD-1", 150, number_before=2), a_rollback("RD-1", 0, number_before=3),
    )  # fmt: skip

    expires_ms = shard.now + DAY_MS
    assert replies == [
        Outcome.SHORT, [Outcome.DONE, 7, "claimed", expires_ms, "250"], [Outcome.DONE, 8, "claimed", expires_ms, "750"],
        [Outcome.DONE, 9, "claimed", expires_ms, "400"], Outcome.SHORT,
    ]  # fmt: skip
    assert [moved(step) for step in await shard.steps(4)] == [
        ("redeemed", "750", "redeemed", "outstanding", "redeemed", "1", "0", ""),
        ("rolled_back", "100", "claimed", "redeemed", "outstanding", "1", "100", ""),
        ("rolled_back", "750", "claimed", "", "", "0", "850", ""),
        ("rolled_back", "150", "claimed", "", "", "0", "1000", ""),
    ]
    assert await shard.fields("uses") == {}
    assert await shard.budget_used() == 1000
    assert await shard.assert_balanced() == {"supply": -10, "stock": 9, "outstanding": 1}


async def test_money_comes_back_to_a_coupon_that_another_order_holds(door: Door) -> None:
    """The hold stays, and what is left grows under it."""
    shard, code = await a_balance(door)
    await spend(shard, "RD-1", code, 400)
    await shard.reserve(code, "o-2")

    assert (await shard.rollback(a_rollback("RD-1", 400)))[0][2] == "reserved"
    assert (await shard.inspect(code, ""))[0][5:9] == [1000, 1000, "o-2", "by"]
    assert (await shard.assert_balanced())["reserved"] == 1


@pytest.mark.parametrize("is_booked", [False, True])
async def test_money_that_comes_back_after_the_end_frees_the_budget_and_revives_nothing(
    door: Door, is_booked: bool
) -> None:
    """400 of 1,000 were spent; the end frees 600, the rollback 400, whichever is booked first."""
    shard, code = await a_balance(door)
    await spend(shard, "RD-1", code, 400)
    await shard.move_to(shard.now + DAY_MS)
    if is_booked:
        await shard.ask("expire", code)
        assert await shard.budget_used() == 400

    await shard.rollback(a_rollback("RD-1", 400))
    await shard.ask("expire", code)

    assert await shard.budget_used() == 0
    assert (await shard.inspect(code, ""))[0][0] == "x"
    assert await shard.assert_balanced() == {"supply": -10, "stock": 9, "expired": 1}


@pytest.mark.parametrize("is_booked", [False, True])
async def test_a_coupon_past_its_time_is_extended_by_what_comes_back(door: Door, is_booked: bool) -> None:
    """With an extension it lives again with all that is left; expired → outstanding where the end was booked."""
    shard, code = await a_balance(door, expiry_returns="stock,slot")
    await spend(shard, "RD-1", code, 400)
    await shard.move_to(shard.now + DAY_MS)
    if is_booked:
        await shard.ask("expire", code)
    until_ms = shard.now + HOUR_MS

    [reply] = await shard.rollback(a_rollback("RD-1", 100, extend_ms=HOUR_MS))

    assert reply[2:] == ["claimed", until_ms, "100"]
    move = ("expired", "outstanding", "1") if is_booked else ("", "", "0")
    assert moved((await shard.steps(1))[0]) == ("rolled_back", "100", "claimed", *move, "700", str(until_ms))
    assert await spend(shard, "RD-2", code, 700) == [Outcome.DONE, shard_seq(await shard.steps()), "a", "u", 0]
    assert await shard.budget_used() == 1000
    assert await shard.assert_balanced() == {"supply": -10, "stock": 9, "redeemed": 1}


def shard_seq(steps: list[Step]) -> int:
    """The number of the last step: publish, restock and the claim came before the first."""
    return 3 + len(steps)


async def test_a_spent_one_is_extended_or_ends_with_what_comes_back(door: Door) -> None:
    """From redeemed past its time: with an extension it is out again, without one it is expired with that much left."""
    shard, code = await a_balance(door)
    [other] = await shard.claimed("b")
    await spend(shard, "RD-1", code, 1000)
    await spend(shard, "RD-2", other, 1000)
    await shard.move_to(shard.now + DAY_MS)

    await shard.rollback(a_rollback("RD-1", 300, extend_ms=5), a_rollback("RD-2", 300))

    assert [moved(step) for step in await shard.steps(2)] == [
        ("rolled_back", "300", "claimed", "redeemed", "outstanding", "1", "300", str(shard.now + 5)),
        ("rolled_back", "300", "expired", "redeemed", "expired", "1", "300", ""),
    ]
    assert await shard.budget_used() == 1000 + 700


@pytest.mark.parametrize("ending", ["expire", "revoke"])
async def test_a_balance_that_was_spent_from_is_never_given_out_whole_again(door: Door, ending: str) -> None:
    """By a policy that returns stock and slot, one that is whole goes to stock; one that was spent from does not."""
    shard, code = await a_balance(door, expiry_returns="stock,slot", revoke_returns="stock,slot")
    [whole] = await shard.claimed("b")
    await spend(shard, "RD-1", code, 1)
    if ending == "expire":
        await shard.move_to(shard.now + DAY_MS)
    await shard.ask(ending, *([code, whole] if ending == "expire" else [code, "{}", whole, "{}"]))

    word = "expired" if ending == "expire" else "revoked"
    assert [moved(step) for step in await shard.steps(2)] == [
        (word, "", word, "outstanding", word, "1", "999", ""),
        (word, "", word, "outstanding", "stock", "1", "1000", ""),
    ]
    assert await shard.assert_balanced() == {"supply": -10, "stock": 9, word: 1}
    assert await shard.budget_used() == 1
    again = await shard.claim(an_ask("a", key="2"), an_ask("b", key="2"))
    assert again.replies[0] == [Outcome.LIMIT_REACHED, code]
    assert isinstance(again.replies[1], int)


async def test_a_rollback_that_ends_it_returns_stock_only_where_nothing_of_it_is_spent(door: Door) -> None:
    """Of two redemptions that used it up the first to come back ends it, as expired; a sole one goes to stock."""
    shard, code = await a_balance(door)
    [other] = await shard.claimed("b")
    await spend(shard, "RD-1", code, 600)
    await spend(shard, "RD-2", code, 400)
    await spend(shard, "RD-3", other, 1000)

    await shard.rollback(*(a_rollback(f"RD-{n}", minor, fate="end", returns="stock,slot")
                           for n, minor in ((1, 600), (3, 1000), (2, 400))))  # fmt: skip

    assert [moved(step)[2:7] for step in await shard.steps(3)] == [
        ("expired", "redeemed", "expired", "1", "600"), ("expired", "redeemed", "stock", "1", "1000"),
        ("expired", "", "", "0", "1000"),
    ]  # fmt: skip
    assert await shard.budget_used() == 0
    assert await shard.assert_balanced() == {"supply": -10, "stock": 9, "expired": 1}


async def test_a_revoked_balance_keeps_what_was_spent_and_takes_what_comes_back(door: Door) -> None:
    """Revoked with 600 left; a rollback of the 400 is booked, moves no unit and frees the budget."""
    shard, code = await a_balance(door)
    await spend(shard, "RD-1", code, 400)
    await shard.ask("revoke", code, "{}")
    assert await shard.budget_used() == 400

    [reply] = await shard.rollback(a_rollback("RD-1", 400, extend_ms=HOUR_MS))

    assert reply[2:] == ["revoked", shard.now + DAY_MS, "400"]
    assert moved((await shard.steps(1))[0])[2:7] == ("revoked", "", "", "0", "1000")
    assert await shard.budget_used() == 0
    assert await shard.assert_balanced() == {"supply": -10, "stock": 9, "revoked": 1}


async def test_amounts_near_2_to_the_53_stay_exact(door: Door) -> None:
    """A balance of 2^53 - 1 is spent but for one, and comes back to the unit."""
    most = 2**53 - 1
    shard = await open_life(door, kind="balance", unit_minor=most)
    [code] = await shard.claimed("a")

    assert await spend(shard, "RD-1", code, most - 1) == [Outcome.DONE, 4, "a", "c", 1]
    replies = await shard.rollback(a_rollback("RD-1", most - 3), a_rollback("RD-1", 3, number_before=1),
                                   a_rollback("RD-1", 2, number_before=1))  # fmt: skip

    assert [reply if isinstance(reply, int) else reply[4] for reply in replies] == [
        str(most - 3), Outcome.SHORT, str(most - 1),
    ]  # fmt: skip
    assert [step.left for step in await shard.steps(2)] == [str(most - 2), str(most)]
    assert (await shard.recall("RD-1"))[1][3:6] == [str(most - 1), str(most - 1), str(most - 1)]
