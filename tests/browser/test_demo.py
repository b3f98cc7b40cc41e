"""The customer demo in a browser: what it says is true, and no retry, reload or second tab costs or wins a coupon."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest_asyncio
from playwright.async_api import Page, Route, expect

from gateway.lane import Lane
from tests.browser.accessible import violations
from tests.browser.conftest import NewPage
from tests.browser.watching import DESK, IN_BROWSER, PHONE, Watch, overflow, picture
from tests.http import Worker

pytestmark = IN_BROWSER

CLAIMS = "**/v1/campaigns/*/claims"


@pytest_asyncio.fixture(loop_scope="session")
async def site(redis_url: str, postgres_url: str, tmp_path: Path) -> AsyncIterator[Worker]:
    """As everywhere here, with a demo of the campaign flash."""
    async with Worker(
        redis_url, postgres_url, tmp_path, http=Lane, claim_wait_ms_max=20_000, demo_campaign="flash"
    ) as worker:
        yield worker


async def _open(new_page: NewPage, **options: Any) -> Page:
    page = await new_page(**{"viewport": PHONE, "reduced_motion": "reduce", **options})
    await page.goto("/demo")
    return page


async def _is(page: Page, state: str) -> None:
    await expect(page.locator(f"main[data-state={state}]")).to_be_attached(timeout=20_000)


async def _granted(site: Worker, stock: int = 100) -> int:
    answer = await site.http.get("/v1/campaigns/flash", headers=site.token("somebody"))
    return stock - int(answer.json()["remaining"])


async def test_won_and_already_yours(new_page: NewPage, site: Worker) -> None:
    """One press wins a code and its picture; opened again it is there still; in the light, the dark and Chinese."""
    soon = (datetime.now(UTC) + timedelta(minutes=9, seconds=41)).isoformat()
    await site.publish(stock=100, name="Lunch for less", ends_at=soon)
    kinds: dict[str, dict[str, Any]] = {
        "light": {},
        "dark": {"color_scheme": "dark"},
        "chinese": {"locale": "zh-CN", "timezone_id": "Asia/Shanghai"},
        "desk": {"viewport": DESK},
    }
    for kind, options in kinds.items():
        page = await _open(new_page, **options)
        await _is(page, "open")
        await picture(page, f"demo-open-{kind}")
        assert await violations(page) == [], kind
        assert await overflow(page) == 0
        await page.get_by_role("button").click()
        await _is(page, "won")
        await page.locator("[data-qr]").evaluate("(image) => image.decode()")
        await picture(page, f"demo-won-{kind}")
        assert await violations(page) == [], kind
        assert await overflow(page) == 0
        code = await page.locator("[data-code]").inner_text()
        await page.reload()
        await _is(page, "yours")
        assert await page.locator("[data-code]").inner_text() == code
        assert await page.locator("html").get_attribute("lang") == ("zh-Hans" if kind == "chinese" else "en")
    assert await _granted(site) == len(kinds)


async def test_lost_answers_and_a_reload_cost_nothing_and_win_nothing(
    new_page: NewPage, site: Worker, watch: Watch
) -> None:
    """
    The claim is decided and its answer lost, twice; then the page is loaded anew in the middle of it: it asks with the
    same key, gets the coupon of the first time, and one coupon is out.
    """
    await site.publish(stock=100)
    watch.expect_status(503)
    page = await _open(new_page)
    keys: asyncio.Queue[str] = asyncio.Queue()
    losing = True

    async def lose(route: Route) -> None:
        answer = await route.fetch()
        keys.put_nowait(route.request.headers["idempotency-key"])
        if losing:
            await route.fulfill(status=503, json={"code": "unknown"}, headers={"retry-after": "1"})
        else:
            await route.fulfill(response=answer)

    await page.route(CLAIMS, lose)
    await _is(page, "open")
    await page.get_by_role("button").click()
    asked = [await keys.get(), await keys.get()]
    await _is(page, "busy")
    await picture(page, "demo-busy")
    assert await violations(page) == []
    await page.reload()
    while not keys.empty():
        asked.append(keys.get_nowait())
    asked.append(await keys.get())
    losing = False
    async with page.expect_response(lambda each: "/claims" in each.url and each.ok) as answered:
        asked.append(await keys.get())
    await _is(page, "won")

    assert (await answered.value).status == 200, "the coupon of the first time"
    assert len(set(asked)) == 1
    assert await _granted(site) == 1


async def test_two_tabs_of_one_person_are_one_person(new_page: NewPage, site: Worker) -> None:
    """Both press, one coupon is out, and both show it."""
    await site.publish(stock=100, limits={"per_holder": 5})
    one = await _open(new_page)
    await _is(one, "open")
    two = await one.context.new_page()
    await two.goto("/demo")
    await _is(two, "open")

    await asyncio.gather(*(each.evaluate("document.querySelector('[data-grab]').click()") for each in (one, two)))
    for each in (one, two):
        await expect(each.locator("[data-code]")).not_to_be_empty()

    assert await one.locator("[data-code]").inner_text() == await two.locator("[data-code]").inner_text()
    assert await _granted(site) == 1


async def test_sold_out_paused_ended(new_page: NewPage, site: Worker, watch: Watch) -> None:
    """Each is told as it is, while the page stays open; a press that comes too late is told so too."""
    watch.expect_status(409)
    await site.publish(stock=1)
    page = await _open(new_page)
    await _is(page, "open")
    await page.route("**/demo/sale", lambda route: route.abort())  # it does not see that somebody else is faster
    assert (await site.claim("faster")).status_code == 201
    await page.get_by_role("button").click()
    await _is(page, "sold_out")
    await picture(page, "demo-sold-out")
    assert await violations(page) == []
    await page.unroute_all(behavior="wait")
    watch.wrong = [each for each in watch.wrong if "net::ERR_FAILED" not in each]

    await site.state("paused")
    await page.reload()
    await _is(page, "paused")
    await picture(page, "demo-paused")
    await site.state("ended")
    await _is(page, "ended")
    await picture(page, "demo-ended")
    assert await violations(page) == []


async def test_it_waits_for_the_start_by_the_servers_clock(new_page: NewPage, site: Worker) -> None:
    """A browser whose clock is a day behind counts down as everybody does, and its button wakes up at the start."""
    starts = datetime.now(UTC) + timedelta(seconds=20)
    await site.publish(stock=5, starts_at=starts.isoformat(), ends_at=(starts + timedelta(hours=1)).isoformat())
    page = await new_page(viewport=PHONE)
    await page.clock.set_system_time(datetime.now(UTC) - timedelta(days=1))
    await page.goto("/demo")
    await _is(page, "soon")
    await picture(page, "demo-soon")
    assert await violations(page) == []
    assert await page.locator("[data-days]").is_hidden()
    assert await page.get_by_role("button").is_disabled()
    await expect(page.get_by_role("button")).to_be_enabled(timeout=40_000)
    assert datetime.now(UTC) >= starts
    await page.get_by_role("button").click()
    await _is(page, "won")


async def test_offline_goes_on_by_itself(new_page: NewPage, site: Worker, watch: Watch) -> None:
    """Pressed without a network it says so, and claims once that is back, without another press."""
    await site.publish(stock=100)
    page = await _open(new_page)
    await _is(page, "open")
    await page.context.set_offline(True)
    await page.get_by_role("button").click()
    await _is(page, "offline")
    await picture(page, "demo-offline")
    await page.context.set_offline(False)
    await _is(page, "won")
    assert await _granted(site) == 1
    watch.wrong = [each for each in watch.wrong if "ERR_INTERNET_DISCONNECTED" not in each]
