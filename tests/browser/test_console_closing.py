"""A day of a sale that just ended is closed in a browser: damage is mended, the report read, nothing reloaded."""

from collections.abc import Awaitable, Callable

import psycopg
import pytest
from playwright.async_api import Page, expect

from lua.door import Door
from tests.browser.accessible import violations
from tests.browser.conftest import NewPage
from tests.browser.keys import Keys
from tests.browser.watching import IN_BROWSER, PHONE, Watch, overflow, picture, told
from tests.http import Worker
from tests.integration.consoling import add_user
from tests.integration.draining import Books
from tests.integration.life import LifeSale
from tests.integration.stocktaking import drain_all, live, open_stocked

pytestmark = IN_BROWSER
A_VERDICT = "SELECT pg_advisory_lock(1717659753, 3)"
"""What whoever judges books has, and there is one at a time (gateway/finance/verdict.py)."""
LONG_MS = 120_000
"""A verdict is a process of its own, and the machine is shared."""


async def sell(site: Worker, books: Books) -> LifeSale:
    """A sale of today that is over and in the books, and Fay of finance."""
    await add_user(site, "fay", "finance")
    sale = await open_stocked(site.services.door, books)
    await live(sale)
    await drain_all(sale, site.settings.redis_url)
    return sale


async def to_the_day(page: Page, keys: Keys) -> None:
    """Sign in, and go to the day that is closed next."""
    await keys.arrive("fay", "/console/books/periods?kind=day")
    await keys.go("upcoming")
    await page.locator("#checks").wait_for()


async def follow(page: Page, keys: Keys, link: str) -> None:
    """Go where the first *link* leads, or press it."""
    await keys.go(await page.locator(link).first.inner_text())


async def shown(page: Page, name: str) -> None:
    """A picture of it; axe finds nothing, and nothing sticks out."""
    await picture(page, f"console-closing-{name}")
    assert (await violations(page), await overflow(page)) == ([], 0), name


async def mend(page: Page, keys: Keys, put_back: Callable[[], Awaitable[object]]) -> None:
    """From what stands in the way: stock is taken, its break explained, and resolved once it is *put_back*."""
    await follow(page, keys, "[data-item=live] .todo a")
    await follow(page, keys, "form button.primary")
    await page.locator("main .note.bad").wait_for()
    await shown(page, "stocktakes")
    await follow(page, keys, "td a.badge.bad")
    await follow(page, keys, "tbody a")
    await keys.to("explanation")
    await keys.type("changed by hand on the server")
    await keys.go("explain")
    await keys.to("resolution")
    await keys.type("stock is as the books have it")
    await keys.to("compensation")
    await keys.type("INCRBY stock 5")
    await keys.go("resolve")
    await page.get_by_role("alert").wait_for()
    await shown(page, "break-remains")
    await put_back()
    await keys.go("resolve")
    await told(page)


async def test_a_day_is_closed(site: Worker, new_page: NewPage, watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    On hold, looked at, refused with what to do, mended by the links of the list, and closed on the morning after, all
    of it by keys alone: the page tells how far it is and is up to date at the end without a reload; without JavaScript
    a link looks again. On a phone, in the dark and in Chinese it is the same page. The report is read on screen and
    printed.
    """
    watch.expect_status(409)
    with Books(site.settings.postgres_url) as books:
        sale = await sell(site, books)
        redis, stock = site.services.door.redis, sale.on.shard.key("stock")
        now_ms = round(books.value("SELECT extract(epoch FROM now()) * 1000"))
    page, plain = await new_page(), await new_page(java_script_enabled=False)
    phone = await new_page(viewport=PHONE, color_scheme="dark", locale="zh-CN")
    keys = Keys(page)
    await to_the_day(page, keys)
    day = page.url
    for other in (plain, phone):
        await other.context.add_cookies(await page.context.cookies())  # type: ignore[arg-type]
    await redis.incrby(stock, -5)
    await keys.go("hold")
    await page.locator("#standing.note").wait_for()
    async with await psycopg.AsyncConnection.connect(site.settings.postgres_url) as another:
        await another.execute(A_VERDICT)  # it is waited for, while the page is looked at
        await keys.go("check")
        await page.locator("#checks progress").wait_for()
        await picture(page, "console-closing-running")
        await plain.goto(day)
        await plain.locator("#checks a").first.click()
        await expect(plain.locator("#checks")).to_have_count(1)
    await page.locator("[data-close=refused]").wait_for(timeout=LONG_MS)
    await expect(page.locator("button[value=close]"), "the buttons came along").to_be_enabled()
    await shown(page, "refused")
    await phone.goto(day)
    await shown(phone, "refused-phone")

    await mend(page, keys, lambda: redis.incrby(stock, 5))

    async def tomorrow(_: Door) -> int:
        return int(now_ms) + 24 * 3_600_000

    monkeypatch.setattr("reconciler.periods.checks.clock_ms", tomorrow)
    await page.goto(day)
    await keys.go("close")
    await page.locator("[data-close=closed]").wait_for(timeout=LONG_MS)
    await expect(page.locator("#standing.good")).to_have_count(1)
    await expect(page.locator("#closes li")).to_have_count(1)
    await expect(page.locator("#acts button")).to_have_count(0)
    await shown(page, "closed")
    await phone.goto(day)
    await shown(phone, "closed-phone")
    pdf = await page.context.request.get(await page.locator("#closes a").last.get_attribute("href") or "")
    assert (await pdf.body())[:5] == b"%PDF-"
    await follow(page, keys, "#closes a")
    await page.wait_for_url("**form=html")
    await picture(page, "console-closing-report")
    await page.emulate_media(media="print")
    await picture(page, "console-closing-print")
