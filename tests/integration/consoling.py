"""What the tests of the console share: people who may sign in, and a browser that is none."""

import asyncio
import csv
import re
from html import unescape
from time import monotonic
from typing import Any

import httpx2
import psycopg

from gateway.console import throttle
from gateway.console.books import reports
from gateway.console.sessions import COOKIE
from gateway.people.passwords import hash_password
from gateway.people.person import ROLES
from gateway.people.store import create_user
from tests.http import Worker

# What a report does when it takes long, and what signing in does without a limiter, have tests of their own; a busy
# machine is not what the others are about.
reports.PATIENCE_S = 60.0
throttle.LIMITER_MS_MAX = 60_000
POLL_S_MAX = 120.0

PASSWORD = "correct horse battery"
_HASH = hash_password(PASSWORD)
FORM = re.compile(r'name="form" value="([\w-]+)"')


async def add_user(worker: Worker, name: str, *roles: str, must_change: bool = False, display: str = "") -> None:
    """A user who may sign in with PASSWORD."""
    await add_user_at(worker.settings.postgres_url, name, *roles, must_change=must_change, display=display)


async def add_user_at(url: str, name: str, *roles: str, must_change: bool = False, display: str = "") -> None:
    """The same, in the database of *url*."""
    options = "-c role=fairclaim_gateway"
    async with await psycopg.AsyncConnection.connect(url, autocommit=True, options=options) as connection:
        await create_user(connection, name, display, roles, _HASH, "test", must_change=must_change)


async def add_one_of_each_role(worker: Worker) -> None:
    """Users named as their one role."""
    for role in ROLES:
        await add_user(worker, role, role)


class Browser:
    """Keeps the cookie of one session, and sends forms with the secret of the page it last saw."""

    def __init__(self, worker: Worker) -> None:
        self.worker, self.cookie, self.form = worker, "", ""

    async def get(self, path: str, **headers: str) -> httpx2.Response:
        """A page."""
        return await self._ask("GET", path, None, headers)

    async def post(self, path: str, fields: dict[str, Any] | None = None, **headers: str) -> httpx2.Response:
        """A form of the last page, with *fields*."""
        return await self._ask("POST", path, {"form": self.form, **(fields or {})}, headers)

    async def sign_in(self, name: str, password: str = PASSWORD, **fields: str) -> httpx2.Response:
        """From the page to sign in, on, in a browser where nobody is."""
        self.cookie = ""
        await self.get("/console/sign-in")
        return await self.post("/console/sign-in", {"name": name, "password": password, **fields})

    async def _ask(
        self, method: str, path: str, data: dict[str, Any] | None, headers: dict[str, str]
    ) -> httpx2.Response:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.cookie:
            sent.setdefault("cookie", f"{COOKIE}={self.cookie}")
        self.worker.http.cookies.clear()
        answer = await self.worker.http.request(method, path, data=data, headers=sent)
        kept = re.search(rf'{COOKIE}="?([^;"]*)"?;', answer.headers.get("set-cookie", ""))
        if kept:
            self.cookie = kept[1]
        found = FORM.search(answer.text)
        if found:
            self.form = found[1]
        return answer


def title(answer: httpx2.Response) -> str:
    """What the page is called."""
    found = re.search(r"<title>(.*?) · Fairclaim</title>", answer.text, re.DOTALL)
    assert found, answer.text
    return unescape(found[1])


async def signed_in(worker: Worker, name: str) -> Browser:
    """A browser in which *name* is signed in."""
    browser = Browser(worker)
    answer = await browser.sign_in(name)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console"), answer.text
    await browser.get("/console")
    return browser


async def poll(browser: Browser, path: str, until: str) -> str:
    """The page when it says *until*, which it asks after by itself until then."""
    give_up = monotonic() + POLL_S_MAX
    while monotonic() < give_up:
        answer = await browser.get(path)
        if until in answer.text:
            return answer.text
        assert 'hx-trigger="every' in answer.text, answer.text
        await asyncio.sleep(0.02)
    raise AssertionError(f"{path} never said {until}")


MORE = re.compile(r'class="button" href="([^"]+)">(?:More|Older|Look further back|Look further on)<')


async def walked(browser: Browser, address: str, pattern: str) -> list[str]:
    """What *pattern* finds on a page of a table and on all that follow it, in their order."""
    found: list[str] = []
    for _ in range(100):
        answer = await browser.get(address)
        assert answer.status_code == 200, answer.text
        found += map(unescape, re.findall(pattern, answer.text))
        more = MORE.search(answer.text)
        if more is None:
            return found
        address = unescape(more[1])
    raise AssertionError(f"{address} goes on for ever")


async def filed(browser: Browser, address: str) -> list[dict[str, str]]:
    """The rows of a CSV file by the names of its columns."""
    answer = await browser.get(address)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8"), answer.text
    assert answer.headers["content-disposition"].startswith('attachment; filename="')
    return list(csv.DictReader(answer.text.splitlines()))
