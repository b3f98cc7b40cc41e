"""The room Books in a browser: a figure down to its entries."""

from playwright.async_api import Page, expect

from tests.browser.conftest import NewPage
from tests.browser.test_console import sign_in
from tests.browser.watching import IN_BROWSER
from tests.http import Worker
from tests.integration.consoling import add_user
from tests.integration.draining import Books
from tests.integration.yearbook import write

pytestmark = IN_BROWSER


async def come_in(page: Page, worker: Worker) -> None:
    """As Fay of finance, beside the books of three months."""
    with Books(worker.settings.postgres_url) as books:
        await write(books)
    await add_user(worker, "fay", "finance")
    await sign_in(page, "fay", "/console/books")


async def test_down_to_the_entries(site: Worker, new_page: NewPage) -> None:
    """Without JavaScript a figure leads to its account, journal and state changes."""
    plain = await new_page(java_script_enabled=False)
    await come_in(plain, site)
    await plain.goto("/console/books/reports/trial-balance")
    await plain.locator("tbody tr").filter(has_text="payable:m-1").first.locator("td.num a").first.click()
    await plain.locator("tbody td.num a").first.click()
    await expect(plain.locator("#changes")).to_have_count(1)
