"""issue.lua: a chunk of codes is issued once, whole or not at all, and every refusal leaves the shard as it was."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from redis.exceptions import ResponseError

from lua.door import Door
from lua.entries import Issued
from lua.keys import ISSUE_CHUNK_MAX
from lua.outcomes import Outcome
from lua.scripts import load_script
from tests.builders import HOUR_MS, ShardUnderTest, a_code, an_ask, now_ms, open_shard, pack

BATCH = "cb_test"


def some_codes(count: int, first: int = 0) -> list[str]:
    """*count* codes of their own."""
    return [a_code(f"bulk {number}") for number in range(first, first + count)]


async def issue(
    shard: ShardUnderTest, chunk: int, codes: list[str], *, units: int = 1, expires_ms: int = 0, batch: str = BATCH
) -> list[int]:
    """issue.lua: outcome, next chunk, codes of the batch here, stock, places that are taken."""
    asked = pack([batch, chunk, units, expires_ms, *codes])
    return list(await shard.door.call(load_script("issue"), shard.shard, asked))


async def records(shard: ShardUnderTest, part: str) -> dict[bytes, bytes]:
    """A hash of the shard."""
    found: Any = await shard.door.redis.hgetall(shard.shard.key(part))
    return dict(found)


async def test_a_chunk_takes_stock_numbers_its_codes_and_leaves_one_entry(door: Door) -> None:
    """Three codes are three coupons without a holder, seq 3 to 5, and one entry with all that rebuilds them."""
    shard = await open_shard(door, stock=5, version=7, budget_minor=9000)
    codes, expires = some_codes(3), now_ms() + HOUR_MS

    assert await issue(shard, 0, codes, expires_ms=expires) == [Outcome.DONE, 1, 3, 2]

    entry = (await shard.entries())[-1]
    assert entry == Issued(1, 1, 7, entry.at_ms, 3, expires, "500", BATCH, 1, codes)
    coupons = await records(shard, "coupons")
    assert [code.encode() for code in codes] == sorted(coupons, key=lambda code: coupons[code][1:6])
    times = entry.at_ms.to_bytes(6, "big") + expires.to_bytes(6, "big")
    assert coupons[codes[1].encode()] == b"c" + (4).to_bytes(5, "big") + times
    counters = await records(shard, "counters")
    assert (counters[b"seq"], counters[b"claimed"], counters[b"budget_used"]) == (b"5", b"3", b"1500")
    assert await records(shard, "uses") == {}
    assert await records(shard, "holders") == {}


async def test_a_code_that_many_may_use_takes_its_uses_from_the_stock(door: Door) -> None:
    """One code of 40 uses takes 40 units, and its record says what is left of it."""
    shard = await open_shard(door, stock=50)

    assert await issue(shard, 0, ["WELCOME10"], units=40) == [Outcome.DONE, 1, 1, 10]

    assert msgspec.msgpack.decode((await records(shard, "uses"))[b"WELCOME10"]) == [40, 40, "", "", 0, 0]
    entry = (await shard.entries())[-1]
    assert isinstance(entry, Issued)
    assert (entry.count, entry.units, entry.codes) == (1, 40, ["WELCOME10"])
    assert (await records(shard, "counters"))[b"claimed"] == b"40"


async def test_a_chunk_is_done_once_however_often_it_is_asked(door: Door) -> None:
    """A chunk whose answer was lost is asked again, with other codes too: nothing further is issued."""
    shard = await open_shard(door, stock=9)
    await issue(shard, 0, some_codes(2))
    await issue(shard, 1, some_codes(3, 2))
    before = await shard.dump()

    assert await issue(shard, 1, some_codes(3, 5)) == [Outcome.REPLAYED, 2, 5, 4]
    assert await issue(shard, 0, some_codes(2)) == [Outcome.REPLAYED, 2, 5, 4]
    assert await issue(shard, 1, []) == [Outcome.REPLAYED, 2, 5, 4]
    assert await shard.dump() == before


async def test_a_chunk_without_codes_is_passed_over(door: Door) -> None:
    """What was passed over is never issued under that number, by whoever asks late; it leaves no entry."""
    shard = await open_shard(door, stock=9)
    entries = await shard.entries()

    assert await issue(shard, 0, []) == [Outcome.DONE, 1, 0, 9]
    assert await issue(shard, 0, some_codes(2)) == [Outcome.REPLAYED, 1, 0, 9]
    assert await shard.entries() == entries
    assert await issue(shard, 1, some_codes(2)) == [Outcome.DONE, 2, 2, 7]


async def test_a_shard_that_lost_chunks_says_how_far_it_is(door: Door) -> None:
    """A chunk that is not the next one is not issued: the answer says which is, and what is here."""
    shard = await open_shard(door, stock=9)
    await issue(shard, 0, some_codes(2))

    assert await issue(shard, 3, some_codes(2, 2)) == [Outcome.BEHIND, 1, 2, 7]
    assert len(await records(shard, "coupons")) == 2


async def test_batches_count_their_chunks_apart(door: Door) -> None:
    """Two batches on one shard have numbers of their own."""
    shard = await open_shard(door, stock=9)
    await issue(shard, 0, some_codes(2), batch="one")

    assert await issue(shard, 0, some_codes(3, 2), batch="two") == [Outcome.DONE, 1, 3, 4]


async def test_codes_in_use_are_named_by_place_and_nothing_is_issued(door: Door) -> None:
    """A code that a holder has, and one that comes twice in the list, are told by their places; the rest can follow."""
    shard = await open_shard(door, stock=9)
    await shard.claim(an_ask("ann", code="HERS"))
    before = await shard.dump()

    assert await issue(shard, 0, ["A", "HERS", "B", "A"]) == [Outcome.CODE_TAKEN, 0, 0, 8, 2, 4]
    assert await shard.dump() == before
    assert await issue(shard, 0, ["A", "B"]) == [Outcome.DONE, 1, 2, 6]


async def test_a_code_without_a_time_of_its_own_expires_like_a_claim(door: Door) -> None:
    """expires_ms 0 is the campaign's validity: so long from now, or until its date."""
    shard = await open_shard(door)
    await issue(shard, 0, ["A"])
    until = now_ms() + 5 * HOUR_MS
    await shard.rule(until_ms=until)
    await issue(shard, 1, ["B"])

    by_days, by_date = (await shard.entries())[-2:]
    assert isinstance(by_days, Issued)
    assert isinstance(by_date, Issued)
    assert by_days.expires_ms == by_days.at_ms + 24 * HOUR_MS
    assert by_date.expires_ms == until


async def test_staff_may_issue_before_the_window_and_while_it_is_paused(door: Door) -> None:
    """Scheduled, active and paused campaigns take codes."""
    shard = await open_shard(door, state="paused", starts_ms=now_ms() + HOUR_MS, ends_ms=now_ms() + 2 * HOUR_MS)

    assert (await issue(shard, 0, ["A"]))[0] == Outcome.DONE


Condition = Callable[[ShardUnderTest], Awaitable[object]]


PRECEDENCE: list[tuple[Outcome, Condition]] = [
    (Outcome.NOT_READY, lambda shard: shard.rule(server="another Redis")),
    (Outcome.ENDED, lambda shard: shard.rule(state="ended")),
    (Outcome.ENDED, lambda shard: shard.rule(ends_ms=now_ms())),
    (Outcome.BUDGET_EXHAUSTED, lambda shard: shard.rule(budget_minor=1400)),
    (Outcome.SOLD_OUT, lambda shard: shard.adjust(-8)),
    (Outcome.CODE_TAKEN, lambda shard: issue(shard, 0, ["B"], batch="another")),
]


@pytest.mark.parametrize("first", range(len(PRECEDENCE) + 1))
async def test_when_several_refusals_apply_the_first_in_order_is_given(door: Door, first: int) -> None:
    """Each condition with all that come after it gives its own outcome and changes nothing; with none, it is issued."""
    shard = await open_shard(door, stock=10, budget_minor=5000)
    for _, bring_about in reversed(PRECEDENCE[first:]):
        await bring_about(shard)
    before = await shard.dump()

    answer = await issue(shard, 0, ["A", "B", "C"])

    if first < len(PRECEDENCE):
        assert answer[0] == PRECEDENCE[first][0]
        assert await shard.dump() == before
    else:
        assert answer == [Outcome.DONE, 1, 3, 7]


@pytest.mark.parametrize("missing", ["rules", "stock"])
async def test_a_shard_that_lost_a_key_is_not_ready(door: Door, missing: str) -> None:
    """Without its rules or its stock a shard takes no codes, a replay neither."""
    shard = await open_shard(door)
    await issue(shard, 0, ["A"])
    await door.redis.delete(shard.shard.key(missing))

    assert (await issue(shard, 0, ["A"]))[0] == Outcome.NOT_READY


async def test_a_full_chunk_of_the_longest_codes_goes_through(door: Door) -> None:
    """ISSUE_CHUNK_MAX codes of 64 characters, each for many, are one call and one entry."""
    shard = await open_shard(door, stock=3 * ISSUE_CHUNK_MAX)
    codes = [f"{number:064}" for number in range(ISSUE_CHUNK_MAX)]

    assert (await issue(shard, 0, codes, units=3))[0] == Outcome.DONE
    assert (await shard.entries())[-1].count == ISSUE_CHUNK_MAX
    assert await shard.stock() == 0


@pytest.mark.parametrize(
    "chunk", [b"", b"\xc1", pack("x"), pack([]), pack(["b"]), pack(["b", 0, 0, 0, "A"]), pack(["b", -1, 1, 0, "A"])]
)
async def test_a_malformed_chunk_changes_nothing(door: Door, chunk: bytes) -> None:
    """Whatever the second argument holds, the script fails without a trace."""
    shard = await open_shard(door)
    before = await shard.dump()

    with pytest.raises(ResponseError):
        await door.call(load_script("issue"), shard.shard, chunk)
    assert await shard.dump() == before
