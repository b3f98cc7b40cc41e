"""The page at /docs, in a browser: every operation is found on it, and it asks nobody but us."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import expect

from tests.browser.conftest import NewPage
from tests.browser.watching import DESK, IN_BROWSER, PHONE, overflow, picture
from tests.conftest import Eventually
from tests.http import Worker

pytestmark = IN_BROWSER


@pytest.mark.parametrize(
    ("name", "viewport", "scheme"), [("desk", DESK, "light"), ("desk-dark", DESK, "dark"), ("phone", PHONE, "dark")]
)
async def test_the_page_begins_with_its_headings(
    site: Worker, new_page: NewPage, name: str, viewport: dict[str, int], scheme: str
) -> None:
    """Each heading is there and closed: no operation is drawn before somebody looks for it. It fits its window."""
    page = await new_page(viewport=viewport, color_scheme=scheme)

    await page.goto("/docs")
    await page.locator(".opblock-tag").first.wait_for()
    await picture(page, f"docs-{name}")

    headings = [each["name"] for each in json.loads(site.app.state.document())["tags"]]
    await expect(page.locator(".opblock-tag")).to_have_count(len(headings))
    assert await page.locator(".opblock-tag").all_inner_texts() == headings
    assert await page.locator(".opblock").count() == 0
    assert await overflow(page) == 0


async def test_every_operation_is_found(site: Worker, new_page: NewPage, eventually: Eventually) -> None:
    """
    By a part of its path, its method, its heading, its name or what it does, all words of it; the page loads ours only.

    Each operation is under the one path that all have in common, and under its heading.
    """
    page = await new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(urlsplit(request.url).path))
    operations, box = page.locator(".opblock"), page.get_by_label("Find operations")

    async def are_found(words: str, wanted: list[tuple[str, str]], order: Callable[..., Any] = list) -> None:
        await box.fill(words)

        async def are_shown() -> bool:
            each: list[tuple[str, str]] = await operations.evaluate_all(
                "all => all.map(one => [one.querySelector('.opblock-summary-method').innerText, one.id])"
            )
            assert order((method, identity) for method, identity in each) == order(wanted)
            return True

        await eventually(are_shown)

    await page.goto("/docs")
    paths = json.loads(site.app.state.document())["paths"].values()
    told = [(method.upper(), each) for path in paths for method, each in path.items()]
    every = [(method, f"operations-{each['tags'][0]}-{each['operationId']}") for method, each in told]

    await are_found("/", every, sorted)
    await picture(page, "docs-every-operation")
    claim, stocktake = ("POST", "operations-Holders-claimCoupon"), ("POST", "operations-Stocktake-takeStock")
    await are_found("POST  claims", [claim, stocktake])
    await are_found("holders claimcoupon", [claim])
    await are_found("no operation says this", [])
    await are_found("holders claimcoupon", [claim])
    await are_found("", [])
    assert set(asked) >= {"/docs", "/openapi.json"}
    assert all(path in ("/docs", "/openapi.json") or path.startswith("/docs/") for path in asked)


async def test_an_operation_opens_with_its_refusals_and_example(site: Worker, new_page: NewPage) -> None:
    """What a claim takes, gives and may refuse with is there to read."""
    page = await new_page()

    await page.goto("/docs#/Holders/claimCoupon")
    block = page.locator("#operations-Holders-claimCoupon")
    await block.locator(".responses-table").wait_for()
    await picture(page, "docs-claim")

    await expect(block).to_contain_text("sold_out", use_inner_text=True)
    await expect(block).to_contain_text('"channel": "app"', use_inner_text=True)


async def test_tried_out_it_asks_this_gateway(site: Worker, new_page: NewPage) -> None:
    """The page can be tried out: with a holder's token it claims a coupon here, and shows it."""
    await site.publish()
    page = await new_page()

    await page.goto("/docs")
    await page.locator(".btn.authorize").click()
    holder = page.locator(".auth-container").filter(has_text="holder (http, Bearer)")
    await holder.locator("input").fill(site.token("ann")["Authorization"].removeprefix("Bearer "))
    await holder.get_by_role("button", name="Apply").click()
    await picture(page, "docs-authorize")
    await holder.locator(".btn-done").click()
    await page.get_by_label("Find operations").fill("claim a coupon")
    block = page.locator("#operations-Holders-claimCoupon")
    await block.locator(".opblock-summary-control").click()
    await block.get_by_role("button", name="Try it out").click()
    await block.get_by_placeholder("campaign").fill("flash")
    await block.get_by_placeholder("Idempotency-Key").fill("tried-out")
    await block.get_by_role("button", name="Execute").click()
    answer = block.locator(".live-responses-table .response")
    await answer.wait_for()

    await expect(answer.locator(".response-col_status")).to_have_text("201", use_inner_text=True)
    await expect(answer).to_contain_text('"state": "claimed"', use_inner_text=True)
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
