"""
A sale from the wizard to the spreadsheet, as somebody does it who has never seen the console: on `fairclaim up`, in one
Chromium, with the crowd of `make loadtest`.

All is done in the browser, but for the crowd, and for the night: a day is closed when it is over, and nobody waits for
midnight in a test. So one line of the build is edited, the one that tells a close what time it is by the clock of
Redis: it is as much later as the key NIGHT says. Before that key is set the close is refused, as it is in real life.
"""

import asyncio
import csv
import gzip
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import psycopg
import pytest
from playwright.async_api import Browser, Locator, Page, expect
from redis.asyncio import Redis

from gateway.codes import show_code
from gateway.stack.processes import await_until
from loadtest.system import System
from tests.browser.watching import DESK, PICTURES, Watch, shot
from tests.patience import PATIENT
from tests.planting import ROOT, Bug, build

NIGHT = "night_ms"
CLOCK = Bug(
    "reconciler/periods/waiting.py",
    "return int(seconds) * 1000 + int(micros) // 1000",
    f"return int(seconds) * 1000 + int(micros) // 1000 + int(await door.redis.get('{NIGHT}') or 0)",
)
DAY_MS = 86_400_000
SALE, NAME = "autumn-flash", "Autumn flash"
STOCK, MORE, OFF_MINOR, USERS = 300, 100, 500, 20
CROWD = (
    "--campaign", SALE, "--restock", "0", "--holders", "2000", "--slow-ms", "20000", "--fail-on", "errors<=1%",
    "--shape", "steady", "--users", str(USERS), "--spawn-rate", str(USERS), "--run-time", "600s",
)  # fmt: skip
"""
A run with everybody there at once, that does not mind how busy the machine is. It is stopped when all is sold and some
of it spent, however long that takes.
"""
SPENT = "SELECT FROM coupon_entries WHERE kind = 'redeemed'"
PASSWORDS = {name: f"four words that {name} chose" for name in ("admin", "mia", "finn")}
WAIT_MS_MAX = 120_000
"""For one condition, on a machine that does other things too."""


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """`fairclaim up` without its demo, two workers, where a night can fall."""
    source = build(tmp_path_factory.mktemp("build") / "source", CLOCK)
    with System(tmp_path_factory.mktemp("system"), source=source, no_demo="true", **PATIENT) as system:
        yield system


class Desk:
    """One person's browser."""

    def __init__(self, page: Page) -> None:
        self.page = page

    async def sign_in(self, name: str, password: str) -> None:
        """By the form."""
        await self.page.goto("/")
        await self.page.get_by_label("Name", exact=True).fill(name)
        await self.page.get_by_label("Password").fill(password)
        await self.press("Sign in")

    async def choose_password(self, old: str, new: str) -> None:
        """On the account's page, where whoever has a new one is led."""
        await self.page.get_by_label("The password you have").fill(old)
        await self.page.get_by_label("The new one", exact=True).fill(new)
        await self.page.get_by_label("The new one again").fill(new)
        await self.press("Change the password")

    async def open(self, *names: str) -> None:
        """A page of the menu, and from there by links."""
        await self._go(self.page.locator("nav").get_by_role("link", name=names[0], exact=True))
        for name in names[1:]:
            await self._go(self.page.get_by_role("main").get_by_role("link", name=name, exact=True))

    async def press(self, name: str) -> None:
        """A button of the page."""
        await self._go(self.page.get_by_role("main").get_by_role("button", name=name, exact=True))

    async def _go(self, there: Locator) -> None:
        """Click, and wait until the page that this leads to hears what is typed and chosen there."""
        await self.page.wait_for_load_state()
        async with self.page.expect_event("load"):
            await there.click()

    async def type(self, **values: str) -> None:
        """Into fields by their labels, _ for a blank."""
        for label, value in values.items():
            await self.page.get_by_role("main").get_by_label(label.replace("_", " "), exact=True).fill(value)

    async def see(self, text: str | re.Pattern[str]) -> None:
        """Some text, by now or in a while."""
        await self.page.get_by_role("main").get_by_text(text).first.wait_for()

    async def picture(self, name: str) -> None:
        """What is seen of the page at this moment, for people; the README has four of them (readme_pictures.py)."""
        PICTURES.mkdir(exist_ok=True)
        await shot(self.page, path=PICTURES / f"sale-{name}.png")

    async def figures(self, table: str) -> list[list[str]]:
        """A table on the page, row by row, its sums too."""
        await self.page.wait_for_load_state()
        rows = await self.page.get_by_role("region", name=table, exact=True).locator("tr").all()
        return [await row.locator("th, td").all_inner_texts() for row in rows]


@asynccontextmanager
async def at_a_desk(browser: Browser, watch: Watch, url: str, whose: str) -> AsyncIterator[Desk]:
    """A browser of one's own in UTC, which is where the books of this sale are; its last page is a picture."""
    look: dict[str, Any] = {"viewport": DESK, "locale": "en-GB", "timezone_id": "UTC"}
    context = await browser.new_context(base_url=url, **look)
    context.set_default_timeout(WAIT_MS_MAX)
    watch.follow(context)
    desk = Desk(await context.new_page())
    try:
        yield desk
    finally:
        await desk.picture(whose)
        await context.close()


@pytest.mark.asyncio(loop_scope="session")
async def test_a_sale_from_the_wizard_to_the_spreadsheet(browser: Browser, system: System, tmp_path: Path) -> None:
    """The marketer sells out a campaign that two people stocked; finance closes its day, and the file is the screen."""
    await walk(browser, system, tmp_path)


async def walk(browser: Browser, system: System, folder: Path) -> None:
    """All of it; what the crowd came to and what is downloaded goes into *folder*. Errors: AssertionError."""
    expect.set_options(timeout=WAIT_MS_MAX)
    url = system.target.gateway_url
    watch = Watch(f"{url}/")
    async with (
        at_a_desk(browser, watch, url, "admin") as admin,
        at_a_desk(browser, watch, url, "mia") as mia,
        at_a_desk(browser, watch, url, "finn") as finn,
    ):
        await hire(system, admin, {"mia": (mia, "Marketer"), "finn": (finn, "Finance")})
        await make_the_campaign(mia)
        await restock_it(mia, admin)
        told = await sell_it_out(system, mia, folder)
        day = await find_a_coupon(mia, finn, told)
        await close_the_day(system, finn, day)
        await download_what_is_shown(finn, told, folder)
        await see_the_verdict(finn)
    watch.check()


async def hire(system: System, admin: Desk, people: dict[str, tuple[Desk, str]]) -> None:
    """The admin signs in by the password that `up` printed and chooses another; so does everybody whom he makes."""
    printed = re.search(r"sign in as admin, password ([\w-]+)", (system.folder / "up.log").read_text())
    assert printed, "up printed no password"
    await admin.sign_in("admin", printed[1])
    await admin.open("Account")
    await admin.choose_password(printed[1], PASSWORDS["admin"])
    await admin.see("changed")
    for name, (desk, role) in people.items():
        await admin.open("Users", "New user")
        await admin.type(Name=name)
        await admin.page.get_by_label(role, exact=True).check()
        await admin.press("Create the user")
        handed_over = await admin.page.locator("[data-password]").inner_text()
        await desk.sign_in(name, handed_over)
        await desk.see("Choose a password of your own.")
        await desk.choose_password(handed_over, PASSWORDS[name])
        await desk.see(f"Welcome, {name}")


async def make_the_campaign(mia: Desk) -> None:
    """Five steps, the sentence above them, a draft, and a start."""
    now = datetime.now(UTC)
    starts, ends = now - timedelta(minutes=1), now + timedelta(hours=1)
    await mia.open("Campaigns", "New campaign")
    await mia.type(Campaign_name=NAME, Id=SALE, Currency="CNY", Amount="5", On_orders_over="30")
    await mia.see("CN¥5 off orders over CN¥30, one per person, …")
    await mia.press("Next")
    await mia.type(Coupons=str(STOCK))
    await mia.press("Next")
    await mia.page.locator("[name=starts_at]").fill(f"{starts:%Y-%m-%dT%H:%M}")
    await mia.page.locator("[name=ends_at]").fill(f"{ends:%Y-%m-%dT%H:%M}")
    await mia.see(re.compile(rf"one per person, .*{starts:%H:%M}.*{ends:%H:%M}"))
    await mia.picture("wizard")
    for step in (4, 5):
        await mia.press("Next")
        await mia.page.locator(f".steps li:nth-child({step}) [aria-current]").wait_for()
    await mia.press("Create the draft")
    await mia.see("The draft is made.")
    await expect(mia.page.locator(".head .badge")).to_have_text("Draft")
    await mia.press("Start the campaign")
    await mia.see("It is started")
    await expect(mia.page.locator(".head .badge")).to_have_text("Active")


async def restock_it(mia: Desk, admin: Desk) -> None:
    """Stock moves money: one proposes it, another who may do the same approves it."""
    await mia.type(Coupons=str(MORE), Reason="the poster says 400")
    await mia.press("Propose")
    await mia.see("Somebody else has to approve it")
    await mia.open("Waiting")
    assert await mia.page.get_by_role("button", name="Approve and do it").count() == 0, "nobody approves his own"
    await admin.open("Waiting")
    await admin.see("the poster says 400")
    await admin.press("Approve and do it")
    await admin.see("It is approved and done.")


async def sell_it_out(system: System, mia: Desk, folder: Path) -> list[dict[str, str]]:
    """Live shows how the crowd of `make loadtest` takes all there is; what the crowd was told, which held."""
    await mia.open("Live", NAME)
    row = {name: mia.page.locator(f"[data-figure={name}] [data-value]") for name in ("stock", "claimed", "left_s")}
    await expect(row["stock"]).to_have_text(f"{STOCK + MORE:,}")
    await mia.page.evaluate("window.stayed = true")
    crowd = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "loadtest", *CROWD, "--ready-file", str(system.ready_file), "--results", str(folder),
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        await expect(row["left_s"]).to_have_text("Sold out")
        await expect(row["stock"]).to_have_text("0")
        await expect(row["claimed"]).to_have_text(f"{STOCK + MORE:,}")
        assert await mia.page.evaluate("window.stayed"), "it was loaded anew"
        await mia.picture("live")
        # More than there are people: some of them have an answer.
        assert await asyncio.to_thread(await_until, lambda: spent(system) > USERS, WAIT_MS_MAX / 1000)
        crowd.send_signal(signal.SIGINT)
        said = (await crowd.communicate())[0].decode()
    finally:
        if crowd.returncode is None:
            crowd.terminate()
            await crowd.wait()
    assert crowd.returncode == 0, said
    assert "The verdict holds" in said
    with gzip.open(folder / "told.csv.gz", "rt", newline="") as file:
        told = list(csv.DictReader(file))
    codes = {each["code"] for each in told if each["kind"] == "claim" and each["outcome"] == "claimed"}
    assert len(codes) <= STOCK + MORE
    await mia.open("Campaigns", NAME)
    await expect(mia.page.locator(".head .badge")).to_have_text("Sold out")
    return told


def spent(system: System) -> int:
    """How often a coupon was redeemed, as the books have it."""
    with psycopg.connect(system.target.postgres_url) as books:
        return books.execute(SPENT).rowcount


async def find_a_coupon(mia: Desk, finn: Desk, told: list[dict[str, str]]) -> str:
    """By its holder, one that was spent: its changes with seq and journal, whose page has the change; on which day."""
    claims = {each["code"]: each for each in told if each["kind"] == "claim" and each["outcome"] == "claimed"}
    redeemed = [each for each in told if each["kind"] == "redeem" and each["outcome"] == "done"]
    spent = next(each for each in redeemed if each["code"] in claims)
    claim = claims[spent["code"]]
    shown = show_code(spent["code"])
    for desk in (mia, finn):
        await desk.open("Coupons")
        await desk.type(Holder=spent["holder"])
        await desk.press("Find")
        await desk.page.get_by_role("link", name=shown).click()
        await desk.page.get_by_role("heading", name=shown).wait_for()
    life = finn.page.locator(".life")
    await expect(life.locator("li.claimed")).to_contain_text(f"seq {int(claim['seq']):,} ·")
    change = life.locator("li.redeemed").first
    await expect(change).to_contain_text("CN¥5.00")
    said = re.search(r"seq ([\d,]+) · .* · (Journal \d+) (\d+ \w+ \d+)", await change.inner_text())
    assert said, await change.inner_text()
    seq, journal, day = said.groups()
    await finn.picture("coupon")
    await change.get_by_role("link", name=journal).click()
    await finn.page.get_by_role("heading", name=journal).wait_for()
    await finn.page.get_by_role("row").filter(has_text=spent["code"]).filter(has_text=seq).first.wait_for()
    return day


async def close_the_day(system: System, finn: Desk, day: str) -> None:
    """While it lasts it can't be closed, and the page says so; when it is over it can, without a reload."""
    await finn.open("Periods")
    await finn.page.get_by_label("Kind").select_option("Days")
    await finn.page.get_by_role("region", name="Periods").get_by_role("link", name=day, exact=True).click()
    await finn.press("Put on hold")
    await finn.see("It is on hold")
    await finn.press("Close it")
    await finn.page.locator("[data-close=refused]").wait_for()
    lasts = finn.page.get_by_role("row").filter(has_text="The period is over.")
    await expect(lasts).to_contain_text("Not yet")
    assert await finn.page.get_by_role("row").filter(has_text="Not yet").count() == 1, "that alone is in the way"
    await a_night(system)
    await finn.press("Close it")
    await finn.see("It is closed.")
    await expect(finn.page.locator(".head .badge")).to_have_text("Closed")
    await finn.see("Report 1")
    await finn.picture("books")


async def a_night(system: System) -> None:
    """From now on it is tomorrow for whoever closes a day."""
    async with Redis.from_url(system.target.redis_url) as redis:
        await redis.set(NIGHT, DAY_MS)


async def download_what_is_shown(finn: Desk, told: list[dict[str, str]], folder: Path) -> None:
    """The trial balance of the day as a spreadsheet: every figure, every account and every sum is that of the page."""
    await finn.page.get_by_role("main").get_by_role("link", name="Trial balance", exact=True).click()
    await finn.page.get_by_role("heading", name="Trial balance").wait_for()
    head, *rows, total = await finn.figures("Trial balance")
    await finn.page.get_by_label("As an export, made in the background:").select_option("Excel")
    await finn.press("Export")
    await finn.see("Done")
    async with finn.page.expect_download() as coming:
        await finn.page.get_by_role("main").get_by_role("link", name="Download", exact=True).click()
    await (await coming.value).save_as(folder / "trial-balance.xlsx")

    sheet = openpyxl.load_workbook(folder / "trial-balance.xlsx").worksheets[0]
    named, *filed = list(sheet.iter_rows(values_only=True))
    filed = filed[: len(rows)]
    assert [str(name).replace("_", " ") for name in named] == [name.lower() for name in head]
    assert [[*row[:2], *map(amount, row[2:])] for row in rows] == [[*row[:2], *map(amount, row[2:])] for row in filed]
    sums = [sum((amount(row[column]) for row in filed), Decimal(0)) for column in range(2, len(head))]
    assert [amount(text) for text in total[2:]] == sums
    assert sheet.cell(len(rows) + 3, 5).value == f"=SUMIFS('Trial balance'!$E$2:$E${len(rows) + 1}," \
        f"'Trial balance'!$A$2:$A${len(rows) + 1},\"CNY\")"  # fmt: skip
    spent = sum({each["ref"]: int(each["minor"]) for each in told if each["kind"] == "redeem" and each["ref"]}.values())
    owed = next(row for row in rows if row[1] == "payable:m-1")
    heard = {each["key"] for each in told if each["ref"]}
    unheard = {each["key"] for each in told if each["kind"] == "redeem" and each["outcome"] == "unanswered"} - heard
    more = amount(owed[5]) * 100 - spent
    assert spent > 0
    assert 0 <= more <= OFF_MINOR * len(unheard), (
        "the merchant is owed what the crowd was told it saved, or did not hear"
    )


async def see_the_verdict(finn: Desk) -> None:
    """Green."""
    await finn.open("Verdict")
    await finn.press("Judge now")
    await expect(finn.page.locator("[data-verdict=holds]")).to_contain_text("Everything holds.")


def amount(shown: Any) -> Decimal:
    """A figure of the screen or of a file."""
    text = re.sub(r"[^\d.-]", "", shown) if isinstance(shown, str) else str(shown)
    return Decimal(text or 0).quantize(Decimal("0.01"))
