"""claim.lua: every outcome, in its order of precedence, and what each leaves behind."""

from collections.abc import Awaitable, Callable

import pytest
from redis.exceptions import ResponseError

from lua.door import Door
from lua.entries import Claimed, Grant
from lua.outcomes import Outcome
from lua.scripts import load_script
from tests.builders import HOUR_MS, ShardUnderTest, a_code, a_day, an_ask, an_idem, now_ms, open_shard, pack, unpack
from tests.conftest import Eventually


async def test_claims_take_stock_and_number_themselves_without_a_gap(door: Door) -> None:
    """A call of three grants takes three coupons and gives seq 3, 4, 5 after publish (1) and restock (2)."""
    shard = await open_shard(door, stock=5)

    rush = await shard.claim(an_ask("a"), an_ask("b", channel="app"), an_ask("c"))

    assert rush.replies == [3, 4, 5]
    assert (rush.stock, await shard.stock()) == (2, 2)
    assert rush.expires_ms == rush.now_ms + 24 * HOUR_MS


async def test_one_call_leaves_one_entry_with_everything_needed_to_rebuild(door: Door) -> None:
    """The grants of a call are one stream entry: holder, code, idempotency hash, channel, expiry, version, epoch."""
    shard = await open_shard(door, version=7)

    rush = await shard.claim(an_ask("a", channel="app"), an_ask("b"))

    entry = (await shard.entries())[-1]
    asks = [*an_ask("a", channel="app"), *an_ask("b")]
    assert entry == Claimed(1, 1, 7, rush.now_ms, 3, rush.expires_ms, "500", asks)


async def test_an_entry_holds_only_what_was_granted(door: Door) -> None:
    """Asks of the same call that were refused leave nothing on the stream, and the grants keep their order."""
    shard = await open_shard(door, stock=2)

    rush = await shard.claim(an_ask("a"), an_ask("a", key="again"), an_ask("b"), an_ask("c"))

    assert rush.replies == [3, [Outcome.LIMIT_REACHED, an_ask("a")[2]], 4, Outcome.SOLD_OUT]
    entry = (await shard.entries())[-1]
    assert isinstance(entry, Claimed)
    assert entry.grants == [Grant(*an_ask("a")), Grant(*an_ask("b"))]


async def test_a_call_without_a_grant_writes_nothing(door: Door) -> None:
    """Refusals leave every key as it was, the stream included."""
    shard = await open_shard(door, stock=0)
    before = await shard.dump()

    rush = await shard.claim(an_ask("a"), an_ask("b"))

    assert rush.replies == [Outcome.SOLD_OUT, Outcome.SOLD_OUT]
    assert await shard.dump() == before


async def test_a_replay_gives_the_first_answer_again(door: Door) -> None:
    """The same key gives the same code, seq, time and expiry, in the same call, later, and after everything changed."""
    shard = await open_shard(door, stock=1)
    first = await shard.claim(an_ask("a", key="k"), an_ask("a", key="k", code=a_code("another")))
    granted = [Outcome.REPLAYED, a_code("a k"), 3, first.now_ms, first.expires_ms]

    await shard.rule(state="ended", validity_ms=1, starts_ms=now_ms() + HOUR_MS, per_holder=0, server="other")
    later = await shard.claim(an_ask("a", key="k", code=a_code("third")))

    assert first.replies == [3, granted]
    assert later.replies == [granted]


async def test_the_same_key_with_another_payload_is_refused(door: Door) -> None:
    """A key stands for one request: with another payload it is neither a replay nor a new claim."""
    shard = await open_shard(door, per_holder=5)
    await shard.claim(an_ask("a", key="k", payload="app"))

    rush = await shard.claim(an_ask("a", key="k", payload="web"))

    assert rush.replies == [Outcome.KEY_REUSED]


async def test_the_limit_counts_claims_of_the_same_call_and_names_the_codes(door: Door) -> None:
    """Per holder 2: of four asks in one call two are granted, two see the codes already held."""
    shard = await open_shard(door, per_holder=2)

    rush = await shard.claim(*(an_ask("a", key=key) for key in "wxyz"))

    held = [Outcome.LIMIT_REACHED, a_code("a w"), a_code("a x")]
    assert rush.replies == [3, 4, held, held]


@pytest.mark.parametrize("per_holder", ["", 0])
async def test_a_limit_that_is_missing_grants_nothing(door: Door, per_holder: object) -> None:
    """Rules without per_holder, which no campaign compiles to, refuse everybody instead of limiting nobody."""
    shard = await open_shard(door, per_holder=per_holder)

    assert (await shard.claim(an_ask("a"))).replies == [[Outcome.LIMIT_REACHED]]


async def test_a_code_that_is_taken_is_refused_and_costs_nothing(door: Door) -> None:
    """Two asks with one code: the second is told so, keeps the stock, and may come back with another code."""
    shard = await open_shard(door, stock=3)
    await shard.claim(an_ask("a", code=a_code("x")))

    rush = await shard.claim(
        an_ask("b", code=a_code("x")), an_ask("c", code=a_code("y")), an_ask("d", code=a_code("y"))
    )

    assert rush.replies == [Outcome.CODE_TAKEN, 4, Outcome.CODE_TAKEN]
    assert await shard.stock() == 1


async def test_the_budget_is_exact_to_the_coupon(door: Door) -> None:
    """A budget of 1,499 pays for two coupons of 500 and not for a third."""
    shard = await open_shard(door, budget_minor=1499)

    rush = await shard.claim(an_ask("a"), an_ask("b"), an_ask("c"))

    assert rush.replies == [3, 4, Outcome.BUDGET_EXHAUSTED]
    assert await door.redis.hget(shard.shard.key("counters"), "budget_used") == b"1000"


async def test_the_day_limit_ends_with_the_day(door: Door, eventually: Eventually) -> None:
    """per_day counts from the campaign's midnight; after the next one there is room again, and holders' days too."""
    now = now_ms()
    midnights = [now - 30 * HOUR_MS, now - 6 * HOUR_MS, now + 18 * HOUR_MS]
    shard = await open_shard(
        door, per_holder=9, per_day=3, per_holder_per_day=2, days="".join(map(a_day, midnights)),
        starts_ms=now - 30 * HOUR_MS,
    )  # fmt: skip

    today = await shard.claim(*(an_ask("a", key=key) for key in "123"), an_ask("b"), an_ask("c"))
    await eventually(lambda: now_ms() > today.now_ms)
    await shard.rule(days="".join(map(a_day, [*midnights[:2], now_ms()])))
    tomorrow = await shard.claim(*(an_ask("a", key=key) for key in "456"))

    assert today.replies == [3, 4, Outcome.PERIOD_LIMIT, 5, Outcome.PERIOD_LIMIT]
    assert today.day_ends_ms == midnights[2]
    assert tomorrow.replies == [6, 7, Outcome.PERIOD_LIMIT]


async def test_a_claim_until_a_date_expires_then(door: Door) -> None:
    """validity.until stands in the coupon to the millisecond."""
    until = now_ms() + 5 * HOUR_MS
    shard = await open_shard(door, until_ms=until, validity_ms="")

    rush = await shard.claim(an_ask("a"))
    coupons = unpack(await door.call(load_script("held"), shard.shard, "a", with_server=False))

    assert rush.expires_ms == until
    assert coupons == [[a_code("a key of a"), "c", 3, rush.now_ms, until]]


async def test_a_window_is_closed_at_its_end_and_open_at_its_start(door: Door) -> None:
    """starts_ms is the first instant inside, ends_ms the first outside, by the clock of Redis alone."""
    shard = await open_shard(door)
    now = now_ms()
    await shard.rule(starts_ms=now - 1000, ends_ms=now)
    assert (await shard.claim(an_ask("a"))).replies == [Outcome.ENDED]
    await shard.rule(starts_ms=now_ms(), ends_ms=now + HOUR_MS)

    rush = await shard.claim(an_ask("a"))

    assert rush.now_ms >= rush.starts_ms
    assert rush.replies == [3]


Condition = Callable[[ShardUnderTest], Awaitable[object]]
PRECEDENCE: list[tuple[Outcome, Condition]] = [
    (Outcome.NOT_READY, lambda shard: shard.rule(server="another Redis")),
    (Outcome.LIMIT_REACHED, lambda shard: shard.rule(per_holder=1)),
    (Outcome.NOT_STARTED, lambda shard: shard.rule(starts_ms=now_ms() + HOUR_MS)),
    (Outcome.ENDED, lambda shard: shard.rule(ends_ms=now_ms() - 1)),
    (Outcome.PAUSED, lambda shard: shard.rule(state="paused")),
    (Outcome.NOT_ELIGIBLE, lambda shard: shard.rule(channels=",pos,")),
    (Outcome.PERIOD_LIMIT, lambda shard: shard.rule(per_holder_per_day=1)),
    (Outcome.PERIOD_LIMIT, lambda shard: shard.rule(per_day=1)),
    (Outcome.BUDGET_EXHAUSTED, lambda shard: shard.rule(budget_minor=500)),
    (Outcome.SOLD_OUT, lambda shard: shard.adjust(-9)),
]


@pytest.mark.parametrize("first", range(len(PRECEDENCE) + 1))
async def test_when_several_refusals_apply_the_first_in_order_is_given(door: Door, first: int) -> None:
    """Each condition together with all that come after it gives its own outcome; with none, the claim is granted."""
    shard = await open_shard(door, per_holder=2, days=a_day(now_ms() - HOUR_MS), budget_minor=9999, per_day=9)
    await shard.claim(an_ask("a", key="earlier"))

    for _, bring_about in reversed(PRECEDENCE[first:]):
        await bring_about(shard)
    rush = await shard.claim(an_ask("a", key="now", channel="app"), an_ask("a", key="earlier"))

    expected = PRECEDENCE[first][0] if first < len(PRECEDENCE) else 4
    given = rush.replies[0]
    assert (given[0] if isinstance(given, list) else given) == expected
    replayed = rush.replies[1]
    assert isinstance(replayed, list)
    assert replayed[:2] == [Outcome.REPLAYED, a_code("a earlier")]


@pytest.mark.parametrize("missing", ["rules", "stock"])
async def test_a_shard_that_lost_a_key_is_not_ready_and_never_sold_out(door: Door, missing: str) -> None:
    """Without its rules or its stock a shard says not_ready and stays as it is."""
    shard = await open_shard(door)
    await door.redis.delete(shard.shard.key(missing))
    before = await shard.dump()

    assert (await shard.claim(an_ask("a"))).replies == [Outcome.NOT_READY]
    assert await shard.dump() == before


@pytest.mark.parametrize("part", ["rules", "counters", "stock", "holders", "coupons", "entries"])
async def test_a_key_of_a_wrong_type_ends_the_call_before_any_write(door: Door, part: str) -> None:
    """Whatever key is not of its type, the claim fails and nothing else has changed."""
    shard = await open_shard(door)
    await shard.claim(an_ask("a"))
    await door.redis.delete(shard.shard.key(part))
    await door.redis.lpush(shard.shard.key(part), "not what it should be")
    before = await shard.dump()

    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await shard.claim(an_ask("b"))
    assert await shard.dump() == before


async def test_a_full_batch_of_the_largest_asks_goes_through(door: Door) -> None:
    """128 asks of 128-byte holders with 32-character channels are one call and one entry."""
    shard = await open_shard(door, stock=128, channels=f",{'x' * 32},")

    rush = await shard.claim(*(an_ask(f"{n:0128}", channel="x" * 32) for n in range(128)))

    assert rush.replies == list(range(3, 131))
    assert len((await shard.entries())[-1].grants) == 128  # type: ignore[union-attr]


async def test_holders_are_bytes_and_not_patterns(door: Door) -> None:
    """Holders with signs that mean something elsewhere are told apart to the byte."""
    shard = await open_shard(door)
    holders = ["a", "A", "a%", "*", "{x}", "ключ", "用户", "a\u0301", "á"]

    rush = await shard.claim(*(an_ask(holder, key=f"{n}") for n, holder in enumerate(holders)))

    assert rush.replies == list(range(3, 3 + len(holders)))


async def test_large_numbers_stay_exact(door: Door) -> None:
    """Stock, seq and budget above 10^14 neither round nor turn into 1e+14."""
    shard = await open_shard(door, stock=0, budget_minor=9_007_199_254_740_991, unit_minor=4_000_000_000_000_001)
    await shard.adjust(900_000_000_000_001)
    await door.redis.hset(shard.shard.key("counters"), "seq", 999_999_999_999)

    rush = await shard.claim(an_ask("a"), an_ask("b"), an_ask("c"))

    assert rush.replies == [1_000_000_000_000, 1_000_000_000_001, Outcome.BUDGET_EXHAUSTED]
    assert await shard.stock() == 899_999_999_999_999
    counters = await door.redis.hgetall(shard.shard.key("counters"))
    assert (counters[b"seq"], counters[b"budget_used"]) == (b"1000000000001", b"8000000000000002")


@pytest.mark.parametrize("asks", [b"", b"\xc1", pack("x"), pack([1, 2]), pack([[]]), pack(["only one"])])
async def test_malformed_asks_change_nothing(door: Door, asks: bytes) -> None:
    """Whatever the second argument holds, the script fails or grants nothing."""
    shard = await open_shard(door)
    before = await shard.dump()

    with pytest.raises(ResponseError):
        await door.call(load_script("claim"), shard.shard, asks)
    assert await shard.dump() == before


def test_the_builder_hashes_as_the_gateway_does() -> None:
    """an_idem has the widths of key_hash and payload_hash, so these tests run on records of the real shape."""
    assert len(an_idem("k")) == 12
