"""redeem.lua of coupons that can be used once: every outcome in its order, once a key and once an order."""

import pytest
from redis.exceptions import ResponseError

from lua.door import Door
from lua.entries import Changed, Step
from lua.outcomes import Outcome
from tests.builders import HOUR_MS, a_redeem, a_rollback
from tests.life import LifeShard, Record, open_life


def redeemed(code: str, holder: str, number: str, source: str = "outstanding", detail: str = "{}") -> Step:
    """The step of a redemption."""
    return Step(
        "redeemed", code, holder, number, "500", "redeemed", source, "redeemed", "1", "0", "", detail
    )  # fmt: skip


async def test_a_redemption_is_told_booked_and_in_every_key(door: Door) -> None:
    """The reply, the entry with all twelve members, the record, both scopes and the coupon say the same."""
    shard = await open_life(door)
    [code] = await shard.claimed("用户")
    before = (await shard.records())[code]
    detail = '{"order":{"id":"注文"}}'

    [reply] = await shard.redeem(a_redeem("RD-1", code, "注文", holder="用户", key="k", detail=detail))

    assert reply == [Outcome.DONE, 4, "用户", "u", 0]
    entry = Changed(1, 1, 1, shard.now, 4, list(redeemed(code, "用户", "RD-1", detail=detail)))
    assert (await shard.entries())[-1] == entry
    record = [code, 4, shard.now, "500", "1", "0", "u", "0", f"{code} 注文", detail, []]
    assert await shard.unpacked("redemptions") == {"RD-1": record}
    assert await shard.fields("acts") == {"k": b"RD-1 p", f"{code} 注文": b"RD-1 p"}
    assert await shard.records() == {code: Record("u", before.seq, before.claimed_ms, before.expires_ms, "用户")}
    assert not await shard.fields("uses")
    assert not await shard.holds()
    assert await shard.recall("RD-1") == [True, record, "u", 0]
    assert await shard.assert_balanced() == {"supply": -10, "stock": 9, "redeemed": 1}


async def test_the_order_that_holds_it_redeems_from_the_hold(door: Door) -> None:
    """Another order is told whose it is; the holding one takes the unit from reserved, and the hold is gone."""
    shard = await open_life(door)
    [code] = await shard.claimed("a")
    await shard.reserve(code, "o-1", by="x")

    async with shard.unchanged():
        refused = await shard.redeem(a_redeem("RD-0", code, "o-2"))
    done = await shard.redeem(a_redeem("RD-1", code, "o-1"))

    assert refused == [[Outcome.HELD, "o-1", "x", shard.now + 1000, "a"]]
    assert done == [[Outcome.DONE, 5, "a", "u", 0]]
    assert await shard.steps(1) == [redeemed(code, "a", "RD-1", "reserved")]
    assert not await shard.fields("uses")
    assert not await shard.holds()


async def test_another_order_redeems_once_the_hold_has_lapsed(door: Door) -> None:
    """At the deadline, with no sweeper: the hold is released and the coupon redeemed in one entry."""
    shard = await open_life(door)
    [code] = await shard.claimed("a")
    await shard.reserve(code, "o-1")
    await shard.move_to(shard.now + 1000)

    assert await shard.redeem(a_redeem("RD-1", code, "o-2")) == [[Outcome.DONE, 6, "a", "u", 0]]
    assert [step.verb for step in await shard.steps(2)] == ["released", "redeemed"]
    assert len(await shard.entries()) == 5


async def test_a_key_again_is_the_first_answer_and_with_another_payload_refused(door: Door) -> None:
    """In the same call, later, after it was rolled back and on a Redis that is not ready: REPLAYED with the record."""
    shard = await open_life(door)
    [code] = await shard.claimed("a")
    ask = a_redeem("RD-1", code, key="k")
    first = await shard.redeem(ask, a_redeem("RD-2", code, key="k"), a_redeem("RD-3", code, key="k", payload="q"))
    _, record, *_ = await shard.recall("RD-1")

    assert first == [[Outcome.DONE, 4, "a", "u", 0], [Outcome.REPLAYED, "RD-1", record], Outcome.KEY_REUSED]
    await shard.rollback(a_rollback("RD-1", 500))
    await shard.rule(server="another Redis", frozen="f2")
    after = (await shard.unpacked("redemptions"))["RD-1"]
    async with shard.unchanged():
        again = await shard.redeem(ask, a_redeem("RD-4", "ANOTHER", key="k", payload="q"), frozen="f0")

    assert again == [[Outcome.REPLAYED, "RD-1", after], Outcome.KEY_REUSED]
    assert after[5] == "500"


async def test_an_order_again_with_another_key_is_the_first_redemption(door: Door) -> None:
    """Another key for the same code and order, the same payload: REPLAYED; another payload: KEY_REUSED."""
    shard = await open_life(door)
    [code] = await shard.claimed("a")
    await shard.redeem(a_redeem("RD-1", code, "o-1"))
    _, record, *_ = await shard.recall("RD-1")

    async with shard.unchanged():
        replies = await shard.redeem(
            a_redeem("RD-2", code, "o-1"), a_redeem("RD-3", code, "o-1", payload="q"),
            a_redeem("RD-4", code, "o-1", holder="b"),
        )  # fmt: skip

    assert replies == [[Outcome.REPLAYED, "RD-1", record], Outcome.KEY_REUSED, Outcome.NOT_HOLDER]


async def test_a_key_of_a_rollback_is_none_of_a_redemption(door: Door) -> None:
    """A key used for the one is refused for the other, either way."""
    shard = await open_life(door)
    ann, bob = await shard.claimed("a", "b")
    await shard.redeem(a_redeem("RD-1", ann, key="k"))
    await shard.rollback(a_rollback("RD-1", 500, key="r"))

    async with shard.unchanged():
        assert await shard.redeem(a_redeem("RD-2", bob, key="r")) == [Outcome.KEY_REUSED]
        assert await shard.rollback(a_rollback("RD-1", 1, number_before=1, key="k")) == [Outcome.KEY_REUSED]


async def test_terms_that_are_not_those_of_the_campaign_are_stale(door: Door) -> None:
    """A discount worked out by another digest is not taken; one by this digest is."""
    shard = await open_life(door, frozen="f7")
    [code] = await shard.claimed("a")

    async with shard.unchanged():
        assert await shard.redeem(a_redeem("RD-1", code), frozen="f6") == [Outcome.STALE]
    assert (await shard.redeem(a_redeem("RD-1", code), frozen="f7"))[0][0] == Outcome.DONE


async def test_a_coupon_is_redeemed_to_its_last_millisecond(door: Door) -> None:
    """One millisecond before its end it is redeemed; at its end it is expired, booked or not."""
    shard = await open_life(door, validity_ms=1000)
    early, late, booked = await shard.claimed("a", "b", "c")
    await shard.move_to(shard.now + 999)
    assert (await shard.redeem(a_redeem("RD-1", early)))[0][0] == Outcome.DONE
    await shard.move_to(shard.now + 1)
    await shard.ask("expire", booked)

    async with shard.unchanged():
        assert await shard.redeem(a_redeem("RD-2", late), a_redeem("RD-3", booked), a_redeem("RD-4", early)) == [
            [Outcome.WRONG_STATE, "x", "b"], [Outcome.WRONG_STATE, "x", "c"], [Outcome.WRONG_STATE, "u", "a"],
        ]  # fmt: skip


REFUSALS: list[tuple[str, object]] = [
    ("key", Outcome.KEY_REUSED),
    ("server", Outcome.NOT_READY),
    ("code", Outcome.ABSENT),
    ("holder", Outcome.NOT_HOLDER),
    ("order", Outcome.KEY_REUSED),
    ("held", Outcome.HELD),
    ("state", Outcome.WRONG_STATE),
    ("frozen", Outcome.STALE),
    ("short", Outcome.SHORT),
]


async def _bring_about(shard: LifeShard, code: str, reason: str, ask: dict[str, str]) -> None:
    """Have *reason* apply to the redemption *ask* of *code* by order o-1; every other one still may."""
    match reason:
        case "key":
            ask["key"] = "taken"
        case "server":
            await shard.rule(server="another Redis")
        case "code":
            ask["code"] = "NONE"
        case "holder":
            ask["holder"] = "b"
        case "order":
            await shard.redeem(a_redeem("RD-1", code, "o-1", payload="other", charge="1"))
        case "state":
            await shard.redeem(a_redeem("RD-2", code, "o-2", charge="1000"))
        case "held":
            await shard.reserve(code, "o-3")
        case "frozen":
            await shard.rule(frozen="f2")


@pytest.mark.parametrize("first", range(len(REFUSALS)))
async def test_when_several_refusals_apply_the_first_in_order_is_given(door: Door, first: int) -> None:
    """Each reason together with all that come after it gives its own outcome, and nothing is written."""
    shard = await open_life(door, kind="balance", unit_minor=1000)
    code, other = await shard.claimed("a", "z")
    await shard.redeem(a_redeem("RD-0", other, key="taken", payload="other", charge="1"))
    ask = {"code": code, "holder": "", "key": "fresh"}
    coming = {name for name, _ in REFUSALS[first:]}
    coming -= {"state"} if "held" in coming else set()  # no coupon is held and spent at once
    for reason in ("order", "state", "held", "code", "holder", "key", "frozen", "server"):
        if reason in coming:
            await _bring_about(shard, code, reason, ask)

    async with shard.unchanged():
        [reply] = await shard.redeem(
            a_redeem("RD-9", ask["code"], "o-1", holder=ask["holder"], key=ask["key"], charge="1001")
        )

    assert (reply[0] if isinstance(reply, list) else reply) == REFUSALS[first][1]


async def test_many_asks_of_one_call_see_what_the_ones_before_left(door: Door) -> None:
    """One coupon asked for by three orders and one by its own twice: two redemptions, in one entry."""
    shard = await open_life(door)
    ann, bob = await shard.claimed("a", "b")

    replies = await shard.redeem(
        a_redeem("RD-1", ann, "o-1"), a_redeem("RD-2", ann, "o-2"), a_redeem("RD-3", bob, "o-1"),
        a_redeem("RD-4", bob, "o-1"), a_redeem("RD-5", ann, "o-3"), a_redeem("RD-6", "NONE", "o-1"),
    )  # fmt: skip

    _, record, *_ = await shard.recall("RD-3")
    spent = [Outcome.WRONG_STATE, "u", "a"]
    assert replies == [
        [Outcome.DONE, 5, "a", "u", 0], spent, [Outcome.DONE, 6, "b", "u", 0], [Outcome.REPLAYED, "RD-3", record],
        spent, Outcome.ABSENT,
    ]  # fmt: skip
    steps = [*redeemed(ann, "a", "RD-1"), *redeemed(bob, "b", "RD-3")]
    assert (await shard.entries())[-1] == Changed(1, 1, 1, shard.now, 5, steps)


async def test_a_full_call_of_128_redemptions_of_the_largest_asks_goes_through(door: Door) -> None:
    """128 redemptions with kilobytes of detail are one call and one entry; so are their 128 rollbacks."""
    shard = await open_life(door, 128)
    codes = await shard.claimed(*(f"{n:0128}" for n in range(128)))
    detail = f'{{"x":"{"y" * 4000}"}}'

    replies = await shard.redeem(*(a_redeem(f"RD-{n}", code, detail=detail) for n, code in enumerate(codes)))

    assert [reply[:2] for reply in replies] == [[Outcome.DONE, 131 + n] for n in range(128)]
    assert (await shard.assert_balanced())["redeemed"] == 128
    back = await shard.rollback(*(a_rollback(f"RD-{n}", 500, detail=detail) for n in range(128)))
    assert [reply[:2] for reply in back] == [[Outcome.DONE, 259 + n] for n in range(128)]
    assert await shard.assert_balanced() == {"supply": -128, "outstanding": 128}
    assert len(await shard.entries()) == 5


async def test_a_transferable_coupon_is_redeemed_by_anybody_and_stays_its_holders(door: Door) -> None:
    """With transferable another holder redeems it, and the entry still names who claimed it."""
    shard = await open_life(door, transferable="1")
    [code] = await shard.claimed("a")

    assert (await shard.redeem(a_redeem("RD-1", code, holder="b")))[0] == [Outcome.DONE, 4, "a", "u", 0]
    assert await shard.steps(1) == [redeemed(code, "a", "RD-1")]


async def test_a_redemption_keeps_the_budget_and_so_does_its_return(door: Door) -> None:
    """What a coupon takes of the budget is taken at the claim, and stays while it is out or spent."""
    shard = await open_life(door, budget_minor=1000, per_holder=2)
    [code, _] = await shard.claimed("a", "b")
    await shard.redeem(a_redeem("RD-1", code))
    assert await shard.budget_used() == 1000
    await shard.rollback(a_rollback("RD-1", 200))
    await shard.rollback(a_rollback("RD-1", 300, number_before=1))

    assert await shard.budget_used() == 1000
    await shard.move_to(shard.now + 24 * HOUR_MS)
    await shard.ask("expire", code)
    assert await shard.budget_used() == 500


async def test_malformed_asks_change_nothing(door: Door) -> None:
    """Asks with a part missing, or that are none: the call fails and every key is as it was."""
    shard = await open_life(door)
    [code] = await shard.claimed("a")
    calls = [
        ("redeem", a_redeem("RD-1", code)[:-1], ["f1"]), ("rollback", ["RD-1"], []), ("revoke", [code], []),
        ("reserve", [code, "o"], []), ("release", [code], []),
    ]  # fmt: skip

    async with shard.unchanged():
        for name, asks, head in calls:
            with pytest.raises(ResponseError, match="asks have"):
                await shard.ask(name, *asks, head=head)
