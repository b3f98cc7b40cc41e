"""A shard that is not as the books expect stops, is named, and resumes when it is; the others go on."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from lua.door import Door
from lua.outcomes import Outcome
from tests.builders import an_ask
from tests.conftest import ON_VALKEY, Eventually
from tests.integration.draining import Books, Sale, draining, open_sale

pytestmark = ON_VALKEY

Repair = Callable[[], Awaitable[Any]]


@pytest.fixture
def books(postgres_url: str) -> Iterator[Books]:
    """An empty, migrated database."""
    with Books(postgres_url) as books:
        yield books


@pytest.fixture(autouse=True)
def examine_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare shards with the books five times a second instead of every three seconds."""
    monkeypatch.setattr("reconciler.drain.EXAMINE_S", 0.2)


@asynccontextmanager
async def two_sales(
    door: Door, redis_url: str, books: Books, eventually: Eventually
) -> AsyncIterator[tuple[Sale, Sale]]:
    """Two campaigns that are drained; leaving proves both."""
    broken, other = await open_sale(door, books, "broken"), await open_sale(door, books, "other")
    async with draining(redis_url, books.url):
        for sale in (broken, other):
            await sale.claim("a", "b")
            await eventually(sale.drained)
        yield broken, other
    for sale in (broken, other):
        await sale.prove()


async def prove_stopped_alone(broken: Sale, other: Sale, kind: str, eventually: Eventually) -> tuple[Any, Any]:
    """The broken shard has one open break of *kind* and stands still, the other goes on; gives expected and found."""
    books = broken.books
    await eventually(lambda: books.open_breaks(broken.name) == [kind])
    assert books.state(broken.name) == "stopped"
    stands_at = books.seq(broken.name)
    await other.claim(f"while the other has {kind}")
    await eventually(other.drained)
    assert (books.state(other.name), books.seq(broken.name)) == ("running", stands_at)
    [(expected, found)] = books.rows("SELECT expected, found FROM breaks WHERE resolved_at IS NULL")
    return expected, found


async def prove_resumed(sale: Sale, eventually: Eventually) -> None:
    """The shard runs again, its break is resolved and kept, and it is drained to its tail."""
    await eventually(lambda: sale.books.state(sale.name) == "running")
    assert sale.books.open_breaks(sale.name) == []
    assert sale.books.value("SELECT count(*) FROM breaks WHERE resolved_at IS NOT NULL") == 1
    await sale.claim("after the break")
    await eventually(sale.drained)


async def test_a_gap_in_seq_stops_the_shard(door: Door, redis_url: str, books: Books, eventually: Eventually) -> None:
    """A record missing from the stream is a break that names both numbers; with the record back, the shard resumes."""
    broken, other = await open_sale(door, books, "broken"), await open_sale(door, books, "other")
    for holder in "abc":
        await broken.claim(holder)
    whole = await broken.records()
    await broken.put_records([*whole[:3], *whole[4:]])

    async with draining(redis_url, books.url):
        expected, found = await prove_stopped_alone(broken, other, "seq_gap", eventually)
        assert (expected["seq"], found["seq"], books.seq(broken.name)) == (4, 5, 3)

        await broken.put_records(whole)
        await prove_resumed(broken, eventually)

    await broken.prove()
    await other.prove()


async def test_a_tail_that_is_gone_stops_the_shard(
    door: Door, redis_url: str, books: Books, eventually: Eventually
) -> None:
    """A stream emptied of what the books do not have is found out without waiting for the next claim."""
    async with two_sales(door, redis_url, books, eventually) as (broken, other):
        before = await broken.records()
        await door.redis.hincrby(broken.on.shard.key("counters"), "seq", 3)

        _, found = await prove_stopped_alone(broken, other, "seq_gap", eventually)
        assert found == {"seq": None, "last_seq": 7}

        await door.redis.hincrby(broken.on.shard.key("counters"), "seq", -3)
        assert await broken.records() == before
        await prove_resumed(broken, eventually)


async def test_another_epoch_stops_the_shard(door: Door, redis_url: str, books: Books, eventually: Eventually) -> None:
    """A Redis with another epoch than the books can't pass for theirs, though its numbers fit."""
    async with two_sales(door, redis_url, books, eventually) as (broken, other):
        await broken.on.rule(epoch=2)

        expected, found = await prove_stopped_alone(broken, other, "epoch_changed", eventually)
        assert (expected["epoch"], found["epoch"]) == (1, 2)

        await broken.on.rule(epoch=1)
        await prove_resumed(broken, eventually)


async def test_an_entry_of_another_epoch_is_not_drained(
    door: Door, redis_url: str, books: Books, eventually: Eventually
) -> None:
    """The epoch is on every entry: one granted under another epoch is refused even when the rules look right again."""
    sale = await open_sale(door, books)
    await sale.on.rule(epoch=2)
    await sale.claim("stranger")
    await sale.on.rule(epoch=1)

    async with draining(redis_url, books.url):
        await eventually(lambda: books.open_breaks() == ["epoch_changed"])

    assert books.rows("SELECT kind FROM coupon_entries ORDER BY seq") == [("published",), ("adjusted",)]


async def test_a_redis_behind_the_books_stays_closed(
    door: Door, redis_url: str, books: Books, eventually: Eventually
) -> None:
    """A Redis that lost what the books have does not sell: claims are told not ready until it has caught up."""
    async with two_sales(door, redis_url, books, eventually) as (broken, other):
        # At once: a reconciler that looks in between would attach the shard to this Redis.
        lost = door.redis.pipeline(transaction=True)
        lost.hset(broken.on.shard.key("rules"), "server", "an earlier life")
        lost.hset(broken.on.shard.key("counters"), "seq", "2")
        await lost.execute()

        expected, found = await prove_stopped_alone(broken, other, "behind", eventually)
        assert (expected["seq"], found["seq"]) == (4, 2)
        rush = await broken.on.claim(an_ask("nobody"))
        assert rush.replies == [Outcome.NOT_READY]

        await door.redis.hset(broken.on.shard.key("counters"), "seq", 4)
        await prove_resumed(broken, eventually)


@pytest.mark.parametrize("kind", ["behind", "epoch_changed"])
async def test_a_shard_that_was_put_back_under_a_running_redis_is_closed(
    door: Door, redis_url: str, books: Books, eventually: Eventually, kind: str
) -> None:
    """Keys restored into the process they served on: the run id fits and the numbers do not, so nothing is sold."""
    async with two_sales(door, redis_url, books, eventually) as (broken, other):
        counters = broken.on.shard.key("counters")
        if kind == "behind":
            await door.redis.hset(counters, "seq", 2)
        else:
            await broken.on.rule(epoch=2)

        await prove_stopped_alone(broken, other, kind, eventually)
        rush = await broken.on.claim(an_ask("nobody"))
        assert rush.replies == [Outcome.NOT_READY]

        if kind == "behind":
            await door.redis.hset(counters, "seq", 4)
        else:
            await broken.on.rule(epoch=1)
        await prove_resumed(broken, eventually)


async def test_a_shard_that_vanished_stops(door: Door, redis_url: str, books: Books, eventually: Eventually) -> None:
    """Without rules in Redis, but with rows in the books, the shard is a break and not a campaign yet to come."""
    async with two_sales(door, redis_url, books, eventually) as (broken, other):
        await door.redis.rename(broken.on.shard.key("rules"), "aside")

        _, found = await prove_stopped_alone(broken, other, "rules_missing", eventually)
        assert found["epoch"] is None

        await door.redis.rename("aside", broken.on.shard.key("rules"))
        await prove_resumed(broken, eventually)


async def test_a_key_of_a_wrong_type_stops_only_its_shard(
    door: Door, redis_url: str, books: Books, eventually: Eventually
) -> None:
    """One stream replaced by a string makes the read of all streams fail: the culprit is found and left out."""
    async with two_sales(door, redis_url, books, eventually) as (broken, other):
        key = broken.on.shard.key("entries")
        await door.redis.rename(key, "aside")
        await door.redis.set(key, "not a stream")

        _, found = await prove_stopped_alone(broken, other, "shard_unreadable", eventually)
        assert "WRONGTYPE" in found["error"]

        await door.redis.rename("aside", key)
        await prove_resumed(broken, eventually)


async def test_rows_the_books_refuse_stop_only_their_shard(
    door: Door, redis_url: str, books: Books, eventually: Eventually
) -> None:
    """A coupon code that is taken in the books is a break that names the constraint; nothing of the batch stays."""
    broken, other = await open_sale(door, books, "broken"), await open_sale(door, books, "other")
    await broken.claim("a")
    [(_, _, code, _)] = broken.grants
    books.rows("INSERT INTO coupons VALUES (%s, 'broken', 'broken/0', 'x', 'claimed', 9, 1, '', now(), now(), 9)", code)

    # Whoever loses PostgreSQL for a moment tries what was refused again, and the shard runs until it is refused anew.
    async with draining(redis_url, books.url, postgres_ms_max=30_000):
        _, found = await prove_stopped_alone(broken, other, "rows_refused", eventually)

    assert found["constraint"] == "coupons_pkey"
    assert books.seq(broken.name) == 0
    assert books.value("SELECT count(*) FROM coupon_entries WHERE shard = 'broken/0'") == 0
    await other.prove()


async def test_an_unpublished_campaign_is_no_break(
    door: Door, redis_url: str, books: Books, eventually: Eventually
) -> None:
    """A checkpoint whose shard is not in Redis yet waits, and is drained as soon as it is published."""
    books.add_campaign("c")
    async with draining(redis_url, books.url):
        sale = await open_sale(door, books, "other")
        await eventually(sale.drained)
        assert (books.state(), books.open_breaks()) == ("running", [])
        late = Sale(sale.on.__class__(door, "c"), books)
        assert await late.on.publish() == 1
        await eventually(lambda: books.seq() == 1)
