"""A hundred at once on a connection each: one wins, each of the others is told why, and the unit book balances."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from gateway.stack.valkey import Valkey
from lua.door import Door, connect
from lua.outcomes import Outcome
from lua.scripts import load_script
from tests.builders import a_redeem, a_rollback, an_ask
from tests.life import LifeShard, open_life

AT_ONCE = 100


@pytest.fixture
async def wide(redis_server: Valkey, door: Door) -> AsyncIterator[Door]:
    """A door of 100 connections, all of them open."""
    await door.redis.ping()
    wide = Door(connect(redis_server.url, connections_max=AT_ONCE, call_ms_max=30_000, connect_ms_max=30_000))
    await asyncio.gather(*(wide.redis.ping() for _ in range(AT_ONCE)))
    yield wide
    await wide.close()


async def at_once(work: Callable[[int], Awaitable[list[Any]]]) -> list[Any]:
    """What *work* answers for 0 … 99, all of them under way together."""
    return [reply for replies in await asyncio.gather(*map(work, range(AT_ONCE))) for reply in replies]


def outcomes(replies: list[Any]) -> dict[int, int]:
    """How often each outcome was answered."""
    return dict(Counter(reply[0] if isinstance(reply, list) else reply for reply in replies))


async def a_shard(wide: Door, stock: int = 10, **changes: Any) -> LifeShard:
    """A shard by the clock of Redis, with a budget."""
    return await open_life(wide, stock, scripts=load_script, budget_minor=900_000, **changes)


async def test_a_hundred_redemptions_with_one_key_are_one(wide: Door) -> None:
    """One is done, ninety-nine are told of it, one entry is on the stream."""
    shard = await a_shard(wide)
    [code] = await shard.claimed("a")

    replies = await at_once(lambda n: shard.redeem(a_redeem(f"RD-{n}", code, "o-1", key="k")))

    assert outcomes(replies) == {Outcome.DONE: 1, Outcome.REPLAYED: 99}
    [number] = await shard.fields("redemptions")
    assert {reply[1] for reply in replies if reply[0] == Outcome.REPLAYED} == {number}
    assert len(await shard.steps()) == 1
    assert (await shard.assert_balanced())["redeemed"] == 1


@pytest.mark.parametrize(("orders", "others"), [(1, Outcome.REPLAYED), (AT_ONCE, Outcome.WRONG_STATE)])
async def test_a_hundred_redemptions_with_keys_of_their_own_are_one(wide: Door, orders: int, others: Outcome) -> None:
    """Of one order: the others get its redemption; of a hundred orders: the others find the coupon spent."""
    shard = await a_shard(wide)
    [code] = await shard.claimed("a")

    replies = await at_once(lambda n: shard.redeem(a_redeem(f"RD-{n}", code, f"o-{n % orders}")))

    assert outcomes(replies) == {Outcome.DONE: 1, others: 99}
    assert len(await shard.fields("redemptions")) == len(await shard.steps()) == 1
    assert (await shard.assert_balanced())["redeemed"] == 1


@pytest.mark.parametrize(("keys", "others"), [(1, Outcome.REPLAYED), (AT_ONCE, Outcome.STALE)])
async def test_a_hundred_rollbacks_in_the_same_millisecond_are_one(wide: Door, keys: int, others: Outcome) -> None:
    """With one key the others are told of it, with a hundred keys they are stale: the unit and stock come back once."""
    shard = await a_shard(wide)
    [code] = await shard.claimed("a")
    await shard.redeem(a_redeem("RD-1", code))

    replies = await at_once(
        lambda n: shard.rollback(a_rollback("RD-1", 500, key=f"r-{n % keys}", fate="end", returns="stock,slot"))
    )

    assert outcomes(replies) == {Outcome.DONE: 1, others: 99}
    assert [step.verb for step in await shard.steps()] == ["redeemed", "rolled_back"]
    assert await shard.budget_used() == 0
    assert await shard.assert_balanced() == {"supply": -10, "stock": 10}


async def test_a_hundred_parts_sum_to_the_whole(wide: Door) -> None:
    """Each asks for 30 of 500 until it is told that less is left: 16 parts are given, and 20 stay."""
    shard = await a_shard(wide)
    [code] = await shard.claimed("a")
    await shard.redeem(a_redeem("RD-1", code))

    async def part(n: int) -> list[Any]:
        known = 0
        while True:
            [reply] = await shard.rollback(a_rollback("RD-1", 30, key=f"r-{n}", number_before=known))
            if reply == Outcome.SHORT or reply[0] == Outcome.DONE:
                return [reply]
            known = len(reply[1][10])

    replies = await at_once(part)

    assert outcomes(replies) == {Outcome.DONE: 16, Outcome.SHORT: 84}
    assert (await shard.recall("RD-1"))[1][5] == "480"
    assert (await shard.assert_balanced())["redeemed"] == 1


async def test_a_code_for_thirty_is_used_by_thirty_of_a_hundred(wide: Door) -> None:
    """Exactly as many as it has uses, not one more and not one less."""
    shard = await a_shard(wide, 30)
    await shard.issue_shared("SUMMER", 30)

    replies = await at_once(lambda n: shard.redeem(a_redeem(f"RD-{n}", "SUMMER")))

    assert outcomes(replies) == {Outcome.DONE: 30, Outcome.WRONG_STATE: 70}
    assert await shard.assert_balanced() == {"supply": -30, "redeemed": 30}


async def test_a_balance_is_spent_to_the_last_unit_by_a_hundred(wide: Door) -> None:
    """A hundred orders of 30 against 1,000: thirty-three are paid, ten are left."""
    shard = await a_shard(wide, kind="balance", unit_minor=1000)
    [code] = await shard.claimed("a")

    replies = await at_once(lambda n: shard.redeem(a_redeem(f"RD-{n}", code, charge="30", minor=30)))

    assert outcomes(replies) == {Outcome.DONE: 33, Outcome.SHORT: 67}
    assert (await shard.inspect(code, ""))[0][5] == 10
    assert (await shard.assert_balanced())["outstanding"] == 1


async def test_a_redemption_and_the_sweeper_never_both_get_a_coupon(wide: Door) -> None:
    """Coupons whose time ends while tills and sweeper ask for them again and again: each is either spent or expired."""
    shard = await a_shard(wide, AT_ONCE, validity_ms=40)
    codes = await shard.claimed(*(f"h{n}" for n in range(AT_ONCE)))

    async def spend(n: int) -> list[Any]:
        await asyncio.gather(*(wide.redis.ping() for _ in range(n % 20)))  # some come before the end, some after
        return await shard.redeem(a_redeem(f"RD-{n}", codes[n]))

    async def sweep(n: int) -> list[Any]:
        while (await shard.inspect(codes[n], ""))[0][0] == "c":
            [reply] = await shard.ask("expire", codes[n])
            if reply != Outcome.UNCHANGED:
                return [reply]
        return await shard.ask("expire", codes[n])

    spent, swept = await asyncio.gather(at_once(spend), at_once(sweep))

    for redeemed, expired in zip(spent, swept, strict=True):
        assert (redeemed[0] == Outcome.DONE) == (expired == Outcome.UNCHANGED)
    done = outcomes(spent).get(Outcome.DONE, 0)
    book = await shard.assert_balanced()
    assert (book["redeemed"], book["expired"], book["outstanding"]) == (done, AT_ONCE - done, 0)


async def test_a_rollback_and_a_revoke_of_one_coupon_come_one_after_the_other(wide: Door) -> None:
    """Revoked only where the rollback came first; else the revoke finds it spent and the rollback gives it back."""
    shard = await a_shard(wide, AT_ONCE)
    codes = await shard.claimed(*(f"h{n}" for n in range(AT_ONCE)))
    await shard.redeem(*(a_redeem(f"RD-{n}", code) for n, code in enumerate(codes)))

    async def revoke(n: int) -> list[Any]:
        return await shard.ask("revoke", codes[n], "{}")

    back, revoked = await asyncio.gather(at_once(lambda n: shard.rollback(a_rollback(f"RD-{n}", 500))), at_once(revoke))

    assert outcomes(back) == {Outcome.DONE: AT_ONCE}
    assert set(outcomes(revoked)) <= {Outcome.DONE, Outcome.WRONG_STATE}
    states = [one[0] for one in await shard.inspect(*[part for code in codes for part in (code, "")])]
    assert states == ["v" if reply[0] == Outcome.DONE else "c" for reply in revoked]
    assert await shard.budget_used() == 500 * states.count("c")
    assert (await shard.assert_balanced())["revoked"] == states.count("v")


async def test_a_hold_and_a_redemption_of_another_order_exclude_each_other(wide: Door) -> None:
    """The one that comes first gets the coupon; the other is told that it is held, or spent."""
    shard = await a_shard(wide, AT_ONCE)
    codes = await shard.claimed(*(f"h{n}" for n in range(AT_ONCE)))

    async def hold(n: int) -> list[Any]:
        return [await shard.reserve(codes[n], "o-hold", ttl_ms=60_000)]

    spent, held = await asyncio.gather(
        at_once(lambda n: shard.redeem(a_redeem(f"RD-{n}", codes[n], "o-spend"))), at_once(hold)
    )

    pairs = {(one[0], other[0]) for one, other in zip(spent, held, strict=True)}
    assert pairs <= {(Outcome.DONE, Outcome.WRONG_STATE), (Outcome.HELD, Outcome.DONE)}
    book = await shard.assert_balanced()
    assert (book["redeemed"], book["reserved"]) == (
        outcomes(spent).get(Outcome.DONE, 0), outcomes(held).get(Outcome.DONE, 0),
    )  # fmt: skip
    assert book["outstanding"] == 0


async def test_claims_redemptions_and_rollbacks_to_stock_never_lose_or_make_a_coupon(wide: Door) -> None:
    """Five coupons, a hundred who claim, redeem and give back to stock in any order: there are five in the end."""
    shard = await a_shard(wide, 5)
    numbers = random.Random(7)
    tries = [numbers.randrange(3, 9) for _ in range(AT_ONCE)]

    async def go_round(n: int) -> list[Any]:
        won = 0
        for at in range(tries[n]):
            ask = an_ask(f"h{n}", key=f"{at}")
            [reply] = (await shard.claim(ask)).replies
            if isinstance(reply, int) and reply > 0:
                won += 1
                assert (await shard.redeem(a_redeem(f"RD-{n}-{at}", ask[2])))[0][0] == Outcome.DONE
                back = a_rollback(f"RD-{n}-{at}", 500, fate="end", returns="stock,slot")
                assert (await shard.rollback(back, back))[0][0] == Outcome.DONE
        return [won]

    won = sum(await at_once(go_round))

    assert won > 5
    assert await shard.budget_used() == 0
    assert await shard.assert_balanced() == {"supply": -5, "stock": 5}
    assert Counter(step.verb for step in await shard.steps()) == {"redeemed": won, "rolled_back": won}
