"""The customer demo in a browser: what it says is true, and no retry, reload or second tab costs or wins a coupon."""

import asyncio
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
import pytest_asyncio
import zxingcpp
from PIL import Image
from playwright.async_api import Locator, Page, Route, expect

from gateway.codes import read_code
from gateway.lane import Lane
from tests.browser.accessible import violations
from tests.browser.conftest import SELDOM_S, NewPage
from tests.browser.keys import Keys
from tests.browser.watching import IN_BROWSER, PHONE, PICTURES, Watch, overflow, picture, shot
from tests.http import Worker
from tests.pictures import phones

pytestmark = IN_BROWSER

CLAIMS = "**/v1/campaigns/*/claims"
PATIENT = "AbortSignal.timeout = () => new AbortController().signal"
"""A page that waits for each answer: which ones are lost is what a test says, not what the machine does besides."""


@pytest_asyncio.fixture(loop_scope="session")
async def site(redis_url: str, postgres_url: str, tmp_path: Path) -> AsyncIterator[Worker]:
    """As everywhere here, with a demo of the campaign flash."""
    async with Worker(
        redis_url, postgres_url, tmp_path, http=Lane, demo_campaign="flash", alerts_look_s=SELDOM_S
    ) as worker:
        yield worker


async def _open(new_page: NewPage, **options: Any) -> Page:
    page = await new_page(**{"viewport": PHONE, "reduced_motion": "reduce", **options})
    await page.add_init_script(PATIENT)
    await page.goto("/demo")
    return page


async def _is(page: Page, state: str) -> None:
    await expect(page.locator(f"main[data-state={state}]")).to_be_attached()


async def _code_picture(page: Page) -> Locator:
    """The picture of the code, once it is drawn: it comes by itself after the code."""
    image = page.locator("[data-qr]")
    await image.wait_for()
    await image.evaluate("(image) => image.decode()")
    return image


async def _granted(site: Worker, stock: int = 100) -> int:
    answer = await site.http.get("/v1/campaigns/flash", headers=site.token("somebody"))
    return stock - int(answer.json()["remaining"])


SAYS = {
    "soon": ("Not started yet.", "尚未开始"),
    "open": ("First come, first served.", "先到先得"),
    "busy": ("It is busy.", "人数较多"),
    "offline": ("You are offline.", "您已离线"),
    "won": ("It’s yours!", "抢到了"),
    "yours": ("You have it already.", "您已经领取过了"),
    "sold_out": ("All gone.", "已抢光"),
    "paused": ("A short break.", "稍作休息"),
    "ended": ("It is over.", "活动已结束"),
    "trouble": ("That did not work.", "没有成功"),
}
"""State → the beginning of what is announced, in English and Chinese."""
LOOKS: list[dict[str, Any]] = [
    {},
    {"color_scheme": "dark", "locale": "zh-CN", "timezone_id": "Asia/Shanghai"},
]


@pytest.mark.parametrize("look", [pytest.param(each, id=f"look{n}") for n, each in enumerate(LOOKS)])
async def test_every_state(new_page: NewPage, site: Worker, watch: Watch, look: dict[str, Any]) -> None:
    """
    From before the start to after the end, each state is announced once by the same region, readable, without an axe
    finding, and as wide as the phone, in English and Chinese, light and dark; what asks is told in no address.
    """
    watch.expect_status(409, 503)
    told = {"ends_at": (datetime.now(UTC) + timedelta(minutes=9, seconds=41)).isoformat()}
    await site.publish(stock=100, name="Lunch for less", **told)
    page = await new_page(viewport=PHONE, reduced_motion="reduce", **look)
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    language, lies, answers = int("locale" in look), dict[str, Any](), list[tuple[int, str]]()

    async def sale(route: Route) -> None:
        answer = await (await route.fetch()).json()
        await route.fulfill(json={**answer, **lies})

    async def claims(route: Route) -> None:
        if not answers:
            return await route.continue_()
        status, code = answers[0]
        return await route.fulfill(status=status, json={"code": code}, headers={"retry-after": "1"})

    async def look_at(state: str) -> None:
        await _is(page, state)
        assert (await page.get_by_role("status").first.inner_text()).startswith(SAYS[state][language])
        assert await page.get_by_role("status").count() == 1 + (state in ("won", "yours"))
        await picture(page, f"demo-{state}-{language}")
        assert await violations(page) == [], state
        assert await overflow(page) == 0, state

    await page.route("**/demo/sale", sale)
    await page.route(CLAIMS, claims)
    hour = timedelta(hours=1)
    times = {"starts_at": datetime.now(UTC) + hour, "ends_at": datetime.now(UTC) + 2 * hour}
    states: dict[str, dict[str, Any]] = {
        "soon": {name: at.isoformat() for name, at in times.items()},
        "paused": {"state": "paused"},
        "ended": {"state": "ended"},
        "sold_out": {"remaining": 0},
        "open": {},
    }
    for state, lie in states.items():
        lies.clear()
        lies.update(lie)
        await page.goto("/demo")
        await look_at(state)
    assert await page.locator("html").get_attribute("lang") == ("zh-Hans" if language else "en")
    answers.append((409, "campaign_mismatch"))
    await page.get_by_role("button").click()
    await look_at("trouble")
    answers[0] = (503, "overloaded")
    await page.get_by_role("button").click()
    await look_at("busy")
    await page.context.set_offline(True)
    await look_at("offline")
    answers.clear()
    await page.context.set_offline(False)
    await look_at("won")
    assert await page.evaluate("document.activeElement.className") == "code", "not on a button that is gone"
    code = await page.locator("[data-code]").inner_text()
    [read] = zxingcpp.read_barcodes(Image.open(io.BytesIO(await shot(await _code_picture(page)))))
    assert read_code(read.text) == read_code(code)
    await page.reload()
    await look_at("yours")
    assert await page.locator("[data-code]").inner_text() == code
    visitor = await page.evaluate("JSON.parse(Object.values(localStorage)[0]).visitor")
    assert [each for each in addresses if read.text in each or code in each or visitor in each] == []
    assert await _granted(site) == 1
    watch.wrong = [each for each in watch.wrong if "ERR_INTERNET_DISCONNECTED" not in each]


async def test_the_picture_of_the_readme(new_page: NewPage, site: Worker) -> None:
    """
    Three phones, small enough for a page: open, won with its confetti in the air, and before the start in Chinese.

    Its place is docs/pictures; whoever renews it copies it there.
    """
    soon = (datetime.now(UTC) + timedelta(minutes=9, seconds=41)).isoformat()
    await site.publish(stock=250, name="Lunch for less", ends_at=soon)
    page = await new_page(viewport=PHONE, device_scale_factor=2)
    await page.goto("/demo")
    await _is(page, "open")
    await page.evaluate("document.getAnimations().forEach((each) => { each.pause(); each.currentTime = 0; })")
    shots = [await picture(page, "demo-1")]
    await page.get_by_role("button").click()
    await _is(page, "won")
    await _code_picture(page)
    in_the_air = "(each, n) => { each.pause(); each.currentTime = 1200 + (n * 353) % 2300; }"
    await page.evaluate(f"document.getAnimations().forEach({in_the_air})")
    shots.append(await picture(page, "demo-2"))
    page = await new_page(viewport=PHONE, device_scale_factor=2, reduced_motion="reduce", **LOOKS[1])
    starts = datetime.now(UTC) + timedelta(minutes=1, seconds=27)

    async def sale(route: Route) -> None:
        answer = await (await route.fetch()).json()
        await route.fulfill(json={**answer, "starts_at": starts.isoformat()})

    await page.route("**/demo/sale", sale)
    await page.goto("/demo")
    await page.locator("h1").evaluate("(title) => { title.textContent = '午餐立减'; }")
    await _is(page, "soon")
    shots.append(await picture(page, "demo-3"))

    phones(shots, PICTURES / "demo.png")

    assert (PICTURES / "demo.png").stat().st_size <= 150_000


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
    waits: list[float] = []
    lost_at = 0.0
    losing = True

    async def lose(route: Route) -> None:
        nonlocal lost_at
        if lost_at:
            waits.append(perf_counter() - lost_at)
        answer = await route.fetch()
        keys.put_nowait(route.request.headers["idempotency-key"])
        if losing:
            lost_at = perf_counter()
            await route.fulfill(status=503, json={"code": "unknown"}, headers={"retry-after": "1"})
        else:
            await route.fulfill(response=answer)

    await page.route(CLAIMS, lose)
    await _is(page, "open")
    await page.get_by_role("button").click()
    asked = [await keys.get(), await keys.get()]
    await _is(page, "busy")
    assert waits[0] >= 1, "never sooner than the server says"
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
    async with page.expect_event("requestfailed"):  # it does not see that somebody else is faster, from now on
        await page.route("**/demo/sale", lambda route: route.abort())
    assert (await site.claim("faster")).status_code == 201
    await page.get_by_role("button").click()
    await _is(page, "sold_out")
    await page.unroute_all(behavior="wait")

    await site.state("paused")
    await page.reload()
    await _is(page, "paused")
    await site.state("ended")
    await _is(page, "ended")
    watch.wrong = [each for each in watch.wrong if "net::ERR_FAILED" not in each]  # they come when they come


async def test_it_waits_for_the_start_by_the_servers_clock(new_page: NewPage, site: Worker) -> None:
    """
    A browser whose clock is a day behind counts down as everybody does, and its button wakes up at the start; as near
    to it as one can know who was told the time by an answer that took so long.
    """
    await site.publish(stock=5)
    starts = datetime.now(UTC) + timedelta(minutes=59, seconds=45)
    page = await new_page(viewport=PHONE)

    async def sale(route: Route) -> None:  # a start that comes when this test has looked at what is before it
        answer = await (await route.fetch()).json()
        ends = starts + timedelta(hours=1)
        await route.fulfill(json={**answer, "starts_at": starts.isoformat(), "ends_at": ends.isoformat()})

    await page.route("**/demo/sale", sale)
    await page.clock.set_system_time(datetime.now(UTC) - timedelta(days=1))
    await page.goto("/demo")
    await _is(page, "soon")
    assert await page.locator("[data-days]").is_hidden()
    assert await page.locator("[data-part=minutes]").inner_text() == "59"
    assert await page.get_by_role("button").is_disabled()
    starts = datetime.now(UTC) + timedelta(seconds=2)
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    may_differ = "() => !document.querySelector('[data-grab]').disabled && 1 + clock.tripMs / 2"
    early_ms = await (await page.wait_for_function(may_differ)).json_value()
    assert datetime.now(UTC) >= starts - timedelta(milliseconds=early_ms)
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
    await page.context.set_offline(False)
    await _is(page, "won")
    assert await _granted(site) == 1
    watch.wrong = [each for each in watch.wrong if "ERR_INTERNET_DISCONNECTED" not in each]


async def test_one_button_by_keys_alone(new_page: NewPage, site: Worker, watch: Watch) -> None:
    """Tab leads to it, Enter and the space bar press it; where that did not work it keeps the focus."""
    await site.publish(stock=100)
    watch.expect_status(409)
    for key in ("Enter", "Space"):
        page = await _open(new_page)
        await _is(page, "open")
        await page.route(CLAIMS, lambda route: route.fulfill(status=409, json={"code": "campaign_mismatch"}))
        keys = Keys(page)
        await keys.press("Tab")
        await keys.is_at("Grab it")
        outline = "getComputedStyle(document.activeElement).outlineStyle"
        assert await page.evaluate(outline) == "solid"
        await keys.press(key)
        await _is(page, "trouble")
        await keys.is_at("Grab it")
        await page.unroute(CLAIMS)
        await keys.press(key)
        await _is(page, "won")
        await page.wait_for_function("() => document.activeElement.className === 'code'")
        await keys.press("Tab")
        await keys.is_at("Copy the code")
