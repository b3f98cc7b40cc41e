"""Signing in to the console: what a session is worth and when it ends, what strangers can do, what forms do nothing."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest

from gateway.console.throttle import HOUR_S
from gateway.limiter import Limit
from gateway.people import passwords
from gateway.people.passwords import hash_password, is_password
from gateway.people.store import set_disabled, set_password, set_roles
from tests.conftest import ON_VALKEY
from tests.http import Worker
from tests.integration.consoling import PASSWORD, Browser, add_user, signed_in, title

pytestmark = ON_VALKEY

OTHER = "another fine password"


@pytest.fixture
async def books(worker: Worker) -> AsyncIterator[psycopg.AsyncConnection]:
    """The gateway's role beside the worker."""
    url, options = worker.settings.postgres_url, "-c role=fairclaim_gateway"
    async with await psycopg.AsyncConnection.connect(url, autocommit=True, options=options) as connection:
        yield connection


async def test_signing_in_and_out(worker: Worker) -> None:
    """A name and its password open the page that was asked for; after signing out nothing is open."""
    await add_user(worker, "ann", "auditor", display="Ann Lee")
    browser = Browser(worker)

    asked = await browser.get("/console/audit?actor=a%20b")
    assert (asked.status_code, asked.headers["location"]) == (
        303,
        "/console/sign-in?next=/console/audit%3Factor%3Da%2520b",
    )
    form = await browser.get(asked.headers["location"])
    assert (form.status_code, title(form)) == (200, "Sign in")
    back = re.search(r'name="next" value="([^"]*)"', form.text)
    assert back
    led = await browser.post("/console/sign-in", {"name": " Ann ", "password": PASSWORD, "next": back[1]})
    assert (led.status_code, led.headers["location"]) == (303, "/console/audit?actor=a%20b")
    start = await browser.get("/console")
    assert "Ann Lee" in start.text
    assert (await browser.get("/console/sign-in")).headers["location"] == "/console"

    out = await browser.post("/console/sign-out")
    assert out.headers["location"] == "/console/sign-in?ended"
    assert 'fairclaim_console="";' in out.headers["set-cookie"]
    assert "max-age=0" in out.headers["set-cookie"].lower()
    browser.cookie = ""
    assert (await browser.get("/console")).status_code == 303


async def test_a_cookie_is_worth_nothing_after_signing_out(worker: Worker) -> None:
    """Whoever copied it before, and every other browser of the same person, has to sign in; nobody else has."""
    await add_user(worker, "ann", "auditor")
    await add_user(worker, "bob", "auditor")
    browser, beside, bob = [await signed_in(worker, name) for name in ("ann", "ann", "bob")]
    copied = browser.cookie

    await browser.post("/console/sign-out")
    browser.cookie = copied

    assert [(await each.get("/console/audit")).status_code for each in (browser, beside, bob)] == [303, 303, 200]


@pytest.mark.parametrize("address", ["http://[", "https://evil.example/till", "javascript:alert(1)"])
async def test_a_piece_of_a_page_leads_to_signing_in_whatever_it_is_on(worker: Worker, address: str) -> None:
    """What htmx says of the page is a stranger's word: it leads nowhere else, and breaks nothing."""
    answer = await Browser(worker).get("/console/figures", hx_request="true", hx_current_url=address)

    assert (answer.status_code, answer.headers["hx-redirect"]) == (200, "/console/sign-in")


async def test_the_cookie_and_the_headers(worker: Worker) -> None:
    """HttpOnly, Lax, for the console alone, Secure behind HTTPS; nothing inline, nothing framed, nothing kept."""
    await add_user(worker, "ann", "auditor")
    browser = Browser(worker)
    page = await browser.get("/console/sign-in")

    flags = {flag.strip().lower() for flag in page.headers["set-cookie"].split(";")[1:]}
    assert flags == {"httponly", "path=/console", "samesite=lax"}
    secure = await browser.get("/console/sign-in", x_forwarded_proto="https")
    assert "secure" in secure.headers["set-cookie"].lower()
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["x-frame-options"] == "DENY"
    signed = await signed_in(worker, "ann")
    assert "ann" not in signed.cookie
    assert not re.search(r"<style|style=|<script(?![^>]*src=)| on\w+=", (await signed.get("/console")).text)


async def test_the_next_page_is_kept_only_where_it_is_ours(worker: Worker) -> None:
    """The form, and signing in with it, lead to a page of the console and nowhere else."""
    await add_user(worker, "ann", "auditor")
    browser = Browser(worker)

    page = await browser.get("/console/sign-in?" + urlencode({"next": "https://evil.example/"}))
    assert "evil" not in page.text
    led = await browser.post("/console/sign-in", {"name": "ann", "password": PASSWORD, "next": "//evil.example"})
    assert led.headers["location"] == "/console"


async def test_a_wrong_name_is_answered_like_a_wrong_password(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same page and status after the same work: exactly one password is checked for each, whoever it is."""
    await add_user(worker, "ann", "auditor")
    checked: list[str] = []

    def counted(kept: str, password: str) -> bool:
        checked.append(kept)
        return is_password(kept, password)

    monkeypatch.setattr(passwords, "is_password", counted)
    browser = Browser(worker)
    answers = [await browser.sign_in(name, password) for name, password in [("ann", "wrong"), ("bob", PASSWORD)]]

    assert [answer.status_code for answer in answers] == [401, 401]
    pages = [re.sub(r'value="[^"]*"|X-Form[^}]*', "", answer.text) for answer in answers]
    assert pages[0] == pages[1]
    assert "do not go together" in pages[0]
    assert len(checked) == 2
    assert len({kept.rpartition("p=")[0] for kept in checked}) == 1


async def test_a_session_ends_with_its_stamp(worker: Worker, books: psycopg.AsyncConnection) -> None:
    """Another password, other roles, disabling and enabling end every session at the next request."""
    await add_user(worker, "root", "admin")
    await add_user(worker, "ann", "finance")
    hashed = hash_password(PASSWORD)

    async def is_over(browser: Browser) -> bool:
        return (await browser.get("/console")).status_code == 303

    for end in (
        lambda: set_password(books, "ann", hashed, "test", must_change=False),
        lambda: set_roles(books, "ann", ["store"], "test"),
        lambda: set_disabled(books, "ann", True, "test"),
    ):
        one, two = await signed_in(worker, "ann"), await signed_in(worker, "ann")
        copied = one.cookie
        await end()
        assert await is_over(one)
        assert await is_over(two)
        one.cookie = copied
        assert await is_over(one)
    assert (await Browser(worker).sign_in("ann")).status_code == 401


async def test_a_session_ends_by_itself(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    It is over console_idle_s_max after its last use, console_signed_in_s_max after its start; polling is no use,
    neither of a part of a page nor of a page that says that it asks by itself.
    """
    await add_user(worker, "ann", "finance")
    browser = await signed_in(worker, "ann")
    idle_s, most_s = worker.settings.console_idle_s_max, worker.settings.console_signed_in_s_max
    now_s = 0.0

    async def status_after(seconds: float, path: str = "/console", **headers: str) -> int:
        nonlocal now_s
        now_s += seconds
        return (await browser.get(path, **headers)).status_code

    real = time.time
    monkeypatch.setattr("gateway.console.access.time.time", lambda: real() + now_s)
    assert await status_after(idle_s - 60) == 200
    assert await status_after(idle_s - 60) == 200
    assert await status_after(idle_s / 2, "/console/figures") == 200
    assert await status_after(idle_s / 2 - 60, "/console/waiting", x_by_itself="1") == 200
    assert await status_after(120) == 303

    now_s = 0
    browser = await signed_in(worker, "ann")
    used = 0
    while await status_after(idle_s / 2) == 200:
        used += 1
    assert abs(used * idle_s / 2 - most_s) <= idle_s / 2


@pytest.mark.parametrize(
    ("form", "headers"),
    [
        ("", {}),
        ("forged", {}),
        ("another's", {}),
        (None, {"sec_fetch_site": "cross-site"}),
        (None, {"sec_fetch_site": "same-site"}),
        (None, {"origin": "http://evil.example"}),
        (None, {"origin": "null"}),
    ],
    ids=["none", "forged", "another session's", "cross-site", "same-site", "another origin", "no origin"],
)
async def test_a_form_of_somebody_else_does_nothing(worker: Worker, form: str | None, headers: dict[str, str]) -> None:
    """Without the session's own secret, or from a page of another site, it is refused and changes nothing."""
    await add_user(worker, "root", "admin")
    browser = await signed_in(worker, "root")
    other = await signed_in(worker, "root")
    sent = browser.form if form is None else other.form if form == "another's" else form

    for path, fields in [
        ("/console/new-user", {"name": "eve", "role": "admin"}),
        ("/console/account", {"step": "look", "theme": "dark"}),
        ("/console/sign-out", {}),
    ]:
        browser.form = sent
        refused = await browser.post(path, fields, **headers)
        assert (refused.status_code, title(refused)) == (403, "This form could not be taken")
    assert (await browser.get("/console/users/eve")).status_code == 404
    assert "data-theme" not in (await browser.get("/console")).text


async def test_a_script_of_ours_sends_the_secret_as_a_header(worker: Worker) -> None:
    """As htmx does: X-Form stands for the field, and has to be right as well."""
    await add_user(worker, "root", "admin")
    browser = await signed_in(worker, "root")
    form, browser.form = browser.form, ""

    wrong = await browser.post("/console/account", {"step": "look", "theme": "dark"}, x_form="x")
    browser.form = ""
    right = await browser.post(
        "/console/account", {"step": "look", "theme": "dark"}, x_form=form, origin="http://gateway"
    )

    assert (wrong.status_code, right.status_code) == (403, 303)


async def test_a_form_to_sign_in_that_is_too_old(worker: Worker) -> None:
    """It comes anew and says so; where somebody signed in beside it, it leads on. Neither signs anybody in."""
    await add_user(worker, "ann", "finance")
    browser = Browser(worker)
    await browser.get("/console/sign-in")
    browser.cookie, form = "", browser.form

    anew = await browser.post("/console/sign-in", {"name": "ann", "password": PASSWORD})
    assert (anew.status_code, title(anew)) == (403, "Sign in")
    assert "This form could not be taken" in anew.text
    assert (await browser.get("/console")).status_code == 303
    assert (await browser.sign_in("ann")).status_code == 303
    browser.form = form
    beside = await browser.post("/console/sign-in", {"name": "ann", "password": "wrong"})
    assert (beside.status_code, beside.headers["location"]) == (303, "/console")


async def test_wrong_sign_ins_are_limited_by_name_and_address(worker: Worker) -> None:
    """Beyond the limit a name is refused from there, right passwords too; other names, and right ones, are not."""
    await add_user(worker, "ann", "finance")
    await add_user(worker, "bob", "finance")
    most = worker.settings.sign_in_failures_name_address_max
    browser = Browser(worker)

    right = [(await browser.sign_in("ann")).status_code for _ in range(most + 2)]
    browser.cookie = ""
    wrong = [(await browser.sign_in("ann", "wrong")).status_code for _ in range(most)]
    refused = await browser.sign_in("ann")
    other = await browser.sign_in("bob")

    assert right == [303] * (most + 2)
    assert wrong == [401] * most
    assert (refused.status_code, int(refused.headers["retry-after"]) > 0) == (429, True)
    assert "Too many tries" in refused.text
    assert 'value="ann"' in refused.text
    assert other.status_code == 303
    counted = worker.counted("fairclaim_sign_ins_total")
    assert (counted["done"], counted["wrong"], counted["limited"]) == (most + 3, most, 1)


async def test_who_signed_in_and_out_is_in_the_audit_log(
    worker: Worker, books: psycopg.AsyncConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where from, too; a name that is locked once an hour, and one that nobody has never: nobody floods it."""
    monkeypatch.setattr(worker.services.throttle, "_noted", Limit("sign-in-noted", 2, HOUR_S))
    await add_user(worker, "ann", "finance")
    for _ in range(3):
        browser = await signed_in(worker, "ann")
    assert (await browser.post("/console/sign-out")).status_code == 303
    for name in ("ann", "nobody"):
        tries = [(await browser.sign_in(name, "wrong")).status_code for _ in range(12)]
        assert tries[-2:] == [429, 429], "it is locked"

    cursor = await books.execute(
        "SELECT action, actor, subject, detail ->> 'address' FROM audit_log WHERE action <> 'user.created' ORDER BY id"
    )
    assert await cursor.fetchall() == [
        *[("user.signed_in", "user:ann", "user:ann", "127.0.0.1")] * 2,
        ("user.signed_out", "user:ann", "user:ann", None),
        ("user.sign_in_locked", "gateway", "user:ann", "127.0.0.1"),
    ]


async def test_many_names_from_one_address_are_limited(
    redis_url: str, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who tries many names reaches the limit of his address, many at once too; from elsewhere nobody is kept out."""
    monkeypatch.setattr("gateway.console.throttle.LIMITER_MS_MAX", 60_000)  # a machine may be busy with other tests
    settings: dict[str, Any] = {"sign_in_failures_address_max": 6, "trusted_proxies": "127.0.0.1"}
    async with Worker(redis_url, postgres_url, tmp_path, **settings) as worker:
        await add_user(worker, "ann", "finance")
        browser = Browser(worker)
        await browser.get("/console/sign-in")
        tries = await asyncio.gather(
            *(browser.post("/console/sign-in", {"name": f"n{n}", "password": "wrong"}) for n in range(12))
        )
        await browser.get("/console/sign-in")
        here = await browser.post("/console/sign-in", {"name": "ann", "password": PASSWORD})
        elsewhere = await browser.post(
            "/console/sign-in", {"name": "ann", "password": PASSWORD}, x_forwarded_for="198.51.100.7"
        )

    assert sorted(answer.status_code for answer in tries) == [401] * 6 + [429] * 6
    assert (here.status_code, elsewhere.status_code) == (429, 303)


async def test_a_limiter_that_is_away_keeps_nobody_out(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it does not answer in time, people sign in without it."""
    await add_user(worker, "ann", "operator")
    monkeypatch.setattr("gateway.console.throttle.LIMITER_MS_MAX", 0)

    browser = await signed_in(worker, "ann")

    assert (await browser.get("/console")).status_code == 200


async def test_the_books_away(worker: Worker) -> None:
    """Without PostgreSQL the page to sign in says so and keeps the name, and every other page says so as well."""
    await add_user(worker, "ann", "auditor")
    browser = await signed_in(worker, "ann")
    await worker.services.pool.close()

    page = await browser.get("/console/audit")
    fresh = Browser(worker)
    form = await fresh.get("/console/sign-in")
    tried = await fresh.post("/console/sign-in", {"name": "ann", "password": PASSWORD})

    assert (page.status_code, title(page)) == (503, "The books can't be reached")
    assert int(page.headers["retry-after"]) > 0
    assert form.status_code == 200
    assert (tried.status_code, "does not answer" in tried.text, 'value="ann"' in tried.text) == (503, True, True)
    limit = worker.settings.sign_in_failures_name_address_max
    tries = [await fresh.post("/console/sign-in", {"name": "ann", "password": PASSWORD}) for _ in range(limit + 1)]
    assert {each.status_code for each in tries} == {503}, "nobody could look, so nothing was wrong"


async def test_a_first_password_has_to_be_changed(worker: Worker) -> None:
    """Whoever got his password from somebody else sees his account and nothing more until he chose one of his own."""
    await add_user(worker, "ann", "auditor", must_change=True)
    browser = Browser(worker)
    await browser.sign_in("ann")

    for path in ("/console", "/console/audit"):
        assert (await browser.get(path)).headers["location"] == "/console/account"
    account = await browser.get("/console/account")
    assert "Choose a password of your own." in account.text
    assert 'name="theme"' not in account.text
    wrong = {"step": "password", "old": PASSWORD, "new": "short", "again": "shorter"}
    refused = await browser.post("/console/account", wrong)
    assert refused.status_code == 400
    assert "12 to 128 characters" in refused.text
    changed = await browser.post("/console/account", {**wrong, "new": OTHER, "again": OTHER})
    assert (changed.status_code, changed.headers["location"]) == (303, "/console")
    assert (await browser.get("/console/audit")).status_code == 200
    assert (await Browser(worker).sign_in("ann")).status_code == 401
    assert (await Browser(worker).sign_in("ann", OTHER)).status_code == 303


async def test_one_s_own_password(worker: Worker) -> None:
    """It takes the old one, and no other; other sessions end, this one goes on; wrong tries are limited too."""
    await add_user(worker, "ann", "auditor")
    browser, other = await signed_in(worker, "ann"), await signed_in(worker, "ann")
    await browser.get("/console/account")
    fields = {"step": "password", "new": OTHER, "again": OTHER}

    wrong = await browser.post("/console/account", {**fields, "old": "not mine at all"})
    same = await browser.post("/console/account", {**fields, "old": OTHER})
    right = await browser.post("/console/account", {**fields, "old": PASSWORD})
    page = await browser.get(right.headers["location"])
    limited = [
        (
            await browser.post("/console/account", {**fields, "old": "wrong", "new": PASSWORD, "again": PASSWORD})
        ).status_code
        for _ in range(worker.settings.sign_in_failures_name_address_max + 1)
    ]

    assert (wrong.status_code, "This is not your password." in wrong.text) == (400, True)
    assert (same.status_code, "not the old one" in same.text) == (400, True)
    assert (right.status_code, "Your password is changed." in page.text) == (303, True)
    assert (await other.get("/console")).status_code == 303
    assert limited[-1] == 429
