"""Files of orders from outside against a sale: uploaded, run again and again, over HTTP and by command."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import redis_binaries
from tests.integration.commands import Cli
from tests.integration.draining import Books
from tests.integration.outsiding import DAYS, Outside, open_outside
from tests.integration.tilling import done

pytestmark = pytest.mark.parametrize("redis_server", list(redis_binaries().items())[:1], ids=["valkey"], indirect=True)
"""What the scripts do on Redis 7 is tests/scripts' to prove; here it is HTTP and the books."""

GROUPS = ("matched", "missing_here", "missing_there", "amount_differs", "duplicate")


@pytest.fixture
async def outside(redis_url: str, postgres_url: str, tmp_path: Path) -> AsyncIterator[Outside]:
    """A worker and its books after a sale."""
    async with open_outside(redis_url, postgres_url, tmp_path) as outside:
        yield outside


async def test_orders_are_matched_by_what_is_compared(outside: Outside) -> None:
    """Net of what came back, as given, or what the order was worth; by day, merchant, store and currency."""
    net = "order_id,amount\no-1,5.00\no-2,3.00\n"
    assert await outside.counts(net) == [2, 0, 0, 0, 0]
    assert await outside.counts(net, measure="discount") == [1, 0, 1, 1, 0]
    assert await outside.counts("order_id,minor\no-1,4000\no-2,4000\no-3,4000\n", measure="order") == [3, 0, 0, 0, 0]
    assert await outside.counts(net, store="s-1", merchant="m-1") == [2, 0, 0, 0, 0]
    assert await outside.counts(net, store="s-2") == [0, 2, 0, 0, 0]
    assert await outside.counts(net, currency="EUR") == [0, 2, 0, 0, 0]
    past = {"since": "2020-01-01", "until": "2020-01-31"}
    assert await outside.counts(net, **past) == [0, 2, 0, 0, 0]
    assert await outside.counts("order_id,minor\nx,1\n", **past) == [0, 1, 0, 0, 0]


async def test_a_run_is_kept_and_its_break_lives(outside: Outside, postgres_url: str) -> None:
    """A dry run keeps nothing; a run keeps every difference and opens one break, which one without any does not end."""
    told = "order_id,minor\no-1,500\no-1,500\no-2,999\nx-1,7\n"
    first = await outside.upload(told)
    file = done(first)
    assert (file["rows"], file["entity"], file["last"]) == (4, "main", None)
    again = await outside.upload(told)
    assert (again.status_code, again.json()["id"]) == (200, file["id"])

    with Books(postgres_url) as books:
        dry = done(await outside.run(file["id"], dry=True), 200)
        assert dry["id"] is None
        assert books.rows("SELECT count(*) FROM outside_runs UNION ALL SELECT count(*) FROM breaks") == [(0,), (0,)]
        kept = done(await outside.run(file["id"]))
        assert kept["summary"] == dry["summary"]
        assert kept["first"] == [
            {"order_id": "o-1", "outcome": "duplicate", "line": 2, "lines": 2, "redemptions": 1, "here_minor": 500,
             "there_minor": 1000, "note": "it is in the file 2 times"},
            {"order_id": "o-2", "outcome": "amount_differs", "line": 4, "lines": 1, "redemptions": 1,
             "here_minor": 300, "there_minor": 999, "note": ""},
            {"order_id": "x-1", "outcome": "missing_here", "line": 5, "lines": 1, "redemptions": 0, "here_minor": None,
             "there_minor": 7, "note": ""},
        ]  # fmt: skip
        done(await outside.run(file["id"]))
        opened = "SELECT shard, figure, state, found ->> 'differences', likely <> '' FROM breaks WHERE kind = 'outside'"
        assert books.rows(opened) == [("main", file["id"], "open", "3", True)]
        books.rows("DELETE FROM outside_rows WHERE line IN (3, 5)")
        books.rows("UPDATE outside_rows SET minor = 300 WHERE order_id = 'o-2'")
        matched = done(await outside.run(file["id"]))
        assert matched["summary"]["differences"] == 0
        assert books.rows("SELECT state FROM breaks") == [("open",)]
        actions = "SELECT action FROM audit_log WHERE subject = %s ORDER BY id"
        assert [act for (act,) in books.rows(actions, f"outside:{file['id']}")] == ["outside.uploaded"] + 3 * [
            "outside.ran"
        ]

    ask, at = outside.till.ask, f"/v1/outside-files/{file['id']}"
    runs = (await ask("GET", f"{at}/runs", "auditor")).json()
    assert [each["id"] for each in runs["items"]] == [matched["id"], matched["id"] - 1]
    assert (await ask("GET", f"{at}/runs?cursor={runs['next']}", "auditor")).json()["items"][0]["id"] == kept["id"]
    page = (await ask("GET", f"{at}/runs/{kept['id']}/differences", "finance")).json()
    rest = (await ask("GET", f"{at}/runs/{kept['id']}/differences?cursor={page['next']}", "finance")).json()
    assert [*page["items"], *rest["items"]] == kept["first"]
    text = (await ask("GET", f"{at}/runs/{kept['id']}/differences?format=csv", "finance")).text
    assert [row["order_id"] for row in csv.DictReader(io.StringIO(text))] == ["o-1", "o-2", "x-1"]
    assert done(await ask("GET", f"{at}/runs/{kept['id']}", "finance"), 200)["first"] == kept["first"]
    listed = (await ask("GET", "/v1/outside-files", "finance")).json()["items"]
    assert [each["last"]["differences"] for each in listed] == [0]
    assert done(await ask("GET", at, "finance"), 200)["last"]["matched"]["orders"] == 2


WRONG: list[tuple[str, dict[str, str], str]] = [
    ("order_id,minor\na,1\nb,x\nc,1\nd,-\n", {}, "file"),
    ("order_id,minor\n", {}, "file"),
    ("order_id,minor\na,1\n", {"since": "2026-13-01"}, "since"),
    ("order_id,minor\na,1\n", {"until": "2020-01-01"}, "until"),
    ("order_id,minor\na,1\n", {"zone": "Mars"}, "zone"),
    ("order_id,minor\na,1\n", {"measure": "gross"}, "measure"),
    ("order_id,minor\na,1\n", {"currency": "yen"}, "currency"),
    ("order_id,minor\na,1\n", {"currency": "CNX"}, "currency"),
    ("order_id,minor\na,1\n", {"entity": "nobody"}, "entity"),
]


async def test_what_is_wrong_is_named(outside: Outside, postgres_url: str) -> None:
    """A wrong field, and a wrong file with its lines: nothing of it is kept."""
    for text, asked, field in WRONG:
        answer = await outside.upload(text, **asked)
        assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (400, "bad_request", field)
        if text.count("\n") > 3:
            assert [each["field"] for each in answer.json()["errors"]] == ["line 3", "line 5"]

    with Books(postgres_url) as books:
        kept = "SELECT count(*) FROM outside_files UNION ALL SELECT count(*) FROM outside_rows"
        assert books.rows(kept) == [(0,), (0,)]


async def test_who_may_and_what_is_there(outside: Outside) -> None:
    """Finance uploads and runs, auditors read; other media are refused, and what is not there is 404."""
    text = "order_id,minor\na,1\n"
    assert (await outside.upload(text, who="auditor")).status_code == 403
    assert (await outside.upload(text, media="application/json")).status_code == 415
    settings = outside.till.http.worker.settings
    large = await outside.upload("order_id,minor\n" + "a,1\n" * (settings.import_bytes_max // 4))
    assert (large.status_code, large.json()["code"]) == (413, "too_large")
    file = done(await outside.upload(text))["id"]
    assert (await outside.run(file, who="auditor")).status_code == 403
    ask = outside.till.ask
    assert (await outside.run("of_0")).json()["code"] == "outside_file_not_found"
    assert (await ask("GET", f"/v1/outside-files/{file}/runs/7", "finance")).json()["code"] == "not_found"
    assert (await ask("GET", f"/v1/outside-files/{file}/runs/x", "finance")).json()["code"] == "not_found"


async def test_the_same_by_command(
    outside: Outside, redis_url: str, postgres_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Upload, dry run, run, list and show, with their exit codes."""
    cli, file = Cli(capsys), tmp_path / "orders.csv"
    file.write_text("order_id,amount\no-1,5\no-2,9.99\n")

    async def ask(*arguments: str, code: int = 0) -> Any:
        ran = await asyncio.to_thread(cli, "outside", *arguments, "--postgres-url", postgres_url, "--json")
        assert ran.code == code, ran
        return ran.data if code in (0, 1) else ran.error

    async def shown(*arguments: str) -> str:
        ran = await asyncio.to_thread(cli, "outside", *arguments, "--postgres-url", postgres_url)
        return " ".join(ran.out.split())

    days = ("--currency", "CNY", "--since", DAYS["since"], "--until", DAYS["until"])
    id_ = (await ask("upload", str(file), *days))["id"]
    assert (await ask("run", id_, "--dry-run", code=1))["id"] is None
    run = await ask("run", id_, code=1)
    assert "o-2 amount_differs 3 300 999" in await shown("show", id_)
    assert await ask("show", id_, "--run", str(run["id"])) == run
    assert (await shown("show", id_, "--csv")).startswith("order_id,outcome,line")
    assert "orders.csv" in await shown("list")
    assert (await ask("list"))["items"][0]["last"]["differences"] == 1
    end = ("breaks", "resolve", str(outside.books.value("SELECT id FROM breaks")), "-b", "x", "--by", "y", "--json")
    both = ("--redis-url", redis_url, "--postgres-url", postgres_url)
    assert (await asyncio.to_thread(cli, *end, *both)).error["code"] == "break_remains"
    file.write_text("order_id,amount\no-1,5\no-2,3\n")
    assert (await ask("upload", str(file), *days, "--corrects", id_))["corrects"] == id_
    assert (await ask("run", id_, code=4))["code"] == "invalid_state"
    assert (await asyncio.to_thread(cli, *end, *both)).data["state"] == "resolved"
    assert "--corrects: a file" in (await ask("upload", str(file), *days, "--corrects", "of_0", code=2))["message"]
    file.write_text("order_id,amount\no-1,\n")
    assert "line 2: amount" in (await ask("upload", str(file), *days, code=2))["message"]
    assert (await ask("run", "of_0", code=3))["code"] == "not_found"
    assert (await ask("upload", str(file), *days, "--entity", "x", code=2))["code"] == "bad_entity"
