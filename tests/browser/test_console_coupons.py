"""The room of the coupons in a browser: found by a code, revoked with a reason, in each look and by keys alone."""

import asyncio
from typing import Any

import pytest
from playwright.async_api import Page, expect

from gateway.codes import show_code
from tests.browser.accessible import violations
from tests.browser.conftest import NewPage
from tests.browser.keys import Keys
from tests.browser.test_console import BYTES_MAX, sign_in
from tests.browser.watching import DESK, IN_BROWSER, PHONE, Watch, hold, overflow, picture, told
from tests.http import Worker
from tests.integration.consoling import add_user
from tests.integration.draining import draining

pytestmark = IN_BROWSER


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        pytest.param("light", {"viewport": DESK}, id="light"),
        pytest.param(
            "chinese-dark-phone",
            {"viewport": PHONE, "color_scheme": "dark", "locale": "zh-CN", "timezone_id": "Asia/Shanghai"},
            id="chinese-dark-phone",
        ),
    ],
)
async def test_a_coupon_is_found_and_revoked(
    new_page: NewPage, site: Worker, watch: Watch, kind: str, options: dict[str, Any]
) -> None:
    """By a code in small letters; a reason that is missing is asked for; its life says who revoked it and why."""
    watch.expect_status(400, 404)
    await add_user(site, "ann", "admin", display="Ann Lee")
    await site.publish()
    codes = [(await site.claim(f"holder-{n}")).json()["code"] for n in range(3)]
    hold = {"code": codes[0], "order_id": "order-1001"}
    await site.http.post("/v1/reservations", json=hold, headers=await site.key("store"))
    async with draining(site.settings.redis_url, site.settings.postgres_url):
        pass
    asked = {"kind": "revocation", "campaign": "flash", "reason": "misprint"}
    key = {**await site.key("admin"), "Idempotency-Key": "p-1"}
    proposed = await site.http.post("/v1/proposals", json=asked, headers=key)
    revocation = f"/console/revoke-coupons/{proposed.json()['id']}"
    page = await new_page(**options)
    await sign_in(page)

    for name, path in {
        "coupons": "/console/coupons",
        "coupons-holder": "/console/coupons?holder=holder-1",
        "coupons-nobody": "/console/coupons?holder=nobody",
        "coupons-revoke": "/console/revoke-coupons?campaign=flash",
        "coupons-revocation": revocation,
        "coupon-missing": "/console/coupons/NONE",
        "coupon-held": f"/console/coupons/{codes[0]}",
    }.items():
        answer = await page.goto(path)
        assert answer is not None
        assert len(await answer.body()) < BYTES_MAX
        await picture(page, f"console-{name}-{kind}")
        assert await violations(page) == [], path
        assert await overflow(page) == 0, path
    await page.goto("/console/revoke-coupons")
    await page.locator("#holder").fill("holder-2")
    await expect(page.locator("#out .says")).to_contain_text("1")
    await page.locator("#holder").fill("")
    await page.locator("#campaign").fill("flash")
    await expect(page.locator("#out .says")).to_contain_text("3")
    await page.goto("/console/coupons?holder=holder-1")
    if options["viewport"] == PHONE:
        await page.locator("#sort").select_option("ends")
    else:
        await page.get_by_role("columnheader", name="Good until").get_by_role("link").click()
    await page.wait_for_url("**sort=ends**")
    await expect(page.locator("#found tbody tr")).to_have_count(1)
    await page.locator("#state").select_option("revoked")
    await page.wait_for_url("**state=revoked**")
    await expect(page.locator("#found .empty")).to_be_visible()
    await page.goto("/console/coupons")
    await page.locator("#code").fill(show_code(codes[1]).lower())
    await page.locator("#code").press("Enter")
    await page.wait_for_url(f"**/console/coupons/{codes[1]}")
    await page.locator("button.danger").click()
    await page.get_by_role("alert").wait_for()
    assert await violations(page) == []
    await page.locator("#reason").fill("misprint")
    await page.locator("button.danger").click()
    await told(page)
    async with draining(site.settings.redis_url, site.settings.postgres_url):
        await expect(page.get_by_text("ann · misprint")).to_be_visible()  # without a reload
    await expect(page.locator("#behind")).to_have_count(0)
    await expect(page.locator("main .note")).to_have_count(1)  # that it is revoked
    await picture(page, f"console-coupon-{kind}")
    assert await overflow(page) == 0
    assert await violations(page) == []


async def test_the_books_come_and_leave_whoever_types(page: Page, site: Worker, watch: Watch) -> None:
    """What was typed, and where, stays when the books have the coupon; all is new once nobody is at the form."""
    await add_user(site, "mia", "marketer")
    await site.publish()
    code = (await site.claim("amy")).json()["code"]
    await sign_in(page, "mia")
    await page.goto(f"/console/coupons/{code}")
    reason = page.locator("#reason")
    await reason.fill("misprint")

    async with draining(site.settings.redis_url, site.settings.postgres_url):
        pass
    async with page.expect_response(lambda each: each.headers.get("hx-retarget") == "#main") as come:
        pass
    await (await come.value).finished()
    async with page.expect_response(lambda each: each.headers.get("hx-retarget") == "#main"):  # it goes on asking
        pass

    await expect(reason).to_be_focused()
    await expect(reason).to_have_value("misprint")
    await reason.fill("")
    await page.locator("h1").click()
    await expect(page.locator("#behind")).to_have_count(0)


async def test_how_many_counts_what_was_typed_last(page: Page, site: Worker, watch: Watch) -> None:
    """Also what was typed while the answer to what stood there before was on its way, and came late."""
    await add_user(site, "mia", "marketer")
    await site.publish()
    for holder in ("amy", "bob", "cat"):
        await site.claim(holder)
    async with draining(site.settings.redis_url, site.settings.postgres_url):
        pass
    typed = asyncio.Event()
    await sign_in(page, "mia")
    await page.goto("/console/revoke-coupons")
    await hold(page, "**/console/revoke-coupons?*holder=amy", typed)
    async with page.expect_request("**/console/revoke-coupons?*holder=amy"):
        await page.locator("#holder").fill("amy")
    await page.locator("#holder").fill("")
    await page.locator("#campaign").fill("flash")
    typed.set()

    await expect(page.locator("#out .says")).to_contain_text("3 coupons")


async def test_by_keys_alone(page: Page, site: Worker, watch: Watch) -> None:
    """
    A marketer types a code, presses Enter and is at the coupon; without a reason he is at what is wrong, whose link
    leads into the field; with one it is revoked. A code that is not there leaves him in the room.
    """
    watch.expect_status(400, 404)
    await add_user(site, "mia", "marketer")
    await site.publish()
    code = (await site.claim("amy")).json()["code"]
    keys = Keys(page)
    await keys.arrive("mia", "/console/coupons")
    await keys.to("code")
    await keys.type(show_code(code).lower())
    await keys.press("Enter")
    await keys.led_to(f"/console/coupons/{code}")
    await keys.to("Revoke")
    await keys.press("Space")
    await page.get_by_role("alert").wait_for()
    await keys.is_at("problems")
    await picture(page, "console-coupon-keys")
    await keys.press("Tab", "Enter")
    await keys.is_at("reason")
    await keys.type("misprint")
    await keys.press("Enter")
    await told(page)
    assert await page.locator(".head .badge").inner_text() == "Revoked"

    await keys.go("Coupons")
    await keys.led_to("/console/coupons")
    await keys.to("code")
    await keys.type("NONE")
    await keys.press("Enter")
    await page.get_by_text("There is no such coupon").wait_for()
    await keys.go("Coupons")
    await keys.led_to("/console/coupons")
