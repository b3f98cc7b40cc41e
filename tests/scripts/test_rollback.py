"""rollback.lua of coupons that can be used once: whole or in parts, each part once, and what the policy gives back."""

from typing import Any

import pytest

from lua.door import Door
from lua.entries import Changed, Step
from lua.outcomes import Outcome
from tests.builders import HOUR_MS, a_redeem, a_rollback, an_ask
from tests.life import LifeShard, open_life

DAY_MS = 24 * HOUR_MS


async def a_redemption(door: Door, minor: int = 500, **changes: Any) -> tuple[LifeShard, str]:
    """A shard with a budget, one coupon of holder a redeemed as RD-1; gives its code."""
    shard = await open_life(door, budget_minor=90_000, **changes)
    [code] = await shard.claimed("a")
    await shard.redeem(a_redeem("RD-1", code, "o-1", key="k", minor=minor))
    return shard, code


def rolled_back(
    code: str, minor: int, state: str, place: str, left: int, until_ms: str = "", detail: str = "{}"
) -> Step:
    """The step of a rollback of RD-1; *place* is '' where no unit moves."""
    source, units = ("redeemed", "1") if place else ("", "0")
    return Step("rolled_back", code, "a", "RD-1", str(minor), state, source, place, units, str(left), until_ms, detail)


async def test_a_whole_rollback_is_told_booked_and_in_every_key(door: Door) -> None:
    """The reply, the entry with all twelve members, the record with its part, the scopes and the coupon agree."""
    shard, code = await a_redemption(door)
    expires_ms = shard.now + DAY_MS
    await shard.move_to(shard.now + 7)
    detail = '{"reason":"返品"}'

    [reply] = await shard.rollback(a_rollback("RD-1", 500, key="r", detail=detail))

    assert reply == [Outcome.DONE, 5, "claimed", expires_ms, "500"]
    steps = list(rolled_back(code, 500, "claimed", "outstanding", 1, detail=detail))
    assert (await shard.entries())[-1] == Changed(1, 1, 1, shard.now, 5, steps)
    part = [5, shard.now, "500", "claimed", expires_ms, detail]
    record = [code, 4, shard.now - 7, "500", "1", "500", "u", "0", f"{code} o-1", "{}", [part]]
    assert await shard.unpacked("redemptions") == {"RD-1": record}
    assert await shard.fields("acts") == {"k": b"RD-1 p", "r": b"RD-1 1 p"}
    assert await shard.recall("RD-1") == [True, record, "c", 1]
    assert await shard.fields("uses") == {}
    assert await shard.assert_balanced() == {"supply": -10, "stock": 9, "outstanding": 1}


async def test_parts_move_no_unit_and_the_last_one_moves_it(door: Door) -> None:
    """200, 299 and 1 of 500 in one call: redeemed until the exact rest is back; one minor unit more is refused."""
    shard, code = await a_redemption(door)

    replies = await shard.rollback(
        a_rollback("RD-1", 200), a_rollback("RD-1", 301, number_before=1), a_rollback("RD-1", 299, number_before=1),
        a_rollback("RD-1", 1, number_before=2),
    )  # fmt: skip

    expires_ms = shard.now + DAY_MS
    assert replies == [
        [Outcome.DONE, 5, "redeemed", expires_ms, "200"], Outcome.SHORT,
        [Outcome.DONE, 6, "redeemed", expires_ms, "499"], [Outcome.DONE, 7, "claimed", expires_ms, "500"],
    ]  # fmt: skip
    assert await shard.steps(3) == [
        rolled_back(code, 200, "redeemed", "", 0), rolled_back(code, 299, "redeemed", "", 0),
        rolled_back(code, 1, "claimed", "outstanding", 1),
    ]  # fmt: skip
    assert [part[:3] for part in (await shard.recall("RD-1"))[1][10]] == [
        [5, shard.now, "200"], [6, shard.now, "299"], [7, shard.now, "1"],
    ]  # fmt: skip


@pytest.mark.parametrize("minor", [0, 500])
async def test_a_rollback_of_nothing_gives_nothing_back_a_second_time(door: Door, minor: int) -> None:
    """Once all is back, of a redemption of nothing too, another rollback of 0 is SHORT and moves no unit."""
    shard, _ = await a_redemption(door, minor)
    assert (await shard.rollback(a_rollback("RD-1", minor)))[0][0] == Outcome.DONE

    async with shard.unchanged():
        assert await shard.rollback(a_rollback("RD-1", 0, number_before=1)) == [Outcome.SHORT]
    assert (await shard.assert_balanced())["outstanding"] == 1


async def test_a_key_again_is_the_first_answer_and_another_ask_with_it_is_refused(door: Door) -> None:
    """Its number and the record as it is now, also when not ready; with another payload or redemption KEY_REUSED."""
    shard, _ = await a_redemption(door)
    first, again = await shard.rollback(*[a_rollback("RD-1", 200, key="r")] * 2)
    await shard.rollback(a_rollback("RD-1", 100, number_before=1))
    record = (await shard.unpacked("redemptions"))["RD-1"]
    await shard.rule(server="another Redis")

    async with shard.unchanged():
        replies = await shard.rollback(
            a_rollback("RD-1", 200, key="r"), a_rollback("RD-1", 200, key="r", payload="q"),
            a_rollback("RD-2", 200, key="r"), a_rollback("RD-1", 200, number_before=2), a_rollback("NONE", 1),
        )  # fmt: skip

    assert (first[0], again[:2], again[2][5]) == (Outcome.DONE, [Outcome.REPLAYED, 1], "200")
    assert replies == [
        [Outcome.REPLAYED, 1, record], Outcome.KEY_REUSED, Outcome.KEY_REUSED, Outcome.NOT_READY, Outcome.NOT_READY,
    ]  # fmt: skip


async def test_an_amount_worked_out_before_another_rollback_is_stale(door: Door) -> None:
    """More or fewer rollbacks than the caller knew: STALE with the record, before anything is said of the amount."""
    shard, _ = await a_redemption(door)
    await shard.rollback(a_rollback("RD-1", 200))
    record = (await shard.unpacked("redemptions"))["RD-1"]

    async with shard.unchanged():
        assert await shard.rollback(
            a_rollback("RD-1", 9999, key="x"), a_rollback("RD-1", 1, number_before=2), a_rollback("NONE", 1),
        ) == [[Outcome.STALE, record], [Outcome.STALE, record], Outcome.ABSENT]  # fmt: skip


async def test_the_order_may_redeem_again_and_the_old_key_tells_the_old_redemption(door: Door) -> None:
    """After a whole rollback: the same order redeems anew with a new key; the old key replays the old record."""
    shard, code = await a_redemption(door)
    await shard.rollback(a_rollback("RD-1", 500))

    replies = await shard.redeem(a_redeem("RD-2", code, "o-1"), a_redeem("RD-3", code, "o-1", key="k"))

    old = (await shard.unpacked("redemptions"))["RD-1"]
    assert replies == [[Outcome.DONE, 6, "a", "u", 0], [Outcome.REPLAYED, "RD-1", old]]
    assert (await shard.fields("acts"))[f"{code} o-1"] == b"RD-2 p"
    assert await shard.rollback(a_rollback("RD-1", 0, number_before=1)) == [Outcome.SHORT]
    assert (await shard.inspect(code, ""))[0][0] == "u"


async def test_after_a_part_came_back_the_order_still_has_its_redemption(door: Door) -> None:
    """A partial rollback keeps the order's scope: redeeming again is a replay."""
    shard, code = await a_redemption(door)
    await shard.rollback(a_rollback("RD-1", 499))

    [reply] = await shard.redeem(a_redeem("RD-2", code, "o-1"))

    assert reply[:2] == [Outcome.REPLAYED, "RD-1"]
    assert reply[2][5] == "499"


CASES = [
    # past its time, fate, extension, returns → state, unit goes to, extended, may claim again
    (False, "restore", 0, "stock,slot", "claimed", "outstanding", False, False),
    (False, "restore", HOUR_MS, "", "claimed", "outstanding", False, False),
    (False, "end", HOUR_MS, "", "expired", "expired", False, False),
    (False, "end", 0, "stock", "expired", "stock", False, False),
    (False, "end", 0, "slot", "expired", "expired", False, True),
    (False, "end", 0, "stock,slot", "expired", "stock", False, True),
    (True, "restore", 0, "", "expired", "expired", False, False),
    (True, "restore", 0, "stock,slot", "expired", "stock", False, True),
    (True, "restore", HOUR_MS, "stock,slot", "claimed", "outstanding", True, False),
    (True, "end", HOUR_MS, "slot", "expired", "expired", False, True),
]


@pytest.mark.parametrize(("late", "fate", "extend_ms", "returns", "state", "place", "extended", "again"), CASES)
async def test_the_policy_says_where_a_whole_one_goes(
    door: Door, late: bool, fate: str, extend_ms: int, returns: str, state: str, place: str, extended: bool, again: bool
) -> None:
    """Restore or end, past its time or not, extended or not; stock, slot and budget follow where it ends."""
    shard, code = await a_redemption(door)
    expires_ms = shard.now + DAY_MS
    if late:
        await shard.move_to(expires_ms)

    [reply] = await shard.rollback(a_rollback("RD-1", 500, fate=fate, extend_ms=extend_ms, returns=returns))

    until_ms = shard.now + extend_ms if extended else expires_ms
    assert reply == [Outcome.DONE, 5, state, until_ms, "500"]
    assert await shard.steps(1) == [rolled_back(code, 500, state, place, 1, str(until_ms) if extended else "")]
    assert (await shard.records())[code].expires_ms == until_ms
    assert (await shard.inspect(code, ""))[0][5] == 1
    assert await shard.budget_used() == (500 if state == "claimed" else 0)
    units = {place: 1} if place != "stock" else {}
    assert await shard.assert_balanced() == {"supply": -10, "stock": 9 + (place == "stock"), **units}
    [claimed] = (await shard.claim(an_ask("a", key="2"))).replies
    assert claimed == (6 if again else [Outcome.LIMIT_REACHED, code])


@pytest.mark.parametrize("fate", ["restore", "end"])
async def test_a_part_ends_nothing_even_past_its_time(door: Door, fate: str) -> None:
    """The policy is asked when all is back: until then the coupon is redeemed, its unit too."""
    shard, code = await a_redemption(door)
    await shard.move_to(shard.now + DAY_MS)

    await shard.rollback(a_rollback("RD-1", 499, fate=fate, returns="stock,slot", extend_ms=5))

    assert await shard.steps(1) == [rolled_back(code, 499, "redeemed", "", 0)]
    assert await shard.budget_used() == 500
    assert (await shard.assert_balanced())["redeemed"] == 1


async def test_redemptions_of_one_call_are_rolled_back_apart(door: Door) -> None:
    """Three redemptions in one call of rollback, one of them absent, one with too much: each by itself."""
    shard, code = await a_redemption(door)
    [other] = await shard.claimed("b")
    await shard.redeem(a_redeem("RD-2", other))

    replies = await shard.rollback(a_rollback("RD-2", 501), a_rollback("NONE", 500), a_rollback("RD-1", 500))

    assert replies[:2] == [Outcome.SHORT, Outcome.ABSENT]
    assert await shard.steps(1) == [rolled_back(code, 500, "claimed", "outstanding", 1)]
    assert await shard.assert_balanced() == {"supply": -10, "stock": 8, "outstanding": 1, "redeemed": 1}
    assert await shard.recall("NONE") == [True, False, "", 0]
