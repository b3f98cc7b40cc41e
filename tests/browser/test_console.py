"""The page a browser lands on, in a browser."""

from tests.browser.conftest import NewPage
from tests.browser.watching import IN_BROWSER, PHONE, overflow, picture
from tests.http import Worker

pytestmark = IN_BROWSER


async def test_the_root_leads_to_the_console_and_its_links_work(site: Worker, new_page: NewPage) -> None:
    """A browser that asks for / sees every part of the gateway as ok, on a phone too, and each link of it answers."""
    page = await new_page(viewport=PHONE)

    await page.goto("/")
    await picture(page, "console-phone")
    links = [await link.get_attribute("href") for link in await page.locator("a").all()]
    answers = [await page.request.get(link or "") for link in links]

    assert page.url.endswith("/console")
    assert await page.locator("td.good").count() == 3
    assert await page.locator("td.bad").count() == 0
    assert await overflow(page) == 0
    assert links
    assert all(answer.ok for answer in answers)
