"""Reading a code with the camera, where the browser can; it is never the only way."""

import pytest
from playwright.async_api import Page

from tests.browser.conftest import NewPage
from tests.browser.shop import Shop
from tests.browser.watching import IN_BROWSER, PHONE, picture
from tests.conftest import Eventually

pytestmark = IN_BROWSER

DETECTOR = """
window.looks = 0;
window.isHeld = false;
window.BarcodeDetector = class {
  async detect(video) {
    window.looks += 1;
    return video.readyState && window.looks > 2 && window.isHeld ? [{ rawValue: %r }] : [];
  }
};
"""


async def a_scanner(shop: Shop, new_page: NewPage, shows: str, *permissions: str) -> Page:
    """The order page of a phone whose camera sees a code with the text *shows*, once it is held before it."""
    page = await new_page(viewport=PHONE)
    await page.context.grant_permissions(list(permissions))
    await page.add_init_script(DETECTOR % shows)
    await shop.sign_in(page)
    return page


@pytest.mark.parametrize("prefix", ["", "https://shop.example/c/", "https://shop.example/?code="])
async def test_the_camera_fills_in_the_code(shop: Shop, new_page: NewPage, eventually: Eventually, prefix: str) -> None:
    """A code alone, or at the end of an address, is filled in; the camera is off again and the code has the focus."""
    code = await shop.coupon()
    page = await a_scanner(shop, new_page, prefix + code, "camera")

    await page.get_by_role("button", name="Scan", exact=True).click()
    await page.locator("video").wait_for(state="visible")
    await picture(page, "till-scanning")
    await page.evaluate("window.isHeld = true")  # the coupon is, before the camera
    await eventually(page.get_by_label("Coupon code").input_value)

    assert await page.get_by_label("Coupon code").input_value() == code
    assert await page.locator("video").is_visible() is False
    assert await page.evaluate("document.querySelector('video').srcObject") is None
    assert await page.evaluate("document.activeElement.id") == "code"


async def test_scanning_can_be_stopped(shop: Shop, new_page: NewPage, eventually: Eventually) -> None:
    """Stop scanning turns the camera off and leaves the field as it was."""
    page = await a_scanner(shop, new_page, "", "camera")

    await page.get_by_role("button", name="Scan", exact=True).click()
    await eventually(lambda: page.evaluate("document.querySelector('video').srcObject !== null"))
    await page.get_by_role("button", name="Stop scanning").click()

    assert await page.locator("video").is_visible() is False
    assert await page.evaluate("document.querySelector('video').srcObject") is None
    assert await page.get_by_role("button", name="Scan", exact=True).is_enabled()


async def test_a_camera_that_may_not_be_used_is_said(shop: Shop, new_page: NewPage) -> None:
    """Where the camera is refused, the page says so and how to go on; the button is there for another try."""
    page = await a_scanner(shop, new_page, "")
    await page.evaluate("() => { navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('no') } }")

    await page.get_by_role("button", name="Scan", exact=True).click()
    await page.get_by_text("The camera can’t be used: allow it in the browser, or type the code.").wait_for()

    assert await page.get_by_role("button", name="Scan", exact=True).is_enabled()


async def test_a_browser_that_can_t_scan_offers_nothing(shop: Shop, page: Page) -> None:
    """Without a BarcodeDetector there is no button to scan."""
    await page.add_init_script("delete window.BarcodeDetector")
    await shop.sign_in(page)

    assert await page.get_by_role("button", name="Scan", exact=True).count() == 0
