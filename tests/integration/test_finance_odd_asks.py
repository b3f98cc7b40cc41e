"""Asks that nobody in his right mind makes: each is refused as what it is, and costs the claims of a worker nothing."""

from collections.abc import AsyncIterator, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from gateway.finance import snapshot
from gateway.routes.paging import make_cursor
from reconciler.periods import listing
from reconciler.periods.calendar import Period, periods_between
from tests.conftest import redis_binaries
from tests.integration.draining import Books
from tests.integration.site_http import Http, open_http
from tests.integration.tilling import told

valkey = pytest.mark.parametrize("redis_server", list(redis_binaries().items())[:1], ids=["valkey"], indirect=True)

ZERO = "%00"
BREAKS = "breaks {'campaign': None, 'shard': None} None"
STOCKTAKES = "stocktakes {'campaign': None, 'shard': None}"
ODD = [
    ("GET", f"/v1/breaks?shard={ZERO}", None, 400),
    ("GET", f"/v1/breaks?campaign={ZERO}", None, 400),
    ("GET", f"/v1/breaks?cursor={make_cursor(10**19, BREAKS)}", None, 400),
    ("GET", f"/v1/reports/stocktakes?shard={ZERO}", None, 400),
    ("GET", f"/v1/reports/stocktakes?cursor={make_cursor(10**19, STOCKTAKES)}", None, 400),
    ("GET", f"/v1/exports/{ZERO}", None, 404),
    ("GET", f"/v1/exports/{ZERO}/file", None, 404),
    ("GET", f"/v1/exports/{ZERO}/manifest", None, 404),
    ("DELETE", f"/v1/exports/{ZERO}", None, 404),
    ("GET", f"/v1/outside-files/{ZERO}", None, 404),
    ("GET", f"/v1/outside-files/{ZERO}/runs", None, 404),
    ("POST", f"/v1/outside-files/{ZERO}/runs", None, 404),
    ("GET", f"/v1/outside-files/{ZERO}/runs/1/differences", None, 404),
    ("POST", "/v1/stocktakes", {"shard": "\0"}, 400),
    ("POST", "/v1/stocktakes", {"campaign": "\0"}, 400),
]


@pytest.fixture
async def http(redis_url: str, postgres_url: str, tmp_path: Path) -> AsyncIterator[Http]:
    """A worker on empty books."""
    async with open_http(redis_url, postgres_url, tmp_path) as http:
        yield http


@valkey
async def test_what_postgresql_can_not_be_asked_is_refused(http: Http) -> None:
    """A zero byte, or a number beyond 64 bits, is the mistake of whoever sends it, and no failure of ours."""
    for method, path, body, status in ODD:
        answer = await http.ask(method, path, "finance", body)
        assert answer.status_code == status, (method, path, answer.text)


async def test_a_period_of_the_year_9999_makes_no_page_slow(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody mistyped a year: a page of days begins where it begins, and does not walk there through 8,000 years."""
    walked = 0

    def counted(*asked: Any) -> Iterator[Period]:
        nonlocal walked
        for period in periods_between(*asked):
            walked += 1
            yield period

    monkeypatch.setattr(listing, "periods_between", counted)
    with Books(postgres_url) as books:
        for day in ("2026-10-01", "9999-12-31"):
            books.rows(
                "INSERT INTO periods (entity, kind, starts, ends, state, changed_by) VALUES ('main', 'day', %s, %s, "
                "'hold', 'ann')",
                day,
                day,
            )
        async with await AsyncConnection.connect(books.url, autocommit=True, row_factory=dict_row) as connection:
            today, before = date(2026, 11, 29), date(2026, 11, 10)
            found = await listing.list_periods(connection, "main", "day", today, behind=before, limit=3)
            assert [one.starts.day for one in found] == [9, 8, 7]
            assert walked == 3
            assert await listing.list_periods(connection, "main", "day", today, behind=date.min, limit=3) == []


@valkey
async def test_whoever_waits_too_long_with_a_file_is_told_so(http: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two files keep a worker's connections busy for long: a third one is not kept on the disk until they are done."""
    monkeypatch.setattr(snapshot, "TURN_S_MAX", 0.05)
    pool = http.worker.services.pool
    headers = {**await http.credential("finance"), "content-type": "text/csv"}
    asked = {"name": "o.csv", "currency": "CNY", "since": "2026-11-01", "until": "2026-11-30"}
    sent: dict[str, Any] = {"params": asked, "content": b"order_id,minor\no-1,500\n", "headers": headers}
    async with snapshot.turn(pool), snapshot.turn(pool):
        assert told(await http.worker.http.post("/v1/outside-files", **sent)) == (503, "overloaded")
    assert (await http.worker.http.post("/v1/outside-files", **sent)).status_code == 201
