"""A stocktake while things move: the books behind Redis, ahead of it, trimmed streams, other histories."""

import asyncio
from typing import Any

import pytest
from psycopg import AsyncConnection

from lua.door import Door
from lua.scripts import load_script
from lua.tally import Tally, take_tally
from reconciler.stocktake import Stocktake, take, taking
from tests.builders import now_ms, pack
from tests.conftest import redis_binaries
from tests.integration.draining import Books, draining
from tests.integration.life import LifeSale
from tests.integration.stocktaking import drain_all, live, open_stocked, stocktake

pytestmark = pytest.mark.parametrize("redis_server", list(redis_binaries().items())[:1], ids=["valkey"], indirect=True)


def found(taken: Stocktake) -> dict[str, tuple[dict[str, Any], dict[str, Any], str]]:
    """Kind and name → expected, found, cause."""
    return {f"{one.kind} {one.name}": (one.expected, one.found, one.cause.code) for one in taken.found}


@pytest.mark.parametrize("kind", ["amount_off", "balance"])
async def test_books_that_moved_on_meanwhile_are_rolled_back(
    door: Door, redis_url: str, postgres_url: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of a life is drained, and its stream trimmed, between the script and the snapshot that is compared."""
    with Books(postgres_url) as books:
        sale = await open_stocked(door, books, "balance" if kind == "balance" else "c", kind=kind)
        code = await sale.claim_one("early")
        await drain_all(sale, redis_url)
        look, looked = take_tally, 0

        async def look_and_move_on(*args: Any, **options: Any) -> Tally:
            nonlocal looked
            looked += 1
            await sale.claim_one("on the stream")
            seen = await look(*args, **options)
            await live(sale)
            await sale.redeem("RD-part", code, "o-9", minor=200)
            await sale.roll_back("RD-part", 100)
            await drain_all(sale, redis_url)
            assert len(await sale.records()) == 1  # the last one that the books have
            return seen

        monkeypatch.setattr(taking, "take_tally", look_and_move_on)
        taken = await stocktake(sale)
        monkeypatch.undo()

        assert (taken.is_clean, looked) == (True, 1), taken
        assert taken.figures["claimed"] == (2, 2)
        assert taken.figures["budget_left"] == (99_000, 99_000)
        assert (await stocktake(sale)).is_clean


async def test_what_is_left_of_a_budget_of_balances_is_told_by_the_money(
    door: Door, redis_url: str, postgres_url: str
) -> None:
    """Parts spent, given back and expired: what balances take of the budget is what is owed on them and was spent."""
    with Books(postgres_url) as books:
        sale = await open_stocked(door, books, "balance", kind="balance")
        await live(sale)
        code = await sale.claim_one("spender")
        await sale.redeem("RD-1", code, "o-11", minor=200)
        await sale.redeem("RD-2", code, "o-12", minor=300)
        await sale.roll_back("RD-1", 50)
        assert (await stocktake(sale)).is_clean
        await drain_all(sale, redis_url)
        taken = await stocktake(sale)
        assert taken.is_clean, taken
        expected, is_ = taken.figures["budget_left"]
        assert expected == is_
        await door.redis.hincrby(sale.on.shard.key("counters"), "budget_used", 1)
        assert found(await stocktake(sale)).keys() == {"figure budget_left"}


async def test_a_redis_that_is_older_or_lost_its_stream_is_named(door: Door, redis_url: str, postgres_url: str) -> None:
    """Without its stream, or with that of before, the shard is older than the books; without its keys it is another."""
    with Books(postgres_url) as books:
        sale = await open_stocked(door, books)
        redis: Any = door.redis
        copy = {part: await redis.dump(sale.on.shard.key(part)) for part in ("counters", "stock", "entries")}
        await live(sale)
        await drain_all(sale, redis_url)
        for part, dumped in copy.items():
            await redis.restore(sale.on.shard.key(part), 0, dumped, replace=True)
        taken = found(await stocktake(sale))
        assert taken.keys() == {"figure seq"}
        expected, is_, cause = taken["figure seq"]
        assert (expected["value"], is_["value"], cause) == (18, 2, "older")
        await redis.delete(sale.on.shard.key("entries"))
        assert found(await stocktake(sale))["figure seq"][2] == "older"
        await redis.flushall()
        assert found(await stocktake(sale))["figure epoch"][1]["value"] is None


async def test_a_stream_with_a_hole_is_not_compared(
    door: Door, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record that was deleted from the stream, or can't be read, leaves it open what the figures should be."""
    monkeypatch.setattr(taking, "TRIES_MAX", 3)
    with Books(postgres_url) as books:
        sale = await open_stocked(door, books)
        await live(sale)
        key = sale.on.shard.key("entries")
        (hole, _), (bad, _) = (await sale.records())[3:5]
        await door.redis.xdel(key, hole)
        assert (await stocktake(sale)).unfinished == "the stream does not go on where the books end"
        kept = [record for record in await sale.records() if record[0] != bad]
        await sale.put_records([*kept, (_after(kept[-1][0]), [b"seq", b"99", b"count", b"1", b"entry", b"?"])])
        assert "can't be read" in (await stocktake(sale)).unfinished
        await door.redis.delete(sale.on.shard.key("holds"))
        await door.redis.set(sale.on.shard.key("holds"), "no set")
        assert "WRONGTYPE" in (await stocktake(sale)).unfinished
        assert not (await stocktake(LifeSale(type(sale.on)(door, "nobody"), books))).is_clean


def _after(entry_id: str) -> str:
    ms, _, _ = entry_id.partition("-")
    return f"{int(ms) + 1}-0"


async def test_what_is_in_quarantine_is_likely_what_differs(door: Door, redis_url: str, postgres_url: str) -> None:
    """A record that the drain could not read is missing in the books: every difference points at the quarantine."""
    with Books(postgres_url) as books:
        sale = await open_stocked(door, books)
        await drain_all(sale, redis_url)
        seq = await sale.last_seq() + 1
        await door.redis.hset(sale.on.shard.key("counters"), mapping={"seq": seq, "claimed": 1})
        await door.redis.decr(sale.on.shard.key("stock"))
        await door.redis.xadd(sale.on.shard.key("entries"), {"seq": seq, "count": 1, "entry": "?"})
        await drain_all(sale, redis_url)
        differs = found(await stocktake(sale))
        assert differs.keys() == {"figure stock", "figure claimed"}
        assert {cause for _, _, cause in differs.values()} == {"quarantine"}


RUSH_STOCKTAKES = 100


async def test_stocktakes_during_a_rush_find_nothing(door: Door, redis_url: str, postgres_url: str) -> None:
    """While coupons are claimed, held, spent, given back and revoked, and the drain runs: 100 stocktakes, no break."""
    with Books(postgres_url) as books:
        sale = await open_stocked(door, books, stock=1_000_000, budget_minor=10**9, per_day=10**6)
        done = asyncio.Event()

        async def rush(number: int) -> int:
            turns = 0
            while not done.is_set():
                turns += 1
                name = f"{number}-{turns}"
                code = await sale.claim_one(name)
                await sale.reserve(code, name)
                await sale.redeem(f"RD-{name}", code, name)
                if turns % 3 == 0:
                    await sale.roll_back(f"RD-{name}", 500)
                    await sale.revoke(code)
                if turns % 10 == 0:
                    chunk = [f"cb-{name}", 0, 3, now_ms() + 10**6, f"CODE-{name}"]
                    await sale.on.door.call(load_script("issue"), sale.on.shard, pack(chunk))
            return turns

        async with (
            draining(redis_url, postgres_url),
            await AsyncConnection.connect(
                postgres_url, autocommit=True, options="-c role=fairclaim_clerk"
            ) as connection,
        ):
            rushing = [asyncio.create_task(rush(number)) for number in range(2)]
            seqs = []
            for _ in range(RUSH_STOCKTAKES):
                [taken] = await take(door, connection, [sale.on.shard], 20)
                figures = {"budget", "per_day"}  # raised for this sale behind the books' back
                assert not taken.unfinished, taken
                assert {one.name for one in taken.found} <= figures, taken.found
                seqs.append(taken.seq)
            done.set()
            turns = sum(await asyncio.gather(*rushing))

        assert len(set(seqs)) > RUSH_STOCKTAKES // 2, "the stocktakes did not see a rush"
        assert turns > 100
