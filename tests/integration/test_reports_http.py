"""Reports through HTTP: pages, totals, files, who may, and what is refused by which name."""

import csv
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import Refusal
from gateway.finance.report_files import ReportFile
from reconciler.reports.catalog import REPORTS
from tests.conftest import redis_binaries
from tests.integration.draining import Books
from tests.integration.site_http import Http, open_http
from tests.integration.yearbook import write

pytestmark = pytest.mark.parametrize("redis_server", list(redis_binaries().items())[:1], ids=["valkey"], indirect=True)
"""The books are PostgreSQL's, whichever Redis there is."""


@pytest.fixture
async def http(redis_url: str, postgres_url: str, tmp_path: Path) -> AsyncIterator[Http]:
    """A worker beside empty books."""
    async with open_http(redis_url, postgres_url, tmp_path) as http:
        yield http


@pytest.fixture
async def year(http: Http, postgres_url: str) -> Http:
    """The worker, and the books of three months."""
    with Books(postgres_url) as books:
        await write(books)
    return http


async def pages(http: Http, path: str) -> list[dict[str, Any]]:
    """Every page of a report."""
    found, cursor = [], ""
    while True:
        answer = await http.ask("GET", f"{path}{cursor}", "auditor")
        assert answer.status_code == 200, answer.text
        found.append(answer.json())
        if found[-1]["next"] is None:
            return found
        cursor = f"&cursor={found[-1]['next']}"


async def test_reports_are_listed_paged_and_summed(year: Http) -> None:
    """The list has each report; a trial balance has its totals, a long report pages that make up the whole."""
    listed = (await year.ask("GET", "/v1/reports", "finance")).json()["items"]
    assert [each["name"] for each in listed] == list(REPORTS)
    [balance] = await pages(year, "/v1/reports/trial-balance?until=2026-11-30")
    assert [each["currency"] for each in balance["totals"]] == ["CNY", "JPY"]
    assert all(each["closing_debit"] == each["closing_credit"] > 0 for each in balance["totals"])
    assert balance["asked"] == {"until": "2026-11-30"}
    assert set(balance["rows"][0]) == {each["name"] for each in balance["columns"]}

    entries = await pages(year, "/v1/reports/entries?limit=100")
    assert [each["totals"] for each in entries] == [None] * len(entries)
    rows = [(row["shard"], row["seq"]) for page in entries for row in page["rows"]]
    assert rows == sorted(set(rows))
    assert len(rows) > 300
    days = await pages(year, "/v1/reports/roll-forward?by=day&limit=30")
    assert sum(len(page["rows"]) for page in days) == len({row["day"] for page in days for row in page["rows"]}) > 60
    assert [each["totals"] is None for each in days] == [False, *[True] * (len(days) - 1)]


async def test_a_file_is_all_of_it(year: Http) -> None:
    """CSV by format or by Accept, named as asked, the rows of the pages; who took single things is in the audit log."""
    path = "/v1/reports/redemptions?since=2026-11-01&until=2026-11-20&as_of=2026-11-30"
    answer = await year.ask("GET", f"{path}&format=csv", "finance")
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, "text/csv")
    assert 'filename="redemptions_2026-11-01_2026-11-20_as-of-2026-11-30.csv"' in answer.headers["content-disposition"]
    lines = list(csv.DictReader(io.StringIO(answer.text)))
    paged = [row["redemption"] for page in await pages(year, path) for row in page["rows"]]
    assert [line["redemption"] for line in lines] == paged != []
    same = await year.ask("GET", path, "finance", accept="text/csv, application/json;q=0.5")
    assert same.text == answer.text
    book = await year.ask("GET", "/v1/reports/trial-balance?format=xlsx", "auditor")
    assert book.content.startswith(b"PK")
    with Books(year.worker.settings.postgres_url) as books:
        taken = books.rows("SELECT subject FROM audit_log WHERE action = 'report.exported'")
    assert taken == [("report:redemptions",)] * 2


WRONG = [
    ("trial-balance?until=30.11.2026", "until"),
    ("trial-balance?until=20261130", "until"),
    ("trial-balance?since=2026-12-01&until=2026-11-30", "until"),
    ("coupons?until=2026-11-30&as_of=2026-11-29", "as_of"),
    ("trial-balance?as_of=2026-11-30", "as_of"),
    ("trial-balance?store=s-1", "store"),
    ("trial-balance?by=store", "by"),
    ("roll-forward?by=campaign,campaign", "by"),
    ("roll-forward?by=day,month", "by"),
    ("movements?basis=written", "basis"),
    ("expiry-forecast?zone=Mars/Olympus", "zone"),
    ("trial-balance?account=%00", "account"),
    ("trial-balance?format=pdf", "format"),
    ("trial-balance?format=beancount", "format"),
    ("trial-balance?limit=0", "limit"),
    ("entries?cursor=abc", "cursor"),
    ("entries?since=2026-11-01&since=2026-11-02", "since"),
]


async def test_what_is_wrong_is_named(http: Http) -> None:
    """400 with the field, and nothing is read."""
    for path, field in WRONG:
        answer = await http.ask("GET", f"/v1/reports/{path}", "finance")

        assert (answer.status_code, answer.json()["field"]) == (400, field), answer.text
        assert answer.json()["detail"].startswith(field)


async def test_a_name_that_the_books_don_t_know_is_not_found(year: Http) -> None:
    """As a page, as a file and as an export, by its field; one that they know, and that of none, are answered."""
    for form in ("json", "csv"):
        unknown = await year.ask("GET", f"/v1/reports/performance?store=s-9&format={form}", "finance")
        assert (unknown.status_code, unknown.json()["code"], unknown.json()["field"]) == (404, "not_found", "store")
        assert "/v1/reports/performance?by=store" in unknown.json()["detail"]
        for store in ("s-1", ""):
            known = await year.ask("GET", f"/v1/reports/performance?store={store}&format={form}", "finance")
            assert known.status_code == 200, known.text
    body = {"report": "performance", "format": "csv", "asked": {"store": "s-9"}}
    export = await year.ask("POST", "/v1/exports", "finance", body, idempotency_key="k")
    assert (export.status_code, export.json()["field"]) == (404, "asked.store")


async def test_who_may(http: Http) -> None:
    """Finance, auditors and admins; nobody else sees even the list. A report that is none is not found."""
    paths = ("/v1/reports", "/v1/reports/trial-balance")
    for who, status in (("finance", 200), ("auditor", 200), ("admin", 200), ("store", 403), ("marketer", 403),
                        ("@ann", 403), (None, 401)):  # fmt: skip
        assert [(await http.ask("GET", path, who)).status_code for path in paths] == [status, status]
    assert (await http.ask("GET", "/v1/reports/none", "finance")).status_code == 404


async def test_whoever_leaves_ends_the_file(year: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that nobody takes any more is made no further, and the worker may make the next; one at a time."""
    monkeypatch.setattr("gateway.finance.report_files.PIECE_BYTES", 1000)
    here = year.worker.app.state.services
    file = await ReportFile.open(here, ["entries", "--format=csv"])
    with pytest.raises(Refusal, match="another report"):
        await ReportFile.open(here, ["entries", "--format=csv"])
    pieces = file.pieces()
    assert (await anext(pieces)).startswith(b"shard,seq,kind")
    await pieces.aclose()

    with pytest.raises(Refusal, match="failed"):
        await ReportFile.open(here, ["none", "--format=csv"])
    whole = b"".join([piece async for piece in (await ReportFile.open(here, ["entries", "--format=csv"])).pieces()])
    assert whole.count(b"\r\n") > 300
