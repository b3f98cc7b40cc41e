"""Campaigns in a browser: made in the wizard with and without JavaScript, on a phone, in the dark, in Chinese."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.async_api import Page, expect

from gateway.console.campaigns.fields import STEP_OF
from gateway.console.campaigns.kept import write_kept
from tests.browser.accessible import violations
from tests.browser.conftest import NewPage
from tests.browser.keys import Keys
from tests.browser.test_console import sign_in
from tests.browser.watching import DESK, IN_BROWSER, PHONE, Watch, hold, overflow, picture, told
from tests.http import Worker
from tests.integration.consoling import PASSWORD, add_user
from tests.integration.draining import Books
from tests.integration.proposing import STOCK, Office
from tests.integration.site_http import Http

pytestmark = IN_BROWSER

PAGE, NEW = "/console/campaigns", "/console/new-campaign"
NASTY = "<img src=x onerror=alert(1)>"
BYTES_MAX = 100_000
TYPED = write_kept(
    {
        "name": NASTY, "id": "flash-2", "value.type": "amount_off", "currency": "CNY", "value.minor": "5",
        "stock": "100", "limits.per_holder": "1", "timezone": "UTC", "validity.days": "7", "funders": "platform 90",
        "validity.kind": "days", "legal_entity": "main", "shards": "1", "on_rollback.coupon": "restore",
    }
)  # fmt: skip


async def fill(page: Page, **values: str) -> None:
    """Type into fields, named with _ for the dot."""
    for name, value in values.items():
        await page.locator(f'main [name="{name.replace("__", ".")}"]:visible').fill(value)


async def at_step(page: Page, number: int) -> None:
    """Wait until the wizard is there."""
    await page.locator(f".steps li:nth-child({number}) [aria-current]").wait_for()


def ahead(**more: float) -> str:
    """A time as a date-time field takes it, UTC."""
    return f"{datetime.now(UTC) + timedelta(**more):%Y-%m-%dT%H:%M}"


@pytest.mark.parametrize("scripts", [pytest.param(True, id="scripts"), pytest.param(False, id="none")])
async def test_the_wizard(site: Worker, new_page: NewPage, watch: Watch, *, scripts: bool) -> None:
    """
    Five steps lead to a draft, back and forth without losing anything; the sentence follows the typing where there is
    JavaScript; nonsense is refused beside its field.
    """
    await add_user(site, "ann", "marketer")
    page = await new_page(java_script_enabled=scripts, viewport=DESK if scripts else PHONE)
    await sign_in(page, to=PAGE)
    await page.goto(NEW)
    await fill(page, name=NASTY, id="flash", currency="CNY", value__minor="5", value__threshold_minor="30")
    if scripts:
        await page.get_by_text("CN¥5 off orders over CN¥30, one per person, …").wait_for()
    assert await page.locator('[name="value.cap_minor"]').is_hidden(), "only where it is given again and again"
    assert await page.locator('[name="value.basis_points"]').is_hidden()
    next_step = page.get_by_role("button", name="Next", exact=True)
    await next_step.click()
    await at_step(page, 2)
    await next_step.click()  # without stock
    await page.locator('[id="stock-error"]').wait_for()
    await expect(page.locator('[name="stock"]:visible')).to_be_focused()
    await fill(page, stock="100")
    await next_step.click()
    await fill(page, timezone="UTC", starts_at=ahead(hours=-1), ends_at=ahead(hours=1))
    await page.get_by_role("button", name="Back").click()
    await at_step(page, 2)
    assert await page.locator('[name="stock"]').input_value() == "100"
    await next_step.click()
    await at_step(page, 3)
    assert await page.locator('[name="timezone"]').input_value() == "UTC"
    for step in (4, 5):
        await next_step.click()
        await at_step(page, step)
    await page.reload()
    await page.go_back()
    await page.locator('[name="scope.stores"]').wait_for()
    await page.go_forward()
    await (create_twice(page) if scripts else page.get_by_role("button", name="Create the draft").click())
    await page.get_by_text("The draft is made.").wait_for()
    await page.get_by_role("button", name="Start").click()
    await page.get_by_text("It is started").wait_for()
    await expect(page.locator(".head .badge")).to_have_text("Active")
    assert await overflow(page) == 0


async def test_what_was_typed_while_the_page_came_is_heard(site: Worker, page: Page, watch: Watch) -> None:
    """On a slow line fields are there before what listens to them: the sentence is of what is in them all the same."""
    typed = asyncio.Event()
    await add_user(site, "ann", "marketer")
    await sign_in(page, to=PAGE)
    await hold(page, "**/htmx*", typed)
    await page.goto(NEW, wait_until="commit")
    await fill(page, name="Flash", currency="CNY", value__minor="5", value__threshold_minor="30")
    typed.set()
    await page.get_by_text("CN¥5 off orders over CN¥30, one per person, …").wait_for()


async def create_twice(page: Page) -> None:
    """A double click, whose first half has its answer, and so another page, after the second."""
    both = asyncio.Event()
    await hold(page, f"**{NEW}", both)
    await page.get_by_role("button", name="Create the draft").dblclick()
    both.set()


async def tab_to(page: Page, name: str) -> None:
    """Press Tab until the field *name*, or the button of this value, has the focus."""
    for _ in range(60):
        here: Any = await page.evaluate("[document.activeElement.name, document.activeElement.value]")
        if name in here:
            return
        await page.keyboard.press("Tab")
    raise AssertionError(f"no Tab leads to {name}")


async def test_by_keyboard_alone_and_signed_out_meanwhile(site: Worker, new_page: NewPage, watch: Watch) -> None:
    """
    From the list to a campaign that is started without a mouse; a session that ends in between costs a sign-in and no
    field. A date is typed digit by digit: its year has four.
    """
    await add_user(site, "ann", "marketer")
    page = await new_page(timezone_id="UTC")
    await sign_in(page, to=PAGE)
    await page.goto(NEW)
    steps: list[dict[str, str]] = [
        {"name": "Flash", "id": "flash", "currency": "CNY", "value.minor": "5", "value.threshold_minor": "30"},
        {"stock": "100"},
        {"starts_at": "02022026100000A", "ends_at": "02022030100500A"},
        {"scope.stores": "s-1, s-2"},
    ]
    for number, fields in enumerate(steps):
        for name, text in fields.items():
            await tab_to(page, name)
            await page.keyboard.type(text)
        if number == 1:
            await page.context.clear_cookies()
        await page.keyboard.press("Enter")
        if number == 1:
            await page.locator("#password").wait_for()
            await page.locator("#name").press_sequentially("ann")
            await page.keyboard.press("Tab")
            await page.keyboard.type(PASSWORD)
            await page.keyboard.press("Enter")
            await page.locator('[name="stock"]').wait_for()
            assert await page.locator('[name="stock"]').input_value() == "100"
            await tab_to(page, "stock")
            await page.keyboard.press("Enter")
        await at_step(page, number + 2)
    await tab_to(page, "create")
    await page.keyboard.press("Enter")
    await page.get_by_text("The draft is made.").wait_for()
    await tab_to(page, "publish")
    await page.keyboard.press("Enter")
    await page.get_by_text("It is started").wait_for()


async def sold(site: Worker) -> None:
    """A campaign of which some is sold, with a curve, channels, holders and versions; and one that waits."""
    await add_user(site, "ann", "admin")
    await site.publish("flash", name=NASTY, scope={"stores": [NASTY], "skus": [NASTY]})
    await site.publish(
        "autumn-sale", name="Autumn sale", value={"type": "percent", "basis_points": 1250, "cap_minor": 900}
    )
    for holder in ("amy", "ben", "cy"):
        assert (await site.claim(holder)).status_code == 201
    with Books(site.settings.postgres_url) as books:
        books.rows(
            "INSERT INTO coupon_entries (shard, seq, kind, at, epoch, version, entry_id, holder, code, channel,"
            " effective_date) SELECT 'flash/0', n, 'claimed', now(), 1, 2, '1-1',"
            f" CASE WHEN n = 60 THEN '{NASTY}' ELSE 'holder-' || n / 2 END, '00010F2DZH54ZG5X' || n, 'app', now()"
            " FROM generate_series(1, 60) n"
        )
        books.rows("UPDATE checkpoints SET seq = 60 WHERE shard = 'flash/0'")
        books.rows(
            "INSERT INTO movement_days SELECT 'flash/0', current_date, 'claim', 'stock', 'outstanding', 'app', '',"
            " 'CNY', 'flash', 'main', 60, 60, 30000, 30000, 0, 0"
        )
        books.rows(
            "WITH made AS (INSERT INTO journals (shard, verb, first_seq, last_seq, occurred_at, effective_date,"
            " previous_hash, hash) SELECT 'flash/0', CASE WHEN n = 0 THEN 'restock' ELSE 'claim' END, n + 1, n + 1,"
            " now() - (60 - n) * interval '1 s', now(), int4send(n), int4send(n) FROM generate_series(0, 60) n"
            " RETURNING id, verb) INSERT INTO postings (journal, line, source, destination, commodity, amount)"
            " SELECT id, 1, CASE verb WHEN 'claim' THEN 'stock' ELSE 'supply' END,"
            " CASE verb WHEN 'claim' THEN 'outstanding' ELSE 'stock' END, 'coupon:flash',"
            " CASE verb WHEN 'claim' THEN 1 ELSE 100 END FROM made"
        )


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        pytest.param("light", {"viewport": DESK}, id="light"),
        pytest.param(
            "dark-phone-chinese",
            {"viewport": PHONE, "color_scheme": "dark", "locale": "zh-CN"},
            id="dark-phone-chinese",
        ),
    ],
)
async def test_each_step_is_accessible_and_fits(
    site: Worker, new_page: NewPage, watch: Watch, kind: str, options: dict[str, Any]
) -> None:
    """Axe finds nothing, nothing sticks out, what people wrote runs nowhere; each page is small."""
    await sold(site)
    page = await new_page(**options)
    await sign_in(page, to=PAGE)
    paths = {
        "none": f"{PAGE}?text=nothing",
        "versions": f"{PAGE}/flash/versions?of=1&to=2",
        "new": NEW,
        **{f"new-{step}": f"{NEW}?step={step}&checked=pays&typed={TYPED}" for step in STEP_OF.values()},
        "new-wrong": f"{NEW}?step=worth&checked=pays&typed={write_kept({'value.type': 'percent', 'name': NASTY})}",
        "new-gift": f"{NEW}?step=worth&typed={write_kept({'value.type': 'gift_item'})}",
    }
    for name, path in paths.items():
        answer = await page.goto(path, wait_until="commit")
        await page.wait_for_load_state()
        assert answer
        await picture(page, f"console-campaigns-{name}-{kind}")
        assert await violations(page) == [], path
        assert await overflow(page) == 0, path
        assert len(await answer.body()) < BYTES_MAX, path


async def test_a_campaign_by_keys_alone(site: Worker, page: Page, watch: Watch) -> None:
    """Found by its name, paused, resumed, restocked: what is typed wrong is led to; then it waits for another."""
    watch.expect_status(400)
    await add_user(site, "mia", "marketer")
    for name in ("flash", "autumn"):
        await site.publish(name, name=f"The {name} sale", stock=10)
    keys = Keys(page)
    await keys.arrive("mia", PAGE)
    await keys.to("text")
    await keys.type("autumn")
    await page.locator("#found tbody tr").filter(has_text="flash").wait_for(state="detached")
    await keys.go("The autumn sale")
    await keys.led_to(f"{PAGE}/autumn")
    for step, says in (("pause", "Paused"), ("resume", "Active")):
        await keys.go(step)
        await told(page)
        assert await page.locator(".head .badge").inner_text() == says
    await keys.to("way")
    await keys.press("Tab")
    await keys.type("many")
    await keys.press("Enter")
    await page.get_by_role("alert").wait_for()
    await keys.is_at("problems")
    await keys.press("Tab", "Enter")
    await keys.is_at("count")
    await keys.press("Control+A")
    await keys.type("5")
    await keys.to("reason")
    await keys.type("a second pallet")
    await keys.press("Enter")
    await page.get_by_text("Waits for a second person").wait_for()
    await keys.to("See what waits")


LARGE = "CN¥1,234,567,890.00"
CUT_OFF = """text => [...document.querySelectorAll('.figure')].filter(each => {
  each.querySelector('.value').textContent = text
  return each.scrollWidth > each.clientWidth || each.getBoundingClientRect().right > innerWidth
}).length"""


@pytest.mark.parametrize("viewport", [pytest.param(DESK, id="desk"), pytest.param(PHONE, id="phone")])
async def test_no_figure_is_cut_off(site: Worker, new_page: NewPage, viewport: Any) -> None:
    """Whatever was given away, all of it is read: a sum that ends where its card does would be taken for another."""
    await add_user(site, "ann", "admin")
    await site.publish()
    page = await new_page(viewport=viewport)
    await sign_in(page, to=PAGE)
    await page.goto(f"{PAGE}/flash")
    assert await page.locator(".figures").evaluate("each => each.scrollWidth - each.clientWidth") == 0
    assert await page.evaluate(CUT_OFF, LARGE) == 0
    assert await page.locator(".figures").evaluate("each => each.scrollWidth - each.clientWidth") == 0
    assert await overflow(page) == 0


async def test_how_it_stands_comes_by_itself(site: Worker, page: Page, watch: Watch) -> None:
    """
    What is claimed, what is proposed and decided, and what others do with it shows on the campaign's page; what is
    typed, what was opened and what is marked stays as it is.
    """
    await add_user(site, "mia", "marketer")
    await site.publish("flash", stock=10)
    with Books(site.settings.postgres_url) as books:
        office = Office(Http(site), books)
        for name in ("dee", "eli"):
            await office.hire(name, "marketer")
        await sign_in(page, "mia", PAGE)
        await page.goto(f"{PAGE}/flash")
        waits = page.locator("#waits section")
        await page.locator("#count").fill("5")
        await page.locator("#doing summary").click()
        assert (await site.claim("h1")).status_code == 201
        await expect(page.locator("#figures .figure").nth(1)).to_contain_text("1")
        made = await office.make({**STOCK, "reason": NASTY}, "dee")
        await expect(waits).to_contain_text(NASTY)
        await expect(page.locator("#waiting-count .badge")).to_have_text("for you: 1")
        await office.act("approve", made, "eli")
        await expect(waits).to_have_count(0)
        await expect(page.locator("#figures .figure").first).to_contain_text("15")
        await expect(page.locator("#done li").first).to_contain_text("dee, approved by")
        await site.state("paused")
        await page.evaluate("getSelection().selectAllChildren(document.querySelector('#about'))")
        await expect(page.locator("#standing")).to_have_text("Paused")
        assert "Version" in await page.evaluate("getSelection().toString()")
        await page.evaluate("getSelection().removeAllRanges()")
        await expect(page.locator("button[value=pause]")).to_be_visible()
        await page.locator("#doing summary").click()
        await expect(page.locator("button[value=resume]")).to_be_visible()
        await expect(page.locator("#count")).to_have_value("5")
