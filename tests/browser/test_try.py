import asyncio, sys
from tests.browser.watching import *
from tests.browser.shop import Double
pytestmark = IN_BROWSER
async def test_walk(site, new_page, watch):
    """x."""
    d = Double(); site.app.state.new_desk = d
    d.coupons["0001FW2ABCDEFGHJKM"] = (500, 3000, "claimed")
    key = (await site.key("store"))["Authorization"].split()[1]
    for name, opts in {"desk": {}, "phone": dict(viewport=PHONE), "dark": dict(color_scheme="dark", viewport=PHONE), "nojs": dict(java_script_enabled=False)}.items():
        d.coupons["0001FW2ABCDEFGHJKM"] = (500, 3000, "claimed")
        page = await new_page(timezone_id="Asia/Shanghai", **opts)
        await page.goto("/till")
        await picture(page, f"{name}-1-sign-in")
        await page.get_by_label("API key").fill(key)
        await page.get_by_label("Store").fill("Nanjing Road 12")
        await page.get_by_label("Your name").fill("Wang Lei")
        await page.get_by_label("Currency").select_option("CNY")
        await page.get_by_role("button", name="Sign in").click()
        await picture(page, f"{name}-2-order")
        watch.expect_status(400, 404)
        await page.get_by_role("button", name="See what it takes off").click()
        await picture(page, f"{name}-3-errors")
        await page.get_by_label("Coupon code").fill("0001FW-2ABCDE-FGHJKM")
        await page.get_by_label("Order or receipt").fill("R-20261122-0042")
        await page.get_by_role("button", name="More lines").click()
        await page.get_by_label("Article").nth(0).fill("TEA-GREEN-250")
        await page.get_by_label("Price each").nth(0).fill("19.90")
        await page.get_by_role("button", name="See what it takes off").click()
        await picture(page, f"{name}-4-nothing")
        await page.get_by_label("Article").nth(1).fill("CUP-PORCELAIN-BLUE-LARGE-WITH-A-LONG-NAME")
        await page.get_by_label("Quantity").nth(1).fill("2")
        await page.get_by_label("Price each").nth(1).fill("1 249.50")
        await page.get_by_role("button", name="See what it takes off").click()
        await picture(page, f"{name}-5-quote")
        await page.get_by_role("button", name="Redeem").click()
        await picture(page, f"{name}-6-receipt")
        await page.get_by_text("Give it back").first.click()
        await picture(page, f"{name}-7-back")
        await page.get_by_label("A part of it").check()
        await page.get_by_label("The part in").fill("1.50")
        await page.get_by_label("Reason").fill("one cup was broken")
        await page.get_by_role("button", name="Give it back").click()
        await picture(page, f"{name}-8-partly")
        await page.get_by_role("link", name="Look up").click()
        await page.get_by_label("Redemption").fill("nothing")
        await page.get_by_role("button", name="Look up").click()
        await picture(page, f"{name}-9-look-up")
        assert await overflow(page) == 0
