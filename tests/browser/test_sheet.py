"""Coupons to print, in a browser: nothing is cut off, every picture is read by a scanner, and paper is A4."""

import io
import re

import zxingcpp
from PIL import Image

from gateway.issuing.sheet import CARDS_A_PAGE
from tests.browser.conftest import NewPage
from tests.browser.watching import IN_BROWSER, picture, shot
from tests.conftest import Eventually
from tests.http import Worker, a_campaign
from tests.integration.draining import draining

pytestmark = IN_BROWSER

BATCHES = "/v1/campaigns/flash/code-batches"
LONG_NAME = (
    "Summer flash of a shop whose name is so long that it does not fit into one line, nor into two of them, at all"
)
CUT_OFF = """() => [...document.querySelectorAll('.card')].filter(card => {
  const edge = card.getBoundingClientRect();
  return [...card.querySelectorAll('svg, h2, p, span')].some(part => {
    const box = part.getBoundingClientRect();
    return box.top < edge.top || box.left < edge.left || box.bottom > edge.bottom || box.right > edge.right;
  });
}).length"""


async def test_a_sheet_is_whole_and_is_read(site: Worker, new_page: NewPage, eventually: Eventually) -> None:
    """Twelve coupons with the longest words there are: two pages of A4, nothing cut off, twelve codes for a scanner."""
    marketer, settings = await site.key("marketer"), site.settings
    value = {"type": "amount_off", "minor": 99_999_900, "threshold_minor": 999_999_900}
    body = a_campaign(name=LONG_NAME, value=value, timezone="America/Argentina/ComodRivadavia")
    assert (await site.http.post("/v1/campaigns", json=body, headers=await site.key("admin"))).status_code == 201
    await site.state("scheduled")
    lines = "".join(f"{'LEGACY-SHOP-' * 4}{number:04}\n" for number in range(12))
    sent = {**marketer, "Idempotency-Key": "k", "Content-Type": "text/csv"}
    came = await site.http.post("/v1/campaigns/flash/code-imports", content=lines.encode(), headers=sent)
    assert came.status_code == 202, came.text
    sheet = f"{BATCHES}/{came.json()['batch']['id']}/sheet"
    async with draining(settings.redis_url, settings.postgres_url):

        async def is_there() -> bool:
            return bool((await site.http.get(sheet, headers=marketer)).status_code == 200)

        await eventually(is_there)

    page = await new_page(extra_http_headers=marketer, viewport={"width": 900, "height": 1300})
    await page.goto(sheet)
    await picture(page, "sheet")
    seen = await shot(page, full_page=True, scale="css")
    paper = await page.pdf(prefer_css_page_size=True)

    assert await page.locator(".card").count() == 12
    assert await page.evaluate(CUT_OFF) == 0
    found = {code.text for code in zxingcpp.read_barcodes(Image.open(io.BytesIO(seen)))}
    assert found == {line.replace("-", "") for line in lines.split()}
    assert len(re.findall(rb"/Type\s*/Page\b", paper)) == -(-12 // CARDS_A_PAGE)
    boxes = re.findall(rb"/MediaBox\s*\[0 0 ([\d.]+) ([\d.]+)\]", paper)
    assert {(round(float(width) / 72 * 25.4), round(float(height) / 72 * 25.4)) for width, height in boxes} == {
        (210, 297)
    }
