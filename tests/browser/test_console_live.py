"""Live in a browser: figures that move by themselves, charts, a wall, one sale."""

from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from gateway.console.live import pages
from gateway.console.live.reading import Reading
from tests.browser.accessible import violations
from tests.browser.conftest import NewPage
from tests.browser.keys import Keys
from tests.browser.rushing import Rush
from tests.browser.test_console import BYTES_MAX, sign_in
from tests.browser.test_console_weight import weight
from tests.browser.watching import DESK, IN_BROWSER, PHONE, Watch, overflow, picture
from tests.conftest import Eventually
from tests.http import ANSWER_S_MAX, Worker
from tests.integration.consoling import add_user

pytestmark = IN_BROWSER


@pytest_asyncio.fixture(loop_scope="session")
async def people(site: Worker) -> None:
    """Olga, who sees how it runs."""
    await add_user(site, "olga", "operator", display="Olga")


HOLD_WHILE_FRESH = """() => document.querySelector('[data-stale]').hidden
  && (document.querySelector('[data-pause]').click(), true)"""
"""A page that was without news for seconds, as on a busy machine, is held as the old page that it says it is."""


async def shown(page: Page, figure: str) -> str:
    """The value of a figure."""
    return await page.locator(f"[data-figure={figure}] [data-value]").inner_text()


@pytest.mark.usefixtures("people")
async def test_what_is_claimed_shows_by_itself(site: Worker, page: Page, watch: Watch) -> None:
    """
    Stock and outcomes follow a claim, a sale that opens appears, and the page stands while it is held still: also in a
    browser whose clock is a day behind.
    """
    await page.add_init_script("const now = Date.now; Date.now = () => now() - 864e5;")
    await sign_in(page, "olga")
    await page.goto("/console/live")
    await page.get_by_text("No sale is open.").wait_for()
    await page.evaluate("window.stayed = true")

    await site.publish("flash", stock=5, name="<b>Flash</b>")
    row = page.locator("#sale-rows tbody tr")
    await row.get_by_text("<b>Flash</b>").wait_for()
    assert (await site.claim("h1")).status_code == 201
    await page.locator("[data-figure=stock] [data-value]", has_text="4").wait_for()
    await page.locator("#outcome-rows tr", has_text="claimed").wait_for()
    await page.wait_for_function(HOLD_WHILE_FRESH)
    assert (await site.claim("h2")).status_code == 201
    await _heard(site, 3)
    assert await shown(page, "stock") == "4"
    assert not await page.locator("[data-stale]").is_visible()
    await page.get_by_role("button", name="Hold still").press("Enter")
    await page.locator("[data-figure=stock] [data-value]", has_text="3").wait_for()
    await row.get_by_role("link").click()
    await page.wait_for_url("**/console/live/flash")
    assert await page.evaluate("window.stayed === undefined")
    await page.get_by_role("heading", name="<b>Flash</b>").wait_for()
    await page.locator("[data-chart=stock] canvas").wait_for()


async def _heard(site: Worker, frames: int) -> None:
    """So many frames went out."""
    watcher = site.services.live.join("the test")
    for _ in range(frames):
        assert await watcher.next(ANSWER_S_MAX) is not None
    site.services.live.leave(watcher)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        pytest.param("light", {"viewport": DESK}, id="light"),
        pytest.param("dark-phone", {"viewport": PHONE, "color_scheme": "dark"}, id="dark-phone"),
        pytest.param("chinese", {"viewport": DESK, "locale": "zh-CN", "timezone_id": "Asia/Shanghai"}, id="chinese"),
    ],
)
@pytest.mark.usefixtures("people")
async def test_it_is_accessible_and_fits(
    site: Worker, new_page: NewPage, watch: Watch, kind: str, options: dict[str, Any]
) -> None:
    """Axe finds nothing and nothing sticks out: all sales, one of them, and on a wall, where there is no menu."""
    Rush(site)
    page = await new_page(**options)
    await sign_in(page, "olga")

    for name, path in {
        "live": "/console/live",
        "live-one": "/console/live/evening",
        "live-wall": "/console/live?wall=1",
    }.items():
        await page.goto(path)
        await page.wait_for_function("() => Number(document.getElementById('live').dataset.points) > 10")
        await picture(page, f"console-{name}-{kind}")
        assert await violations(page) == [], path
        assert await overflow(page) == 0, path
    assert not await page.locator("nav").is_visible()
    assert not await page.locator(".top").is_visible()


@pytest.mark.usefixtures("people")
async def test_it_says_the_last_values_without_javascript(site: Worker, new_page: NewPage) -> None:
    """Figures, sales and outcomes are in the page, and a link brings them up to date."""
    Rush(site)
    page = await new_page(java_script_enabled=False)
    await sign_in(page, "olga")
    await page.goto("/console/live")
    first = await shown(page, "stock")

    site.services.live.past.clear()
    await page.get_by_role("link", name="Bring them up to date").click()

    assert await shown(page, "stock") != first
    assert await page.locator("#sale-rows tbody tr").count() == 2
    assert not await page.get_by_role("button", name="Hold still").is_visible()
    assert not await page.locator(".charts").is_visible()


@pytest.mark.usefixtures("people")
async def test_it_comes_back_and_says_when_it_is_away(
    site: Worker, page: Page, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream that ends is asked for again; refused, the page says it is old; signed out, it leads to the sign-in."""
    monkeypatch.setattr(pages, "STREAM_S_MAX", 0.5)
    await sign_in(page, "olga")
    await page.goto("/console/live")
    async with page.expect_request("**/console/live-stream"):
        await _heard(site, 1)
    await page.route("**/console/live-stream*", lambda route: route.fulfill(status=503, body="busy"))
    await page.get_by_text("Not up to date").wait_for()
    await page.unroute("**/console/live-stream*")
    await page.get_by_text("Not up to date").wait_for(state="hidden", timeout=60_000)

    await page.context.clear_cookies()

    await page.wait_for_url("**/console/sign-in?next=/console/live")
    watch.wrong.clear()  # that requests failed is the point here


@pytest.mark.usefixtures("people")
async def test_many_sales_come_with_the_first_frame(site: Worker, page: Page) -> None:
    """A hundred sales are all there in their order, one that ends first goes before them; the page stays light."""
    rush, kept = Rush(site), site.services.live
    seen = await rush.look()
    assert seen.sales is not None
    names = [f"sale-{number}" for number in range(100)]

    async def look() -> Reading:
        at_ms = (await rush.look()).at_ms
        sales = [sale._replace(id=name, name=f"The sale {name} of the autumn") for name in names]
        return seen._replace(at_ms=at_ms, sales=sales, has_more=True)

    [sale, _] = seen.sales
    kept.look, kept.pause_s = look, 0.2
    await sign_in(page, "olga")
    assert await weight(page, "/console/live") < BYTES_MAX
    rows = "() => [...document.querySelectorAll('#sale-rows tbody tr')].map(row => row.dataset.sale).join()"
    await page.wait_for_function(f"{rows} === '{','.join(names)}'")
    await expect(page.get_by_text("There are more open sales than are shown")).to_be_visible()
    assert await page.locator("#sale-rows a").nth(60).get_attribute("href") == "/console/live/sale-60"
    names.insert(0, "sale-first")
    del names[50]
    await page.wait_for_function(f"{rows} === '{','.join(names)}'")


@pytest.mark.usefixtures("people")
async def test_a_page_that_nobody_sees_holds_no_stream(site: Worker, page: Page, eventually: Eventually) -> None:
    """A browser has six connections to a host. Hidden for a while a page gives its own back, and goes on when seen."""
    rush = Rush(site)
    shorter = "const wait = setTimeout; setTimeout = (act, ms) => wait(act, ms === 30000 ? 50 : ms);"
    hidden = "Object.defineProperty(document, 'hidden', {value: HIDDEN, configurable: true});"
    await page.add_init_script(shorter)
    await sign_in(page, "olga")
    await page.goto("/console/live")
    await page.locator(".charts canvas").first.wait_for()
    watchers, happens = site.services.live.watchers, "document.dispatchEvent(new Event('visibilitychange'))"
    await eventually(lambda: len(watchers) == 1)

    await page.evaluate(hidden.replace("HIDDEN", "true") + happens)
    await eventually(lambda: not watchers)
    made = rush.made
    await page.evaluate(hidden.replace("HIDDEN", "false") + happens)
    await eventually(lambda: rush.made > made)
    before = int(await page.evaluate("document.getElementById('live').dataset.seen"))
    await page.wait_for_function("n => Number(document.getElementById('live').dataset.seen) > n", arg=before + 5)

    await eventually(lambda: len(watchers) == 1)
    await expect(page.locator("[data-stale]")).to_be_hidden()


@pytest.mark.usefixtures("people")
async def test_it_is_found_from_where_sales_are(site: Worker, page: Page) -> None:
    """Start, the list and an open campaign's page lead to it; what is not open has nothing to watch."""
    await site.publish("flash")
    await site.publish("over", name="Over")
    await site.state("ended", "over")
    await sign_in(page, "olga")
    assert (
        await page.locator("main").get_by_role("link", name="Live", exact=True).get_attribute("href") == "/console/live"
    )
    await page.goto("/console/campaigns")
    assert await page.locator('main a[href^="/console/live/"]').count() == 1
    await page.get_by_role("link", name="Live: Flash").click()
    await page.wait_for_url("**/console/live/flash")
    await page.goto("/console/campaigns/over")
    assert await page.locator('main a[href^="/console/live/"]').count() == 0
    await page.goto("/console/campaigns/flash")
    await picture(page, "console-campaign-live-link")
    await page.locator(".tabs").get_by_role("link", name="Live").click()
    await page.wait_for_url("**/console/live/flash")


@pytest.mark.usefixtures("people")
async def test_by_keys_alone(site: Worker, page: Page) -> None:
    """To one sale, on to the wall, held still there and back; the sale before it ends, and the focus stays."""
    rush, kept, keys = Rush(site), site.services.live, Keys(page)
    seen, is_over = await rush.look(), False

    async def look() -> Reading:
        reading = await rush.look()
        assert reading.sales is not None
        return reading._replace(sales=reading.sales[int(is_over) :])

    assert seen.sales is not None
    kept.look, kept.pause_s = look, 0.2
    await keys.arrive("olga", "/console/live")
    await keys.to("Evening sale")
    is_over = True
    await page.locator("#sale-rows tr[data-sale=morning]").wait_for(state="detached")
    await keys.is_at("Evening sale")
    await keys.press("Enter")
    await keys.led_to("/console/live/evening")
    await keys.go("For a wall")
    await keys.led_to("/console/live/evening?wall=1")
    await keys.press("Tab")
    await keys.is_at("All open sales")
    await keys.press("Tab", "Space")
    assert await page.locator("[data-pause]").get_attribute("aria-pressed") == "true"
    await keys.press("Space")
    assert await page.locator("[data-pause]").get_attribute("aria-pressed") == "false"
    await keys.go("Back to the desk")
    await keys.led_to("/console/live/evening")
