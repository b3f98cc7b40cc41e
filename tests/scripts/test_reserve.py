"""reserve.lua: a hold is one order's, for a time, by the clock alone; every outcome, and what each leaves behind."""

import pytest

from lua.door import Door
from lua.entries import Changed, Step
from lua.outcomes import Outcome
from tests.builders import HOUR_MS
from tests.life import LifeShard, Record, open_life

LAPSED = '{"reason":"lapsed"}'


def reserved(code: str, holder: str, order: str, until_ms: int, detail: str = "{}") -> Step:
    """The step of a hold."""
    return Step(
        "reserved", code, holder, order, "", "reserved", "outstanding", "reserved", "1", "1", str(until_ms), detail
    )


def lapsed(code: str, holder: str, order: str) -> Step:
    """The step of a hold that its time ended."""
    return Step("released", code, holder, order, "", "claimed", "reserved", "outstanding", "1", "1", "", LAPSED)


async def test_a_hold_is_told_booked_and_in_every_key(door: Door) -> None:
    """The reply, the one entry with all twelve members, the coupon's record, its use and its deadline say the same."""
    shard = await open_life(door)
    [code] = await shard.claimed("дан")
    before, until_ms = (await shard.records())[code], shard.now + 1000

    [reply] = await shard.ask("reserve", code, "単 1", "дан", "till-7", 1000, '{"actor":"ann"}')

    assert reply == [Outcome.DONE, until_ms, "дан"]
    steps = list(reserved(code, "дан", "単 1", until_ms, '{"actor":"ann"}'))
    assert (await shard.entries())[-1] == Changed(1, 1, 1, shard.now, 4, steps)
    assert await shard.records() == {code: Record("r", before.seq, before.claimed_ms, before.expires_ms, "дан")}
    assert await shard.unpacked("uses") == {code: [1, 1, "単 1", "till-7", until_ms]}
    assert await shard.holds() == {code: until_ms}
    assert await shard.assert_balanced() == {"supply": -10, "stock": 9, "reserved": 1}


async def test_the_same_order_gets_the_same_hold_again(door: Door) -> None:
    """Asked twice in a call and later once more, with another time and by another: one hold of the first, one entry."""
    shard = await open_life(door)
    [code] = await shard.claimed("a")
    until_ms, again = shard.now + 1000, [Outcome.REPLAYED, shard.now + 1000, "a", "x"]

    first = await shard.ask("reserve", code, "o-1", "", "x", 1000, "{}", code, "o-1", "", "y", 9000, "{}")
    await shard.move_to(until_ms - 1)
    async with shard.unchanged():
        later = await shard.reserve(code, "o-1", ttl_ms=9000)

    assert first == [[Outcome.DONE, until_ms, "a"], again]
    assert later == again
    assert len(await shard.steps()) == 1


async def test_another_order_is_told_whose_the_hold_is_until_it_lapses(door: Door) -> None:
    """HELD to the last millisecond; at the deadline, with no sweeper, the other order gets it, and both are booked."""
    shard = await open_life(door)
    [code] = await shard.claimed("a")
    until_ms = shard.now + 1000
    await shard.reserve(code, "o-1", by="x")

    await shard.move_to(until_ms - 1)
    async with shard.unchanged():
        assert await shard.reserve(code, "o-2") == [Outcome.HELD, "o-1", "x", until_ms, "a"]
    await shard.move_to(until_ms)

    assert await shard.reserve(code, "o-2") == [Outcome.DONE, until_ms + 1000, "a"]
    assert await shard.steps(2) == [lapsed(code, "a", "o-1"), reserved(code, "a", "o-2", until_ms + 1000)]
    assert (await shard.assert_balanced())["reserved"] == 1


async def test_an_order_whose_hold_lapsed_gets_a_new_one(door: Door) -> None:
    """The same order after its deadline holds anew, until a new deadline."""
    shard = await open_life(door)
    [code] = await shard.claimed("a")
    await shard.reserve(code, "o-1")
    await shard.move_to(shard.now + 1000)

    assert await shard.reserve(code, "o-1") == [Outcome.DONE, shard.now + 1000, "a"]
    assert [step.verb for step in await shard.steps(2)] == ["released", "reserved"]


async def test_a_hold_ends_with_the_coupon(door: Door) -> None:
    """A time longer than the coupon's own is cut to it, and at that instant it is expired and no more held."""
    shard = await open_life(door, validity_ms=500)
    [code] = await shard.claimed("a")
    expires_ms = shard.now + 500

    assert await shard.reserve(code, "o-1", ttl_ms=HOUR_MS) == [Outcome.DONE, expires_ms, "a"]
    await shard.move_to(expires_ms)

    assert await shard.reserve(code, "o-1") == [Outcome.WRONG_STATE, "x", "a"]
    assert await shard.steps(1) == [lapsed(code, "a", "o-1")]


@pytest.mark.parametrize(
    ("transferable", "holder", "outcome"),
    [("", "", 1), ("", "a", 1), ("", "b", Outcome.NOT_HOLDER), ("1", "b", 1), ("", "á", Outcome.NOT_HOLDER)],
)
async def test_whoever_does_not_own_it_may_not_hold_it(
    door: Door, transferable: str, holder: str, outcome: int
) -> None:
    """A holder only his own, unless the campaign says transferable; a store, which names nobody, any."""
    shard = await open_life(door, transferable=transferable)
    [code] = await shard.claimed("a")

    reply = await shard.reserve(code, "o-1", holder=holder)

    assert (reply if isinstance(reply, int) else reply[0]) == outcome
    assert len(await shard.steps()) == (outcome == 1)


async def _brought_about(shard: LifeShard, state: str) -> str:
    """The code of a coupon of holder a in *state*."""
    [code] = await shard.claimed("a")
    if state == "redeemed":
        await shard.redeem(["RD", code, "o", "", "k", "s", "p", "", "500", "{}"])
    elif state == "revoked":
        await shard.ask("revoke", code, "{}")
    elif state in ("late", "expired"):
        await shard.move_to(shard.now + 24 * HOUR_MS)
        if state == "expired":
            await shard.ask("expire", code)
    elif state == "held":
        await shard.reserve(code, "o-0", by="x")
    return code


@pytest.mark.parametrize(
    ("state", "char"), [("redeemed", "u"), ("revoked", "v"), ("late", "x"), ("expired", "x")]
)  # fmt: skip
async def test_a_coupon_whose_life_is_over_can_not_be_held(door: Door, state: str, char: str) -> None:
    """WRONG_STATE tells what it is, past its time also before that is booked, and nothing is written."""
    shard = await open_life(door)
    code = await _brought_about(shard, state)

    async with shard.unchanged():
        assert await shard.reserve(code, "o-1") == [Outcome.WRONG_STATE, char, "a"]
        assert await shard.reserve(code, "o-1", holder="b") == Outcome.NOT_HOLDER


async def test_refusals_come_in_their_order_and_write_nothing(door: Door) -> None:
    """NOT_READY before ABSENT before NOT_HOLDER before REPLAYED and HELD."""
    shard = await open_life(door)
    code = await _brought_about(shard, "held")

    async with shard.unchanged():
        assert await shard.reserve("NONE", "o-0", holder="b") == Outcome.ABSENT
        assert await shard.reserve(code, "o-0", holder="b") == Outcome.NOT_HOLDER
        assert await shard.reserve(code, "o-1", holder="b") == Outcome.NOT_HOLDER
        assert await shard.reserve(code, "o-1", holder="a") == [Outcome.HELD, "o-0", "x", shard.now + 1000, "a"]
    await shard.rule(server="another Redis")
    async with shard.unchanged():
        assert await shard.reserve(code, "o-0") == await shard.reserve("NONE", "o-0") == Outcome.NOT_READY


async def test_many_asks_of_one_call_see_what_the_ones_before_left(door: Door) -> None:
    """One call, one entry: two coupons, three orders, one of them twice, one absent."""
    shard = await open_life(door)
    ann, bob = await shard.claimed("a", "b")
    until_ms = shard.now + 1000

    replies = await shard.ask(
        "reserve",
        *[part for code, order in [(ann, "1"), (bob, "1"), (ann, "2"), ("NONE", "1"), (ann, "1")]
          for part in (code, order, "", "x", 1000, "{}")],
    )  # fmt: skip

    held = [Outcome.HELD, "1", "x", until_ms, "a"]
    done = [[Outcome.DONE, until_ms, holder] for holder in "ab"]
    assert replies == [*done, held, Outcome.ABSENT, [Outcome.REPLAYED, until_ms, "a", "x"]]
    steps = [*reserved(ann, "a", "1", until_ms), *reserved(bob, "b", "1", until_ms)]
    assert (await shard.entries())[-1] == Changed(1, 1, 1, shard.now, 5, steps)


async def test_a_full_call_of_128_holds_goes_through(door: Door) -> None:
    """128 coupons of 128-byte holders for 128 orders: one entry, and every one is released in one call too."""
    shard = await open_life(door, 128)
    codes = await shard.claimed(*(f"{n:0128}" for n in range(128)))
    asks = [part for n, code in enumerate(codes) for part in (code, f"{n:0100}", "", "x", 1000, "{}")]

    assert [reply[0] for reply in await shard.ask("reserve", *asks)] == [Outcome.DONE] * 128
    assert (await shard.assert_balanced())["reserved"] == 128
    released = await shard.ask("release", *[part for code in codes for part in (code, "", "", "", "{}")])

    assert [reply[0] for reply in released] == [Outcome.DONE] * 128
    assert (await shard.assert_balanced())["outstanding"] == 128
    assert len(await shard.entries()) == 5
    assert not await shard.fields("uses")
