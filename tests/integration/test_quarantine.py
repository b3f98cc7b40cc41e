"""Records that can't be read: kept whole, never skipped, put right by a replay."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from lua.door import Door
from reconciler.quarantine import replay
from reconciler.verifying import verify
from tests.conftest import Eventually
from tests.integration.draining import Books, Sale, draining, open_sale


@pytest.fixture
def books(postgres_url: str) -> Iterator[Books]:
    """An empty, migrated database."""
    with Books(postgres_url) as books:
        yield books


def quarantined(books: Books) -> list[tuple[Any, ...]]:
    """first_seq, count and whether replayed, of every row."""
    return books.rows("SELECT first_seq, count, replayed_at IS NOT NULL FROM quarantine ORDER BY entry_id")


async def hide_numbers(sale: Sale, *indices: int) -> None:
    """Rename the seq field of records on the stream, so that they don't tell what they cover."""
    records = await sale.records()
    for index in indices:
        entry_id, flat = records[index]
        records[index] = (entry_id, [b"sequence" if part == b"seq" else part for part in flat])
    await sale.put_records(records)


async def test_entries_of_a_newer_layout_wait_and_are_replayed(
    door: Door, redis_url: str, books: Books, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Entries this version can't read wait in quarantine with their numbers; one that can puts every row right."""
    sale = await open_sale(door, books)
    await sale.claim("a", "b")
    async with draining(redis_url, books.url):
        await eventually(sale.drained)
        monkeypatch.setattr("lua.entries.LAYOUT", 2)
        await sale.claim("c", "d", "e")
        await sale.on.adjust(5)
        await eventually(sale.drained)
        monkeypatch.undo()
        await sale.claim("f")
        await eventually(sale.drained)
    assert quarantined(books) == [(5, 3, False), (8, 1, False)]
    assert books.balances() == {"supply": -1000, "stock": 997, "outstanding": 3}
    assert books.open_breaks() == []

    report = replay(books.url)

    assert (report.replayed, report.remaining) == (2, 0)
    assert [(record.first_seq, record.count) for record in report.records] == [(5, 3), (8, 1)]
    await sale.prove()
    assert books.balances() == {"supply": -1005, "stock": 999, "outstanding": 6}
    assert replay(books.url).records == ()


async def test_a_replay_beside_a_running_drain(
    door: Door, redis_url: str, books: Books, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replay moves the head of the chain under a running drain, which takes the new head and loses nothing."""
    sale = await open_sale(door, books)
    async with draining(redis_url, books.url):
        await eventually(sale.drained)
        monkeypatch.setattr("lua.entries.LAYOUT", 2)
        await sale.claim("a")
        await eventually(sale.drained)
        monkeypatch.undo()
        for call in range(20):
            await sale.claim(f"{call}")
            if call == 10:
                report = await asyncio.to_thread(replay, books.url, sale.name)
                assert (report.replayed, report.remaining) == (1, 0)
        await eventually(sale.drained)

    await sale.prove()


@pytest.mark.parametrize("entries_max", [1, 100])
async def test_a_record_without_numbers_gets_the_range_it_left(
    door: Door, redis_url: str, books: Books, entries_max: int
) -> None:
    """What a record without seq covers is told by the next one, in the same batch or in a later one."""
    sale = await open_sale(door, books)
    await sale.claim("a", "b", "c")
    await sale.claim("d")
    await sale.claim("e")
    await hide_numbers(sale, 2)

    async with draining(redis_url, books.url, entries_max=entries_max):
        pass

    assert quarantined(books) == [(3, 3, False)]
    assert books.seq() == 7
    assert replay(books.url).replayed == 1
    await sale.prove()


@pytest.mark.parametrize("entries_max", [1, 100])
async def test_a_gap_is_accepted_only_directly_behind_what_explains_it(
    door: Door, redis_url: str, books: Books, eventually: Eventually, entries_max: int
) -> None:
    """A gap one record later than the unreadable one is a break all the same."""
    sale = await open_sale(door, books)
    for holder in "abcd":
        await sale.claim(holder)
    await hide_numbers(sale, 2)
    records = await sale.records()
    await sale.put_records([*records[:4], *records[5:]])

    async with draining(redis_url, books.url, entries_max=entries_max):
        await eventually(lambda: books.open_breaks() == ["seq_gap"])

    assert books.seq() == 4


async def test_a_record_without_numbers_at_the_tail_is_no_break(
    door: Door, redis_url: str, books: Books, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as nothing follows it, what it covers is open; a replay says so and leaves it."""
    monkeypatch.setattr("reconciler.drain.EXAMINE_S", 0.05)
    sale = await open_sale(door, books)
    await sale.claim("a", "b")
    await hide_numbers(sale, 2)

    async with draining(redis_url, books.url):
        await eventually(lambda: quarantined(books) == [(None, None, False)])
        await asyncio.sleep(0.3)
        assert (books.state(), books.open_breaks()) == ("running", [])
        [record] = replay(books.url).records
        assert (record.outcome, "has not come yet" in record.reason) == ("unreadable", True)
        await sale.claim("c")
        await eventually(lambda: quarantined(books) == [(3, 2, False)])

    assert replay(books.url).remaining == 0
    await sale.prove()


async def test_what_postgres_cannot_hold_is_quarantined_and_named(
    door: Door, redis_url: str, books: Books, eventually: Eventually
) -> None:
    """A NUL in a holder, which PostgreSQL has no text for, costs its own record and nothing else."""
    sale = await open_sale(door, books)
    await sale.claim("with\0nul")
    await sale.claim("b")
    async with draining(redis_url, books.url):
        await eventually(sale.drained)

    assert books.rows("SELECT seq, holder FROM coupon_entries WHERE kind = 'claimed'") == [(4, "c/0 b")]
    [record] = replay(books.url).records
    assert (record.shard, record.outcome, record.first_seq, record.count) == ("c/0", "unreadable", 3, 1)
    assert "NUL" in record.reason
    assert verify(books.url).holds


async def test_the_record_is_kept_whole(door: Door, redis_url: str, books: Books, eventually: Eventually) -> None:
    """Every field of a record that is no entry is in quarantine, byte for byte; a replay lets go what is empty."""
    sale = await open_sale(door, books)
    await door.redis.xadd(sale.on.shard.key("entries"), {b"\xff\x00": b"\x00\x01", b"note": b"by hand"})
    await sale.claim("a")
    async with draining(redis_url, books.url):
        await eventually(sale.drained)

    [(fields, first_seq, count)] = books.rows("SELECT fields, first_seq, count FROM quarantine")
    assert fields == {"0xff00": "0001", "note": b"by hand".hex()}
    assert (first_seq, count) == (3, 0)
    await sale.prove(but=("settled",))
    report = replay(books.url)
    assert (report.records[0].outcome, report.replayed, report.remaining) == ("empty", 0, 0)
    await sale.prove()
    assert replay(books.url).records == ()
    assert books.rows("SELECT fields FROM quarantine") == [(fields,)]


def test_a_replay_of_what_is_no_shard_is_refused(books: Books) -> None:
    """A shard is written <campaign>/<number>; anything else is named, and nothing is replayed."""
    with pytest.raises(ValueError, match="expected <campaign>/<number>"):
        replay(books.url, "c")
