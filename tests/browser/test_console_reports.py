"""Reports in a browser: what a link is about is marked, what is wrong stands at its field, on a phone and on paper."""

import asyncio
from hashlib import sha256
from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect

from gateway.console.books import reports
from tests.browser.accessible import violations
from tests.browser.conftest import NewPage
from tests.browser.keys import Keys
from tests.browser.test_console import sign_in
from tests.browser.watching import DESK, IN_BROWSER, PHONE, Watch, overflow, picture
from tests.http import Worker
from tests.integration.consoling import add_user
from tests.integration.draining import Books
from tests.integration.exporting import Exports
from tests.integration.yearbook import write

pytestmark = IN_BROWSER

BOOKS = "/console/books"
NOVEMBER = "since=2026-11-01&until=2026-11-30"
PAGES = {
    "trial-balance": f"/reports/trial-balance?{NOVEMBER}",
    "roll-forward": "/reports/roll-forward?by=campaign&by=month",
    "settlement": f"/reports/merchant-settlement?{NOVEMBER}",
    "statement": "/reports/merchant-statement?merchant=m-1&since=2026-11-25",
    "entries": "/reports/entries?campaign=tea&since=2026-11-28&sums=1",
    "account": "/accounts/stock?since=2026-11-20#all-closing",
    "nothing": "/reports/rollbacks?since=2026-10-10&until=2026-10-11",
}
"""What is looked at, by the name of its picture."""


async def come_in(page: Page, worker: Worker) -> None:
    """As Fay of finance, beside the books of three months."""
    with Books(worker.settings.postgres_url) as books:
        await write(books)
    await add_user(worker, "fay", "finance")
    await sign_in(page, "fay", BOOKS)


async def left_of(part: Locator) -> float:
    """Where its left edge is, in pixels."""
    box = await part.bounding_box()
    assert box is not None, "it is there"
    return box["x"]


async def sticks_out(page: Page) -> list[str]:
    """What of the tables is beyond the edge of the page."""
    found: list[str] = await page.evaluate(
        "[...document.querySelectorAll('table')].filter(t => t.getBoundingClientRect().right > innerWidth + 1)"
        ".map(t => t.innerText.slice(0, 40))"
    )
    return found


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        pytest.param("light", {"viewport": DESK}, id="light"),
        pytest.param("dark-phone-chinese", {"viewport": PHONE, "color_scheme": "dark", "locale": "zh-CN"}, id="phone"),
    ],
)
async def test_each_report_is_readable(site: Worker, new_page: NewPage, kind: str, options: Any) -> None:
    """Axe finds nothing, the page does not scroll sideways, and beside figures that scroll what they are of stays."""
    page = await new_page(**options)
    await come_in(page, site)
    found = {}
    for name, path in PAGES.items():
        await page.goto(f"{BOOKS}{path}")
        await picture(page, f"console-reports-{name}-{kind}")
        found[name] = ([*await violations(page)], await overflow(page))
    assert {name: each for name, each in found.items() if each != ([], 0)} == {}

    await page.goto(f"{BOOKS}{PAGES['roll-forward']}")
    region, first = page.locator(".scroll").first, page.locator("tbody .stick").first
    await region.focus()
    before = await left_of(first)
    for _ in range(20):
        await page.keyboard.press("ArrowRight")
    await page.wait_for_function("() => document.querySelector('.scroll').scrollLeft > 50")
    edge = await left_of(region)
    assert edge - 1 <= await left_of(first) <= before


async def test_on_paper(site: Worker, new_page: NewPage) -> None:
    """Printed, a report is its table and what was asked: no menu, no form, nothing beyond the edge of a page across."""
    page = await new_page(viewport={"width": 1040, "height": 720})
    await come_in(page, site)
    await page.emulate_media(media="print")
    for name in ("trial-balance", "roll-forward", "statement", "account"):
        await page.goto(f"{BOOKS}{PAGES[name]}")
        await picture(page, f"console-reports-{name}-print")
        assert await sticks_out(page) == [], name
        assert not await page.locator("#menu").is_visible()
        assert not await page.locator("form.filters").is_visible()
        is_part = await page.get_by_text("This is a part of it").is_visible()
        assert is_part == (await page.locator(".pages").count() > 0), name
    await page.goto(f"{BOOKS}{PAGES['trial-balance']}")
    assert "2026-11-30" in await page.locator(".printed").inner_text()


async def test_by_keyboard_and_without_a_reload(site: Worker, new_page: NewPage) -> None:
    """A figure leads to the page that has it, where it stands out; filters change the page and say what is wrong."""
    page = await new_page()
    await come_in(page, site)
    await page.goto(f"{BOOKS}{PAGES['trial-balance']}")
    row = page.locator("tbody tr").filter(has_text="payable:m-1").first
    link = row.locator("td.num a").last
    shown = await link.inner_text()
    await link.focus()
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/accounts/payable:m-1**")
    assert (await page.locator("td.num:target").inner_text()).lstrip("-") == shown
    await picture(page, "console-reports-target")

    await page.goto(f"{BOOKS}/reports/roll-forward")
    await page.evaluate("window.stayed = true")
    await page.locator("#by-campaign").check()
    await page.locator("tbody .stick").filter(has_text="tea").wait_for()
    await page.locator("#campaign").fill("nothing")
    await page.locator("#campaign").press("Enter")
    await page.locator("#campaign-error").wait_for()
    assert await page.locator("#campaign").input_value() == "nothing"
    assert await page.evaluate("window.stayed")
    assert await violations(page) == []
    await picture(page, "console-reports-wrong")


async def test_a_long_report_comes_by_itself(
    site: Worker, new_page: NewPage, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page says that it is at it and then has the report; past the time limit it says what else can be done."""
    page, path = await new_page(), f"{BOOKS}/reports/campaign-profit"
    await come_in(page, site)
    monkeypatch.setattr(reports, "PATIENCE_S", 0.0)
    held = await page.context.new_page()
    await held.route("**wait=1", lambda route: None)
    await held.goto(path)
    await held.locator("[aria-busy=true] progress").wait_for()
    assert await violations(held) == []
    await picture(held, "console-reports-working")
    await held.close()
    await page.goto(path)
    await page.locator("tbody").filter(has_text="tea").wait_for()
    monkeypatch.setattr("gateway.finance.snapshot.STATEMENT_MS_MAX", 1)
    await page.goto(path)
    await page.get_by_text("This takes longer than a page may").wait_for()
    assert await page.get_by_role("button", name="Export").is_visible()
    assert await violations(page) == []
    await picture(page, "console-reports-too-long")


async def test_an_export_comes_by_itself_and_is_what_it_says(site: Worker, new_page: NewPage) -> None:
    """Asked for beneath a report: the page follows how far it is; the download has the SHA-256 that stands there."""
    page, exports = await new_page(), Exports(site.settings.postgres_url, site.settings.exports_folder)
    await come_in(page, site)
    await page.goto(f"{BOOKS}{PAGES['trial-balance']}")
    await page.locator("#format").select_option("xlsx")
    await page.get_by_role("button", name="Export").click()
    await page.locator("#found progress").wait_for()
    await picture(page, "console-reports-export-waiting")
    assert await violations(page) == []
    await page.evaluate("window.stayed = true")
    await asyncio.to_thread(exports.make, page.url.rpartition("/")[2])
    await page.locator("[data-sha256]").wait_for()
    assert await page.evaluate("window.stayed")
    await expect(page.locator("#found progress")).to_have_count(0)
    told = await page.locator("[data-sha256]").inner_text()
    async with page.expect_download() as coming:
        await page.get_by_role("link", name="Download").click()
    download = await coming.value
    assert download.suggested_filename == "trial-balance_2026-11-01_2026-11-30.xlsx"
    assert sha256((await download.path()).read_bytes()).hexdigest() == told
    assert await violations(page) == []
    await picture(page, "console-reports-export-done")
    await page.get_by_role("button", name="Remove the file").click()
    await page.get_by_role("button", name="Ask for it again").wait_for()
    await picture(page, "console-reports-export-gone")


async def test_an_export_by_keys_alone(site: Worker, page: Page, watch: Watch) -> None:
    """Asked for, with a day that is none at first; followed with the focus where it was; downloaded, and removed."""
    watch.expect_status(400)
    await add_user(site, "fay", "finance")
    keys, exports = Keys(page), Exports(site.settings.postgres_url, site.settings.exports_folder)
    await keys.arrive("fay", f"{BOOKS}/exports")
    await keys.go("New export")
    await keys.to("report")
    await keys.type("T")  # of more letters those that come late begin another word
    await expect(page.locator("#report")).to_have_value("trial-balance")
    await keys.press("Tab", "ArrowDown")
    await keys.to("campaign")
    await keys.type("no such campaign")
    await keys.press("Enter")
    await page.get_by_role("alert").wait_for()
    await keys.is_at("problems")
    await keys.press("Tab", "Enter")
    await keys.is_at("campaign")
    await keys.press("Control+A", "Delete", "Enter")
    await page.locator("#found progress").wait_for()
    await keys.to("end")
    await asyncio.to_thread(exports.make, page.url.rpartition("/")[2])
    await page.locator("[data-sha256]").wait_for()
    await keys.is_at("end")
    await keys.press("Shift+Tab", "Shift+Tab")
    async with page.expect_download() as coming:
        await keys.press("Enter")
    assert (await (await coming.value).path()).stat().st_size > 0
    await keys.go("end")
    await page.get_by_role("button", name="Ask for it again").wait_for()
