"""Periods and legal entities over HTTP and on the command line: who may, what is answered, how it ends."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.cli.output import CONFLICT, FAILURE, NOT_FOUND, USAGE
from gateway.finance.close_report.page import POLICY
from gateway.finance.close_report.render import Given, html, pdf
from lua.door import Door
from reconciler.periods.checks import SAYS
from reconciler.verdict.invariants import INVARIANTS
from tests.conftest import redis_binaries
from tests.integration.commands import Cli
from tests.integration.draining import Books
from tests.integration.periods import Months, open_months
from tests.integration.site_http import Http, open_http

pytestmark = pytest.mark.parametrize("redis_server", list(redis_binaries().items())[:1], ids=["valkey"], indirect=True)

JANUARY = "/v1/periods/main/month/2024-01"


@pytest.fixture
async def months(door: Door, redis_url: str, postgres_url: str) -> AsyncIterator[Months]:
    """January and February of 2024, drained."""
    with Books(postgres_url) as books:
        yield await open_months(door, redis_url, books)


@pytest.fixture
async def http(months: Months, tmp_path: Path) -> AsyncIterator[Http]:
    """A worker on the same servers."""
    async with open_http(months.redis_url, months.books.url, tmp_path) as http:
        yield http


@pytest.fixture
def cli(months: Months, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Command lines that know the servers."""
    monkeypatch.setenv("FAIRCLAIM_REDIS_URL", months.redis_url)
    monkeypatch.setenv("FAIRCLAIM_POSTGRES_URL", months.books.url)
    return Cli(capsys)


async def test_a_month_from_open_to_closed_and_back(months: Months, http: Http) -> None:
    """Finance holds and closes, a refusal names what is in the way; who only reads may not; admin alone reopens."""

    async def ask(method: str, path: str, who: str, status: int, json: Any = None) -> Any:
        answer = await http.ask(method, path, who, json)
        assert answer.status_code == status, answer.text
        return answer.json()

    await ask("POST", f"{JANUARY}/hold", "auditor", 403)
    held = await ask("POST", f"{JANUARY}/hold", "finance", 200)
    assert held["period"]["state"] == "hold"
    assert held["period"]["changed_by"].endswith("test finance")

    months.forge("INSERT INTO breaks (shard, kind, figure, expected, found) VALUES ('c/0', 'figure', 'x', '1', '2')")
    refused = await ask("POST", f"{JANUARY}/close", "finance", 409)
    assert refused["code"] == "close_refused"
    assert [one["name"] for one in refused["checks"]] == [*SAYS, *(one.name for one in INVARIANTS)]
    [broken] = [one for one in refused["checks"] if not one["holds"]]
    assert (broken["name"], broken["of"], broken["figures"]["breaks open"]) == ("settled", "books", 1)
    assert "check no_break_unresolved, break 1, shard c/0, kind figure, figure x" in broken["found"][0]
    assert broken["found"][0] in refused["detail"]
    dry = await ask("POST", f"{JANUARY}/close", "finance", 200, {"dry_run": True})
    assert (dry["holds"], dry["report"], dry["checks"]) == (False, None, refused["checks"])

    months.forge("DELETE FROM breaks")
    months.books.rows("SELECT pg_advisory_lock(1717659753, 3)")
    assert (await ask("POST", f"{JANUARY}/close", "finance", 503))["detail"] == "Another verdict is on its way."
    months.books.rows("SELECT pg_advisory_unlock(1717659753, 3)")
    closed = await ask("POST", f"{JANUARY}/close", "finance", 200)
    assert (closed["holds"], closed["report"]) == (True, 1)
    main = {"id": "main", "zone": "UTC"}
    for who, told in (("marketer", main), ("auditor", main | {"closed_through": "2024-01-31"})):
        assert (await ask("GET", "/v1/entities", who, 200))["items"] == [told]

    again = {"reason": "An invoice came in"}
    await ask("POST", f"{JANUARY}/reopen", "finance", 403, again)
    for empty in ("", " ", "a\0b"):
        assert (await ask("POST", f"{JANUARY}/reopen", "admin", 400, {"reason": empty}))["field"] == "reason"
    opened = await ask("POST", f"{JANUARY}/reopen", "admin", 200, again)
    assert opened["period"]["state"] == "open"
    assert [one["id"] for one in opened["reports"]] == [1]
    await ask("POST", f"{JANUARY}/reopen", "admin", 409, again)


async def test_a_report_is_had_as_figures_page_and_pdf(months: Months, http: Http) -> None:
    """The page runs nothing and loads nothing; both are what the command line makes, in the locale asked for."""
    await months.hold("2024-01")
    await months.close("2024-01")

    figures = await http.ask("GET", f"{JANUARY}/report", "auditor")
    page = await http.ask("GET", f"{JANUARY}/report.html?locale=de_DE", "auditor")
    paper = await http.ask("GET", f"{JANUARY}/report.pdf?number=1", "finance")

    given = msgspec.json.decode(figures.content, type=Given)
    async with months.connection() as connection:
        found = await connection.execute("SELECT closed_at FROM close_reports")
        [row] = await found.fetchall()
    given = Given(msgspec.structs.replace(given.signed, closed_at=row["closed_at"]), given.report)
    assert page.content == html(given, "de_DE")
    assert page.headers["content-security-policy"] == POLICY
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert paper.content == pdf(given, "en")
    assert 'filename="close-main-2024-01.pdf"' in paper.headers["content-disposition"]
    assert (await http.ask("GET", f"{JANUARY}/report.html?locale=xx", "auditor")).json()["field"] == "locale"
    assert (await http.ask("GET", f"{JANUARY}/report?number=x", "auditor")).json()["field"] == "number"
    for path in (f"{JANUARY}/report?number=2", "/v1/periods/main/month/2024-02/report.pdf"):
        assert (await http.ask("GET", path, "auditor")).status_code == 404


async def test_periods_are_listed_newest_first(months: Months, http: Http) -> None:
    """Months with nothing on them too, page by page; what is no period or entity is not there."""
    newest = (await http.ask("GET", "/v1/periods?limit=1", "auditor")).json()
    shown, path = [], "/v1/periods?limit=9"
    while path:
        page = (await http.ask("GET", path, "finance")).json()
        shown += page["items"]
        path = page["next"] and f"/v1/periods?limit=9&cursor={page['next']}"

    assert newest["items"] == shown[:1]
    assert [one["starts"] for one in shown[-3:]] == ["2024-03-01", "2024-02-01", "2024-01-01"]
    assert len(shown) == len({one["starts"] for one in shown})
    assert {one["state"] for one in shown} == {"open"}
    assert (await http.ask("GET", "/v1/periods?kind=week", "finance")).json()["field"] == "kind"
    for path in ("/v1/periods?entity=nobody", "/v1/periods/main/week/2024-01", "/v1/periods/main/month/2024-01-02"):
        assert (await http.ask("GET", path, "finance")).status_code == 404


async def test_a_legal_entity_is_added_once(http: Http) -> None:
    """By finance, with a zone there is; its periods are there from then on."""
    body = {"id": "shop-cn", "zone": "Asia/Shanghai"}

    added = await http.ask("POST", "/v1/entities", "finance", body)
    assert (added.status_code, added.json()) == (201, {**body, "closed_through": None})
    assert (await http.ask("POST", "/v1/entities", "finance", body)).json()["code"] == "entity_exists"
    for field, wrong in (("zone", "Asia/Nowhere"), ("id", "Shop CN")):
        refused = await http.ask("POST", "/v1/entities", "finance", {**body, field: wrong})
        assert (refused.status_code, refused.json()["field"]) == (400, field)
    assert len((await http.ask("GET", "/v1/periods?entity=shop-cn", "finance")).json()["items"]) == 1


def test_the_command_line_does_the_same(months: Months, cli: Cli, tmp_path: Path) -> None:
    """Hold, dry run, close, report to a file, reopen; each refusal has its exit code."""
    assert cli.json("period", "hold", "2024-01")["state"] == "hold"
    refused = cli("period", "close", "2024-02")
    assert refused.code == FAILURE
    assert "29 days open before it" in refused.out
    assert "hold: does not hold: the period is on hold\n  it is open: put it on hold first" in refused.out
    assert "2 of 8 checks do not hold; the books were not judged" in " ".join(refused.out.split())
    assert cli.json("period", "close", "2024-01", "--dry-run") | {"checks": []} == {
        **{"holds": True, "checks": [], "report": None}
    }
    closed = cli("period", "close", "2024-01")
    assert "1 chains, 11 journals" in closed.out
    assert (closed.code, closed.out.splitlines()[-1]) == (0, "2024-01 of main is closed; its report is number 1")
    assert cli.json("period", "close", "2024-01", code=CONFLICT)["code"] == "invalid_state"
    assert "\n  an admin may open it again" in cli("period", "close", "2024-01").err
    assert "closed" in cli("period", "list", "--rows", "100").out
    assert cli.json("period", "show", "2024-01")["reports"][0]["id"] == 1
    assert "report" in cli("period", "show", "2024-01").out
    for form in ("html", "pdf", "json"):
        file = tmp_path / f"january.{form}"
        assert cli("period", "show", "2024-01", "--format", form, "--output", str(file)).code == 0
        assert file.read_bytes().startswith({"html": b"<!doctype html>", "pdf": b"%PDF-", "json": b"{\n"}[form])
    assert cli.json("period", "show", "2024-02", "-f", "pdf", code=NOT_FOUND)["code"] == "report_not_found"
    assert cli.json("period", "reopen", "2024-01", "--reason", "an invoice")["state"] == "open"
    assert cli.json("period", "hold", "2024-13", code=USAGE)["code"] == "bad_period"
    assert cli.json("period", "list", "--entity", "nobody", code=NOT_FOUND)["code"] == "not_found"
    assert cli.json("entity", "add", "shop-cn", "--zone", "Asia/Shanghai")["id"] == "shop-cn"
    assert cli.json("entity", "add", "shop-cn", code=CONFLICT)["code"] == "entity_exists"
    assert cli.json("entity", "add", "x", "--zone", "Mars", code=USAGE)["code"] == "bad_entity"
    assert [one["id"] for one in cli.json("entity", "list")["items"]] == ["main", "shop-cn"]
