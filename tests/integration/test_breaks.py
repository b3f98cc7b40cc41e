"""The life of a break, over HTTP and at the command line: written down once, explained, resolved when it is gone."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from psycopg import AsyncConnection

from gateway.cli.output import CONFLICT, FAILURE, NOT_FOUND, USAGE
from lua.door import Door
from reconciler.ledger import connect_options
from reconciler.poster import post_approved
from reconciler.stocktake.continuous import Stocktaking
from tests.conftest import Eventually, redis_binaries
from tests.integration.commands import Cli
from tests.integration.draining import Books
from tests.integration.life import LifeSale
from tests.integration.site_http import Http, open_http
from tests.integration.stocktaking import drain_all, live, open_stocked
from tests.integration.tilling import done, told

pytestmark = pytest.mark.parametrize("redis_server", list(redis_binaries().items())[:1], ids=["valkey"], indirect=True)


PATIENT = {"call_ms_max": 30_000, "connect_ms_max": 30_000}
"""A machine that is busy with other tests is no server that is away."""


class Found:
    """A sale whose stock somebody set by hand, and a gateway to speak of it."""

    def __init__(self, sale: LifeSale, http: Http) -> None:
        self.sale, self.http, self.redis = sale, http, sale.on.door.redis

    async def take_by(self, delta: int) -> None:
        """Change the stock in Redis by hand."""
        await self.redis.incrby(self.sale.on.shard.key("stock"), delta)

    async def breaks(self, query: str = "") -> list[dict[str, Any]]:
        """What GET /v1/breaks shows an auditor."""
        items: list[dict[str, Any]] = done(await self.http.ask("GET", f"/v1/breaks{query}", "auditor"), 200)["items"]
        return items


@pytest.fixture
async def found(door: Door, redis_url: str, postgres_url: str, tmp_path: Path) -> AsyncIterator[Found]:
    """A clean stocktake, then five coupons gone from the stock."""
    with Books(postgres_url) as books:
        sale = await open_stocked(door, books)
        await live(sale)
        await drain_all(sale, redis_url)
        async with open_http(redis_url, postgres_url, tmp_path) as http:
            here = Found(sale, http)
            clean = done(await http.ask("POST", "/v1/stocktakes", "finance", {"shard": "c/0"}))
            assert clean["clean"]
            await here.take_by(-5)
            yield here


async def test_a_break_is_seen_once_explained_and_resolved_when_it_is_gone(found: Found) -> None:
    """The first stocktake that sees it says since when; it stays until a fresh one of that shard finds it gone."""
    http = found.http
    taken = done(await http.ask("POST", "/v1/stocktakes", "finance", {"campaign": "c", "samples": 10}))
    [shard] = taken["shards"]
    assert (taken["clean"], shard["figures"]["stock"], shard["sampled"]["coupons"] > 0) == (False, [91, 86], True)
    [difference] = shard["found"]
    assert (difference["kind"], difference["name"], difference["cause"]) == ("figure", "stock", "stock_by_hand")
    await found.take_by(-1)
    done(await http.ask("POST", "/v1/stocktakes", "finance", {}))
    [one] = await found.breaks("?state=open&campaign=c&shard=c/0")
    assert (one["shard"], one["kind"], one["figure"], one["seq"]) == ("c/0", "figure", "stock", shard["seq"])
    assert (one["expected"], one["found"]) == ({"value": 91}, {"value": 86})
    assert "by hand" in one["likely"]
    assert (one["clean_seq"], one["clean_at"] < one["detected_at"]) == (shard["seq"], True)
    path = f"/v1/breaks/{one['id']}"

    answer = await http.ask("POST", f"{path}/explain", "finance", {"explanation": "an outage"})
    assert (done(answer, 200)["state"], answer.json()["explained_by"][:1] != "") == ("explained", True)
    ends = {"resolution": "put back", "compensation": "INCRBY stock 6"}
    remains = await http.ask("POST", f"{path}/resolve", "finance", ends)
    assert told(remains) == (409, "break_remains")
    await found.take_by(6)
    ended = done(await http.ask("POST", f"{path}/resolve", "finance", ends), 200)
    assert (ended["state"], ended["compensation"], ended["resolved_at"] > ended["detected_at"]) == (
        "resolved", "INCRBY stock 6", True,
    )  # fmt: skip
    assert await found.breaks("?state=open") == []
    for act, body in (("explain", {"explanation": "x"}), ("resolve", ends)):
        assert told(await http.ask("POST", f"{path}/{act}", "finance", body)) == (409, "invalid_state")
    logged = "SELECT action FROM audit_log WHERE action ~ 'break|stock' ORDER BY id"
    actions = [action for (action,) in found.sale.books.rows(logged)]
    assert actions == ["stocktake.taken"] * 3 + ["break.explained", "break.resolved"]
    sides = "detail #>> '{before,state}', detail #>> '{after,state}'"
    states = f"SELECT {sides} FROM audit_log WHERE action ~ 'break' ORDER BY id"
    assert found.sale.books.rows(states) == [("open", "explained"), ("explained", "resolved")]
    await found.take_by(-5)
    done(await http.ask("POST", "/v1/stocktakes", "finance", {}))
    again = await found.breaks()
    assert [each["state"] for each in again] == ["open", "resolved"]
    page = done(await http.ask("GET", "/v1/reports/stocktakes?campaign=c&limit=2", "auditor"), 200)
    assert [each["breaks"] for each in page["items"]] == [1, 0]
    rest = await http.ask("GET", f"/v1/reports/stocktakes?campaign=c&limit=9&cursor={page['next']}", "auditor")
    assert [each["breaks"] for each in done(rest, 200)["items"]] == [1, 1, 1, 0]


async def test_what_is_gone_for_good_is_made_good_by_a_manual_journal(found: Found) -> None:
    """Five coupons that nobody can put back are booked from the stock to the supply, about the shard: both agree."""
    books = found.sale.books
    done(await found.http.ask("POST", "/v1/stocktakes", "finance", {}))
    [one] = await found.breaks()
    line = {"debit": "supply", "credit": "stock", "commodity": "coupon:c", "minor": 5}
    books.rows(
        "INSERT INTO manual_journals (id, entity, effective_date, about, reason, lines, state, made_by, checked_by, "
        "checked_at) VALUES ('mj_1', 'main', '2026-11-29', 'c/0', 'lost', %s, 'approved', 'ann', 'bob', now())",
        json.dumps([line]),
    )
    conninfo = connect_options(books.url, postgres_ms_max=30_000, connect_ms_max=30_000, session={})
    async with await AsyncConnection.connect(conninfo, autocommit=True) as connection:
        assert await post_approved(connection) == 1

    ends = {"resolution": "lost with the old server", "compensation": "manual journal mj_1"}
    resolved = done(await found.http.ask("POST", f"/v1/breaks/{one['id']}/resolve", "finance", ends), 200)
    assert resolved["state"] == "resolved"


async def test_who_may_and_what_is_refused(found: Found) -> None:
    """Auditors read, finance writes, others do neither; unknown shards and breaks, wrong words, breaks of the drain."""
    http, books = found.http, found.sale.books
    for who in ("marketer", "store", "auditor"):
        assert told(await http.ask("POST", "/v1/stocktakes", who, {})) == (403, "forbidden")
        assert told(await http.ask("POST", "/v1/breaks/1/explain", who, {"explanation": "x"})) == (403, "forbidden")
    for who in ("marketer", "store"):
        assert told(await http.ask("GET", "/v1/breaks", who)) == (403, "forbidden")
        assert told(await http.ask("GET", "/v1/reports/stocktakes", who)) == (403, "forbidden")
    assert told(await http.ask("POST", "/v1/stocktakes", "finance", {"shard": "c/9"})) == (404, "campaign_not_found")
    assert told(await http.ask("POST", "/v1/stocktakes", "finance", {"samples": 1001}))[1] == "bad_request"
    assert told(await http.ask("GET", "/v1/breaks?state=gone", "finance"), "field") == (400, "bad_request", "state")
    for path in ("/v1/breaks", "/v1/reports/stocktakes"):
        for field, name in (("campaign", "none"), ("shard", "c/9"), ("shard", "none")):
            answer = await http.ask("GET", f"{path}?{field}={name}", "finance")
            assert told(answer, "field") == (404, "not_found", field)
        assert done(await http.ask("GET", f"{path}?shard=main", "finance"), 200)["items"] == []
    words = {"resolution": "x", "compensation": "y"}
    for id_ in ("9", "x", "9" * 30):
        assert told(await http.ask("POST", f"/v1/breaks/{id_}/resolve", "finance", words))[1] == "break_not_found"
    for body in ({"resolution": "x"}, {**words, "compensation": " "}, {**words, "resolution": ""}):
        assert told(await http.ask("POST", "/v1/breaks/9/resolve", "finance", body))[1] == "bad_request"
    insert = "INSERT INTO breaks (shard, kind, expected, found) VALUES ('c/0', 'seq_gap', '{}', '{}') RETURNING id"
    its_own = books.value(insert)
    assert told(await http.ask("POST", f"/v1/breaks/{its_own}/resolve", "finance", words)) == (409, "invalid_state")
    done(await http.ask("POST", f"/v1/breaks/{its_own}/explain", "finance", {"explanation": "trimmed"}), 200)


async def test_the_command_line_does_the_same(
    found: Found, redis_url: str, postgres_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """stocktake exits 1 on a difference and names it; breaks list, explain and resolve do what the routes do."""
    cli, both = Cli(capsys), ("--redis-url", redis_url, "--postgres-url", postgres_url)
    books = both[2:]

    def run() -> None:
        taken = cli.json("stocktake", "--times", "2", "--interval", "0", *both, code=FAILURE)
        assert (taken["clean"], taken["times"], taken["found"]) == (False, 2, 2)
        assert taken["shards"][0]["found"][0]["name"] == "stock"
        shown = cli("stocktake", "--shard", "c/0", *both)
        assert shown.code == FAILURE
        assert "c/0 at seq 18, figure stock: books 91, Redis 86; likely: the key" in shown.out
        assert cli.json("stocktake", "--campaign", "none", *both, code=NOT_FOUND)["code"] == "shard_not_found"
        [one] = cli.json("breaks", "list", "-c", "c", *books)["items"]
        assert "figure stock 91 86" in " ".join(cli("breaks", "list", *books).out.split())
        id_ = str(one["id"])
        assert cli.json("breaks", "explain", id_, "-b", "lost", *books)["state"] == "explained"
        ends = ("-b", "put back", "--by", "INCRBY stock 5")
        assert cli.json("breaks", "resolve", id_, *ends, *both, code=CONFLICT)["code"] == "break_remains"
        assert cli.json("breaks", "resolve", "999", *ends, *both, code=NOT_FOUND)["code"] == "break_not_found"
        assert cli.json("breaks", "explain", id_, "-b", " ", *books, code=USAGE)["code"] == "bad_request"

    await asyncio.to_thread(run)
    await found.take_by(5)
    [one] = await found.breaks()
    resolved = ("breaks", "resolve", str(one["id"]), "-b", "put back", "--by", "INCRBY stock 5", *both)
    assert (await asyncio.to_thread(cli.json, *resolved))["state"] == "resolved"
    assert (await asyncio.to_thread(cli, "stocktake", *both)).code == 0
    assert (await asyncio.to_thread(cli, "breaks", "list", *books)).out == "no breaks\n"


async def test_a_name_longer_than_an_index_takes_is_a_break_like_others(found: Found) -> None:
    """What somebody put into Redis as a holder, of whatever length, is written down once, named, and found gone."""
    http, name = found.http, random.Random(1).randbytes(4000).hex()
    holders = found.sale.on.shard.key("holders")
    await found.take_by(5)
    await found.redis.hset(holders, name, b"\0" * 30)

    for _ in range(2):
        done(await http.ask("POST", "/v1/stocktakes", "finance", {"campaign": "c", "samples": 1000}))

    [one] = [each for each in await found.breaks("?state=open") if each["kind"] == "holder"]
    assert one["figure"] == name
    await found.redis.hdel(holders, name)
    ends = {"resolution": "it was none of ours", "compensation": "HDEL holders"}
    assert done(await http.ask("POST", f"/v1/breaks/{one['id']}/resolve", "finance", ends), 200)["state"] == "resolved"


async def test_one_clerk_takes_stock_and_writes_down_what_is_new(
    found: Found, redis_url: str, postgres_url: str, eventually: Eventually
) -> None:
    """A round finds the break once; the same again is not written again; a second clerk leaves it to the first."""
    books = found.sale.books
    clerks = [Stocktaking(redis_url, postgres_url, every_s=0.0, samples=10, **PATIENT) for _ in range(2)]
    kept = "SELECT breaks FROM stocktakes WHERE asked_by = 'clerk' ORDER BY id"
    try:
        for _ in range(3):
            for clerk in clerks:
                assert not await clerk.once("worker")
        assert books.rows(kept) == [(1,)]
        assert books.open_breaks() == ["figure"]
        await found.take_by(5)
        await clerks[0].once("worker")
        assert books.rows(kept) == [(1,), (0,)]
        assert books.open_breaks() == ["figure"]
        await clerks[0].close()
        await found.take_by(-5)

        async def took_over() -> bool:  # the lock goes with the session, which the server ends in its own time
            await clerks[1].once("worker")
            return books.rows(kept) == [(1,), (0,), (1,)]

        await eventually(took_over)
        metrics = (await found.http.ask("GET", "/metrics", None)).text
        assert "fairclaim_breaks_open 1\n" in metrics
        [age] = [line for line in metrics.splitlines() if line.startswith("fairclaim_stocktake_age_seconds")]
        assert 0 <= float(age.split()[1]) < 30
    finally:
        for clerk in clerks:
            await clerk.close()


async def test_a_clerk_whose_servers_went_away_starts_anew(
    found: Found, redis_url: str, postgres_url: str, eventually: Eventually
) -> None:
    """A session that ends in between fails one round, and the next one takes stock again."""
    clerk = Stocktaking(redis_url, postgres_url, every_s=3600, samples=0, **PATIENT)
    his = "FROM pg_stat_activity WHERE application_name = 'fairclaim-clerk'"
    kept = "SELECT count(*) FROM stocktakes WHERE asked_by = 'clerk'"
    try:
        await clerk.once("worker")
        clerk._due = 0.0
        found.sale.books.rows(f"SELECT pg_terminate_backend(pid) {his}")
        # With its session it had the lock, which the next one could not take before.
        await eventually(lambda: found.sale.books.value(f"SELECT count(*) = 0 {his}"))
        with pytest.raises(Exception, match=r"terminat|connection"):
            await clerk.once("worker")
        await clerk.once("worker")
        assert found.sale.books.value(kept) == 2
        await clerk.once("worker")
        assert found.sale.books.value(kept) == 2
    finally:
        await clerk.close()
