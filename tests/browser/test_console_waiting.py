"""What waits for a second person, in a browser: two people decide, on a phone, in the dark and in Chinese."""

from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser.accessible import violations
from tests.browser.conftest import NewPage
from tests.browser.keys import Keys
from tests.browser.test_console import sign_in
from tests.browser.watching import DESK, IN_BROWSER, PHONE, Watch, asked_again, overflow, picture, told
from tests.http import Worker
from tests.integration.consoling import add_user
from tests.integration.draining import Books
from tests.integration.proposing import CHANGE, JOURNAL, REVOCATION, STOCK, VALUE, Office, reopening
from tests.integration.site_http import Http

pytestmark = IN_BROWSER

NASTY = "<img src=x onerror=alert(1)>"
PAGE = "/console/waiting"


async def propose_each(site: Worker, books: Books) -> list[dict[str, Any]]:
    """One proposal of each kind, by people with keys."""
    office = Office(Http(site), books)
    for name, role in (("dee", "marketer"), ("eve", "finance")):
        await office.hire(name, role)
    for name, roles in (("ann", ["admin"]), ("dee", ["marketer"])):
        await add_user(site, name, *roles)
    await site.publish(stock=10)
    office.period("2026-03-01", "2026-03-31", "hold")
    limits = {"budget_minor": 100_000, "per_holder": 2}
    bodies: list[tuple[dict[str, Any], str]] = [
        ({**CHANGE, "change": {"value": VALUE, "limits": limits}}, "dee"),
        ({**STOCK, "reason": NASTY}, "dee"),
        (REVOCATION, "dee"),
        (reopening(), "eve"),
        (JOURNAL, "eve"),
    ]
    return [await office.make(body, who, str(body["kind"])) for body, who in bodies]


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        pytest.param("light", {"viewport": DESK}, id="light"),
        pytest.param("dark-phone-chinese", {"viewport": PHONE, "color_scheme": "dark", "locale": "zh-CN"}, id="phone"),
    ],
)
async def test_two_people_decide(site: Worker, new_page: NewPage, watch: Watch, kind: str, options: Any) -> None:
    """
    One who may decides on each kind, with a reason where he rejects; who proposed sees his own and takes it back. Axe
    finds nothing, nothing sticks out, and what people wrote runs nowhere.
    """
    watch.expect_status(400)
    with Books(site.settings.postgres_url) as books:
        change, stock, revocation, _, _ = await propose_each(site, books)
    hers, his = await new_page(**options), await new_page(**options)
    await sign_in(hers, "ann", PAGE)
    await sign_in(his, "dee", PAGE)
    for page, name in ((hers, "waiting"), (his, "waiting-mine")):
        await picture(page, f"console-{name}-{kind}")
        assert await violations(page) == []
        assert await overflow(page) == 0
    assert await hers.locator("article").count() == 5
    assert await his.locator("article button[value=withdraw]").count() == await his.locator("article").count() == 3

    await hers.locator(f"#{stock['id']} button[value=approve]").click()
    await told(hers)
    await hers.locator(f"#{change['id']} button[value=reject]").click()
    await hers.get_by_role("alert").wait_for()
    await picture(hers, f"console-waiting-wrong-{kind}")
    assert await violations(hers) == []
    await hers.locator(f"#said-{change['id']}").fill("too dear")
    await hers.locator(f"#{change['id']} button[value=reject]").click()
    await told(hers)
    assert await hers.locator("article").count() == 3
    await his.locator(f"#{revocation['id']} button[value=withdraw]").click()
    await told(his)

    assert await his.locator("article").count() == 0
    await picture(his, f"console-waiting-nothing-{kind}")
    assert await violations(his) == []


async def test_by_keys_alone(site: Worker, page: Page, watch: Watch) -> None:
    """
    Enter in the field decides nothing, for the first button would have approved it. Rejected without a word, she is at
    what is wrong, whose link leads into the field; with one it is rejected, and the other is approved.
    """
    watch.expect_status(400)
    await add_user(site, "ann", "admin")
    await site.publish(stock=10)
    with Books(site.settings.postgres_url) as books:
        office = Office(Http(site), books)
        await office.hire("dee", "marketer")
        for body in (STOCK, REVOCATION):
            await office.make(body, "dee", str(body["kind"]))
        keys, cards = Keys(page), page.locator("article")
        await keys.arrive("ann", PAGE)
        last = str(await cards.last.get_attribute("id"))
        await keys.to(f"said-{last}")
        await keys.type("too many")
        await keys.press("Enter")
        await keys.press("Control+A", "Delete", "Tab")
        assert await cards.count() == 2
        await keys.press("Tab")
        await keys.is_at("reject")
        await keys.press("Enter")
        await page.get_by_role("alert").wait_for()
        await keys.is_at("problems")
        await keys.press("Tab", "Enter")
        await keys.is_at(f"said-{last}")
        await keys.type("too many")
        await keys.to("reject")
        await keys.press("Space")
        await told(page)
        await keys.go("approve")
        await page.wait_for_url("**/revoke-coupons/**")
        assert books.value("SELECT state FROM proposals WHERE id = %s", last) == "rejected"
        assert books.value("SELECT count(*) FROM proposals WHERE state = 'pending'") == 0


async def test_what_waits_comes_by_itself(site: Worker, page: Page, watch: Watch) -> None:
    """
    What is made and decided elsewhere comes and goes, and so does its number in the menu; not while somebody has typed
    or is among the buttons. What was done is said once: reloaded, gone back to or sent on, the address says it no more.
    """
    await add_user(site, "ann", "admin")
    await site.publish(stock=10)
    with Books(site.settings.postgres_url) as books:
        office = Office(Http(site), books)
        await office.hire("dee", "marketer")
        await sign_in(page, "ann", PAGE)
        cards, count = page.locator("article"), page.locator("#waiting-count .badge")
        await page.get_by_text("Nothing waits for you.").wait_for()
        stock = await office.make(STOCK, "dee", "s")
        await expect(cards).to_have_count(1)
        await expect(count).to_have_text("for you: 1")

        await page.locator(f"#said-{stock['id']}").fill("on")
        await page.locator("h1").click()  # so that only what was typed is in the way
        change = await office.make(CHANGE, "dee", "c")
        await asked_again(page, PAGE)
        await asked_again(page, PAGE)
        await expect(cards).to_have_count(1)
        await page.locator(f"#said-{stock['id']}").fill("")
        await page.locator(f"#{stock['id']} button[value=reject]").focus()
        await asked_again(page, PAGE)
        await asked_again(page, PAGE)
        await expect(page.locator(f"#{stock['id']} button[value=reject]")).to_be_focused()
        await expect(cards).to_have_count(1)
        await page.locator("h1").click()
        await expect(cards).to_have_count(2)
        await office.act("withdraw", change, "dee")
        await expect(cards).to_have_count(1)

        await page.locator(f"#{stock['id']} button[value=approve]").click()
        await told(page)
        assert page.url.endswith(PAGE)
        await expect(count).to_have_count(0)
        await page.reload()
        assert await page.locator("main .note").count() == 0
        await page.goto("/console/account")
        await page.go_back()
        await page.get_by_text("Nothing waits for you.").wait_for()
        assert await page.locator("main .note").count() == 0


async def test_a_page_that_nobody_sees_asks_for_nothing(site: Worker, page: Page) -> None:
    """Hidden it stands still; seen again, it brings itself up to date."""
    await add_user(site, "ann", "admin")
    await site.publish(stock=10)
    hides = "(is) => Object.defineProperty(document, 'hidden', {value: is, configurable: true})"
    with Books(site.settings.postgres_url) as books:
        office = Office(Http(site), books)
        await office.hire("dee", "marketer")
        await sign_in(page, "ann", PAGE)
        await page.evaluate(hides, True)
        asked = list[str]()
        page.on("request", lambda request: asked.append(request.url))
        held = "() => new Promise((done) => document.body.addEventListener('htmx:configRequest', done, {once: true}))"
        await page.evaluate(held)
        await page.evaluate(held)
        assert asked == []
        await office.make(STOCK, "dee", "s")
        await page.evaluate(hides, False)
        await expect(page.locator("article")).to_have_count(1)
