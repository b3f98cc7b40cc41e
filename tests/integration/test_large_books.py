"""What a page reads does not grow with the books: plans that PostgreSQL makes, and what Redis is asked."""

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from redis.exceptions import ResponseError

from gateway import gauges
from gateway.campaigns.shards import Shards
from gateway.sql import load_queries
from gateway.status.books import Position
from gateway.status.sight import waiting
from lua.door import Door
from lua.keys import CampaignId, Shard
from reconciler.books.journals import ORDERS
from reconciler.books.statements import BOOKS as LEDGER
from reconciler.ordering import Place
from reconciler.reports.catalog import REPORTS
from reconciler.reports.reading import page_query
from reconciler.reports.shape import Asked, Query
from reconciler.stocktake.reading import QUERIES
from tests.builders import open_shard
from tests.conftest import ON_VALKEY, fresh_database

BOOKS = """
INSERT INTO campaigns (id, version, state, definition)
SELECT 'c-' || n, 1, 'scheduled', '{"currency": "CNY"}' FROM generate_series(1, 300) AS n;
INSERT INTO checkpoints (shard, campaign) SELECT id || '/0', id FROM campaigns;
INSERT INTO stocktakes (shard, seq, asked_by, figures, sampled, breaks)
SELECT 'c-' || 1 + n % 4 || '/0', n, 'clerk', '{}', '{}', 0 FROM generate_series(1, 3000) AS n;
INSERT INTO coupon_entries (shard, seq, kind, at, epoch, version, entry_id, ref, effective_date)
SELECT CASE WHEN n <= 16000 THEN 'c-1/0' ELSE 'c-2/0' END, n, CASE WHEN n <= 16000 THEN 'claimed' ELSE 'redeemed' END,
    now(), 1, 1, n || '-0', 'r-' || n, current_date
FROM generate_series(1, 20000) AS n;
INSERT INTO redemptions (id, code, campaign, shard, seq, holder, minor, lines, shipping_minor, funders, redeemed_at,
    merchant)
SELECT ref, ref, 'c-2', shard, seq, 'h', 5, '[]', 0, '[]', at, 'm-' || seq % 100
FROM coupon_entries WHERE kind = 'redeemed';
INSERT INTO journals (shard, verb, first_seq, last_seq, occurred_at, effective_date, previous_hash, hash)
SELECT 'c-1/0', 'claim', n, n, now(), current_date, int4send(n), '' FROM generate_series(1, 3000) AS n;
INSERT INTO audit_log (actor, action, subject, detail)
SELECT 'user:ann', 'session.begun', 'user:ann', '{}' FROM generate_series(1, 3000);
INSERT INTO proposals (id, kind, subject, asked, before, reason, maker, maker_name, expires_at, state, checker_name)
SELECT 'pr_' || n, 'stock_adjustment', 'c-' || n, '{}', '{}', 'r', 'user:ann', 'ann', now(),
    CASE WHEN n % 1000 = 0 THEN 'pending' ELSE 'applied' END, CASE WHEN n % 1000 <> 0 THEN 'bob' END
FROM generate_series(1, 3000) AS n;
INSERT INTO manual_journals (id, entity, effective_date, reason, lines, state, made_by)
SELECT 'mj_' || n, 'main', current_date, 'r', '[]', CASE WHEN n % 1000 = 0 THEN 'drafted' ELSE 'posted' END, 'user:ann'
FROM generate_series(1, 3000) AS n;
ANALYZE;
"""
"""300 shards, 4 of which were ever compared; and one with many claims before the redemptions of another."""


@pytest.fixture(scope="module")
def books(postgres_server: Any) -> Iterator[psycopg.Connection[Any]]:
    """Some thousands of rows, which no test changes."""
    with fresh_database(postgres_server) as url, psycopg.connect(url, autocommit=True) as connection:
        connection.execute(BOOKS.encode())
        yield connection


def reads(books: psycopg.Connection[Any], query: Query) -> set[tuple[str, str]]:
    """How its tables are read by the plan of *query*: table, and the index or the kind of the scan."""
    [(plan,)] = books.execute(b"EXPLAIN (FORMAT JSON) " + query.statement.encode(), query.values).fetchall()
    found, nodes = set[tuple[str, str]](), [plan[0]["Plan"]]
    while nodes:
        node = nodes.pop()
        nodes += node.get("Plans", [])
        if "Relation Name" in node:
            found.add((node["Relation Name"], node.get("Index Name", node["Node Type"])))
        elif "Index Name" in node:  # of a bitmap
            found.add(("", node["Index Name"]))
    return found


@pytest.mark.parametrize("campaign", [None, "c-7"])
def test_the_last_stocktake_of_each_shard_is_looked_up(books: Any, campaign: str | None) -> None:
    """By the index on the shard, and not by going back through all of them for each shard that has none."""
    found = reads(books, Query(QUERIES["standing"].decode(), {"campaign": campaign}))
    assert ("stocktakes", "stocktakes_shard_idx") in found
    assert len([table for table, _ in found if table == "stocktakes"]) == 1
    of_metrics = reads(books, Query(gauges._BOOKS_QUERY, {}))
    assert [way for table, way in of_metrics if table == "stocktakes"] == ["stocktakes_shard_idx"]


def test_redemptions_come_in_order_of_an_index(books: Any) -> None:
    """A page of them reads neither all redemptions nor the state changes of those who only claimed."""
    found = reads(books, page_query(REPORTS["redemptions"], Asked(), None, 40))
    assert ("redemptions", "redemptions_shard_idx") in found
    assert ("coupon_entries", "coupon_entries_pkey") in found
    assert not [way for _, way in found if way == "Seq Scan"]


def test_a_statement_reads_the_redemptions_of_its_merchant(books: Any) -> None:
    """Those of a hundredth of all, by their index."""
    found = reads(books, page_query(REPORTS["merchant-statement"], Asked(merchant="m-7"), None, 40))
    assert {way for _, way in found} >= {"redemptions_merchant_idx"}
    assert ("redemptions", "Seq Scan") not in found


def test_what_reverses_a_journal_is_looked_up(books: Any) -> None:
    """The page of a journal does not read all journals for it."""
    assert reads(books, Query(LEDGER["reversed_by"].decode(), {"journal": 7})) == {
        ("journals", "journals_reverses_idx")
    }


def test_an_act_beside_another_is_looked_up(books: Any) -> None:
    """Also by the plan that PostgreSQL keeps for what is asked often: a file of the audit log asks for each piece."""
    for name in ("audit_last", "audit_first"):
        plan = kept_plan(books, load_queries("people")[name])
        assert ("Index Cond" in plan, "'Filter'" in plan) == (True, False), name


def test_what_waits_is_counted_without_what_is_decided(books: Any) -> None:
    """Each page of the console has the number: it is read from indexes, also by the plan that is kept."""
    count = load_queries("proposals")["count_waiting"]
    asked = {"name": "cho", "admin": False, "checked": ["stock_adjustment", "manual_journal"]}
    assert reads(books, Query(count.decode(), asked)) == {
        ("proposals", "proposals_expiring_idx"), ("manual_journals", "manual_journals_state_idx")
    }  # fmt: skip
    assert "Seq Scan" not in kept_plan(books, count)


def test_a_journal_is_looked_up(books: Any) -> None:
    """One of them, and a page that begins behind one, by the plan that is kept."""
    statement, _ = ORDERS.statement(LEDGER["journals"], None, Place(8, 8))
    assert "Index Cond" in kept_plan(books, statement)
    assert b"%(id)s" not in statement


def kept_plan(books: psycopg.Connection[Any], statement: bytes) -> str:
    """How PostgreSQL answers *statement* when it does not look at what it is asked with."""
    names = list(dict.fromkeys(re.findall(rb"%\((\w+)\)s", statement)))
    for number, name in enumerate(names, 1):
        statement = statement.replace(b"%%(%s)s" % name, b"$%d" % number)
    books.execute("SET plan_cache_mode = force_generic_plan")
    books.execute(b"PREPARE kept AS " + statement)
    asked = ", ".join("NULL" for _ in names)
    [(plan,)] = books.execute(f"EXPLAIN (FORMAT JSON) EXECUTE kept({asked})".encode()).fetchall()
    books.execute("DEALLOCATE kept; RESET plan_cache_mode")
    return str(plan)


async def asked_of_redis(door: Door) -> int:
    """Commands that it has answered so far."""
    return int((await door.redis.info("stats"))["total_commands_processed"])


@ON_VALKEY
async def test_how_far_a_thousand_shards_are_behind_is_a_few_questions(door: Door) -> None:
    """Only those with something new are asked about one by one; where Redis has nothing of a shard, nothing waits."""
    new, read = await open_shard(door, campaign="new"), await open_shard(door, campaign="read")
    last: Any = await door.redis.xrevrange(read.shard.key("entries"), count=1)
    positions = [Position(Shard(CampaignId(f"quiet-{number}"), 0), 5, "5-0", "running") for number in range(1000)]
    positions[500:500] = [
        Position(new.shard, 0, "0-0", "running"),
        Position(read.shard, 2, last[0][0].decode(), "running"),
    ]
    before = await asked_of_redis(door)
    found = await waiting(door, positions)
    asked = await asked_of_redis(door) - before

    assert [(each.shard, behind.seq) for each, behind in found.items()] == [(new.shard, 2)]
    assert 0 <= found[positions[500]].lag_s < 60
    assert asked < 10


@ON_VALKEY
async def test_many_shards_are_looked_at_together(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each answer is that of its shard, over few connections, also where Redis has forgotten the script."""
    shards = [(await open_shard(door, stock=number, campaign=f"c-{number}")).shard for number in range(1, 61)]
    used: list[int] = []
    pool: Any = door.redis.connection_pool
    get = pool.get_connection

    async def counted(*args: Any, **options: Any) -> Any:
        used.append(1)
        return await get(*args, **options)

    monkeypatch.setattr(pool, "get_connection", counted)
    await door.redis.script_flush()
    used.clear()
    for _ in range(2):
        assert [look.stock for look in await Shards(door).look_each(shards)] == list(range(1, 61))
    assert len(used) == 4


@ON_VALKEY
async def test_an_answer_that_is_a_failure_leaves_no_other_behind(door: Door) -> None:
    """What comes after it on the same connection is nobody else's answer."""
    good, bad = await open_shard(door, stock=3, campaign="good"), await open_shard(door, campaign="bad")
    await door.redis.set(bad.shard.key("counters"), "no hash")
    for _ in range(3):
        with pytest.raises(ResponseError):
            await Shards(door).look_each([good.shard, bad.shard, good.shard, good.shard])
        assert [look.stock for look in await Shards(door).look_each([good.shard])] == [3]
        assert (await door.redis.ping()) is True
