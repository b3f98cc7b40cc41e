"""Closed is closed: what comes late is booked on the first open date, whichever way it gets into the books."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest

from lua.door import Door
from reconciler.ledger import ClosedMeanwhile, Ledger
from reconciler.quarantine import replay
from reconciler.shard import Position, read_batch
from reconciler.steps import Step
from tests.conftest import redis_binaries
from tests.entries import SHARD, booked
from tests.integration.draining import Books, draining
from tests.integration.life import open_life
from tests.integration.test_money_book import sell
from tests.integration.test_quarantine_life import damage, mend
from tests.unit.test_batch import record

valkey = pytest.mark.parametrize("redis_server", list(redis_binaries().items())[:1], ids=["valkey"], indirect=True)
"""It is the books that are tested: one server is enough."""

CLOSE = "UPDATE legal_entities SET closed_through = %s WHERE id = %s"
LATER = timedelta(days=40)


@pytest.fixture
def books(postgres_url: str) -> Iterator[Books]:
    """An empty, migrated database."""
    with Books(postgres_url) as books:
        yield books


def today() -> date:
    """That of the servers' clock, which is the campaign's zone too."""
    return datetime.now(UTC).date()


def dates(books: Books, table: str = "journals") -> set[tuple[date, ...]]:
    """The dates that there are."""
    column = ", original_date" if table == "journals" else ""
    return set(books.rows(f"SELECT effective_date{column} FROM {table}"))


@valkey
async def test_a_sale_after_the_close_is_booked_on_the_first_open_date(
    door: Door, redis_url: str, books: Books
) -> None:
    """Every row, journal and total of it has the first open date; the journals keep their own, and the chain holds."""
    sale = await open_life(door, books)
    closed = today() + LATER
    books.rows(CLOSE, closed, "main")
    await sell(sale)
    async with draining(redis_url, books.url):
        pass

    first_open = closed + timedelta(days=1)
    assert dates(books) <= {(first_open, today()), (first_open, today() - timedelta(days=1))}
    for table in ("coupon_entries", "account_days", "movement_days"):
        assert dates(books, table) == {(first_open,)}
    await sale.prove_life()


@valkey
async def test_only_the_books_of_the_entity_that_closed_are_closed(door: Door, redis_url: str, books: Books) -> None:
    """Two campaigns of two legal entities in one drain: each is dated by its own."""
    books.rows("INSERT INTO legal_entities (id) VALUES ('other')")
    main, other = await open_life(door, books, "c"), await open_life(door, books, "d")
    for table in ("campaigns", "campaign_versions"):
        name = "id" if table == "campaigns" else "campaign"
        books.rows("ALTER TABLE campaign_versions DISABLE TRIGGER USER")
        books.rows(
            f"UPDATE {table} SET definition = definition || '{{\"legal_entity\": \"other\"}}' WHERE {name} = 'd'"
        )
    books.rows(CLOSE, today() + LATER, "main")
    for sale in (main, other):
        await sell(sale)
    async with draining(redis_url, books.url):
        pass

    late = "SELECT DISTINCT shard, entity FROM journals WHERE original_date IS {} NULL"
    assert books.rows(late.format("NOT")) == [("c/0", "main")]
    assert books.rows(late.format("")) == [("d/0", "other")]
    balances = books.rows("SELECT entity, sum(debit), sum(credit) FROM v_trial_balance GROUP BY entity ORDER BY entity")
    assert [entity for entity, _, _ in balances] == ["main", "other"]
    assert all(debit == credit > 0 for _, debit, credit in balances)
    await main.prove_life()
    await other.prove_life()


@valkey
async def test_a_close_and_a_batch_cannot_cross(door: Door, redis_url: str, books: Books) -> None:
    """A close waits for the batch that is being written; a batch that waits for a close sees what it has closed."""
    sale = await open_life(door, books)
    refused: list[str] = []

    def close(step: Step) -> None:
        if step is Step.BEFORE_COMMIT and not refused:
            with psycopg.connect(books.url) as other, pytest.raises(psycopg.errors.LockNotAvailable) as caught:
                other.execute("SELECT FROM legal_entities FOR UPDATE NOWAIT")
            refused.append(str(caught.value))

    async with draining(redis_url, books.url, close):
        pass
    assert refused
    assert {original for _, original in dates(books)} == {None}

    await sale.claim_one("ann")
    closed = today() + LATER
    async with await psycopg.AsyncConnection.connect(books.url) as closing:
        await closing.execute("SELECT FROM legal_entities FOR UPDATE")
        async with draining(redis_url, books.url):
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            while books.value(waiting) == 0:  # noqa: ASYNC110 - PostgreSQL tells nobody
                await asyncio.sleep(0)
            await closing.execute(CLOSE.encode(), (closed, "main"))
            await closing.commit()
    claimed = books.rows("SELECT effective_date FROM journals WHERE verb = 'claim'")
    assert claimed == [(closed + timedelta(days=1),)]
    await sale.prove_life()


async def test_a_batch_booked_before_the_close_is_not_written(books: Books) -> None:
    """Dates that were made before a close, or before a reopening, are refused whole and made again."""
    books.add_campaign()
    ledger, start = Ledger(books.url, postgres_ms_max=30_000, connect_ms_max=30_000), Position(1, 0, "0-0", b"")
    batch = read_batch(start, [record(1)], unranged=False)
    closed = date(1970, 3, 31)
    for assumed, now in (({}, closed), ({"main": closed}, None)):
        books.rows(CLOSE, now, "main")
        with pytest.raises(ClosedMeanwhile) as caught:
            await ledger.commit(SHARD, start, batch, booked(start, [record(1)], closed_through=assumed))
        assert caught.value.closed_through == {"main": now}
    await ledger.close()
    assert (books.seq(), books.value("SELECT count(*) FROM coupon_entries")) == (0, 0)


@valkey
@pytest.mark.parametrize("late", [2, 3, 4, 7])
async def test_a_late_replay_is_booked_as_a_late_entry(door: Door, redis_url: str, books: Books, late: int) -> None:
    """A record that comes out of quarantine after the close: its rows and journals move, and what is newer stays."""
    sale = await open_life(door, books, stock=10)
    await sell(sale)
    lost = await damage(sale, late)
    async with draining(redis_url, books.url):
        pass
    before = dates(books, "coupon_entries")
    closed = today() + LATER
    books.rows(CLOSE, closed, "main")
    for seq, body in lost.items():
        mend(books, seq, body)
    assert replay(books.url).remaining == 0

    moved = (closed + timedelta(days=1),)
    assert dates(books, "coupon_entries") == before | {moved}
    [late_journal] = books.rows("SELECT effective_date, original_date FROM journals WHERE original_date IS NOT NULL")
    assert late_journal in [(*moved, *day) for day in before]
    await sale.prove_life()
