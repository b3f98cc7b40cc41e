"""
Live, and a close, while parts of a whole system go away: the page says so, and comes back by itself; its workers agree.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import psycopg
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from gateway.console.sessions import COOKIE
from tests.browser.test_console import sign_in
from tests.browser.watching import WAIT_MS_MAX, picture
from tests.conftest import Eventually
from tests.http import ANSWER_S_MAX
from tests.integration.consoling import add_user_at
from tests.integration.stacks import Stack, send_signal
from tests.patience import PATIENT

pytestmark = pytest.mark.asyncio(loop_scope="session")

STOCK, CLAIMS = 1000, 12
"""On as many connections: the kernel gives them to both workers."""
COMES_BACK_MS_MAX = 60_000
CLOSES_MS_MAX = 120_000
"""A verdict is a process of its own, and the machine is shared."""
WAITS_FOR_US = "SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"
CUT_OFF = "graceful shutdown exceeded"
"""What a worker's log says that was stopped and in its time did not come to the end of what it was at."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """Two workers, and Olga, who sees how they run."""
    away = {"redis_call_ms_max": "6000", "redis_connect_ms_max": "6000", "postgres_ms_max": "3000"}
    folder, settings = tmp_path_factory.mktemp("away"), {**PATIENT, **away}
    with Stack(folder / "data", "--workers", "2", stocktake_s=3600, settings=settings) as stack:
        await add_user_at(stack.ready["postgres_url"], "olga", "operator")
        await add_user_at(stack.ready["postgres_url"], "fay", "finance")
        yield stack


@asynccontextmanager
async def signed_in(browser: Browser, stack: Stack, name: str, path: str) -> AsyncIterator[Page]:
    """The page at *path*, in a browser of *name*'s own."""
    context = await browser.new_context(base_url=stack.ready["gateway_url"], locale="en-GB")
    context.set_default_timeout(WAIT_MS_MAX)
    page = await context.new_page()
    await sign_in(page, name)
    await page.goto(path)
    yield page
    await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, stack: Stack) -> AsyncIterator[Page]:
    """A page of Live."""
    async with signed_in(browser, stack, "olga", "/console/live") as page:
        yield page


@pytest_asyncio.fixture(loop_scope="session")
async def day(browser: Browser, stack: Stack, eventually: Eventually) -> AsyncIterator[Page]:
    """The page of a day whose close waits for its last lock when both workers are killed, whichever is at it."""
    before = (datetime.now(UTC) - timedelta(days=2)).date()  # that is over in every zone
    path = f"/console/books/periods/main/day/{before}"
    await eventually(lambda: len(stack.booked()) == STOCK - remaining(stack))  # who books waits for the lock too
    async with (
        signed_in(browser, stack, "fay", path) as page,
        await psycopg.AsyncConnection.connect(stack.ready["postgres_url"]) as books,
    ):

        async def waits() -> bool:
            found = await books.execute(WAITS_FOR_US)
            return found.rowcount > 0

        await page.locator("button[value=hold]").click()
        await page.locator("#standing.note").wait_for()
        await books.execute("SELECT FROM legal_entities FOR UPDATE")
        await page.locator("button[value=close]").click()
        await eventually(waits, CLOSES_MS_MAX / 1000)
        await expect(page.locator("#checks progress")).to_be_visible()
        for worker in stack.parts("worker --fd"):
            send_signal(worker, signal.SIGKILL)
        await books.rollback()
        yield page


def asked(stack: Stack, path: str, **headers: str) -> httpx2.Response:
    """On a connection of its own."""
    url = f"{stack.ready['gateway_url']}{path}"
    answer = httpx2.get(url, headers=headers, timeout=ANSWER_S_MAX, trust_env=False)
    assert answer.status_code == 200, answer.text
    return answer


def remaining(stack: Stack) -> int:
    """How many coupons are left, by whichever worker lives."""
    return int(asked(stack, "/v1/campaigns/demo", **stack.holder("somebody")).json()["remaining"])


def claimed(stack: Stack, *holders: str) -> None:
    """Each on a connection of its own."""
    for holder in holders:
        headers = {**stack.holder(holder), "Idempotency-Key": holder}
        url = f"{stack.ready['gateway_url']}/v1/campaigns/demo/claims"
        answer = httpx2.post(url, json={}, headers=headers, timeout=ANSWER_S_MAX, trust_env=False)
        assert answer.status_code == 201, answer.text


@contextmanager
def still(stack: Stack, word: str) -> Iterator[None]:
    """Processes of *word*, also those that one of them began before it stood, stand still while the block lasts."""
    pids = set[int]()
    try:
        while more := set(stack.parts(word)) - pids:
            for pid in more:
                send_signal(pid, signal.SIGSTOP)
            pids |= more
        assert pids
        yield
    finally:
        for pid in pids:
            send_signal(pid, signal.SIGCONT)


def figure(page: Page, name: str) -> Any:
    """What to expect of a figure of the page."""
    return expect(page.locator(f"[data-figure={name}] [data-value]"))


async def test_workers_agree(stack: Stack, page: Page, eventually: Eventually) -> None:
    """Whichever worker is asked, claims that both of them answered are in what it says, and /metrics says the same."""
    before = asked(stack, "/metrics").text
    await asyncio.to_thread(claimed, stack, *(f"first-{number}" for number in range(CLAIMS)))
    cookie = "; ".join(
        f"{each['name']}={each['value']}" for each in await page.context.cookies() if each["name"] == COOKIE
    )

    def told() -> set[tuple[int, ...]]:
        frames = [asked(stack, "/console/live-stream", cookie=cookie).json() for _ in range(CLAIMS)]
        return {
            (frame["totals"].get("claimed"), *(sale["claimed"] for sale in frame["sales"]), frame["stock"])
            for frame in frames
        }

    said = {(CLAIMS, CLAIMS, STOCK - CLAIMS)}
    await eventually(lambda: told() == said)  # what was read before they came is told for two seconds
    assert 'outcome="claimed"} 0' in before
    assert f'outcome="claimed"}} {CLAIMS}' in asked(stack, "/metrics").text
    await figure(page, "stock").to_have_text("988", timeout=COMES_BACK_MS_MAX)


async def test_what_is_away_is_said_and_comes_back(stack: Stack, page: Page, day: Page, eventually: Eventually) -> None:
    """
    Redis, the books, each worker: while one of them is away the page says which, its other figures go on, and when it
    is back the page is, without anybody's doing. A stop does not wait for who looks. A close whose worker was killed
    says so by itself meanwhile and has closed nothing; asked for again it is done.
    """
    redis, books = page.locator("[data-away=has_redis]"), page.locator("[data-away=has_books]")
    stock = remaining(stack)
    await page.evaluate("window.stayed = true")
    await figure(page, "lag_s").to_have_text("0", timeout=COMES_BACK_MS_MAX)
    with still(stack, "valkey-server"):
        await expect(redis).to_be_visible(timeout=COMES_BACK_MS_MAX)
        await figure(page, "stock").to_have_text("–")
        await picture(page, "console-live-no-redis")
    await expect(redis).to_be_hidden(timeout=COMES_BACK_MS_MAX)
    await figure(page, "stock").to_have_text(f"{stock:,}")

    with still(stack, "postgres"):
        await expect(books).to_be_visible(timeout=COMES_BACK_MS_MAX)
        await figure(page, "breaks").to_have_text("–")
        await asyncio.to_thread(claimed, stack, "while-away")
        await figure(page, "stock").to_have_text(f"{stock - 1:,}", timeout=COMES_BACK_MS_MAX)
        await picture(page, "console-live-no-books")
        await expect(page.locator("[data-stale]")).to_be_hidden()
    await expect(books).to_be_hidden(timeout=COMES_BACK_MS_MAX)
    await figure(page, "breaks").to_have_text("0")

    for number, worker in enumerate(stack.parts("worker --fd")):  # one of them has the stream
        send_signal(worker, signal.SIGKILL)
        await asyncio.to_thread(claimed, stack, f"after-{number}")
        await figure(page, "stock").to_have_text(f"{stock - 2 - number:,}", timeout=COMES_BACK_MS_MAX)
    assert await page.evaluate("window.stayed")

    await day.locator("[data-close=none]").wait_for(timeout=COMES_BACK_MS_MAX)
    await picture(day, "console-closing-killed")
    assert await day.locator("#closes li").count() == 0
    await eventually(lambda: len(stack.booked()) == STOCK - remaining(stack))  # nothing else is in the way
    await day.locator("button[value=close]").click()
    await day.locator("[data-close=closed]").wait_for(timeout=CLOSES_MS_MAX)

    assert await asyncio.to_thread(stack.stop) == 0, stack.output
    logs = [log.read_text() for log in (stack.data_dir / "logs").glob("worker-*.log")]
    assert [CUT_OFF in log for log in logs] == [False, False]
    await expect(page.locator("[data-stale]")).to_be_visible(timeout=COMES_BACK_MS_MAX)
