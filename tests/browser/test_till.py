"""The till in a browser: an order from its quote to its receipt, and back; once, however often a button is pressed."""

import asyncio
from typing import Any

import pytest
from playwright.async_api import Page, expect

from gateway.errors import PROBLEMS, Refusal
from gateway.till.words import notice_of
from tests.browser.conftest import NewPage
from tests.browser.shop import MERCHANT, STAFF, STORE, Shop, came, enter, lines, redeem
from tests.browser.watching import IN_BROWSER, Watch, picture

pytestmark = IN_BROWSER


async def said(page: Page) -> str:
    """What the page says went wrong."""
    return " ".join((await page.get_by_role("alert").inner_text()).split())


async def test_an_order_from_quote_to_receipt(shop: Shop, page: Page) -> None:
    """Lines are quoted one by one in major units, redeeming shows the receipt, and what was typed is what was asked."""
    code = await shop.coupon()
    await shop.sign_in(page)

    await page.get_by_label("Coupon code").fill(f"{code[:6]}-{code[6:12]}-{code[12:]}".lower())
    await page.get_by_label("Order or receipt number").fill("R-1001")
    await page.get_by_role("button", name="More lines").click()
    await page.get_by_label("Article").nth(0).fill("TEA-250")
    await page.get_by_label("Category").nth(0).fill("tea")
    await page.get_by_label("Price each").nth(0).fill("10")
    await page.get_by_label("Article").nth(2).fill("CUP")
    await page.get_by_label("Quantity").nth(2).fill("3")
    await page.get_by_label("Price each").nth(2).fill("1 010,5")
    await page.get_by_role("button", name="See what it takes off").click()
    await came(page, "It takes off")
    rows, sums = await lines(page, "tbody tr"), await lines(page, ".sum > div")
    await picture(page, "till-quote")
    await page.get_by_role("button", name="Redeem").click()
    await came(page, "Redeemed")
    receipt = " ".join((await page.locator(".receipt").inner_text()).split())
    await picture(page, "till-receipt")

    assert rows == ["TEA-250 10.00 −0.02", "CUP × 3 3 031.50 −4.98"]
    assert sums == ["Before 3 041.50 CNY", "Takes off −5.00 CNY", "To pay 3 036.50 CNY"]
    order = shop.orders[-1]
    assert [(line.sku, line.quantity, line.unit_price_minor, line.category) for line in order.lines] == [
        ("TEA-250", 1, 1000, "tea"),
        ("CUP", 3, 101_050, None),
    ]
    assert (order.id, order.store, order.channel, order.currency) == ("R-1001", STORE, "store", "CNY")
    for shown in (
        STORE,
        STAFF,
        "R-1001",
        f"{code[:6]}-{code[6:12]}-{code[12:]}",
        "campaign-1",
        (await shop.only())["id"],
        "−5.00 CNY",
    ):
        assert shown in receipt
    assert (await shop.only())["merchant"] == MERCHANT
    assert page.url.endswith(f"/till/redemptions/{(await shop.only())['id']}")


async def test_a_double_click_redeems_once(shop: Shop, page: Page) -> None:
    """Two clicks on Redeem are one redemption and end on its receipt."""
    shop.together = 3  # what comes of the first click does not come before the second
    await shop.sign_in(page)
    await enter(page, await shop.coupon())

    await page.get_by_role("button", name="Redeem").dblclick()
    shop.go_on()
    await came(page, "Redeemed")

    assert len(set(shop.acts)) == 1
    assert page.url.endswith((await shop.only())["id"])


async def test_a_form_sent_twice_at_once_redeems_once(shop: Shop, page: Page) -> None:
    """A browser that sends both clicks: the services have the same key from both, and both lead to one receipt."""
    shop.together = 2
    await shop.sign_in(page)
    await enter(page, await shop.coupon())
    fields: dict[str, Any] = await page.locator("main form").evaluate("form => Object.fromEntries(new FormData(form))")

    sent = [page.request.post("/till/redemptions", form=fields, max_redirects=0) for _ in range(2)]
    answers = await asyncio.gather(*sent)

    assert [(answer.status, answer.headers["location"]) for answer in answers] == [
        (303, f"/till/redemptions/{(await shop.only())['id']}")
    ] * 2
    assert len(shop.acts) == 2


async def test_a_lost_answer_is_asked_again_and_redeems_once(shop: Shop, page: Page, watch: Watch) -> None:
    """Where the outcome is unknown, both the button and a reload of the POST repeat the same act; it is done once."""
    watch.expect_status(503)
    await shop.sign_in(page)
    await enter(page, await shop.coupon())

    shop.failing = Refusal("unknown")
    await page.get_by_role("button", name="Redeem").click()
    first = await said(page)
    await picture(page, "till-again")
    shop.failing = Refusal("unknown")
    await page.reload()
    second = await said(page)
    await page.get_by_role("button", name="Redeem again").click()
    await came(page, "Redeemed")

    assert first == second
    assert "it counts only once" in first
    assert len(shop.acts) == 3
    assert len(set(shop.acts)) == 1
    assert page.url.endswith((await shop.only())["id"])


async def test_a_reload_of_the_receipt_redeems_nothing(shop: Shop, page: Page) -> None:
    """The receipt is a page of its own: reloading it asks for nothing but itself."""
    await shop.sign_in(page)
    await redeem(page, await shop.coupon())

    await page.reload()
    await came(page, "Redeemed")

    assert len(shop.acts) == 1


async def test_a_part_and_then_the_rest_is_given_back(shop: Shop, page: Page, watch: Watch) -> None:
    """An amount with a reason, too much refused, then all that is left; the receipt says each and what is to pay."""
    watch.expect_status(400)
    await shop.sign_in(page)
    await redeem(page, await shop.coupon())
    back = page.get_by_role("button", name="Give it back")

    await page.get_by_text("Give it back").first.click()
    await page.get_by_label("A part of it").check()
    await page.get_by_label("The part in").fill("1.25")
    await back.click()
    wrong = await said(page)
    await page.get_by_label("Reason").fill("broken cup")
    await back.click()
    await came(page, "partly given back")
    partly = await lines(page, ".sum > div")
    await picture(page, "till-partly")
    await page.get_by_text("Give it back").first.click()
    await page.get_by_label("A part of it").check()
    await page.get_by_label("The part in").fill("3.76")
    await page.get_by_label("Reason").fill("returned")
    await back.click()
    too_much = await said(page)
    await page.get_by_label("All of it").check()
    await back.click()
    await came(page, "Given back")

    assert "Enter why it is given back." in wrong
    assert partly[2].startswith("Given back broken cup")
    assert partly[2].endswith("1.25 CNY")
    assert partly[3] == "To pay 36.25 CNY"
    assert "up to 3.75 CNY" in too_much
    rollbacks = [(each["amount"]["minor"], each["reason"]) for each in (await shop.only())["rollbacks"]]
    assert rollbacks == [(125, "broken cup"), (375, "returned")]
    await expect(back).to_have_count(0)


async def test_a_lost_answer_to_a_rollback_gives_back_once(shop: Shop, page: Page, watch: Watch) -> None:
    """Where it is unknown whether it was given back, the same button again gives it back once."""
    watch.expect_status(503)
    await shop.sign_in(page)
    await redeem(page, await shop.coupon())
    await page.get_by_text("Give it back").first.click()
    await page.get_by_label("A part of it").check()
    await page.get_by_label("The part in").fill("1.00")
    await page.get_by_label("Reason").fill("returned")

    shop.failing = Refusal("unknown")
    await page.get_by_role("button", name="Give it back").click()
    unknown = await said(page)
    await page.get_by_role("button", name="Give it back").click()
    await came(page, "partly given back")

    assert "it counts only once" in unknown
    assert (await shop.only())["rolled_back"]["minor"] == 100


async def test_an_earlier_redemption_is_found_by_its_id(shop: Shop, page: Page, watch: Watch) -> None:
    """The id of a receipt leads to it; another one says that there is none and what to do."""
    watch.expect_status(404)
    await shop.sign_in(page)
    await redeem(page, await shop.coupon())

    await page.get_by_role("link", name="Look up").click()
    answers = []
    for wanted in ("none-of-ours", "<b>../..", "x" * 64):
        await page.get_by_label("Redemption").fill(wanted)
        await page.get_by_role("button", name="Look up").click()
        answers.append((await said(page), await page.get_by_label("Redemption").input_value()))
    await picture(page, "till-look-up")
    await page.get_by_label("Redemption").fill(f" {(await shop.only())['id'].lower()} ")
    await page.get_by_role("button", name="Look up").click()
    await came(page, "Redeemed")

    assert {text for text, _ in answers} == {
        "There is no such redemption. Compare the number with the receipt and type it again."
    }
    assert [typed for _, typed in answers] == ["none-of-ours", "<b>../..", "x" * 64]


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ("redeemed", "The coupon is redeemed. Ask the customer for another coupon."),
        ("revoked", "The coupon is revoked."),
        ("reserved", "The coupon is held for another order. Finish or cancel that order"),
        ("absent", "No such coupon. Compare the code"),
        ("small", "It takes nothing off. 30.00 CNY is needed of goods in scope, 29.99 CNY is left. Change the order"),
    ],
)
async def test_a_coupon_that_can_t_be_used_says_why(
    shop: Shop, page: Page, watch: Watch, state: str, says: str
) -> None:
    """Each reason is said in words with what to do, and what was typed is still there to be changed."""
    watch.expect_status(404)
    code = "0000000000000000AB" if state == "absent" else await shop.coupon()
    lines = [{"sku": "x", "quantity": 1, "unit_price_minor": 4000}]
    order = {"id": "other", "currency": "CNY", "lines": lines}
    match state:
        case "redeemed":
            await shop.ask("POST", "/v1/redemptions", "store", {"code": code, "order": order})
        case "revoked":
            await shop.ask("POST", f"/v1/coupons/{code}/revoke", "marketer", {"reason": "stolen"})
        case "reserved":
            await shop.ask("POST", "/v1/reservations", "store", {"code": code, "order_id": "other"})
    await shop.sign_in(page)

    await enter(page, code, "29.99" if state == "small" else "40.00")

    assert says in await said(page)
    assert await page.get_by_label("Coupon code").input_value() == code
    assert await page.get_by_label("Order or receipt number").input_value() == "R-1001"
    assert shop.redeemed == set()


async def test_what_happened_since_the_quote_is_said(shop: Shop, page: Page, watch: Watch) -> None:
    """A coupon that was revoked, or used by another order, after its quote is refused in words, not redeemed."""
    watch.expect_status(409)
    await shop.sign_in(page)
    code = await shop.coupon()
    await enter(page, code)

    await shop.ask("POST", f"/v1/coupons/{code}/revoke", "marketer", {"reason": "stolen"})
    await page.get_by_role("button", name="Redeem").click()

    assert "This coupon has been withdrawn." in await said(page)
    assert shop.redeemed == set()


async def test_a_gift_balance_says_what_is_left(shop: Shop, page: Page) -> None:
    """What a gift coupon still holds is on the receipt, and comes back with what is given back."""
    await shop.sign_in(page)
    await redeem(page, await shop.coupon(value={"type": "balance", "minor": 10_000}))
    before = await page.locator(".sum").inner_text()

    await page.get_by_text("Give it back").first.click()
    await page.get_by_label("A part of it").check()
    await page.get_by_label("The part in").fill("15")
    await page.get_by_label("Reason").fill("returned")
    await page.get_by_role("button", name="Give it back").click()
    await came(page, "partly given back")

    assert "60.00 CNY" in " ".join(before.split())
    assert "Left on the coupon 75.00 CNY" in " ".join((await page.locator(".sum").inner_text()).split())


@pytest.mark.parametrize("code", ["rate_limited", "overloaded", "not_ready", "internal", "idempotency_key_reused"])
async def test_each_refusal_of_a_redemption_says_what_to_do(shop: Shop, page: Page, watch: Watch, code: str) -> None:
    """A refusal after the quote has its status, its words and a way on, and never a stack or a code for programs."""
    watch.expect_status(PROBLEMS[code].status)
    await shop.sign_in(page)
    await enter(page, await shop.coupon())

    shop.failing = Refusal(code)
    await page.get_by_role("button", name="Redeem").click()
    text = await said(page)

    what, then = notice_of(Refusal(code))

    assert text == f"{what} {then}"
    assert await page.locator("main button.primary").count() == 1


async def test_what_differs_from_the_quote_is_said(shop: Shop, page: Page) -> None:
    """Where a balance was used elsewhere since the quote, the receipt says what it takes off and what was quoted."""
    code = await shop.coupon(value={"type": "balance", "minor": 4500})
    await shop.sign_in(page)
    await enter(page, code)

    lines = [{"sku": "x", "quantity": 1, "unit_price_minor": 1000}]
    order = {"id": "other", "currency": "CNY", "lines": lines}
    await shop.ask("POST", "/v1/redemptions", "store", {"code": code, "order": order})
    await page.get_by_role("button", name="Redeem").click()
    said_so = " ".join((await page.get_by_role("status").inner_text()).split())

    assert "It takes off 35.00 CNY; the quote said 40.00 CNY." in said_so


@pytest.mark.parametrize(("currency", "typed", "shown"), [("JPY", "4000", "3 500 JPY"), ("KWD", "4.000", "3.500 KWD")])
async def test_money_is_the_currency_s(shop: Shop, page: Page, currency: str, typed: str, shown: str) -> None:
    """Yen have no decimal places and dinars three, typed and shown."""
    await shop.sign_in(page, currency)

    await enter(page, await shop.coupon(currency=currency), typed)

    assert " ".join((await page.locator(".to-pay dd").inner_text()).split()) == shown


HOSTILE = "<script>document.title='x'</script>\"><img src=x onerror=\"document.title='x'\">'{{7*7}}"


async def test_markup_in_any_field_is_text(shop: Shop, new_page: NewPage, watch: Watch) -> None:
    """Markup typed as code, order, article or reason is shown as it was typed on every page, and runs nowhere."""
    watch.expect_status(404)
    page = await new_page()
    await shop.sign_in(page)
    code = await shop.coupon()

    await page.goto("/till/redemptions?id=" + "%3Cscript%3E")
    looked_up = await page.get_by_label("Redemption").input_value()
    await page.goto("/till")
    await page.get_by_label("Article").fill(HOSTILE[:64])
    await page.get_by_label("Price each").fill("40")
    for text in (HOSTILE[:64], code):
        await page.get_by_label("Coupon code").fill(text)
        await page.get_by_label("Order or receipt number").fill(HOSTILE)
        await page.get_by_role("button", name="See what it takes off").click()
        if text != code:
            typed = await page.get_by_label("Coupon code").input_value()
    await came(page, "It takes off")
    quoted = await page.locator("main").inner_text()
    await page.get_by_role("button", name="Redeem").click()
    await page.get_by_text("Give it back").first.click()
    await page.get_by_label("A part of it").check()
    await page.get_by_label("The part in").fill("1")
    await page.get_by_label("Reason").fill(HOSTILE)
    await page.get_by_role("button", name="Give it back").click()
    await came(page, "partly given back")
    receipt = await page.locator("main").inner_text()

    assert looked_up == "<script>"
    assert typed == HOSTILE[:64]
    for text in (HOSTILE[:64], HOSTILE):
        assert text in quoted
        assert text in receipt
    assert receipt.count(HOSTILE) == 2
    assert await page.title() == "Redeemed, partly given back · Fairclaim till"
    assert await page.locator("main script, main img").count() == 0
