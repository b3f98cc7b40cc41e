"""Reports in the console: every figure leads to where it is the same; wrong asks, odd names, what takes long."""

import re
from collections.abc import AsyncIterator
from html import unescape
from typing import Any, NamedTuple

import psycopg
import pytest
import pytest_asyncio

from gateway.stack.postgres import Postgres
from gateway.stack.valkey import Valkey
from reconciler.reports.catalog import REPORTS
from tests.http import ON_SOCKETS, Worker
from tests.integration.console_year import open_year
from tests.integration.consoling import Browser, signed_in, title
from tests.integration.draining import Books

pytestmark = ON_SOCKETS

BOOKS = "/console/books"
HOSTILE = "<b>x</b>'\"&amp;"
MANUAL = (
    [("payable:m-1", "clearing:bank", "CNY", 40_000)],  # more than was owed: it stands below zero
    [(f"payable:{HOSTILE}", f"expense:promotion:{HOSTILE}", "JPY", 77)],
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def year(
    redis_server: Valkey, postgres_server: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Worker]:
    """The books of three months, with manual journals and odd names."""
    async with open_year(redis_server, postgres_server, tmp_path_factory.mktemp("site"), MANUAL) as worker:
        yield worker


class Figure(NamedTuple):
    """A figure of a page: what it is, and the address it leads to, empty where there is none."""

    value: int
    link: str


CELL = re.compile(r'<t[dh] class="num[^"]*"(?: id="([^"]*)")? data-value="(-?\d+)"[^>]*>(?:<a href="([^"]*)")?')


def figures(text: str, part: str = "t(?:body|foot)") -> list[Figure]:
    """The figures in the body and the foot of the tables of a page."""
    found = []
    for body in re.findall(rf"<{part}>(.*?)</{part}>", text, re.DOTALL):
        found += [Figure(int(value), unescape(link or "")) for _, value, link in CELL.findall(body)]
    return found


def named(text: str) -> dict[str, int]:
    """The figures of a page that have an id."""
    return {unescape(id_): int(value) for id_, value, _ in CELL.findall(text) if id_}


ASKED = (
    "trial-balance", "trial-balance?since=2026-11-01&until=2026-11-30",
    "trial-balance?since=2026-10-15&by=campaign&by=entity", "trial-balance?since=2026-11-10&account=payable",
    "unit-balance", "unit-balance?since=2026-11-01&until=2026-11-30&by=campaign",
    "roll-forward", "roll-forward?by=campaign&by=month&since=2026-09-10&until=2026-11-20",
    "roll-forward?by=channel&since=2026-11-01", "roll-forward?by=store&by=campaign", "roll-forward?none=channel",
    "roll-forward-money", "roll-forward-money?by=campaign&by=month", "roll-forward-money?channel=app&by=campaign",
    "campaign-profit", "campaign-profit?since=2026-09-05&until=2026-11-20&as_of=2026-11-25",
    "merchant-settlement", "merchant-settlement?since=2026-11-01&until=2026-11-25&by=campaign",
    "merchant-settlement?by=month&since=2026-09-10", "funder-settlement?since=2026-11-01", "funder-settlement?by=day",
    "ageing-coupons?by=campaign&by=channel", "ageing-commitments?until=2026-11-15",
    "expiry-forecast?by=campaign&by=month&as_of=2026-11-30", "performance", "performance?by=campaign",
    "performance?by=store&by=month&since=2026-09-03", "redemption-lag",
    "redemption-lag?by=campaign&by=month&until=2026-11-20", "journal?since=2026-11-20", "movements?account=payable:m-1",
)  # fmt: skip
"""What is asked of reports, so that each way of asking is there."""
PER_PAGE = 3
"""How many links of a page are followed."""


async def test_every_figure_leads_to_the_same_figure(year: Worker) -> None:
    """Totals too: the page that a figure leads to has it under the id in the address, but for its sign."""
    fay, pages, followed = await signed_in(year, "fay"), dict[str, dict[str, int]](), 0
    for asked in ASKED:
        found = [each for each in figures((await fay.get(f"{BOOKS}/reports/{asked}")).text) if each.link]
        assert found, asked
        step = max(1, len(found) // PER_PAGE)
        for value, link in [*found[::step], *found[-3:]]:
            path, _, there = link.partition("#")
            if not there:
                continue  # a single coupon, or a single state change
            if path not in pages:
                answer = await fay.get(path)
                assert answer.status_code == 200, (asked, link)
                pages[path] = named(answer.text)
            assert there in pages[path], (asked, value, link)
            # A credit balance is below zero on the page of its account, and in a column of its own in a trial balance.
            assert abs(pages[path][there]) == abs(value), (asked, value, link)
            followed += 1
    assert followed > 120


LINKED = (
    "trial-balance?since=2026-11-01", "unit-balance?since=2026-11-01", "roll-forward?by=campaign",
    "roll-forward-money", "merchant-settlement", "funder-settlement?by=month",
)  # fmt: skip


async def test_which_figures_lead_nowhere(year: Worker) -> None:
    """Only noughts, what is of no campaign or one of the staff, and what is in no smaller part: all else has a link."""
    fay = await signed_in(year, "fay")
    for asked in LINKED:
        text = (await fay.get(f"{BOOKS}/reports/{asked}")).text
        bare = [each for each in figures(text) if each.value and not each.link]
        assert not bare, (asked, bare)


def in_cells(text: str) -> list[list[str]]:
    """The rows of the body of the last table of a page, as text."""
    body = text.rpartition("<tbody>")[2].partition("</tbody>")[0]
    rows = [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, re.DOTALL) for row in body.split("</tr>") if "<t" in row]
    return [[unescape(re.sub("<[^>]+>", "", cell)).strip() for cell in row] for row in rows]


async def all_rows(browser: Browser, path: str) -> list[list[str]]:
    """The rows of a report, page after page, as they stand on the screen."""
    rows: list[list[str]] = []
    while path:
        text = (await browser.get(path)).text
        rows += in_cells(text)
        more = re.search(r'<a class="button" href="([^"]*cursor[^"]*)">More', text)
        path = unescape(more[1]) if more else ""
    return rows


def heads(text: str) -> list[str]:
    """The heads of the last table of a page."""
    row = text.rpartition("<thead>")[2].partition("</thead>")[0]
    return [unescape(re.sub("<[^>]+>", "", each)).strip() for each in re.findall(r"<th[^>]*>(.*?)</th>", row)]


def minor(text: str) -> int:
    """A figure on the screen in minor units; nothing is 0."""
    digits = re.sub(r"[^\d-]", "", text)
    return int(digits) if digits not in ("", "-") else 0


async def test_a_statement_adds_up_to_what_stands_above_it(year: Worker) -> None:
    """Row by row, page by page: what is given, taken back and settled is the sum; each balance follows on the last."""
    fay = await signed_in(year, "fay")
    for report, name in (("merchant-statement?merchant=m-1", "m-1"), ("funder-statement?funder=brand", "brand")):
        path = f"{BOOKS}/reports/{report}&since=2026-11-01"
        text = (await fay.get(path)).text
        above, rows, at = named(text), await all_rows(fay, path), heads(text)
        for currency in ("CNY", "JPY"):
            own = [dict(zip(at, row, strict=True)) for row in rows if currency in row]
            sums = {each: sum(minor(row[each]) for row in own) for each in ("Given", "Taken back", "Settled")}
            assert sums["Given"] == above.get(f"{currency}-given_minor", 0) > 0, name
            assert sums["Taken back"] == above.get(f"{currency}-taken_back_minor", 0)
            assert sums["Settled"] == above.get(f"{currency}-settled_minor", 0)
            assert minor(own[-1]["Balance"]) == above[f"{currency}-closing_minor"]
            assert above[f"{currency}-opening_minor"] == minor(own[0]["Balance"]) > 0, own[0]


async def test_a_posting_is_the_sum_of_its_state_changes(year: Worker) -> None:
    """The units that a journal moves are those of the state changes below it, which are a coupon each, with a page."""
    fay = await signed_in(year, "fay")
    checked = 0
    for number in range(2, 60, 7):
        text = (await fay.get(f"{BOOKS}/journals/{number}")).text
        above, below = text.split('id="changes"')
        if "cursor=" in below.partition("</table>")[2]:
            continue  # the rest is on pages of its own
        lines = [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row) for row in above.rpartition("<tbody>")[2].split("</tr>")]
        at, rows = heads(text), in_cells(text)
        for cells in lines:
            told = [unescape(re.sub("<[^>]+>", "", cell)) for cell in cells]
            if len(told) == 5 and told[3].startswith("coupon:"):
                own = [dict(zip(at, row, strict=True)) for row in rows]
                moved = [row for row in own if (row["To account"], row["From account"]) == (told[1], told[2])]
                assert sum(minor(row["Units"]) for row in moved) == minor(told[4]), number
                checked += 1
        codes = re.findall(r'href="(/console/coupons/[^"]*)"', below)
        for code in codes[:1]:
            assert (await fay.get(code)).status_code == 200
    assert checked > 5


async def test_tables_sort_and_page(year: Worker) -> None:
    """By a figure, the largest first, then the other way round; over all pages each row comes once, in that order."""
    fay, path = await signed_in(year, "fay"), f"{BOOKS}/reports/performance?by=day"
    text = (await fay.get(path)).text
    plain = await all_rows(fay, path)
    assert len(plain) > 80
    down = next(unescape(each) for each in re.findall(r'href="([^"]*sort=-order_minor[^"]*)"', text))
    at = heads(text).index("Orders")
    for link, sign in ((down, -1), (down.replace("sort=-", "sort="), 1)):
        page = (await fay.get(link)).text
        assert f'aria-sort="{"descending" if sign < 0 else "ascending"}"' in page
        rows = await all_rows(fay, link)
        values = [minor(row[at]) for row in rows if row[1] == "CNY"]
        assert values == sorted(values, key=lambda value: sign * value)
        assert sorted(rows) == sorted(plain)
    turned = (await fay.get(down)).text
    assert "sort=order_minor" in turned.partition("<thead>")[2].partition("</thead>")[0]


async def test_names_are_text(year: Worker) -> None:
    """Whatever an account or a merchant is called, it is no HTML, and its page opens by its link."""
    fay = await signed_in(year, "fay")
    for report in (
        "trial-balance",
        "merchant-settlement",
        "funder-settlement",
        "movements",
        "journal?since=2026-11-20",
    ):
        text = (await fay.get(f"{BOOKS}/reports/{report}")).text
        assert "<b>x" not in text
    text = (await fay.get(f"{BOOKS}/reports/trial-balance")).text
    link = next(each for each in re.findall(r'href="([^"]*/accounts/payable:%3Cb[^"]*)"', text))
    assert title(await fay.get(unescape(link))) == f"payable:{HOSTILE}"
    asked = await fay.get(f"{BOOKS}/reports/trial-balance?campaign=%3Cscript%3E")
    assert (asked.status_code, "<script>" in asked.text.partition("<main")[2]) == (400, False)


@pytest.mark.parametrize(
    ("query", "field"),
    [("since=nothing", "since"), ("since=2026-11-02&until=2026-11-01", "until"), ("campaign=nothing", "campaign"),
     ("entity=nothing", "entity"), ("account=nothing", "account"), ("by=colour", "by"), ("by=day&by=month", "by")],
)  # fmt: skip
async def test_what_is_wrong_stands_at_its_field(year: Worker, query: str, field: str) -> None:
    """A page of its own is refused with 400; a page that asks for a part of itself takes it as any other answer."""
    fay = await signed_in(year, "fay")
    report = "performance" if "day" in query else "trial-balance"
    answer = await fay.get(f"{BOOKS}/reports/{report}?{query}")
    piece = await fay.get(f"{BOOKS}/reports/{report}?{query}", hx_request="true")
    assert (answer.status_code, piece.status_code) == (400, 200)
    for text in (answer.text, piece.text):
        assert f'id="{field}-error"' in text
        assert f'href="#{field}"' in text


async def test_who_sees_reports(year: Worker) -> None:
    """An auditor sees each and may ask for no export; a marketer sees none, nor a file."""
    aud, max_ = await signed_in(year, "aud"), await signed_in(year, "max")
    for name in REPORTS:
        answer = await aud.get(f"{BOOKS}/reports/{name}")
        assert (answer.status_code, "new-export" in answer.text) == (200, False)
        assert len(answer.content) < 100_000
        for path in (f"reports/{name}", f"reports/{name}/file"):
            assert (await max_.get(f"{BOOKS}/{path}")).status_code == 403
    for path in ("", "/accounts/payable:m-1", "/journals", "/journals/1"):
        assert (await max_.get(f"{BOOKS}{path}")).status_code == 403


async def test_a_report_that_takes_long_says_so(year: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a moment a page is there that asks for the rest by itself; past the time limit it says what else to do."""
    fay, path = await signed_in(year, "fay"), f"{BOOKS}/reports/campaign-profit"
    monkeypatch.setattr("gateway.console.books.reports.PATIENCE_S", 0.0)
    waiting = (await fay.get(path)).text
    assert 'aria-busy="true"' in waiting
    assert 'hx-trigger="load"' in waiting
    asked = unescape(re.findall(r'hx-get="([^"]*wait=1)"', waiting)[0])
    assert "tea" in (await fay.get(asked, hx_request="true")).text
    monkeypatch.setattr("gateway.finance.snapshot.STATEMENT_MS_MAX", 1)
    late = await fay.get(asked)
    assert (late.status_code, "This takes longer than a page may" in late.text) == (200, True)
    assert 'action="/console/books/new-export"' in late.text
    monkeypatch.undo()
    assert 'aria-busy="true"' not in (await fay.get(path)).text


async def test_without_postgres_a_page_says_so(year: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked of the books can't be answered: 503 and when to come back, and no trace of what failed."""

    async def gone(*_: Any, **__: Any) -> Any:
        raise psycopg.OperationalError("gone")

    fay = await signed_in(year, "fay")
    monkeypatch.setattr("gateway.finance.reports.check_known_async", gone)
    answer = await fay.get(f"{BOOKS}/reports/trial-balance")
    assert (answer.status_code, answer.headers["retry-after"].isdigit()) == (503, True)
    assert title(answer) == "The books can't be reached"


async def test_a_settlement_has_what_others_say(year: Worker) -> None:
    """A file of another system stands beside it: not compared, then with what is here and there and what differs."""
    fay, finance = await signed_in(year, "fay"), await year.key("finance")
    path = f"{BOOKS}/reports/merchant-settlement?merchant=m-1&since=2026-11-01&until=2026-11-30"
    assert "No file of another system" in (await fay.get(path)).text
    with Books(year.settings.postgres_url) as books:
        orders = books.rows(
            "SELECT order_id, minor - rolled_back_minor AS minor FROM redemptions WHERE merchant = 'm-1' "
            "AND currency = 'CNY' AND (redeemed_at AT TIME ZONE 'UTC')::date BETWEEN '2026-11-01' AND '2026-11-30' "
            "ORDER BY order_id"
        )
    [first, *rest] = [(row[0], int(row[1])) for row in orders if row[1]]
    lines = ["order_id,minor", f"{first[0]},{first[1] + 7}", "o-unheard-of,5", *(f"{name},{of}" for name, of in rest)]
    asked = {"name": "<till>.csv", "currency": "CNY", "merchant": "m-1", "since": "2026-11-01", "until": "2026-11-30"}
    headers = {**finance, "content-type": "text/csv"}
    body = "\n".join(lines).encode()
    added = await year.http.post("/v1/outside-files", params=asked, content=body, headers=headers)
    assert added.status_code == 201, added.text
    before = (await fay.get(path)).text
    assert "Not compared yet" in before
    assert "&lt;till&gt;.csv" in before
    ran = await year.http.post(f"/v1/outside-files/{added.json()['id']}/runs", headers=finance)
    assert ran.status_code < 300, ran.text
    shown = (await fay.get(path)).text.partition("What others say")[2]
    ours = sum(minor for _, minor in [first, *rest])
    assert [value for value, _ in figures(shown)] == [ours + 12, ours]
    assert "1 only there, 1 another amount" in shown
    assert "No file of another system" in (await fay.get(path.replace("m-1", "m-2"))).text


async def test_when_the_books_were_compared_is_said_of_all_shards(year: Worker) -> None:
    """Nothing was: it says so. Then which was compared longest ago and last, how many never were, and what differed."""
    fay, path = await signed_in(year, "fay"), f"{BOOKS}/reports/trial-balance"
    assert "Never reconciled with Redis" in (await fay.get(path)).text
    with Books(year.settings.postgres_url) as books:
        for shard, day, breaks in (("tea/0", 1, 3), ("card/0", 9, 0), ("tea/0", 8, 2)):
            books.rows(
                "INSERT INTO stocktakes (shard, seq, taken_at, asked_by, figures, sampled, breaks) "
                "VALUES (%s, 1, %s, 'test', '{}', '{}', %s)", shard, f"2026-11-0{day}T12:00:00Z", breaks
            )  # fmt: skip
    text = (await fay.get(path, accept_language="en-GB")).text
    said = " ".join(re.sub("<[^>]+>", "", text.partition('standing">')[2]).split())
    assert said.startswith("Reconciled with Redis: longest ago tea/0 8 Nov 2026, 12:00:00, last card/0 9 Nov 2026")
    assert "never: 2 of 4 shards; 2 differences." in said
    assert "Never reconciled with Redis" in (await fay.get(f"{path}?campaign=cup")).text
