"""Exports in the console, and files of a report: to the end, once a form, given up, asked again; as on the screen."""

import csv
import io
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from html import unescape
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

import httpx2
import pytest
import pytest_asyncio
from openpyxl import load_workbook

from gateway.console.books.naming import KIND_WORDS, head
from gateway.stack.postgres import Postgres
from gateway.stack.valkey import Valkey
from reconciler.currencies import places
from reconciler.exports.work import TRIES_MAX
from reconciler.reports.asking import asked_of
from reconciler.reports.catalog import REPORTS
from reconciler.reports.shape import Column
from reconciler.reports.writing_text import money_name
from tests.http import ON_SOCKETS, Worker
from tests.integration.console_year import open_year
from tests.integration.consoling import Browser, signed_in
from tests.integration.draining import Books
from tests.integration.exporting import Exports

pytestmark = ON_SOCKETS

BOOKS = "/console/books"
ASKED = {"report": "trial-balance", "format": "csv", "since": "2026-11-01", "until": "2026-11-30"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def year(
    redis_server: Valkey, postgres_server: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Worker]:
    """The books of three months, and a name in Chinese that owes something."""
    manual = ([("payable:茶馆", "clearing:bank", "CNY", 1_250)],)
    async with open_year(redis_server, postgres_server, tmp_path_factory.mktemp("site"), manual) as worker:
        yield worker


@pytest.fixture
def clerk(year: Worker) -> Exports:
    """Who makes them; nothing of another test is left to make."""
    exports = Exports(year.settings.postgres_url, year.settings.exports_folder)
    with Books(exports.url) as books:
        books.rows("UPDATE exports SET state = 'cancelled' WHERE state IN ('waiting', 'running')")
    return exports


async def asked(browser: Browser, key: str, **changes: str) -> str:
    """The page of an export that is asked for by a form with *key*."""
    done = await browser.post(f"{BOOKS}/new-export", {**ASKED, "key": key, **changes})
    assert done.status_code == 303, done.text
    return done.headers["location"]


def state(page: str) -> str:
    """The state that a page of an export says."""
    found = re.search(r'<section id="found".*?<span class="badge \w+">([^<]*)</span>', page, re.DOTALL)
    assert found, page
    return found[1]


async def test_an_export_is_made_and_is_what_the_page_says(year: Worker, clerk: Exports) -> None:
    """Waiting, made by the clerk, fetched: the file has the SHA-256 of the page, and the bytes of a download."""
    fay, aud = await signed_in(year, "fay"), await signed_in(year, "aud")
    page = await asked(fay, "made")
    assert state((await aud.get(page)).text) == "Waiting"
    assert (await aud.get(f"{page}/file")).status_code == 404
    assert await clerk.work()
    done = (await aud.get(page)).text
    assert state(done) == "Done"
    assert 'hx-trigger="every' not in done
    file = await aud.get(f"{page}/file")
    told = re.search(r"data-sha256>([0-9a-f]{64})<", done)
    assert told
    assert told[1] == sha256(file.content).hexdigest()
    assert 'filename="trial-balance_2026-11-01_2026-11-30.csv"' in file.headers["content-disposition"]
    at_once = await aud.get(f"{BOOKS}/reports/trial-balance/file?since=2026-11-01&until=2026-11-30&format=csv")
    assert file.content == at_once.content
    screen = re.findall(r'<a class="button" href="([^"]*)">On the screen', done)[0]
    assert "<wbr>茶馆</a>" in (await aud.get(unescape(screen))).text
    assert "Kept until" in done


async def test_a_form_is_one_export(year: Worker) -> None:
    """Sent twice it is the same; with something else in it, or from a page that was opened anew, it is another one."""
    fay = await signed_in(year, "fay")
    first = await asked(fay, "k")
    assert await asked(fay, "k") == first
    others = {await asked(fay, "k", format="xlsx"), await asked(fay, "k", until="2026-11-29"), await asked(fay, "l")}
    assert len(others | {first}) == 4
    for path in (f"{BOOKS}/new-export", f"{BOOKS}/reports/trial-balance"):
        keys = [re.findall(r'name="key" value="([0-9a-f]{32})"', (await fay.get(path)).text) for _ in range(2)]
        assert [len(each) for each in keys] == [1, 1]
        assert keys[0] != keys[1]
    unnamed = await asked(fay, "n", report="merchant-statement", none="merchant")
    with Books(year.settings.postgres_url) as books:
        told = books.value("SELECT asked ->> 'merchant' FROM exports WHERE id = %s", unnamed.rpartition("/")[2])
    assert told == ""


async def test_given_up_gone_and_failed_can_be_asked_for_again(year: Worker, clerk: Exports) -> None:
    """Each state has its words and its next step; what is asked for again is a new one of the same."""
    fay, aud = await signed_in(year, "fay"), await signed_in(year, "aud")
    page = await asked(fay, "ended")
    assert (await aud.post(f"{page}/act", {"step": "end"})).status_code == 403
    assert (await fay.post(f"{page}/act", {"step": "end"})).headers["location"] == page
    assert not await clerk.work()
    given_up = (await fay.get(page)).text
    assert state(given_up) == "Given up"
    again = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', given_up.partition("may_end")[0]))
    second = (await fay.post(f"{BOOKS}/new-export", again)).headers["location"]
    assert second != page
    assert await clerk.work()
    assert state((await fay.get(second)).text) == "Done"
    clerk.set(second.rpartition("/")[2], "finished_at = now() - interval '31 days'")
    await clerk.work(keep_days=30)
    gone = (await fay.get(second)).text
    assert (state(gone), "Ask for it again" in gone) == ("Removed", True)
    assert (await fay.get(f"{second}/file")).status_code == 404
    assert "Ask for it again" not in (await aud.get(second)).text


async def test_a_process_that_dies_is_followed_by_another(year: Worker, clerk: Exports) -> None:
    """The page says which try it is; the file is whole; after as many tries as may be it has failed, and says why."""
    fay = await signed_in(year, "fay")
    page = await asked(fay, "dies", report="entries")
    export = page.rpartition("/")[2]
    clerk.set(export, "state = 'running', worker = 'dead', tries = 1, leased_until = now() + interval '1 minute'")
    assert state((await fay.get(page)).text) == "Being made"
    assert not await clerk.work()
    clerk.set(export, "leased_until = now() - interval '1 second'")
    assert await clerk.work()
    done, file = (await fay.get(page)).text, await fay.get(f"{page}/file")
    assert state(done) == "Done"
    told = re.search(r"data-sha256>([0-9a-f]{64})<", done)
    assert told
    assert told[1] == sha256(file.content).hexdigest()
    doomed = await asked(fay, "doomed", report="entries")
    clerk.set(doomed.rpartition("/")[2], f"state = 'running', tries = {TRIES_MAX}, failed = 'no room is left'")
    assert f"{TRIES_MAX} of {TRIES_MAX}" in (await fay.get(doomed)).text
    assert await clerk.work()
    failed = (await fay.get(doomed)).text
    assert state(failed) == "Failed"
    assert "no room is left" in failed


SCREENS = {
    "trial-balance": "since=2026-11-01&until=2026-11-30",
    "merchant-settlement": "by=month&since=2026-11-01",
    "merchant-statement": "merchant=茶馆&since=2026-11-01",
    "redemptions": "since=2026-11-25&zone=Asia/Shanghai",
}
"""Report → how it is asked."""


def screened(text: str, columns: list[str], report: str) -> list[dict[str, object]]:
    """The rows of a page as programs read them: minor units, whole numbers, ISO days, instants of UTC, names."""
    head_row = text.rpartition("<thead>")[2].partition("</thead>")[0]
    heads = [unescape(re.sub("<[^>]+>", "", each)) for each in re.findall(r"<th [^>]*>(.*?)</th>", head_row)]
    names = {head(name, report): name for name in columns}
    rows = []
    for row in text.rpartition("<tbody>")[2].partition("</tbody>")[0].split("</tr>"):
        cells = re.findall(r"<t[dh]([^>]*)>(.*?)</t[dh]>", row, re.DOTALL)
        if cells:
            rows.append({names[at]: read(*cell) for at, cell in zip(heads, cells, strict=True)})
    return rows


def read(attributes: str, inside: str) -> object:
    """What a cell says."""
    if value := re.search(r'data-value="(-?\d+)"', attributes):
        return int(value[1])
    if at := re.search(r'datetime="([^"]*)"', inside):
        return at[1]
    said = unescape(re.sub("<[^>]+>", "", inside))
    return CODES.get(said, "" if said == "–" else said)


CODES = {says: code for code, says in KIND_WORDS.items()}


@pytest.mark.parametrize(
    ("format", "reports"),
    [("csv", ("trial-balance", "merchant-statement", "redemptions")), ("xlsx", ("merchant-settlement", "redemptions"))],
    ids=["csv", "xlsx"],
)
async def test_a_file_has_what_the_screen_has(year: Worker, format: str, reports: tuple[str, ...]) -> None:
    """Cell by cell: money by its currency, below zero, days, instants in the zone asked for, names in Chinese."""
    aud = await signed_in(year, "aud")
    for report in reports:
        query = SCREENS[report]
        text = (await aud.get(f"{BOOKS}/reports/{report}?{query}")).text
        link = next(unescape(each) for each in re.findall(r'href="([^"]*/file\?[^"]*)"', text) if f"={format}" in each)
        columns = REPORTS[report].columns(asked_of(REPORTS[report], dict(told_in(query))))
        rows = screened(text, [column.name for column in columns], report)
        file = in_file(await aud.get(link), columns, format, len(rows))
        assert rows, report
        assert file == rows, report
        if report != "redemptions":
            assert "茶馆" in str(rows)
            assert -1250 in [value for row in rows for value in row.values()] or report == "trial-balance"


def told_in(query: str) -> list[tuple[str, str]]:
    """What a query asks."""
    pairs = parse_qsl(query)
    by = ",".join(value for name, value in pairs if name == "by")
    return [*((name, value) for name, value in pairs if name != "by"), *([("by", by)] if by else [])]


def in_file(answer: httpx2.Response, columns: tuple[Column, ...], format: str, count: int) -> list[dict[str, object]]:
    """The first *count* rows of a file, as programs read them."""
    assert answer.status_code == 200
    if format == "csv":
        rows: list[tuple[object, ...]] = [tuple(row) for row in csv.reader(io.StringIO(answer.text.lstrip("\ufeff")))]
    else:
        rows = list(load_workbook(io.BytesIO(answer.content)).worksheets[0].iter_rows(values_only=True))
    start = next(at for at, row in enumerate(rows) if money_name(columns[0]) in row) + 1
    names = [column.name for column in columns]
    place = names.index("currency") if "currency" in names else 0
    return [
        {column.name: as_read(column, cell, str(row[place])) for column, cell in zip(columns, row, strict=False)}
        for row in rows[start : start + count]
    ]


def as_read(column: Column, cell: object, currency: str) -> object:
    """A cell of a file, in the terms of read()."""
    if cell is None or cell == "":
        return ""
    match column.kind:
        case "minor":
            return round(Decimal(str(cell)).scaleb(places(currency)))
        case "count":
            return int(str(cell))
        case "date":
            return str(cell)[:10]
        case "instant":
            at = cell.replace(tzinfo=ZoneInfo("Asia/Shanghai")) if isinstance(cell, datetime) else None
            at = at or datetime.fromisoformat(str(cell))
            return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(cell)
