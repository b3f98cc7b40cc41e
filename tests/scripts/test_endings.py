"""expire.lua and revoke.lua: how a coupon ends that was not spent, and what its end gives back to others."""

import pytest

from lua.door import Door
from lua.entries import Changed, Step
from lua.outcomes import Outcome
from tests.builders import HOUR_MS, a_day, a_redeem, a_rollback, an_ask
from tests.life import LifeShard, Record, open_life

DAY_MS = 24 * HOUR_MS


def ended(code: str, holder: str, word: str, place: str, detail: str) -> Step:
    """The step of an end."""
    return Step(word, code, holder, "", "", word, "outstanding", place, "1", "1", "", detail)


def released(code: str, holder: str, order: str, reason: str) -> Step:
    """The step of a hold that went with an end."""
    detail = f'{{"reason":"{reason}"}}'
    return Step("released", code, holder, order, "", "claimed", "reserved", "outstanding", "1", "1", "", detail)


async def end(shard: LifeShard, word: str, *codes: str) -> list[object]:
    """Have *codes* expire, at their time, or be revoked; gives what was answered."""
    if word == "revoked":
        return await shard.ask("revoke", *[part for code in codes for part in (code, '{"reason":"fraud"}')])
    await shard.move_to(shard.now + DAY_MS)
    return await shard.ask("expire", *codes)


@pytest.mark.parametrize("word", ["expired", "revoked"])
@pytest.mark.parametrize(
    ("returns", "place", "again"),
    [("", "", False), ("stock", "stock", False), ("slot", "", True), ("stock,slot", "stock", True)],
)
async def test_an_end_is_told_booked_and_gives_back_by_policy(
    door: Door, word: str, returns: str, place: str, again: bool
) -> None:
    """The entry with all twelve members, the record, stock, budget, and whether its holder may claim again."""
    shard = await open_life(door, budget_minor=90_000, expiry_returns=returns, revoke_returns=returns)
    [code] = await shard.claimed("ключ")
    before = (await shard.records())[code]

    [reply] = await end(shard, word, code)

    assert reply == (4 if word == "expired" else [Outcome.DONE, 4, "ключ"])
    detail = '{"reason":"its time is over"}' if word == "expired" else '{"reason":"fraud"}'
    steps = list(ended(code, "ключ", word, place or word, detail))
    assert (await shard.entries())[-1] == Changed(1, 1, 1, shard.now, 4, steps)
    char = "x" if word == "expired" else "v"
    assert await shard.records() == {code: Record(char, before.seq, before.claimed_ms, before.expires_ms, "ключ")}
    assert await shard.fields("uses") == {}
    assert (await shard.inspect(code, ""))[0][:6] == [char, "ключ", 3, before.claimed_ms, before.expires_ms, 1]
    assert await shard.budget_used() == 0
    units = {} if place else {word: 1}
    assert await shard.assert_balanced() == {"supply": -10, "stock": 10 if place else 9, **units}
    [claimed] = (await shard.claim(an_ask("ключ", key="2"))).replies
    assert claimed == (5 if again else [Outcome.LIMIT_REACHED, code])


async def test_a_coupon_expires_at_its_last_instant_and_once(door: Door) -> None:
    """One millisecond early, and booked already, is UNCHANGED; so is one that is spent or revoked; absent is ABSENT."""
    shard = await open_life(door, validity_ms=1000)
    code, spent, revoked = await shard.claimed("a", "b", "c")
    await shard.redeem(a_redeem("RD-1", spent))
    await shard.ask("revoke", revoked, "{}")
    await shard.move_to(shard.now + 999)
    async with shard.unchanged():
        assert await shard.ask("expire", code) == [Outcome.UNCHANGED]
    await shard.move_to(shard.now + 1)

    assert await shard.ask("expire", code, code, spent, revoked, "NONE") == [
        8, Outcome.UNCHANGED, Outcome.UNCHANGED, Outcome.UNCHANGED, Outcome.ABSENT,
    ]  # fmt: skip
    async with shard.unchanged():
        assert await shard.ask("expire", code) == [Outcome.UNCHANGED]


async def test_what_is_held_is_released_before_it_ends(door: Door) -> None:
    """An end of a held coupon is two steps of one entry: expired after it lapsed, revoked while it was held."""
    shard = await open_life(door)
    late, held = await shard.claimed("a", "b")
    await shard.reserve(held, "o-1")

    await shard.ask("revoke", held, "{}")
    assert await shard.steps(2) == [released(held, "b", "o-1", "revoked"), ended(held, "b", "revoked", "revoked", "{}")]
    await shard.move_to(shard.now + DAY_MS - 1)
    await shard.reserve(late, "o-2", ttl_ms=HOUR_MS)
    await shard.move_to(shard.now + 1)
    [seq] = await shard.ask("expire", late)

    assert (seq, [step.verb for step in await shard.steps(2)]) == (10, ["released", "expired"])
    assert not await shard.fields("uses")
    assert not await shard.holds()
    assert await shard.assert_balanced() == {"supply": -10, "stock": 8, "revoked": 1, "expired": 1}


async def test_revokes_come_in_their_order_of_precedence(door: Door) -> None:
    """NOT_READY > ABSENT > UNCHANGED > WRONG_STATE > DONE; what it was spent on stays; a refusal writes nothing."""
    shard = await open_life(door)
    first, spent, late = await shard.claimed("a", "b", "c")
    await shard.redeem(a_redeem("RD-1", spent))

    assert await shard.ask("revoke", *[first, "{}"] * 2, spent, "{}", "NONE", "{}") == [
        [Outcome.DONE, 7, "a"], Outcome.UNCHANGED, [Outcome.WRONG_STATE, "u", "b"], Outcome.ABSENT,
    ]  # fmt: skip
    await shard.move_to(shard.now + DAY_MS)
    async with shard.unchanged():
        assert await shard.ask("revoke", late, "{}", first, "{}", spent, "{}") == [
            [Outcome.WRONG_STATE, "x", "c"], Outcome.UNCHANGED, [Outcome.WRONG_STATE, "u", "b"],
        ]  # fmt: skip
    await shard.rule(server="another Redis")
    async with shard.unchanged():
        assert await shard.ask("revoke", "NONE", "{}") == await shard.ask("expire", late) == [Outcome.NOT_READY]


async def test_512_coupons_expire_in_one_call(door: Door) -> None:
    """A sweeper's batch, with stock and slot given back: one entry, and every holder may claim again."""
    shard = await open_life(door, 512, expiry_returns="stock,slot", budget_minor=999_999)
    codes = [code for at in range(0, 512, 128) for code in await shard.claimed(*(f"h{at + n}" for n in range(128)))]
    await shard.move_to(shard.now + DAY_MS)

    assert await shard.ask("expire", *codes) == list(range(515, 1027))
    assert await shard.assert_balanced() == {"supply": -512, "stock": 512}
    assert await shard.budget_used() == 0
    rush = await shard.claim(*(an_ask(f"h{n}", key="2") for n in range(128)))
    assert rush.replies == list(range(1027, 1155))


async def test_a_slot_given_back_counts_for_no_limit_and_its_key_still_replays(door: Door) -> None:
    """Per holder 2, per day 2: with one of two given back there is room for one; the limit names what counts."""
    midnight = a_day(0)
    shard = await open_life(door, per_holder=2, per_holder_per_day=2, days=midnight, revoke_returns="slot")
    first = await shard.claim(an_ask("a", key="1"), an_ask("a", key="2"), an_ask("a", key="3"))
    code, kept = an_ask("a", key="1")[2], an_ask("a", key="2")[2]
    assert first.replies == [3, 4, [Outcome.LIMIT_REACHED, code, kept]]
    await shard.ask("revoke", code, "{}")

    later = await shard.claim(
        an_ask("a", key="1", payload="q"), an_ask("a", key="1"), an_ask("a", key="3"), an_ask("a", key="4")
    )

    new = an_ask("a", key="3")[2]
    replayed = [Outcome.REPLAYED, code, 3, first.now_ms, first.expires_ms]
    assert later.replies == [Outcome.KEY_REUSED, replayed, 6, [Outcome.LIMIT_REACHED, kept, new]]
    assert [one[:2] for one in await shard.held("a")] == [[code, "v"], [kept, "c"], [new, "c"]]


async def test_a_slot_given_back_counts_for_no_days_limit(door: Door) -> None:
    """One a day of many: after an end that returns the slot one more today, and then no more."""
    shard = await open_life(door, per_holder=9, per_holder_per_day=1, days=a_day(0), revoke_returns="slot")
    [code] = await shard.claimed("a")
    assert (await shard.claim(an_ask("a", key="2"))).replies == [Outcome.PERIOD_LIMIT]
    await shard.ask("revoke", code, "{}")

    assert (await shard.claim(an_ask("a", key="2"), an_ask("a", key="3"))).replies == [5, Outcome.PERIOD_LIMIT]


async def test_a_slot_comes_back_once_for_each_coupon(door: Door) -> None:
    """Two coupons of one holder end in one call: two slots, no third, whatever their order in his records."""
    shard = await open_life(door, per_holder=2, revoke_returns="slot")
    await shard.claim(an_ask("a", key="1"), an_ask("a", key="2"))
    codes = [an_ask("a", key=key)[2] for key in "12"]
    await shard.ask("revoke", codes[1], "{}", codes[0], "{}", codes[1], "{}")

    rush = await shard.claim(*(an_ask("a", key=key) for key in "345"))

    assert rush.replies == [7, 8, [Outcome.LIMIT_REACHED, an_ask("a", key="3")[2], an_ask("a", key="4")[2]]]
    assert len(await shard.held("a")) == 4


async def test_stock_that_came_back_can_be_claimed_to_the_last_one(door: Door) -> None:
    """Sold out, one rolled back to stock: exactly one more claim is granted, by stock and by budget."""
    shard = await open_life(door, 2, budget_minor=1000)
    code, _ = await shard.claimed("a", "b")
    assert (await shard.claim(an_ask("c"))).replies == [Outcome.BUDGET_EXHAUSTED]
    await shard.redeem(a_redeem("RD-1", code))

    await shard.rollback(a_rollback("RD-1", 500, fate="end", returns="stock"))

    assert (await shard.claim(an_ask("c"), an_ask("d"))).replies == [7, Outcome.BUDGET_EXHAUSTED]
    assert await shard.assert_balanced() == {"supply": -2, "outstanding": 2}


async def test_numbers_that_are_large_stay_exact(door: Door) -> None:
    """Stock and budget above 10^14 and seq above 10^11 neither round nor turn into 1e+14 on their way back."""
    unit = 4_000_000_000_000_001
    shard = await open_life(door, 0, budget_minor=2**53 - 1, unit_minor=unit, revoke_returns="stock")
    await shard.adjust(900_000_000_000_001)
    await door.redis.hset(shard.shard.key("counters"), "seq", 999_999_999_999)
    code, _ = await shard.claimed("a", "b")

    assert await shard.ask("revoke", code, "{}") == [[Outcome.DONE, 1_000_000_000_002, "a"]]
    assert await shard.stock() == 900_000_000_000_000
    assert await shard.budget_used() == unit
