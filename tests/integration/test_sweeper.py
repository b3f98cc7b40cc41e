"""The sweeper: what is over is booked, from the deadlines of the books, by the clock of Redis, and never early."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest

from gateway.stack.postgres import Postgres
from gateway.stack.valkey import Valkey
from lua.door import Door
from lua.keys import CampaignId, Shard
from reconciler.deadlines import START, Deadlines, Due
from reconciler.queries import QUERIES
from reconciler.sweeper import Sweeper, SweeperOptions
from tests.conftest import Eventually
from tests.integration.draining import Books, draining
from tests.integration.life import HOUR_MS, LifeSale, open_life

SWIFT = SweeperOptions(codes_max=16, pause_ms=20)


@pytest.fixture
def books(postgres_url: str) -> Iterator[Books]:
    """An empty, migrated database."""
    with Books(postgres_url) as books:
        yield books


@asynccontextmanager
async def sweeping(redis_url: str, books: Books, **changes: Any) -> AsyncIterator[None]:
    """A reconciler that looks for what is over fifty times a second, sixteen coupons a call."""
    async with draining(redis_url, books.url, sweeper=SWIFT, **changes):
        yield


def states(books: Books) -> dict[str, int]:
    """State → coupons."""
    return dict(books.rows("SELECT state, count(*) FROM coupons GROUP BY state"))


async def test_what_is_over_is_booked_and_nothing_else(
    door: Door, redis_url: str, books: Books, eventually: Eventually
) -> None:
    """Of coupons past their time and others exactly the former end, each once, and the book balances."""
    sale = await open_life(door, books, validity_ms=1)
    over = [await sale.claim_one(f"over {n}") for n in range(40)]
    await sale.on.rule(validity_ms=HOUR_MS)
    good = [await sale.claim_one(f"good {n}") for n in range(40)]
    await sale.redeem("R1", good[0])
    await sale.reserve(good[1])
    async with sweeping(redis_url, books):
        await eventually(lambda: states(books) == {"expired": 40, "claimed": 38, "redeemed": 1, "reserved": 1})
        await eventually(sale.drained)

    assert {code for (code,) in books.rows("SELECT code FROM coupons WHERE state = 'expired'")} == set(over)
    assert books.value("SELECT count(*) FROM coupon_entries WHERE kind = 'expired'") == 40
    early = "SELECT count(*) FROM coupons JOIN coupon_entries AS e USING (code) WHERE kind = 'expired' AND at < "
    assert books.value(f"{early} coupons.expires_at") == 0
    await sale.prove_life()


async def test_units_that_go_back_to_stock(door: Door, redis_url: str, books: Books, eventually: Eventually) -> None:
    """A campaign whose expired coupons return has them in stock, in Redis as in the book."""
    sale = await open_life(door, books, stock=10, validity_ms=1, expiry_returns="stock,slot")
    for n in range(4):
        await sale.claim_one(f"h{n}")
    async with sweeping(redis_url, books):
        await eventually(lambda: states(books) == {"expired": 4})

    assert await sale.on.stock() == 10
    await sale.prove_life()


async def test_holds_that_are_over_are_released(
    door: Door, redis_url: str, books: Books, eventually: Eventually
) -> None:
    """A hold that nobody comes back for is free in the books too, soon after its time."""
    sale = await open_life(door, books)
    codes = [await sale.claim_one(f"h{n}") for n in range(40)]
    for code in codes[:35]:
        await sale.reserve(code, ttl_ms=30)
    for code in codes[35:]:
        await sale.reserve(code)
    async with sweeping(redis_url, books):
        await eventually(lambda: states(books) == {"claimed": 35, "reserved": 5})
        await eventually(sale.drained)

    assert books.value("SELECT count(*) FROM coupon_entries WHERE kind = 'released'") == 35
    await sale.prove_life()


async def test_deadlines_outlive_what_redis_kept_of_holds(
    door: Door, redis_url: str, books: Books, eventually: Eventually
) -> None:
    """With holds and uses gone from Redis, the books still know what is over: holds are released, coupons expire."""
    sale = await open_life(door, books)
    held = [await sale.claim_one(f"h{n}") for n in range(20)]
    for code in held:
        await sale.reserve(code, ttl_ms=300)
    async with draining(redis_url, books.url, sweeper=SweeperOptions(pause_ms=3_600_000)):
        await eventually(sale.drained)
    await door.redis.delete(sale.on.shard.key("holds"), sale.on.shard.key("uses"))
    async with sweeping(redis_url, books):
        await eventually(lambda: states(books) == {"claimed": 20})
    await sale.prove_life()

    books.rows("UPDATE coupons SET expires_at = now()")
    await backdate(sale, held)
    async with sweeping(redis_url, books):
        await eventually(lambda: states(books) == {"expired": 20})
    await sale.prove_life(but=("live",))  # the deadline was set by hand


async def backdate(sale: LifeSale, codes: list[str]) -> None:
    """Let the time of coupons be over in Redis."""
    key = sale.on.shard.key("coupons")
    for code in codes:
        record: Any = await sale.on.door.redis.hget(key, code)
        await sale.on.door.redis.hset(key, code, record[:12] + (1).to_bytes(6, "big") + record[18:])


async def test_it_never_ends_what_is_not_over_by_the_clock_of_redis(
    door: Door, redis_url: str, books: Books, eventually: Eventually
) -> None:
    """Books that call everything due end nothing that Redis knows to be good, and are not asked in a loop."""
    sale = await open_life(door, books)
    codes = [await sale.claim_one(f"h{n}") for n in range(40)]
    async with sweeping(redis_url, books):
        await eventually(sale.drained)
        books.rows("UPDATE coupons SET expires_at = now() - interval '1 day'")
        before = await expire_calls(door)
        await eventually(lambda: asked(door, before + 3))
        calls = await expire_calls(door)
        await backdate(sale, codes[:1])
        await eventually(lambda: states(books) == {"claimed": 39, "expired": 1})
        assert await expire_calls(door) - calls < 60
    assert books.value("SELECT count(*) FROM coupon_entries WHERE kind = 'expired'") == 1


async def expire_calls(door: Door) -> int:
    """Scripts that Redis was asked to run so far."""
    stats: Any = await door.redis.info("commandstats")
    return int(stats.get("cmdstat_evalsha", {}).get("calls", 0))


async def asked(door: Door, times: int) -> bool:
    """Whether scripts were asked for so often."""
    return await expire_calls(door) >= times


async def test_it_goes_on_when_servers_come_back(
    door: Door, redis_url: str, redis_server: Valkey, postgres_server: Postgres, books: Books, eventually: Eventually
) -> None:
    """Redis away, then PostgreSQL away, in the middle of a sweep: everything that is over ends once all the same."""
    sale = await open_life(door, books, validity_ms=1)
    for n in range(300):
        await sale.claim_one(f"h{n}")
    async with sweeping(redis_url, books):
        await eventually(lambda: states(books).get("expired", 0) >= 16)
        await asyncio.to_thread(redis_server.stop)
        redis_server.start()  # on this thread: the server dies with the thread that started it
        await eventually(lambda: states(books).get("expired", 0) >= 120)
        await asyncio.to_thread(postgres_server.stop)
        postgres_server.start()
        await eventually(lambda: states(books) == {"expired": 300})
        await eventually(sale.drained)
    await sale.prove_life()


async def test_it_is_held_back_where_the_drain_is(
    door: Door, redis_url: str, books: Books, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the books of a shard stand still, nothing more of it is ended than one call's worth, in many rounds."""
    rounds, a_round = 0, Sweeper._round

    async def counted(sweeper: Sweeper, *args: Any) -> None:
        nonlocal rounds
        rounds += 1
        await a_round(sweeper, *args)

    monkeypatch.setattr(Sweeper, "_round", counted)
    sale = await open_life(door, books, validity_ms=1)
    for n in range(100):
        await sale.claim_one(f"h{n}")
    async with draining(redis_url, books.url, sweeper=SweeperOptions(pause_ms=3_600_000)):
        await eventually(sale.drained)
    blocker = psycopg.connect(books.url)
    async with sweeping(redis_url, books):
        await eventually(lambda: books.seq() > 102)
        before = books.seq()
        # Whoever holds the row is evicted after two seconds, but for sessions that are none of a reconciler's.
        await asyncio.to_thread(blocker.execute, "SELECT * FROM checkpoints FOR UPDATE")  # the drain may be at it
        standing = await sale.last_seq()
        begun = rounds
        await eventually(lambda: rounds >= begun + 20)
        assert await sale.last_seq() <= standing + 2 * 16
        blocker.rollback()
        await eventually(lambda: states(books) == {"expired": 100})
        assert books.seq() > before
    blocker.close()
    await sale.prove_life()


def filled(books: Books, coupons: int) -> None:
    """A shard with many coupons of one deadline, one in ten of them over, and a few holds."""
    books.add_campaign()
    books.rows(
        "INSERT INTO coupons (code, campaign, shard, holder, state, seq, version, channel, claimed_at, expires_at, "
        "changed_seq, reserved_until) SELECT md5(n::text), 'c', 'c/0', 'h', "
        "CASE WHEN n %% 1000 = 0 THEN 'reserved' ELSE 'claimed' END, n, 1, '', now(), "
        "CASE WHEN n %% 10 = 0 THEN '2020-01-01' ELSE '2100-01-01' END::timestamptz, n, "
        "CASE WHEN n %% 1000 = 0 THEN '2020-01-01'::timestamptz END FROM generate_series(1, %s) AS n",
        coupons,
    )
    books.rows("ANALYZE coupons")


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every node of a plan."""
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes(inner)


@pytest.mark.parametrize("query", ["coupons_due", "holds_due", "coupons_due_shards", "holds_due_shards"])
def test_no_query_of_the_sweeper_reads_what_is_not_over(books: Books, query: str) -> None:
    """With a hundred thousand coupons out, each query walks its partial index and reads no row it does not give."""
    filled(books, 100_000)
    values: dict[str, object] = {
        "shard": "c/0", "shards": ["c/0", "d/0"], "now": "2026-01-01", "after": "2020-01-01", "after_seq": 50_000,
        "codes_max": 512,
    }  # fmt: skip
    with psycopg.connect(books.url) as connection:
        [(plan,)] = connection.execute(b"EXPLAIN (ANALYZE, FORMAT JSON) " + QUERIES[query], values).fetchall()
    found = list(nodes(plan[0]["Plan"]))
    scans = [node for node in found if "Scan" in node["Node Type"] and node["Node Type"] != "Function Scan"]

    assert [node.get("Index Name") for node in scans] == [
        "coupons_due_idx" if query.startswith("coupons") else "coupons_held_idx"
    ]
    assert not any("Sort" in node["Node Type"] for node in found)
    assert all(node.get("Rows Removed by Filter", 0) == 0 for node in scans)
    assert all(node["Actual Rows"] <= 512 for node in scans)


async def test_the_list_of_a_shard_is_read_to_its_end(books: Books) -> None:
    """Batch by batch, though all have one deadline, every code comes once and in the order of the claims."""
    filled(books, 5000)
    deadlines = Deadlines(books.url, postgres_ms_max=60_000, connect_ms_max=30_000)
    now = books.value("SELECT now()")
    shard, place, found = Shard(CampaignId("c"), 0), START, list[str]()
    assert await deadlines.shards_due([shard, Shard(CampaignId("d"), 0)], now) == {shard: [Due.HOLDS, Due.COUPONS]}
    while True:
        codes, place = await deadlines.codes_due(shard, Due.COUPONS, now, place, 64)
        if not codes:
            break
        found += codes
    await deadlines.close()

    assert found == [code for (code,) in books.rows("SELECT code FROM coupons WHERE seq % 10 = 0 ORDER BY seq")]
