"""Alerts in a browser: seen, acknowledged by keyboard, thresholds, receivers; a phone, the dark, Chinese."""

from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.browser.accessible import violations
from tests.browser.conftest import NewPage
from tests.browser.test_console import sign_in
from tests.browser.watching import DESK, IN_BROWSER, PHONE, Watch, asked_again, overflow, picture, told
from tests.http import Worker
from tests.integration.consoling import add_user
from tests.integration.draining import Books

pytestmark = IN_BROWSER

NASTY = "<img src=x onerror=alert(1)>"
ALERTS = """
INSERT INTO alerts (kind, subject, severity, figure, worst, threshold, unit, about, raised_at, cleared_at,
    acknowledged_by, acknowledged_at, note) VALUES
('low_stock', 'flash', 'warning', 8.4, 8.4, 10, '%', '{"name": "Summer flash", "stock": 42}', now() - interval '9 min',
    NULL, NULL, NULL, NULL),
('breaks', 'flash', 'critical', 2, 2, 1, 'breaks', '{}', now() - interval '2 h', NULL, 'user:fay', now(), '<i>x</i>'),
('drain_lag', '', 'critical', 91.5, 91.5, 5, 's', '{"behind": 4711}', now() - interval '1 min', NULL, NULL, NULL, NULL),
('expiry_wave', 'spring', 'info', 12345, 12345, 1000, 'coupons', '{"name": "<i>Spring</i>"}',
    now() - interval '3 h', NULL, NULL, NULL, NULL),
('code_probing', '', 'critical', 31, 301, 301, 'failures', '{}', now() - interval '1 day', now() - interval '20 h',
    'user:olga', now() - interval '23 h', 'address blocked')
"""


async def look_at(page: Page, name: str) -> None:
    """A picture of it; axe finds nothing, and nothing sticks out."""
    await picture(page, f"console-{name}")
    assert await violations(page) == [], name
    assert await overflow(page) == 0, name


@pytest_asyncio.fixture(loop_scope="session")
async def alerts(site: Worker) -> None:
    """Five alerts, one of them over, and one receiver that fails."""
    for name, roles in (("ann", ["admin"]), ("mia", ["marketer"])):
        await add_user(site, name, *roles)
    await site.publish()
    with Books(site.settings.postgres_url) as books:
        # Another worker watches: the site's own would find that nothing of this is so.
        books.rows("UPDATE alert_watch SET worker = 'another', until = now() + interval '1 hour'")
        books.rows(ALERTS)
        books.rows(
            "INSERT INTO alert_receivers (id, by, name, address, secret, state, reason, failing_since, last_error, "
            "made_by, changed_by) VALUES ('ar_1', 'webhook', %s, 'https://hooks.example.com/T0/s3cret', 'whsec_x', "
            "'failed', 'the receiver answered 410', now() - interval '3 days', 'the receiver answered 410', 'u', 'u')",
            NASTY,
        )
        books.rows(
            "INSERT INTO alert_deliveries (id, receiver, alert, type, payload, state, tries, error, ended_at) "
            "SELECT 'd' || id, 'ar_1', id, 'alert.raised', '{}', 'failed', 3, 'no answer in time', now() FROM alerts"
        )


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        pytest.param("light", {"viewport": DESK}, id="light"),
        pytest.param("phone", {"viewport": PHONE, "color_scheme": "dark", "locale": "zh-CN"}, id="dark-phone-chinese"),
    ],
)
async def test_how_alerts_look(
    site: Worker, alerts: None, new_page: NewPage, watch: Watch, kind: str, options: dict[str, Any]
) -> None:
    """Each page in both looks: what is open, one alert, a threshold that can't be, who is told and can't be."""
    watch.expect_status(400)
    page = await new_page(**options)
    await sign_in(page, "ann", "/console/alerts")
    assert await page.locator("#open tbody tr").count() == 4
    await look_at(page, f"alerts-{kind}")
    await page.goto("/console/alerts/3")
    await look_at(page, f"alert-{kind}")
    await page.goto("/console/alert-thresholds")
    await page.locator("#value-drain_lag").fill("x")
    await page.locator("form:has(#value-drain_lag) button[value=choose]").click()
    await page.locator("#value-drain_lag-error").wait_for()
    await look_at(page, f"alert-thresholds-{kind}")
    await page.goto("/console/alert-receivers")
    await look_at(page, f"alert-receivers-{kind}")
    await page.goto("/console/new-alert-receiver")
    await page.locator("#name").fill("On call")
    await page.locator("#address").fill("https://10.0.0.1/")
    await page.locator("form.card button.primary").click()
    await page.locator("#address-error").wait_for()
    await look_at(page, f"alert-receiver-new-{kind}")


async def test_what_an_admin_does(site: Worker, alerts: None, page: Page) -> None:
    """An alert is acknowledged, thresholds are chosen, a receiver is made, and its secret shown once."""
    await sign_in(page, "ann", "/console/alerts")
    assert "4" in await page.locator("nav a[href='/console/alerts'] .badge").inner_text()
    await page.locator("#open tbody th a").first.click()
    await page.wait_for_url("**/console/alerts/3")
    await page.locator("#note").fill(NASTY)
    await page.locator("button[value=acknowledge]").click()
    await told(page)
    assert await page.locator("button[value=acknowledge]").count() == 0

    await page.goto("/console/alert-thresholds")
    await page.locator("#value-drain_lag").fill("7")
    await page.locator("form:has(#value-drain_lag) button[value=choose]").click()
    await told(page)
    await page.locator("#campaign").fill("flash")
    await page.locator("#value").fill("500")
    await page.locator("form:has(#campaign) button[value=choose]").click()
    await page.locator("a[href='/console/campaigns/flash']").wait_for()
    await page.locator("form:has(#value-drain_lag) button[value=off]").click()
    await page.locator("text=Not watched").wait_for()
    await look_at(page, "alert-thresholds-chosen")

    await page.goto("/console/new-alert-receiver")
    await page.locator("#name").fill("On call")
    await page.locator("#address").fill("https://hooks.example.com/T1/s3cret")
    await page.locator("form.card button.primary").click()
    assert (await page.locator("[data-secret]").inner_text()).startswith("whsec_")
    await look_at(page, "alert-secret")
    await page.goto("/console/alert-receivers")
    await page.locator("article:has-text('On call') button[value=off]").click()
    await told(page)
    assert "s3cret" not in await page.content()


async def test_a_marketer_by_keyboard_alone(site: Worker, alerts: None, page: Page) -> None:
    """He sees what is his, goes to it by Tab, acknowledges it, and what begins meanwhile comes by itself."""
    await sign_in(page, "mia", "/console/alerts")
    assert await page.locator("#open tbody tr").count() == 2
    await page.locator("#to-1").focus()
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/console/alerts/1")
    await page.locator("#note").focus()
    await page.keyboard.type("second pallet is on its way")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await told(page)
    assert "mia, " in await page.locator("main").inner_text()

    await page.goto("/console/alerts")
    with Books(site.settings.postgres_url) as books:
        books.rows(
            "INSERT INTO alerts (kind, subject, severity, figure, worst, threshold, unit) "
            "VALUES ('selling_out', 'flash', 'warning', 65, 65, 120, 's')"
        )
    await page.locator("#open >> text=1:05").wait_for()
    assert await page.locator("a[href='/console/alert-receivers']").count() == 0


async def test_what_becomes_of_alerts_comes_by_itself(site: Worker, alerts: None, page: Page, watch: Watch) -> None:
    """
    What ends goes from open to over, within the filter that is chosen, and the menu counts one less. The page of one
    says who was told and that it is over, with what is being typed left alone; then it asks for nothing any more.
    """
    await sign_in(page, "ann", "/console/alerts")
    with Books(site.settings.postgres_url) as books:
        opened, over = page.locator("#open tbody tr"), page.locator("#found tbody tr")
        await expect(opened).to_have_count(4)
        books.rows("UPDATE alerts SET cleared_at = now() WHERE id = 1")
        await expect(over).to_have_count(2)
        await expect(opened).to_have_count(3)
        await expect(page.locator("#alerts-count .badge")).to_have_text("open: 3")
        await page.locator("#kind").select_option("code_probing")
        await expect(over).to_have_count(1)
        await asked_again(page, "/console/alerts?kind=code_probing*")
        await expect(over).to_have_count(1)

        pending = (
            "UPDATE alert_deliveries SET state = %s, ended_at = NULL, next_at = now() + interval '1 h' WHERE alert = 3"
        )
        books.rows(pending, "pending")
        await page.goto("/console/alerts/3")
        told_of = page.locator("#sent tbody tr")
        await expect(told_of).to_contain_text("On its way")
        books.rows(pending, "sent")
        await expect(told_of).to_contain_text("Arrived")
        await page.locator("#note").fill("second pallet")
        await page.locator("h1").click()
        books.rows("UPDATE alerts SET cleared_at = now() WHERE id = 3")
        await expect(page.locator("#standing")).to_contain_text("Over")
        await expect(page.locator("#happened")).to_contain_text("Over since")
        await expect(page.locator("#note")).to_have_value("second pallet")
        await expect(page.locator("[hx-trigger]")).to_have_count(0)
        await expect(page.locator("#alerts-count .badge")).to_have_text("open: 2")


async def test_what_is_pressed_stays_until_it_is_let_go(alerts: None, page: Page, watch: Watch) -> None:
    """A link is followed though what it is in comes anew between the press and the release."""
    await sign_in(page, "ann", "/console/alerts")
    await page.locator("#found tbody th a").hover()
    await page.mouse.down()
    await asked_again(page, "/console/alerts")
    await page.mouse.up()
    await page.wait_for_url("**/console/alerts/5")
