"""How the till looks and is used: on a phone, in the dark, on paper, by keyboard alone, without JavaScript."""

from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import NewPage
from tests.browser.shop import STAFF, STORE, Shop, came, enter, redeem
from tests.browser.watching import DESK, IN_BROWSER, PHONE, Watch, overflow, picture

pytestmark = IN_BROWSER

LONG = "CUP-PORCELAIN-BLUE-AND-WHITE-LARGE-WITHOUT-ANY-BLANK-IN-ITS-NAME"

FAINT = """() => {
  // Every text with less contrast to what is behind it than WCAG AA asks for: 4.5, or 3 where it is large.
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = (element) => {
    for (; element; element = element.parentElement) {
      const colour = parts(getComputedStyle(element).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll('body, body *')) {
    const says = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    const typed = element.matches('input:not([type=hidden], [type=checkbox], [type=radio]), select');
    if (!(says || typed) || !element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const [a, b] = [light(parts(style.color)), light(behind(element))].sort((x, y) => y - x);
    const size = parseFloat(style.fontSize);
    const needed = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < needed) found.push([element.tagName, element.className, element.textContent.trim(), contrast]);
  }
  return found;
}"""

CLIPPED = """() => [...document.querySelectorAll('main *')]
  .filter((element) => element.checkVisibility() && element.getBoundingClientRect().right > innerWidth + 0.5)
  .map((element) => element.outerHTML.slice(0, 120))"""

MUTE = """() => [...document.querySelectorAll('input:not([type=hidden]), select, button, a')]
  .filter((element) => element.checkVisibility())
  .filter((element) => !(element.labels && element.labels.length) && !element.textContent.trim())
  .map((element) => element.outerHTML)"""


async def check_looks(page: Page, name: str) -> None:
    """Take its picture; nothing is clipped or beyond the edge, faint, or without a name."""
    await picture(page, f"till-{name}")

    assert await overflow(page) == 0
    assert await page.evaluate(CLIPPED) == []
    assert await page.evaluate(FAINT) == []
    assert await page.evaluate(MUTE) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
async def test_every_page_is_readable_and_whole(
    shop: Shop, new_page: NewPage, watch: Watch, viewport: dict[str, int], scheme: str
) -> None:
    """On phone and desk, light and dark: no page is wider than the screen, no text faint, no field without a label."""
    watch.expect_status(400, 403, 404)
    page = await new_page(viewport=viewport, color_scheme=scheme)
    where = f"{'phone' if viewport is PHONE else 'desk'}-{scheme}"
    await page.goto("/till")
    await check_looks(page, f"{where}-sign-in")
    await shop.sign_in(page)
    await check_looks(page, f"{where}-order")

    await page.get_by_text("Shipping and first orders").click()
    await page.get_by_role("button", name="See what it takes off").click()
    await check_looks(page, f"{where}-wrong")
    await page.get_by_role("button", name="More lines").click()
    await page.get_by_label("Article").nth(0).fill(LONG)
    await page.get_by_label("Quantity").nth(0).fill("999999")
    await page.get_by_label("Price each").nth(0).fill("12345.67")
    await page.get_by_label("Article").nth(1).fill("TEA")
    await page.get_by_label("Price each").nth(1).fill("0.50")
    await page.get_by_label("Coupon code").fill(await shop.coupon())
    await page.get_by_label("Order or receipt number").fill(LONG * 2)
    await page.get_by_role("button", name="See what it takes off").click()
    await check_looks(page, f"{where}-quote")
    await page.get_by_role("button", name="Redeem").click()
    await page.get_by_text("Give it back").first.click()
    await check_looks(page, f"{where}-receipt")
    await page.get_by_label("A part of it").check()
    await page.get_by_label("The part in").fill("1.00")
    await page.get_by_label("Reason").fill("broken " + LONG)
    await page.get_by_role("button", name="Give it back").click()
    await came(page, "partly")
    await check_looks(page, f"{where}-partly")
    await page.goto("/till/redemptions?id=none")
    await check_looks(page, f"{where}-look-up")


async def press(page: Page, *keys: str) -> None:
    """Press keys one after the other."""
    for key in keys:
        await page.keyboard.press(key)


async def test_the_till_is_used_by_keyboard_alone(shop: Shop, new_page: NewPage) -> None:
    """From the code, where the page begins, to the receipt and back without a pointer; what has the focus shows it."""
    page = await new_page()
    await shop.sign_in(page)

    await expect(page.get_by_label("Coupon code")).to_be_focused()
    await page.keyboard.type(await shop.coupon())
    await press(page, "Tab")
    await page.keyboard.type("R-7")
    await press(page, "Tab")
    await page.keyboard.type("40")
    outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    await press(page, "Enter")
    await came(page, "It takes off")
    await expect(page.get_by_role("button", name="Redeem")).to_be_focused()
    await press(page, "Enter")
    await came(page, "Redeemed")
    for _ in range(20):
        if await page.evaluate("document.activeElement.tagName") == "SUMMARY":
            break
        await press(page, "Tab")
    await press(page, "Enter", "Tab", "ArrowDown", "Tab")
    await page.keyboard.type("1.50")
    await press(page, "Tab")
    await page.keyboard.type("broken")
    await press(page, "Enter")
    await came(page, "partly given back")

    assert outline == "solid"
    rollbacks = [(each["amount"]["minor"], each["reason"]) for each in (await shop.only())["rollbacks"]]
    assert rollbacks == [(150, "broken")]


async def test_an_error_leads_to_its_field(shop: Shop, page: Page, watch: Watch) -> None:
    """Each line of the summary is a link to the field it is about, whose own error is read out with it."""
    watch.expect_status(400)
    await shop.sign_in(page)

    await enter(page, await shop.coupon(), total="4,0,0")
    link = page.get_by_role("alert").get_by_role("link")
    text = await link.inner_text()
    await link.click()
    await page.wait_for_url(lambda url: "#total" in url)
    field = page.get_by_label("Total in")

    assert text == "Type an amount like 1234.50."
    assert "total-error" in (await field.get_attribute("aria-describedby") or "")
    assert await field.get_attribute("aria-invalid") == "true"


async def test_the_till_works_without_javascript(shop: Shop, new_page: NewPage) -> None:
    """With JavaScript off no button is there that needs it, times are UTC, an order goes to its receipt and back."""
    page = await new_page(java_script_enabled=False, timezone_id="Asia/Shanghai")
    await shop.sign_in(page)
    buttons = await page.locator("main button:visible").all_inner_texts()
    await redeem(page, await shop.coupon())
    receipt = await page.locator(".receipt").inner_text()
    await page.get_by_text("Give it back").first.click()
    await page.get_by_label("Reason").fill("returned")
    await page.get_by_role("button", name="Give it back").click()
    await came(page, "Given back")
    await picture(page, "till-without-javascript")

    assert buttons == ["See what it takes off", "More lines"]
    assert " UTC" in receipt
    assert await page.get_by_role("button", name="Print").count() == 0
    assert (await shop.only())["rolled_back"]["minor"] == 500


async def test_times_are_the_store_s(shop: Shop, new_page: NewPage) -> None:
    """Where the browser tells its zone, the receipt is in it."""
    page = await new_page(timezone_id="Asia/Shanghai")
    await shop.sign_in(page)

    await redeem(page, await shop.coupon())

    assert " Asia/Shanghai" in await page.locator(".receipt time").inner_text()


async def test_a_receipt_is_printed_alone(shop: Shop, new_page: NewPage) -> None:
    """On paper there is the receipt and nothing else, as narrow as a till roll; Print asks the browser to print."""
    page = await new_page(viewport=PHONE)
    await shop.sign_in(page)
    await redeem(page, await shop.coupon())
    await page.evaluate("window.print = () => { window.printed = true }")

    await page.get_by_role("button", name="Print").click()
    await page.emulate_media(media="print", color_scheme="dark")
    await picture(page, "till-printed")
    visible: list[Any] = await page.evaluate(
        "[...document.querySelectorAll('header, h1, .actions, details, .receipt')]"
        ".filter((each) => each.checkVisibility()).map((each) => each.className)"
    )

    assert await page.evaluate("window.printed") is True
    assert visible == ["card receipt"]
    assert STORE in await page.locator(".receipt").inner_text()
    assert STAFF in await page.locator(".receipt").inner_text()
    assert await page.locator(".receipt").evaluate("receipt => receipt.offsetWidth") <= 303  # 80 mm
