"""The console in a browser: by keyboard, by axe, on a phone, in the dark, in Chinese, without JavaScript."""

import asyncio

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.browser.accessible import violations
from tests.browser.conftest import NewPage
from tests.browser.keys import Keys
from tests.browser.watching import IN_BROWSER, PHONE, Watch, hold, overflow, picture
from tests.http import Worker
from tests.integration.consoling import PASSWORD, add_user

pytestmark = IN_BROWSER

NASTY = "<img src=x onerror=alert(1)>'\"{{7*7}}"
BYTES_MAX, SECONDS_MAX = 100_000, 0.2
PATHS = {"nobody": "/console/users?text=nobody", "nothing": "/console/nothing"}
"""Pages on which nothing is, by the name of its picture."""


async def sign_in(page: Page, name: str = "ann", to: str = "/console") -> None:
    """By hand, and on to *to*, all of which is there then."""
    await page.goto(f"/console/sign-in?next={to}")
    await page.locator("#name").fill(name)
    await page.locator("#password").fill(PASSWORD)
    await page.locator("#password").press("Enter")
    await Keys(page).led_to(to)


@pytest_asyncio.fixture(loop_scope="session")
async def people(site: Worker) -> None:
    """Ann, who is admin, and Bob, whose display name is an attack."""
    await add_user(site, "ann", "admin", display="Ann Lee")
    await add_user(site, "bob", "store", "finance", display=NASTY, must_change=True)


async def test_the_root_leads_to_the_page_to_sign_in(new_page: NewPage) -> None:
    """A browser that asks for / is asked who it is, on a phone too."""
    page = await new_page(viewport=PHONE)

    await page.goto("/")
    await picture(page, "console-sign-in-phone")

    assert page.url.endswith("/console/sign-in")
    assert await overflow(page) == 0
    assert await violations(page) == []


@pytest.mark.usefixtures("people")
async def test_in_and_out_by_keyboard_alone(page: Page) -> None:
    """Sign in, skip the menu, walk it, open a page, filter, sign out: without touching a pointer, focus always seen."""
    keys = page.keyboard
    await page.goto("/console/users")
    await expect(page.locator("#name")).to_be_focused()
    await keys.type("ann")
    await keys.press("Tab")
    await keys.type(PASSWORD)
    await keys.press("Enter")
    await Keys(page).led_to("/console/users")

    await keys.press("Tab")
    assert await _focused(page) == "Skip to the page"
    assert await page.evaluate("document.activeElement.getBoundingClientRect().left >= 0")
    await keys.press("Enter")
    await expect(page.locator("#main")).to_be_focused()
    await keys.press("Tab")
    assert await _focused(page) == "New user"
    assert await page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    await keys.press("Tab")
    await keys.type("bob")
    await page.get_by_role("row").filter(has_text="ann").wait_for(state="detached")
    await page.wait_for_url(lambda url: "/console/users?text=bob&role=" in url)  # who types slowly is shown bo before

    await page.goto("/console")
    walked = []
    while "Sign out" not in walked:
        await keys.press("Tab")
        walked.append(await _focused(page))
    books = ["Reports", "Journals", "Journals by hand", "Stocktakes", "Breaks", "Periods", "Exports", "Verdict"]
    rest = ["Users", "Audit log", "Account", "Sign out"]
    sales = ["Start", "Live", "Alerts", "Waiting", "Campaigns", "Coupons"]
    assert walked == ["Skip to the page", "Fairclaim", *sales, *books, *rest]
    await keys.press("Enter")
    await page.get_by_text("You are signed out.").wait_for()
    await page.goto("/console/users")
    assert "/console/sign-in" in page.url


async def _focused(page: Page) -> str:
    return str(await page.evaluate("document.activeElement.innerText || document.activeElement.value")).strip()


@pytest.mark.usefixtures("people")
async def test_what_is_wrong_and_the_menu_of_a_phone(new_page: NewPage, watch: Watch) -> None:
    """Axe finds nothing, nothing sticks out, the language is the browser's, and what people are called runs nowhere."""
    watch.expect_status(404, 400)
    page = await new_page(viewport=PHONE, color_scheme="dark", locale="zh-CN", timezone_id="Asia/Shanghai")
    await sign_in(page)

    for name, path in PATHS.items():
        await page.goto(path)
        await picture(page, f"console-{name}")
        assert await violations(page) == [], path
        assert await overflow(page) == 0, path
    await page.goto("/console/users/bob")
    assert await page.locator("#display").input_value() == NASTY
    assert await page.locator("html").get_attribute("lang") == "zh-Hans"
    await page.goto("/console/new-user")
    await page.locator("main button.primary").click()
    await page.get_by_role("alert").wait_for()
    await Keys(page).is_at("problems")
    await picture(page, "console-wrong")
    assert await violations(page) == []
    await page.goto("/console")
    keys = Keys(page)
    await keys.to("菜单")
    await keys.press("Enter", "Tab")
    await page.wait_for_function("() => document.activeElement.matches('#menu a')")
    await picture(page, "console-menu")
    assert await violations(page) == []
    await keys.press("Escape")
    await expect(page.locator("nav")).to_be_hidden()
    await keys.is_at("菜单")


@pytest.mark.usefixtures("people")
async def test_it_works_without_javascript(new_page: NewPage) -> None:
    """Signing in, filtering, making a user and signing out need none, on a phone too."""
    page = await new_page(java_script_enabled=False, viewport=PHONE)
    await sign_in(page)

    await page.goto("/console/users")
    await page.locator("#text").fill("bob")
    await page.get_by_role("button", name="Filter").click()
    await expect(page.locator("tbody tr")).to_have_count(1)
    await page.goto("/console/new-user")
    await page.locator("#name").fill("cleo")
    await page.get_by_label("Marketer").check()
    await page.get_by_role("button", name="Create the user").click()
    assert len(await page.locator("[data-password]").inner_text()) == 29
    await page.get_by_role("button", name="Menu").click()
    await page.get_by_role("button", name="Sign out").click()
    await page.wait_for_url(lambda url: url.endswith("/console/sign-in?ended"))


@pytest.mark.usefixtures("people")
async def test_a_person_s_look_goes_before_the_browser_s(page: Page) -> None:
    """Dark and Chinese, chosen on the account's page, hold at once."""
    await sign_in(page)
    await page.goto("/console/account")

    await page.get_by_label("Language").select_option("zh_Hans")
    await page.get_by_label("Colours").select_option("dark")
    await page.get_by_label("Time zone").select_option("Asia/Shanghai")
    await page.get_by_role("button", name="Save").click()
    await page.get_by_text("已保存。").wait_for()

    await expect(page.locator(".card").first).to_have_css("background-color", "rgb(27, 31, 39)")
    await expect(page.locator("#zone-hint")).to_contain_text("Asia/Shanghai")


@pytest.mark.usefixtures("people")
async def test_figures_come_up_to_date_and_say_when_they_do_not(site: Worker, page: Page, watch: Watch) -> None:
    """What is claimed shows without a reload; the page says while the gateway does not answer."""
    await sign_in(page)
    await site.publish()
    await page.evaluate("window.stayed = true")
    assert (await site.claim("h1")).status_code == 201

    await page.locator(".figure .value", has_text="1").first.wait_for()
    await page.route("**/console/figures", lambda route: route.abort())
    await page.get_by_text("Not up to date").wait_for()
    await picture(page, "console-stale")
    await page.unroute("**/console/figures")
    await page.get_by_text("Not up to date").wait_for(state="hidden")

    assert await page.evaluate("window.stayed")
    watch.wrong.clear()  # that a request failed is the point here


@pytest.mark.usefixtures("people")
async def test_what_comes_hears_at_once(page: Page, watch: Watch) -> None:
    """Who changes a field in the moment that the page has a new one is answered, however busy the browser is."""
    await sign_in(page)
    await page.goto("/console/books/journals")
    await page.evaluate(
        """new MutationObserver((_, observer) => {
            const order = document.getElementById('down');
            if (!document.getElementById('main') || order === window.before) return;
            observer.disconnect();
            order.value = '0';
            order.dispatchEvent(new Event('change', { bubbles: true }));
        }).observe(document.body, { childList: true, subtree: true });
        window.before = document.getElementById('down');"""
    )

    await page.locator("#verb").select_option("redeem")

    await page.wait_for_url("**down=0**")
    await page.wait_for_url("**verb=redeem**")


@pytest.mark.usefixtures("people")
async def test_who_types_on_keeps_what_he_has_typed(page: Page, watch: Watch) -> None:
    """A form comes anew with the answer to one field while somebody is in the next; both are what is asked for then."""
    typed = asyncio.Event()
    await sign_in(page)
    await page.goto("/console/books/journals")
    await hold(page, "**/console/books/journals?*campaign=tea*", typed, times=1)
    async with page.expect_request("**/console/books/journals?*campaign=tea*"):
        await page.locator("#campaign").fill("tea")
        await page.locator("#campaign").press("Tab")
    await page.locator("#account").press_sequentially("sto")
    await page.evaluate("document.getElementById('main').className = 'old'")
    typed.set()
    await page.locator("#main:not(.old)").wait_for()
    await expect(page.locator("#account")).to_be_focused()
    await page.locator("#account").press_sequentially("ck")
    await page.locator("#account").press("Tab")

    await page.wait_for_url("**campaign=tea&account=stock**")
    await expect(page.locator("#account")).to_have_value("stock")


@pytest.mark.usefixtures("people")
async def test_what_was_chosen_last_is_what_is_shown(page: Page, watch: Watch) -> None:
    """Also what was chosen while the answer to another choice was on its way."""
    chosen = asyncio.Event()
    await sign_in(page)
    await page.goto("/console/books/journals")
    await hold(page, "**/console/books/journals?*verb=redeem*", chosen, times=1)
    async with page.expect_request("**/console/books/journals?*verb=redeem*"):
        await page.locator("#verb").select_option("redeem")
    await page.locator("#basis").select_option("posted")
    chosen.set()

    await page.wait_for_url("**basis=posted&verb=redeem**")
    await expect(page.locator("#basis")).to_have_value("posted")
