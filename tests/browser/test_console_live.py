"""Live in a browser: figures that move by themselves, charts, a wall, one sale."""

from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page

from gateway.console.live import pages
from tests.browser.accessible import violations
from tests.browser.conftest import NewPage
from tests.browser.rushing import Rush
from tests.browser.test_console import sign_in
from tests.browser.watching import DESK, IN_BROWSER, PHONE, Watch, overflow, picture
from tests.http import Worker
from tests.integration.consoling import add_user

pytestmark = IN_BROWSER


@pytest_asyncio.fixture(loop_scope="session")
async def people(site: Worker) -> None:
    """Olga, who sees how it runs."""
    await add_user(site, "olga", "operator", display="Olga")


async def shown(page: Page, figure: str) -> str:
    """The value of a figure."""
    return await page.locator(f"[data-figure={figure}] [data-value]").inner_text()


@pytest.mark.usefixtures("people")
async def test_what_is_claimed_shows_by_itself(site: Worker, page: Page, watch: Watch) -> None:
    """Stock and outcomes follow a claim, a sale that opens appears, and the page stands while it is held still."""
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
    await page.get_by_role("button", name="Hold still").click()
    assert (await site.claim("h2")).status_code == 201
    await _heard(site, 3)
    assert await shown(page, "stock") == "4"
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
        assert await watcher.next(20) is not None
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
