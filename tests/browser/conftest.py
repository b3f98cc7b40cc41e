"""A browser a session, a served worker and a fresh, watched context a test."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from gateway.lane import Lane
from tests.browser.chromium import FLAGS, START_S_MAX, NoChromium, find_chromium
from tests.browser.shop import Shop
from tests.browser.watching import DESK, WAIT_MS_MAX, Watch
from tests.http import Worker

NewPage = Callable[..., Awaitable[Page]]
SELDOM_S = 60
"""From one look of the site for alerts to the next: what it finds is not what these tests write into the books."""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Chromium, started once a session; from then on whoever expects something has patience."""
    expect.set_options(timeout=WAIT_MS_MAX)
    async with async_playwright() as playwright:
        try:
            path = await asyncio.to_thread(find_chromium, Path(playwright.chromium.executable_path))
        except NoChromium as error:
            pytest.fail(str(error), pytrace=False)
        browser = await playwright.chromium.launch(executable_path=path, args=list(FLAGS), timeout=START_S_MAX * 1000)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def site(redis_url: str, postgres_url: str, tmp_path: Path) -> AsyncIterator[Worker]:
    """One worker behind the lane on a free port of 127.0.0.1, on an emptied Redis and a fresh database."""
    async with Worker(redis_url, postgres_url, tmp_path, http=Lane, alerts_look_s=SELDOM_S) as worker:
        yield worker


@pytest_asyncio.fixture(loop_scope="session")
async def watch(site: Worker) -> AsyncIterator[Watch]:
    """What the pages of this test must not do; the test fails at its end if one did."""
    watch = Watch(f"http://127.0.0.1:{site.port}/")
    yield watch
    watch.check()


@pytest_asyncio.fixture(loop_scope="session")
async def new_page(browser: Browser, site: Worker, watch: Watch) -> AsyncIterator[NewPage]:
    """
    Opens a page in a context of its own, whose addresses begin at the site.

    Options are those of Playwright's new_context: viewport, color_scheme, java_script_enabled, timezone_id, …
    """
    contexts: list[BrowserContext] = []

    async def make(**options: Any) -> Page:
        base = f"http://127.0.0.1:{site.port}"
        context = await browser.new_context(**{"base_url": base, "viewport": DESK, "locale": "en-GB", **options})
        context.set_default_timeout(WAIT_MS_MAX)
        contexts.append(context)
        watch.follow(context)
        return await context.new_page()

    yield make
    for context in contexts:
        for page in context.pages:  # a route that is being answered would fail whatever is done in the browser next
            await page.unroute_all(behavior="ignoreErrors")
        await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(new_page: NewPage) -> Page:
    """A page in a fresh context, as wide as a desk's."""
    return await new_page()


@pytest.fixture
def shop(site: Worker) -> Shop:
    """The shop whose tills the site serves."""
    site.app.state.new_desk = shop = Shop(site)
    return shop
