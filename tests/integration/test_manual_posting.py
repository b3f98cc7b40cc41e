"""Manual journals that were approved get into the books once, in the chain of their entity, or are refused."""

import asyncio
import json
from collections.abc import Iterator
from datetime import date
from typing import Any

import psycopg
import pytest

from lua.door import Door
from reconciler.ledger import connect_options
from reconciler.poster import post_approved
from reconciler.verifying import CHANGED, CUT_SHORT, verify
from tests.conftest import redis_binaries
from tests.integration.draining import Books, draining
from tests.integration.life import open_life
from tests.integration.test_money_book import sell
from tests.verdict import prove_books

valkey = pytest.mark.parametrize("redis_server", list(redis_binaries().items())[:1], ids=["valkey"], indirect=True)
LINE = {"debit": "payable:m-1", "credit": "clearing:gift", "commodity": "CNY", "minor": 700}
UNITS = {"debit": "expired", "credit": "outstanding", "commodity": "coupon:c", "minor": 1}
DAY = date(2026, 11, 22)


@pytest.fixture
def books(postgres_url: str) -> Iterator[Books]:
    """An empty, migrated database."""
    with Books(postgres_url) as books:
        yield books


def approve(books: Books, number: str, *lines: dict[str, Any], **changes: Any) -> None:
    """A manual journal as the gateway leaves it once somebody else has approved it; *changes* override columns."""
    row = {
        "id": number, "entity": "main", "effective_date": DAY, "reason": "why", "lines": json.dumps(lines or [LINE]),
        "state": "approved", "made_by": "ann", "checked_by": "bob", "checked_at": "2026-11-23T12:00:00Z", **changes,
    }  # fmt: skip
    places = ", ".join(["%s"] * len(row))
    books.rows(f"INSERT INTO manual_journals ({', '.join(row)}) VALUES ({places})", *row.values())


async def post(books: Books) -> int:
    """One look of a poster, in the role of the reconciler."""
    conninfo = connect_options(books.url, postgres_ms_max=60_000, connect_ms_max=30_000, session={})
    async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
        return await post_approved(connection)


async def test_approved_journals_are_posted_once_and_in_order(books: Books) -> None:
    """Two journals and a reversal: a chain that verifies, totals that follow, and nothing the second time."""
    approve(books, "mj_1")
    approve(books, "mj_2", LINE, {**LINE, "minor": 50}, checked_at="2026-11-23T12:00:01Z")
    approve(books, "mj_0", state="drafted", checked_by=None, checked_at=None)
    assert await post(books) == 2
    assert await post(books) == 0
    first = books.value("SELECT journal FROM manual_journals WHERE id = 'mj_1'")
    approve(books, "mj_3", {**LINE, "debit": "clearing:gift", "credit": "payable:m-1"}, reverses=first)
    assert await post(books) == 1

    assert books.rows("SELECT id, state FROM manual_journals ORDER BY id") == [
        ("mj_0", "drafted"), ("mj_1", "posted"), ("mj_2", "posted"), ("mj_3", "posted")
    ]  # fmt: skip
    assert books.rows("SELECT shard, verb, first_seq, entity, ref, reason, reverses FROM journals ORDER BY id") == [
        ("manual:main", "manual", 1, "main", "mj_1", "why", None),
        ("manual:main", "manual", 2, "main", "mj_2", "why", None),
        ("manual:main", "manual", 3, "main", "mj_3", "why", first),
    ]
    assert books.rows("SELECT entity, campaign, account, balance FROM v_campaign_money ORDER BY account") == [
        ("main", "", "clearing:gift", -750), ("main", "", "payable:m-1", 750)
    ]  # fmt: skip
    await prove_books(books.url, "balanced", "totals")
    report = verify(books.url)
    assert (report.holds, report.journals, report.shards[0].shard) == (True, 3, "manual:main")
    assert verify(books.url, ["manual:main"]).journals == 3


@valkey
async def test_the_reconciler_posts_them(door: Door, redis_url: str, books: Books) -> None:
    """Beside the drain, of a shard too: the units and the money of its campaign move."""
    sale = await open_life(door, books)
    await sell(sale)
    await sale.claim_one("dan")
    money = {"debit": "budget:available", "credit": "commitment:c", "commodity": "CNY", "minor": 500}
    approve(books, "mj_1", UNITS, money, about="c/0")
    async with draining(redis_url, books.url):
        posted = "SELECT state <> 'approved' FROM manual_journals"
        while not books.value(posted):  # noqa: ASYNC110 - nothing tells us
            await asyncio.sleep(0)

    assert books.value("SELECT refused FROM manual_journals") is None
    assert (books.balances()["outstanding"], books.balances()["expired"]) == (0, 1)
    assert "commitment:c" not in books.money()
    await sale.prove_life(but=("live",))


@pytest.mark.parametrize(
    ("lines", "changes", "why"),
    [
        ([UNITS], {}, "no currency"),
        ([UNITS], {"about": "c/7"}, "no shard in the books"),
        ([{**LINE, "debit": "what:ever"}], {}, "chart"),
        ([{**LINE, "minor": 10**40}], {}, "overflow"),
    ],
    ids=["units of nowhere", "no such shard", "no such account", "beyond the books"],
)
async def test_what_cannot_be_posted_is_refused_with_a_reason(
    books: Books, lines: list[dict[str, Any]], changes: dict[str, Any], why: str
) -> None:
    """Nothing of it is written, the next one is posted, and whoever made it can read why it was not."""
    approve(books, "mj_1", *lines, **changes)
    approve(books, "mj_2", checked_at="2026-11-24T12:00:00Z")
    assert await post(books) == 2

    state, refused = books.rows("SELECT state, refused FROM manual_journals WHERE id = 'mj_1'")[0]
    assert (state, why in refused) == ("rejected", True), refused
    assert books.rows("SELECT ref, first_seq FROM journals") == [("mj_2", 1)]
    logged = books.rows("SELECT actor, action, subject, detail ->> 'reason' FROM audit_log ORDER BY id")
    assert logged == [
        ("reconciler", "manual_journal.rejected", "manual_journal:mj_1", refused),
        ("reconciler", "manual_journal.posted", "manual_journal:mj_2", None),
    ]
    assert verify(books.url).holds


async def test_a_date_that_was_closed_meanwhile_is_moved(books: Books) -> None:
    """The journal is late as any other would be."""
    approve(books, "mj_1")
    books.rows("UPDATE legal_entities SET closed_through = '2026-11-30'")
    await post(books)
    assert books.rows("SELECT effective_date, original_date FROM journals") == [(date(2026, 12, 1), DAY)]


async def test_an_entity_that_somebody_has_is_left_to_him(books: Books) -> None:
    """While it is being closed, or another one posts, nothing waits and nothing is posted twice."""
    approve(books, "mj_1")
    with psycopg.connect(books.url) as other:
        other.execute("SELECT FROM legal_entities FOR UPDATE")
        assert await post(books) == 0
    assert sum(await asyncio.gather(*(post(books) for _ in range(4)))) == 1
    assert books.value("SELECT count(*) FROM journals") == 1


@pytest.mark.parametrize(
    ("forgery", "reason"),
    [
        ("UPDATE postings SET amount = 701", CHANGED),
        ("UPDATE journals SET reason = 'another'", CHANGED),
        ("UPDATE journals SET original_date = '2026-11-01'", CHANGED),
        ("UPDATE legal_entities SET head = '\\x00'", CUT_SHORT),
    ],
)
async def test_a_forged_manual_journal_breaks_its_chain(books: Books, forgery: str, reason: str) -> None:
    """Verifying names the chain of the entity, and what is wrong there."""
    approve(books, "mj_1")
    await post(books)
    for table in ("journals", "postings"):
        books.rows(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    books.rows(forgery)

    [checked] = verify(books.url).shards
    assert (checked.shard, checked.fault and checked.fault.reason) == ("manual:main", reason)
