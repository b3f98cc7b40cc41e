"""A page that is watched: what it must not do, and where its pictures go."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import BrowserContext, ConsoleMessage, Error, Locator, Page, Request, Route

from tests.conftest import ON_VALKEY

IN_BROWSER = [
    pytest.mark.asyncio(loop_scope="session"),
    ON_VALKEY,
]
"""The marks of a module that uses the browser, which lives in the session's loop."""

PICTURES = Path(__file__).parent / "pictures"
WAIT_MS_MAX = 60_000
"""For one condition, on a machine that does other things too."""
GIVEN_UP = ("htmx:sendAbort", "htmx:afterRequest,")
"""Of a request that gave way to a later one of its form; one that failed has sendError or responseError."""
SHOTS_MAX, NO_SHOT = 10, "Unable to capture screenshot"
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}


class Watch:
    """
    What went wrong in the pages of a test: console errors and warnings, uncaught errors, requests to another host.

    An answer of 400 and more is one of them; a test that asks for it says so with expect_status().
    """

    def __init__(self, ours: str) -> None:
        """Watch for requests whose address does not begin with *ours*."""
        self._ours = ours
        self.wrong: list[str] = []
        self._expected: set[int] = set()

    def expect_status(self, *statuses: int) -> None:
        """An answer with one of *statuses* is what this test is about."""
        self._expected.update(statuses)

    def follow(self, context: BrowserContext) -> None:
        """Watch every page of *context*."""
        context.on("console", self._on_console)
        context.on("weberror", lambda failed: self.wrong.append(f"uncaught: {failed.error}"))
        context.on("request", self._on_request)

    def _on_console(self, message: ConsoleMessage) -> None:
        status = re.search(r"Failed to load resource: .* status of (\d+)", message.text)
        if status and int(status[1]) in self._expected:
            return
        if message.type in ("error", "warning") and not message.text.startswith(GIVEN_UP):
            self.wrong.append(f"console {message.type}: {message.text}")

    def _on_request(self, request: Request) -> None:
        if not request.url.startswith((self._ours, "data:", "blob:")):
            self.wrong.append(f"a request to {request.url}")

    def check(self) -> None:
        """Errors: AssertionError listing all that went wrong."""
        assert self.wrong == [], "\n".join(self.wrong)


async def picture(page: Page, name: str) -> Path:
    """The whole page, once it is loaded, as tests/browser/pictures/<name>.png, for people to look at."""
    PICTURES.mkdir(exist_ok=True)
    await page.wait_for_load_state()
    path = PICTURES / f"{name}.png"
    await shot(page, path=path, full_page=True, caret="initial")  # which would be hidden by styles that stay behind
    return path


async def told(page: Page) -> None:
    """Wait until *page* says that something was done, all of it is there, and its address says it no more."""
    await page.locator("main .note.good").wait_for()
    await page.wait_for_load_state()


async def asked_again(page: Page, path: str) -> None:
    """Wait until *page* has asked for itself, at *path*, and has what came of it."""
    async with page.expect_response(f"**{path}") as answer:
        pass
    await (await answer.value).finished()
    await page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")


async def hold(page: Page, url: str, until: asyncio.Event, times: int | None = None) -> None:
    """What *page* asks of *url*, so many *times* or always, is answered when *until* is set."""

    async def answer_late(route: Route) -> None:
        await until.wait()
        await route.continue_()

    await page.route(url, answer_late, times=times)


async def shot(what: Page | Locator, **options: Any) -> bytes:
    """A screenshot; a browser whose process for graphics stood still gives none at first, and is asked again."""
    for _ in range(SHOTS_MAX - 1):
        try:
            return await what.screenshot(**options)
        except Error as error:
            if NO_SHOT not in error.message:
                raise
    return await what.screenshot(**options)


async def overflow(page: Page) -> int:
    """How many pixels of the loaded page are beyond its right edge. Works with JavaScript off in the page too."""
    await page.wait_for_load_state()
    found: Any = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return int(found)
