"""The room Books in a browser: by axe, on a phone, in the dark, in Chinese; a figure down to its entries."""

from typing import Any

import pytest
from playwright.async_api import Page

from tests.browser.accessible import violations
from tests.browser.conftest import NewPage
from tests.browser.watching import DESK, IN_BROWSER, PHONE, overflow, picture
from tests.http import Worker
from tests.integration.consoling import PASSWORD, add_user
from tests.integration.draining import Books
from tests.integration.yearbook import write

pytestmark = IN_BROWSER

PATHS = {
    "reports": "",
    "trial-balance": "/reports/trial-balance?since=2026-11-01&until=2026-11-30",
    "roll-forward": "/reports/roll-forward?by=campaign",
    "settlement": "/reports/merchant-settlement",
    "journals": "/journals",
    "journal": "/journals/1",
    "account": "/accounts/payable:m-1",
    "manual": "/manual",
    "new-manual": "/new-manual",
    "stocktakes": "/stocktakes",
    "new-stocktake": "/new-stocktake",
    "breaks": "/breaks",
    "periods": "/periods",
    "period": "/periods/main/month/2026-09-01",
    "exports": "/exports",
    "new-export": "/new-export",
    "verdict": "/verdict",
}
"""Every page, by the name of its picture."""


async def sign_in(page: Page, worker: Worker) -> None:
    """By hand, as Fay of finance, beside the books of three months."""
    with Books(worker.settings.postgres_url) as books:
        await write(books)
    await add_user(worker, "fay", "finance")
    await page.goto("/console/sign-in?next=/console/books")
    await page.locator("#name").fill("fay")
    await page.locator("#password").fill(PASSWORD)
    await page.locator("#password").press("Enter")
    await page.wait_for_url("**/console/books")


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        pytest.param("light", {"viewport": DESK}, id="light"),
        pytest.param("dark-phone-chinese", {"viewport": PHONE, "color_scheme": "dark", "locale": "zh-CN"}, id="phone"),
    ],
)
async def test_each_page_is_accessible_and_fits(site: Worker, new_page: NewPage, kind: str, options: Any) -> None:
    """Axe finds nothing and nothing sticks out."""
    page = await new_page(**options)
    await sign_in(page, site)
    found = {}
    for name, path in PATHS.items():
        await page.goto(f"/console/books{path}")
        await picture(page, f"console-books-{name}-{kind}")
        found[name] = ([*await violations(page)], await overflow(page))

    assert {name: each for name, each in found.items() if each != ([], 0)} == {}


async def test_down_to_the_entries_and_a_verdict(site: Worker, new_page: NewPage) -> None:
    """Without JavaScript a figure leads to its account, journal and state changes; with it a verdict comes."""
    plain = await new_page(java_script_enabled=False)
    await sign_in(plain, site)
    await plain.goto("/console/books/reports/trial-balance")
    await plain.locator("tbody tr").filter(has_text="payable:m-1").first.locator("td.num a").first.click()
    await plain.locator("tbody td.num a").first.click()
    assert await plain.locator("#changes").count() == 1

    page = await new_page()
    await page.context.add_cookies(await plain.context.cookies())  # type: ignore[arg-type]
    await page.goto("/console/books/verdict")
    await page.get_by_role("button", name="Judge now").click()
    await page.locator("[data-verdict]").wait_for(timeout=120_000)
    await picture(page, "console-books-verdict-judged")
    assert await violations(page) == []
