"""Campaigns in a browser: made in the wizard with and without JavaScript, on a phone, in the dark, in Chinese."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.async_api import Page

from tests.browser.accessible import violations
from tests.browser.conftest import NewPage
from tests.browser.watching import DESK, IN_BROWSER, PHONE, Watch, overflow, picture
from tests.http import Worker
from tests.integration.consoling import PASSWORD, add_user
from tests.integration.draining import Books

pytestmark = IN_BROWSER

PAGE, NEW = "/console/campaigns", "/console/new-campaign"
NASTY = "<img src=x onerror=alert(1)>"
BYTES_MAX = 100_000


async def sign_in(page: Page, name: str = "ann") -> None:
    """By hand, and on to the campaigns."""
    await page.goto(f"/console/sign-in?next={PAGE}")
    await page.locator("#name").fill(name)
    await page.locator("#password").fill(PASSWORD)
    await page.locator("#password").press("Enter")
    await page.wait_for_url(f"**{PAGE}")


async def fill(page: Page, **values: str) -> None:
    """Type into fields, named with _ for the dot."""
    for name, value in values.items():
        await page.locator(f'main [name="{name.replace("__", ".")}"]:visible').fill(value)


def ahead(**more: float) -> str:
    """A time as a date-time field takes it, UTC."""
    return f"{datetime.now(UTC) + timedelta(**more):%Y-%m-%dT%H:%M}"


@pytest.mark.parametrize("scripts", [pytest.param(True, id="scripts"), pytest.param(False, id="none")])
async def test_the_wizard(site: Worker, new_page: NewPage, watch: Watch, *, scripts: bool) -> None:
    """
    Five steps lead to a draft, back and forth without losing anything; the sentence follows the typing where there is
    JavaScript; nonsense is refused beside its field.
    """
    watch.expect_status(400)
    await add_user(site, "ann", "marketer")
    page = await new_page(java_script_enabled=scripts, viewport=DESK if scripts else PHONE)
    await sign_in(page)
    await page.goto(NEW)
    await fill(page, name=NASTY, id="flash", currency="CNY", value__minor="5", value__threshold_minor="30")
    if scripts:
        await page.get_by_text("CN¥5 off orders over CN¥30, one per person, …").wait_for()
    await picture(page, f"console-campaign-wizard-{'scripts' if scripts else 'plain'}")
    assert await page.locator('[name="value.basis_points"]').is_hidden()
    next_step = page.get_by_role("button", name="Next", exact=True)
    await next_step.click()
    await next_step.click()  # without stock
    await page.locator('[id="stock-error"]').wait_for()
    assert await violations(page) == [] if scripts else True
    await picture(page, f"console-campaign-wrong-{'scripts' if scripts else 'plain'}")
    await fill(page, stock="100")
    await next_step.click()
    await fill(page, timezone="UTC", starts_at=ahead(hours=-1), ends_at=ahead(hours=1))
    await page.get_by_role("button", name="Back").click()
    assert await page.locator('[name="stock"]').input_value() == "100"
    await next_step.click()
    assert await page.locator('[name="timezone"]').input_value() == "UTC"
    await next_step.click()
    await next_step.click()
    await page.get_by_role("button", name="Create the draft").click()
    await page.get_by_text("The draft is made.").wait_for()
    await page.get_by_role("button", name="Start").click()
    await page.get_by_text("It is started").wait_for()
    assert await page.locator(".head .badge").inner_text() == "Active"
    assert await overflow(page) == 0


async def sold(site: Worker) -> None:
    """A campaign of which some is sold, with a curve, channels, holders and versions; and one that waits."""
    await add_user(site, "ann", "admin")
    await site.publish("flash", name=NASTY)
    await site.publish(
        "autumn-sale", name="Autumn sale", value={"type": "percent", "basis_points": 1250, "cap_minor": 900}
    )
    for holder in ("amy", "ben", "cy"):
        assert (await site.claim(holder)).status_code == 201
    with Books(site.settings.postgres_url) as books:
        books.rows(
            "INSERT INTO coupon_entries (shard, seq, kind, at, epoch, version, entry_id, holder, effective_date)"
            " SELECT 'flash/0', n, 'claimed', now(), 1, 2, '1-1', 'holder-' || n / 2, now()"
            " FROM generate_series(1, 60) n"
        )
        books.rows(
            "WITH made AS (INSERT INTO journals (shard, verb, first_seq, last_seq, occurred_at, effective_date,"
            " previous_hash, hash) SELECT 'flash/0', CASE WHEN n = 0 THEN 'adjust' ELSE 'claim' END, n + 1, n + 1,"
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
async def test_each_page_is_accessible_and_fits(
    site: Worker, new_page: NewPage, watch: Watch, kind: str, options: dict[str, Any]
) -> None:
    """Axe finds nothing, nothing sticks out, what people wrote runs nowhere; each page is small."""
    watch.expect_status(409)
    await sold(site)
    page = await new_page(**options)
    await sign_in(page)
    paths = {
        "list": PAGE,
        "none": f"{PAGE}?text=nothing",
        "detail": f"{PAGE}/flash",
        "holders": f"{PAGE}/flash/holders",
        "versions": f"{PAGE}/flash/versions?of=1&to=2",
        "change": f"{PAGE}/flash/change",
    }
    for name, path in paths.items():
        answer = await page.goto(path, wait_until="commit")
        await page.wait_for_load_state()
        assert answer
        await picture(page, f"console-campaigns-{name}-{kind}")
        assert await violations(page) == [], path
        assert await overflow(page) == 0, path
        assert len(await answer.body()) < BYTES_MAX, path
