"""The room Books of the console: every report, drill-down, files, periods, breaks, exports, verdict."""

import csv
import io
import re
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path

import pytest

from reconciler.reports.catalog import REPORTS
from tests.conftest import redis_binaries
from tests.http import Worker
from tests.integration.consoling import add_user, poll, signed_in, title
from tests.integration.draining import Books
from tests.integration.site_http import open_http
from tests.integration.yearbook import write

pytestmark = pytest.mark.parametrize("redis_server", list(redis_binaries().items())[:1], ids=["valkey"], indirect=True)
"""The books are PostgreSQL's, whichever Redis there is."""

BOOKS = "/console/books"


@pytest.fixture
async def year(redis_url: str, postgres_url: str, tmp_path: Path) -> AsyncIterator[Worker]:
    """A worker, the books of three months, and people: fay of finance, aud who is an auditor, max a marketer."""
    async with open_http(redis_url, postgres_url, tmp_path) as http:
        with Books(postgres_url) as books:
            await write(books)
        for name, role in (("fay", "finance"), ("aud", "auditor"), ("max", "marketer")):
            await add_user(http.worker, name, role)
        yield http.worker


def links(text: str, pattern: str) -> list[str]:
    """The addresses in a page that are like *pattern*."""
    return [unescape(each) for each in re.findall(rf'href="({pattern}[^"]*)"', text)]


async def test_every_report_is_a_page(year: Worker) -> None:
    """Each opens with the books of three months in it, below 100 kB; the links of its first row lead somewhere."""
    aud = await signed_in(year, "aud")
    for name in REPORTS:
        answer = await aud.get(f"{BOOKS}/reports/{name}")
        assert answer.status_code == 200, (name, answer.text)
        assert len(answer.content) < 100_000, (name, len(answer.content))
        body = answer.text.partition("<tbody>")[2].partition("</tbody>")[0]
        assert body.count("<tr>") > 0, name
        for link in dict.fromkeys(links(body.partition("</tr>")[0], BOOKS)):
            assert (await aud.get(link)).status_code == 200, (name, link)
    assert (await aud.get(f"{BOOKS}/reports/nothing")).status_code == 404


async def test_from_a_figure_to_its_postings_to_its_entries(year: Worker) -> None:
    """A figure of the trial balance leads to its account, a movement to its journal, that to its state changes."""
    fay = await signed_in(year, "fay")
    balance = await fay.get(f"{BOOKS}/reports/trial-balance?since=2026-11-01&until=2026-11-30")
    [account] = [each for each in dict.fromkeys(links(balance.text, f"{BOOKS}/accounts/payable")) if "m-1?" in each][:1]
    assert "since=2026-11-01&until=2026-11-30" in account
    page = await fay.get(account)
    assert title(page).startswith("payable:")
    journal = await fay.get(links(page.text, f"{BOOKS}/journals/")[0])
    assert title(journal).startswith("Journal ")
    assert "State changes" in journal.text
    change = links(journal.text.partition('id="changes"')[2], f"{BOOKS}/reports/entries")[0]
    assert (await fay.get(change)).status_code == 200
    for path in ("journals/0", "journals/x", "accounts/nothing", "breaks/7", "exports/x", "manual/mj_0"):
        assert (await fay.get(f"{BOOKS}/{path}")).status_code == 404, path


async def test_a_file_agrees_with_the_screen(year: Worker) -> None:
    """The CSV of what the screen shows has the same rows and figures."""
    aud = await signed_in(year, "aud")
    query = "since=2026-11-01&until=2026-11-30&by=entity"
    screen = (await aud.get(f"{BOOKS}/reports/trial-balance?{query}")).text
    [link] = [each for each in links(screen, f"{BOOKS}/reports/trial-balance/file") if "format=csv" in each]
    file = await aud.get(link)
    rows = list(csv.DictReader(io.StringIO(file.text.lstrip("\ufeff"))))
    body = screen.partition("<tbody>")[2].partition("</tbody>")[0]
    shown = [
        [
            re.sub(r"[^\d.–-]", "", unescape(re.sub("<[^>]+>", "", cell)))
            for cell in re.findall(r'<td class="num[^>]*>(.*?)</td>', row)
        ]
        for row in body.split("</tr>")
        if "<td" in row
    ]
    figures = ("opening_debit", "opening_credit", "debit", "credit", "closing_debit", "closing_credit")

    assert [[row[name] for name in figures] for row in rows if row["account"]] == shown


async def test_wrong_asks_name_their_field(year: Worker) -> None:
    """A day that is none and a name that the books don't know stand beside their fields; who may not, may not."""
    fay, max_ = await signed_in(year, "fay"), await signed_in(year, "max")
    for path in ("reports/trial-balance", "journals", "accounts/payable:m-1"):
        for query, field in (
            ("since=nothing", "since"),
            ("campaign=nothing", "campaign"),
            ("entity=nothing", "entity"),
        ):
            answer = await fay.get(f"{BOOKS}/{path}?{query}")
            assert (answer.status_code, f'id="{field}-error"' in answer.text) == (400, True), (path, query)
        assert (await max_.get(f"{BOOKS}/{path}")).status_code == 403


async def test_the_verdict_says_why_not(year: Worker) -> None:
    """Asked for, it is judged in the background and kept; books with no Redis behind them don't hold."""
    aud = await signed_in(year, "aud")
    assert "Nobody has asked" in (await aud.get(f"{BOOKS}/verdict")).text
    assert (await aud.post(f"{BOOKS}/verdict", {"campaign": "NO NO"})).status_code == 400
    assert (await aud.post(f"{BOOKS}/verdict")).headers["location"] == f"{BOOKS}/verdict"
    page = await poll(aud, f"{BOOKS}/verdict", "data-verdict")
    assert 'data-verdict="broken"' in page
    assert "row violates it" in page or "rows violate it" in page


async def test_finance_acts_and_an_auditor_does_not(year: Worker) -> None:
    """Hold, look, propose to reopen, draft, export: by finance; an auditor sees the pages and is refused each act."""
    fay, aud = await signed_in(year, "fay"), await signed_in(year, "aud")
    period = f"{BOOKS}/periods/main/month/2026-09-01"
    lines = {"debit-0": "payable:m-1", "credit-0": "clearing:bank", "commodity-0": "CNY", "amount-0": "12.50"}
    draft = {"entity": "main", "effective_date": "2026-11-10", "reason": "Paid out", "key": "k", **lines}
    export = {"report": "trial-balance", "format": "csv", "until": "2026-11-30"}
    acts = (
        (f"{period}/act", {"step": "hold"}, f"{period}?done=held"),
        (f"{period}/act", {"step": "reopen", "reason": "a late invoice", "key": "r"}, f"{period}?done=proposed"),
        (f"{BOOKS}/new-manual", draft, f"{BOOKS}/manual/mj_"),
        (f"{BOOKS}/new-export", export, f"{BOOKS}/exports/ex_"),
    )
    for path, fields, leads_to in acts:
        assert (await aud.post(path, fields)).status_code == 403
        done = await fay.post(path, fields)
        assert (done.status_code, done.headers.get("location", done.text)[: len(leads_to)]) == (303, leads_to)
        assert (await fay.get(done.headers["location"])).status_code == 200
        assert (await aud.get(done.headers["location"])).status_code == 200
    wrong = await fay.post(f"{BOOKS}/new-manual", {**draft, "key": "w", "amount-0": "1.234", "reason": ""})
    assert (wrong.status_code, 'id="amount-0-error"' in wrong.text) == (400, True)
    odd = await fay.post(f"{BOOKS}/new-manual", {**draft, "key": "x", "debit-0": "nothing"})
    assert (odd.status_code, 'id="debit-0-error"' in odd.text) == (400, True)
    assert (await fay.post(f"{period}/act", {"step": "check"})).status_code == 303
    page = await poll(fay, period, "data-close")
    assert 'data-close="refused"' in page
    for path in (
        "stocktakes",
        "breaks",
        "periods",
        "exports",
        "manual",
        "new-stocktake",
        "new-export",
        "new-manual",
        "journals",
    ):
        assert (await fay.get(f"{BOOKS}/{path}")).status_code == 200, path
        assert (await fay.get(f"{BOOKS}/{path}", accept_language="zh-CN")).status_code == 200
