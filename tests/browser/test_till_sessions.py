"""Who may be at the till, for how long, and which forms are the till's own."""

from time import monotonic

import psycopg
import pytest
from playwright.async_api import Page

from gateway.keys import key_id, revoke_key
from gateway.till.sessions import COOKIE
from tests.browser.conftest import NewPage
from tests.browser.shop import STAFF, STORE, Shop, came, enter
from tests.browser.watching import IN_BROWSER, Watch, picture
from tests.http import Worker

pytestmark = IN_BROWSER


async def test_a_till_signs_in_and_out(shop: Shop, page: Page) -> None:
    """A store's key opens the till, which says whose it is; after signing out the till is shut."""
    await shop.sign_in(page)
    who = await page.locator(".who").inner_text()
    cookies = await page.context.cookies()
    html = await page.content()

    await page.get_by_role("button", name="Sign out").click()
    await came(page, "Sign in")
    await page.goto("/till/redemptions")

    assert who == f"{STORE} · {STAFF} · CNY"
    assert [(each["name"], each["httpOnly"], each["sameSite"], each["path"]) for each in cookies] == [
        (COOKIE, True, "Strict", "/till")
    ]
    assert await shop.key() not in html + cookies[0]["value"]
    assert page.url.endswith("/till/sign-in")


@pytest.mark.parametrize(
    ("key", "status", "says"),
    [
        ("", 400, "Enter the store's API key."),
        ("fck_wrong", 401, "This key is not valid."),
        ("fck_aaaaaaaa_" + "b" * 52 + "000000", 401, "This key is not valid."),
        ("finance", 403, "This key has the role finance; a till needs one with the role store."),
    ],
)
async def test_a_wrong_key_opens_nothing(
    shop: Shop, page: Page, watch: Watch, key: str, status: int, says: str
) -> None:
    """A key that is missing, malformed, unknown or of another role is refused in words; what else was typed stays."""
    watch.expect_status(status)
    await page.goto("/till/sign-in")
    await page.get_by_label("API key").evaluate("field => field.required = false")
    await page.get_by_label("API key").fill(await shop.key(key) if key == "finance" else key)
    await page.get_by_label("Store").fill(STORE)
    await page.get_by_label("Currency").select_option("CNY")

    await page.get_by_role("button", name="Sign in").click()
    said = await page.get_by_role("alert").inner_text()
    await picture(page, "till-wrong-key")

    assert says in said
    assert await page.get_by_label("Store").input_value() == STORE
    assert await page.get_by_label("API key").input_value() == ""
    assert await page.get_by_label("API key").get_attribute("aria-invalid") == "true"
    await page.goto("/till")
    assert page.url.endswith("/till/sign-in")


async def test_a_revoked_key_ends_its_sessions(shop: Shop, page: Page, site: Worker) -> None:
    """Within api_key_cache_s of its revocation a key's tills are signed out; an order on its way is not redeemed."""
    await shop.sign_in(page)
    await enter(page, await shop.coupon())

    async with await psycopg.AsyncConnection.connect(site.settings.postgres_url) as connection:
        assert await revoke_key(connection, key_id(await shop.key()) or "", "test")
    until_s = monotonic() + site.settings.api_key_cache_s

    is_out = False
    while not is_out:
        asked_s = monotonic()
        is_out = (await page.request.get("/till")).url.endswith("/till/sign-in")
        assert is_out or asked_s <= until_s
    await page.get_by_role("button", name="Redeem").click()
    await came(page, "Sign in")
    assert "You were signed out: this try did nothing." in await page.get_by_role("alert").inner_text()
    assert shop.redeemed == set()


@pytest.mark.parametrize("form", ["", "forged", "another session's"])
async def test_a_form_of_somebody_else_does_nothing(shop: Shop, new_page: NewPage, watch: Watch, form: str) -> None:
    """A form without the session's own secret, or with that of another session, is refused and changes nothing."""
    watch.expect_status(403)
    page = await new_page()
    await shop.sign_in(page)
    if form == "another session's":
        other = await new_page()
        await shop.sign_in(other)
        form = await other.locator("main input[name=form]").input_value()
    await enter(page, await shop.coupon())

    await page.locator("main input[name=form]").evaluate("(field, form) => field.value = form", form)
    await page.get_by_role("button", name="Redeem").click()
    said = await page.get_by_role("alert").inner_text()
    await picture(page, "till-forged")

    assert "This form is not from this page, or too old; nothing was done." in said
    assert shop.redeemed == set()
    await page.get_by_role("link", name="Back to the till").click()
    await came(page, "New order")


async def test_another_site_s_page_can_t_use_the_till(shop: Shop, page: Page, watch: Watch) -> None:
    """A form on another site that names the till's address is sent without the cookie, and refused."""
    watch.expect_status(403)
    await shop.sign_in(page)
    form = await page.locator("main input[name=form]").input_value()
    action = f"http://127.0.0.1:{shop.site.port}/till/sign-out"

    await page.route(
        "http://elsewhere.test/",
        lambda route: route.fulfill(
            content_type="text/html",
            body=f'<form method=post action="{action}"><input name=form value="{form}"><button>Win</button></form>',
        ),
    )
    await page.goto("http://elsewhere.test/")
    watch.wrong.clear()  # the visit to the other site is the point here
    await page.get_by_role("button", name="Win").click()
    said = await page.get_by_role("alert").inner_text()
    await page.goto(f"http://127.0.0.1:{shop.site.port}/till")

    assert "not from this page" in said
    assert await page.get_by_role("heading", name="New order").is_visible()
