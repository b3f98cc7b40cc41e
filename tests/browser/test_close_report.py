"""A close report in a browser: nothing is cut off, on a desk, a phone and paper, and paper is A4."""

import re

import msgspec
import psycopg

from tests.browser.conftest import NewPage
from tests.browser.watching import IN_BROWSER, PHONE, overflow, picture
from tests.closing import a_given
from tests.http import Worker

pytestmark = IN_BROWSER

REPORT = "/v1/periods/shop-cn/month/2026-11/report.html"
CUT_OFF = """() => [...document.querySelectorAll('td, th')].filter(cell => {
  const edge = document.querySelector('main').getBoundingClientRect(), box = cell.getBoundingClientRect();
  return box.right > edge.right || box.left < edge.left || cell.scrollWidth > cell.clientWidth + 1;
}).length"""


async def test_a_report_is_whole_on_screen_and_paper(site: Worker, new_page: NewPage) -> None:
    """Forty campaigns: every cell inside the sheet, no script, and the totals once, on as many pages as it takes."""
    given = a_given(campaigns=40)
    with psycopg.connect(site.settings.postgres_url, autocommit=True) as connection:
        connection.execute("INSERT INTO legal_entities (id, zone) VALUES ('shop-cn', 'Asia/Shanghai')")
        connection.execute(
            "INSERT INTO periods (entity, kind, starts, ends, state, changed_by) "
            "VALUES ('shop-cn', 'month', '2026-11-01', '2026-11-30', 'closed', 'ann')"
        )
        connection.execute(
            "INSERT INTO close_reports (entity, kind, starts, report, closed_by) "
            "VALUES ('shop-cn', 'month', '2026-11-01', %s, 'ann')",
            (msgspec.json.encode(given.report).decode(),),
        )
    page = await new_page(extra_http_headers=await site.key("auditor"))

    await page.goto(REPORT)
    await picture(page, "close-report")
    assert await page.get_by_role("heading", level=2).count() == 10
    assert (await overflow(page), await page.evaluate(CUT_OFF)) == (0, 0)
    paper = await page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b", paper)) >= 4
    boxes = re.findall(rb"/MediaBox\s*\[0 0 ([\d.]+) ([\d.]+)\]", paper)
    assert {(round(float(wide) / 72 * 25.4), round(float(high) / 72 * 25.4)) for wide, high in boxes} == {(210, 297)}
    phone = await new_page(extra_http_headers=await site.key("auditor"), viewport=PHONE)
    await phone.goto(REPORT)
    await picture(phone, "close-report-phone")
    assert await overflow(phone) == 0
