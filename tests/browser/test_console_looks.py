"""
Every page of the console, opened once in each look, on one worker with real data that is full of attacks: by axe, by
keys alone, at a phone's width, in the dark and in Chinese; no script of anybody's runs; and no form from elsewhere does
anything.
"""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from gateway.console.page import Page as PageOf
from gateway.console.routes import PAGES
from gateway.lane import Lane
from gateway.stack.postgres import Postgres
from gateway.stack.valkey import Valkey
from tests.browser.accessible import violations
from tests.browser.conftest import SELDOM_S
from tests.browser.keys import refresh, walk
from tests.browser.nasty_shop import ATTACK, WRITTEN, NastyShop, attack
from tests.browser.test_console import sign_in
from tests.browser.watching import DESK, IN_BROWSER, PHONE, WAIT_MS_MAX, Watch, overflow, picture
from tests.conftest import fresh_database
from tests.http import Worker
from tests.integration.consoling import Browser as Forms
from tests.integration.consoling import signed_in
from tests.integration.draining import Books

pytestmark = IN_BROWSER

PARTS = {
    "/console/figures",
    "/console/live-stream",
    "/console/alerts-open",
    "/console/campaign-sentence",
    "/console/sign-in",
}
"""Parts of pages, and the page that leads on who is signed in."""
FILES = (".csv", "/file")
MORE = (
    "/console/live?wall=1",
    f"/console/users?text={ATTACK}",
    f"/console/audit?actor={ATTACK}&action={ATTACK}&subject={ATTACK}",
    f"/console/campaigns?text={ATTACK}",
    f"/console/coupons?holder={attack('holder')}",
    f"/console/coupons?order={attack('order')}",
    f"/console/books/reports/redemptions?campaign={ATTACK}",
    "/console/books/reports/roll-forward?by=campaign",
    "/console/books/reports/redemptions",
    f"/console/books/journals?campaign={ATTACK}",
    "/console/books/journals?verb=redeem",
)
"""Pages as they are where something is asked of them, by whom it may be an attack."""
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"viewport": DESK},
    "dark-phone-chinese": {
        "viewport": PHONE,
        "color_scheme": "dark",
        "locale": "zh-CN",
        "timezone_id": "Asia/Shanghai",
    },
}
STATUSES = {200, 400, 404}
"""No campaign has an attack for its id; and some things are not there, such as the report of what was not closed."""
HACKED = "() => [typeof hacked, document.querySelectorAll('img[src=x], main script:not([src])').length].join()"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(
    redis_server: Valkey, postgres_server: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[NastyShop]:
    """The one worker of this module, and all that was written into it."""
    folder: Path = tmp_path_factory.mktemp("looks")
    with fresh_database(postgres_server) as database:
        worker = Worker(redis_server.url, database, folder, http=Lane, alerts_look_s=SELDOM_S)
        async with worker:
            await worker.services.door.redis.flushall()
            shop = NastyShop(worker)
            await shop.open()
            yield shop


def address_of(page: PageOf, names: dict[str, str]) -> str:
    """A path of *page* where something is. Errors: KeyError: say in nasty_shop.py what it names."""
    return re.sub(r"\{[^}]+\}", lambda found: names[found[0]], page.path)


def is_looked_at(page: PageOf) -> bool:
    """Whether it is a page of its own."""
    return page.path not in PARTS and not page.path.endswith(FILES)


def addresses(names: dict[str, str]) -> list[str]:
    """Every page there is, and some as they are asked."""
    return [*(address_of(page, names) for page in PAGES if is_looked_at(page)), *MORE]


def picture_name(address: str, look: str) -> str:
    """What its picture is called."""
    plain = re.sub(r"[^a-z0-9]+", "-", address.partition("/console")[2].replace(ATTACK, "attack").lower()).strip("-")
    return f"looks-{plain[:80] or 'start'}-{look}"


@pytest.mark.parametrize("look", LOOKS)
async def test_each_page_in_each_look(browser: Browser, shop: NastyShop, look: str) -> None:
    """
    Axe finds nothing, nothing sticks out of the page, no script runs but ours and no error is in the console; what
    people wrote is there as they wrote it. In Chinese nothing is left in English but names.

    Tab leads to all that can be used, in its order, each is seen there, and nothing holds the focus; what comes while
    something has it leaves it there.
    """
    ours = f"http://127.0.0.1:{shop.site.port}/"
    watch = Watch(ours)
    watch.expect_status(400, 404)
    options = {"base_url": ours, "locale": "en-GB", **LOOKS[look]}
    context = await browser.new_context(**options)
    context.set_default_timeout(WAIT_MS_MAX)
    watch.follow(context)
    page = await context.new_page()
    keys = await context.new_cdp_session(page)
    dialogs = list[str]()
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    await sign_in(page)
    wrong, texts = list[str](), list[str]()
    for address in addresses(shop.names):
        answer = await page.goto(address)
        status = answer.status if answer else 0
        if status not in STATUSES:
            wrong.append(f"{address}: {status}")
        wrong += [f"{address}: {each}" for each in await violations(page)]
        if await overflow(page) or await page.evaluate(HACKED) != "undefined,0":
            wrong.append(f"{address}: it sticks out, or it was hacked")
        texts += await page.evaluate(TEXTS)
        await picture(page, picture_name(address, look))
        wrong += [f"{address}: {each}" for each in await walk(page, keys)]
        if look == "light":
            wrong += [f"{address}: {each}" for each in await refresh(page)]
    await context.close()

    wrong += [f"it is shown nowhere: {each}" for each in WRITTEN if not any(attack(each) in text for text in texts)]
    wrong += [f"in English: {each}" for each in english(texts) if options["locale"] == "zh-CN"]
    assert "\n".join([*wrong, *dialogs, *watch.wrong]) == ""


NAMES = ("test admin",)
"""What things are called."""
TEXTS = """() => {
  const found = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (walk.nextNode()) {
    const at = walk.currentNode, name = at.parentElement.closest('script, style, noscript, .code, time')
    if (at.data.trim() && !name) found.push(at.data.trim())
  }
  const typed = document.querySelectorAll('input:not([type=hidden]), textarea')
  for (const each of typed) if (each.value) found.push(each.value)
  return found
}"""


def english(texts: list[str]) -> list[str]:
    """Texts with English in them, each once; attacks, and what is said in every language, are none."""
    found = {text for text in texts if ATTACK not in text and re.search(r"[A-Za-z]{3,} [a-z]{2,}", text)}
    return sorted(text for text in found if not any(name in text for name in NAMES))


async def test_no_form_from_elsewhere_does_anything(shop: NastyShop) -> None:
    """Each act, without the secret of the session, with that of another, or from another site: 403, and nothing."""
    admin, other = await signed_in(shop.site, "ann"), await signed_in(shop.site, "bob")
    with Books(shop.site.settings.postgres_url) as books:
        before = everything(books)
        for page in PAGES:
            if page.act is None or page.is_open:
                continue
            path = address_of(page, shop.names)
            for sent, head in (
                ({"form": ""}, {}),
                ({"form": other.form}, {}),
                ({}, {"origin": "https://evil.example"}),
                ({}, {"sec_fetch_site": "cross-site"}),
            ):
                answer = await act(admin, path, sent, head)
                assert answer == 403, (path, sent, head)
        assert everything(books) == before


async def act(browser: Forms, path: str, sent: dict[str, str], head: dict[str, str]) -> int:
    """The status of a form that would do something."""
    fields = {"step": "disable", "reason": "x", "report": "trial-balance", "format": "csv", "campaign": "flash"}
    form = browser.form
    answer = await browser.post(path, {**fields, **sent}, **head)
    browser.form = form
    return int(answer.status_code)


def everything(books: Books) -> list[Any]:
    """How much of what people do is in the books."""
    tables = ("audit_log", "proposals", "exports", "stocktakes", "campaigns", "users", "user_sessions")
    there = {name for (name,) in books.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
    return [(table, books.value(f"SELECT count(*) FROM {table}")) for table in tables if table in there]
