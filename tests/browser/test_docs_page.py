"""The page at /docs, in a browser: it shows every operation and asks nobody but us."""

import json
from urllib.parse import urlsplit

import pytest

from tests.browser.conftest import NewPage
from tests.browser.watching import DESK, IN_BROWSER, PHONE, overflow, picture
from tests.http import Worker

pytestmark = IN_BROWSER


@pytest.mark.parametrize(
    ("name", "viewport", "scheme"), [("desk", DESK, "light"), ("desk-dark", DESK, "dark"), ("phone", PHONE, "light")]
)
async def test_the_page_shows_every_operation(
    site: Worker, new_page: NewPage, name: str, viewport: dict[str, int], scheme: str
) -> None:
    """Each operation is on the page, under the one path it has; the page loads only what is ours."""
    page = await new_page(viewport=viewport, color_scheme=scheme)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(urlsplit(request.url).path))

    await page.goto("/docs")
    await page.locator(".opblock").first.wait_for()
    await picture(page, f"docs-{name}")
    shown = {
        (await block.locator(".opblock-summary-method").inner_text(), await block.get_attribute("id"))
        for block in await page.locator(".opblock").all()
    }

    paths = json.loads(site.app.state.document)["paths"].values()
    operations = [(method.upper(), each) for path in paths for method, each in path.items()]
    assert shown == {(method, f"operations-{each['tags'][0]}-{each['operationId']}") for method, each in operations}
    assert await overflow(page) == 0
    assert set(asked) >= {"/docs", "/openapi.json"}
    assert all(path in ("/docs", "/openapi.json") or path.startswith("/docs/") for path in asked)


async def test_an_operation_opens_with_its_refusals_and_example(site: Worker, new_page: NewPage) -> None:
    """What a claim takes, gives and may refuse with is there to read."""
    page = await new_page()

    await page.goto("/docs#/Holders/claimCoupon")
    block = page.locator("#operations-Holders-claimCoupon")
    await block.locator(".responses-table").wait_for()
    await picture(page, "docs-claim")

    assert "sold_out" in await block.inner_text()
    assert '"channel": "app"' in await block.inner_text()


async def test_tried_out_it_asks_this_gateway(site: Worker, new_page: NewPage) -> None:
    """The page can be tried out: with a holder's token it claims a coupon here, and shows it."""
    await site.publish()
    page = await new_page()

    await page.goto("/docs#/Holders/claimCoupon")
    await page.locator(".btn.authorize").click()
    holder = page.locator(".auth-container").filter(has_text="holder (http, Bearer)")
    await holder.locator("input").fill(site.token("ann")["Authorization"].removeprefix("Bearer "))
    await holder.get_by_role("button", name="Apply").click()
    await picture(page, "docs-authorize")
    await holder.locator(".btn-done").click()
    block = page.locator("#operations-Holders-claimCoupon")
    await block.get_by_role("button", name="Try it out").click()
    await block.get_by_placeholder("campaign").fill("flash")
    await block.get_by_placeholder("Idempotency-Key").fill("tried-out")
    await block.get_by_role("button", name="Execute").click()
    answer = block.locator(".live-responses-table .response")
    await answer.wait_for()

    assert await answer.locator(".response-col_status").inner_text() == "201"
    assert '"state": "claimed"' in await answer.inner_text()
    assert site.decided() == 1


async def test_what_the_page_loads_is_as_the_page_says(site: Worker, new_page: NewPage) -> None:
    """The page forbids every other host itself; what it loads is kept for ever, and comes compressed."""
    page = await new_page()
    answers = {}
    page.on("response", lambda answer: answers.update({urlsplit(answer.url).path: answer.headers}))

    await page.goto("/docs", wait_until="networkidle")
    policy = answers["/docs"]["content-security-policy"]
    integrity = await page.locator("script[src], link[rel=stylesheet]").evaluate_all("all => all.map(a => a.integrity)")
    assets = [headers for path, headers in answers.items() if path.startswith("/docs/")]

    assert "http" not in policy
    assert "default-src 'none'" in policy
    assert len(assets) == len(integrity) == 3
    assert all(each.startswith("sha384-") for each in integrity)
    assert all("immutable" in headers["cache-control"] for headers in assets)
    assert all(headers["content-encoding"] == "gzip" for headers in assets)
