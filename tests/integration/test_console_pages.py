"""The console's pages: who may open which, by URL and by menu; users, the audit log, the account, what is away."""

import json
import re
from functools import reduce
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from gateway.console.page import Page
from gateway.console.routes import PAGES
from gateway.people.person import ROLES
from gateway.routes.paging import make_cursor
from tests.conftest import ON_VALKEY
from tests.http import Worker
from tests.integration.consoling import Browser, add_one_of_each_role, add_user, filed, signed_in, title, walked

pytestmark = ON_VALKEY

MAY_BE_GONE = ("/books/", "/alerts/{alert}", "/coupons.csv", "/revoke-coupons/{proposal}")
NASTY = "<script>alert(1)</script>"


def path_of(page: Page, code: str = "NONE") -> str:
    """A path of *page* that is there, where *code* is."""
    named = {**NAMED, "{code}": code}
    return reduce(lambda path, name: path.replace(name, named[name]), named, page.path)


NAMED = {
    "/live/{campaign}": "/live",
    "{campaign}": "flash",
    "{alert}": "1",
    "{name}": "store",
    "{rest:path}": "nothing",
    "{report}": "trial-balance",
    "{journal}": "1",
    "{account:path}": "budget:available",
    "{manual}": "mj_0",
    "{break}": "1",
    "{entity}/{kind}/{starts}": "main/month/2026-11-01",
    "{export}": "ex_0123456789abcdef",
}
"""What paths of the room Books name; the books of these tests are empty, so most of it is not there."""


async def test_each_page_by_each_role(worker: Worker) -> None:
    """By URL a page opens, and is posted to, for its roles and admins and nobody else; the menu shows exactly those."""
    await add_one_of_each_role(worker)
    await worker.publish()
    code = (await worker.claim("holder")).json()["code"]
    for role in ROLES:
        browser = await signed_in(worker, role)
        menu = set(re.findall(r'<li><a href="(/console[\w/-]*)"', (await browser.get("/console")).text))
        for page in PAGES:
            if page.is_open or page.path.endswith("{rest:path}"):
                continue
            may = role == "admin" or not page.roles or role in page.roles
            shown = await browser.get(path_of(page, code))
            there = (200, 404) if any(part in page.path for part in MAY_BE_GONE) else (200,)
            assert shown.status_code in (there if may else (403,)), (role, page.path)
            if not may:
                assert title(shown) == "You may not do this"
            if page.menu:
                assert (page.path in menu) is may, (role, page.path)
            if page.act and page.path != "/console/sign-out":
                posted = await browser.post(path_of(page, code), {"step": "nothing"})
                acts = may and (role == "admin" or not page.actors or role in page.actors)
                assert (posted.status_code == 403) is not acts, (role, page.path)


async def test_nobody_opens_nothing(worker: Worker) -> None:
    """Without a session every page leads to the one to sign in, which leads back; a part of one sends all of it."""
    browser = Browser(worker)
    for page in PAGES:
        if not page.is_open:
            answer = await browser.get(path_of(page))
            assert (answer.status_code, answer.headers["location"].startswith("/console/sign-in")) == (303, True)
    posted = await browser.post("/console/new-user", {"name": "eve"})
    assert posted.headers["location"] == "/console/sign-in?again&next=/console/new-user"
    assert "What you sent last was not done." in (await browser.get(posted.headers["location"])).text
    part = await browser.get(
        "/console/figures", hx_request="true", hx_current_url="http://gateway/console/audit?actor=x"
    )
    assert (part.status_code, part.text) == (200, "")
    assert part.headers["hx-redirect"] == "/console/sign-in?next=/console/audit%3Factor%3Dx"
    odd = await browser.get("/console/figures", hx_request="true", hx_current_url="https://evil.example//evil")
    assert odd.headers["hx-redirect"] == "/console/sign-in"


async def test_what_is_not_there(worker: Worker) -> None:
    """A page that is none, a user that is none, a method that is none: in words, and with the menu."""
    await add_user(worker, "root", "admin")
    browser = await signed_in(worker, "root")

    for path in (
        "/console/nope",
        "/console/users/nobody",
        "/console/users/..%2f",
        "/console/users/ro%00ot",
        "/console/nope/nope",
    ):
        answer = await browser.get(path)
        assert (answer.status_code, title(answer)) == (404, "There is nothing here")
        assert "/console/users" in answer.text
    assert (await browser.post("/console/users/nobody", {"step": "disable"})).status_code == 404
    assert (await browser.post("/console/audit")).status_code == 405
    assert (await browser.get("/console/assets/nope.js")).status_code == 404
    assert (await browser.get("/console/")).headers["location"] == "/console"


async def test_an_admin_makes_and_changes_a_user(worker: Worker) -> None:
    """A password is shown once and works; roles, name and access change; each act is in the audit log as his."""
    await add_user(worker, "root", "admin")
    browser = await signed_in(worker, "root")

    made = await browser.post("/console/new-user", {"name": "ann", "display": NASTY, "role": ["finance", "store"]})
    password = re.search(r"data-password>([\w-]+)<", made.text)
    assert password
    assert (made.status_code, NASTY in made.text) == (200, False)
    assert (await Browser(worker).sign_in("ann", password[1])).status_code == 303
    assert password[1] not in (await browser.get("/console/users/ann")).text
    again = await browser.post("/console/new-user", {"name": "ann", "role": "store"})
    assert (again.status_code, "There is a user of this name." in again.text) == (409, True)

    changed = await browser.post("/console/users/ann", {"step": "roles", "display": "Ann", "role": "auditor"})
    assert changed.headers["location"] == "/console/users/ann?done=roles"
    assert "The roles are changed" in (await browser.get(changed.headers["location"])).text
    none = await browser.post("/console/users/ann", {"step": "roles", "display": "Ann"})
    assert (none.status_code, "Choose one role or more." in none.text) == (400, True)
    other = await browser.post("/console/users/ann", {"step": "password"})
    assert password[1] not in other.text
    ended = "Sessions that were open are over."
    assert (ended in made.text, ended in other.text) == (False, True), "a new user had none"
    for step, says in (("disable", "can’t sign in any more"), ("enable", "may sign in again")):
        done = await browser.post("/console/users/ann", {"step": step})
        assert says in (await browser.get(done.headers["location"])).text
    log = await browser.get("/console/audit?subject=user:ann&actor=user:root")
    for action in ("created", "roles_changed", "password_changed", "disabled", "enabled"):
        assert f"user.{action}" in log.text
    assert "<del>finance, store</del>" in log.text or "<del>store, finance</del>" in log.text
    assert "argon2" not in log.text
    assert NASTY not in log.text


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"name": "", "role": "store"}, "1 to 64 of a-z"),
        ({"name": NASTY, "role": "store"}, "1 to 64 of a-z"),
        ({"name": "ann", "role": "root"}, "Choose one role or more."),
        ({"name": "ann", "display": "x" * 101, "role": "store"}, "1 to 100 printable characters"),
    ],
    ids=["no name", "a script", "no such role", "a long name"],
)
async def test_a_user_that_can_t_be(worker: Worker, fields: dict[str, Any], says: str) -> None:
    """The field is named, what was typed stays and runs nowhere, and nobody is made."""
    await add_user(worker, "root", "admin")
    browser = await signed_in(worker, "root")

    refused = await browser.post("/console/new-user", fields)

    assert (refused.status_code, says in refused.text) == (400, True)
    assert NASTY not in refused.text
    assert 'aria-invalid="true"' in refused.text
    assert (await browser.get("/console/users")).text.count('<tr><th scope="row"') == 1


async def test_nobody_locks_everybody_out(worker: Worker) -> None:
    """An admin can't take his own rights away, and with him as the last one nobody else can."""
    await add_user(worker, "root", "admin")
    browser = await signed_in(worker, "root")

    for fields in ({"step": "disable"}, {"step": "disable", "role": "admin"}, {"step": "roles", "role": "store"}):
        refused = await browser.post("/console/users/root", fields)
        assert (refused.status_code, "This is you." in refused.text) == (409, True)
    assert (await browser.get("/console/users")).status_code == 200


async def test_what_was_typed_stays(worker: Worker) -> None:
    """A form that is refused is shown again as it was filled in."""
    await add_user(worker, "root", "admin")
    await add_user(worker, "ann", "store", display="Ann")
    browser = await signed_in(worker, "root")

    again = await browser.post("/console/users/ann", {"step": "roles", "display": "Ann Lee"})

    assert (again.status_code, "Choose one role or more." in again.text) == (400, True)
    assert 'value="Ann Lee"' in again.text


async def test_users_are_filtered_sorted_paged_and_filed(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    By part of a name and by role; each way of sorting has every user once, both ways, page by page; the file has the
    same, without a formula or a hash, and who took it is in the audit log. What nobody is like says so.
    """
    monkeypatch.setattr("gateway.console.pages.users.ROWS_MAX", 2)
    await add_user(worker, "zoe", "store", display="=cmd()")
    await add_one_of_each_role(worker)
    await add_user(worker, "abe", "store", display="Operator")
    root = await signed_in(worker, "admin")
    by_name = sorted([*ROLES, "abe", "zoe"])
    called = {name: name for name in ROLES} | {"abe": "operator", "zoe": "=cmd()"}
    made = ["zoe", *ROLES, "abe"]
    each = r'<a href="/console/users/(\w+)">'

    for sort, names in (
        ("name", by_name),
        ("called", sorted(by_name, key=lambda name: (called[name], name))),
        ("changed", made),
    ):
        for down in (0, 1):
            query, wanted = f"sort={sort}&down={down}", names[::-1] if down else names
            assert await walked(root, f"/console/users?{query}", each) == wanted, query
            assert [row["name"] for row in await filed(root, f"/console/users.csv?{query}")] == wanted
    assert await walked(root, "/console/users?sort=password&down=2", each) == by_name
    assert await walked(root, "/console/users?text=TOR&role=operator", each) == ["operator"]
    nobody = await root.get("/console/users?text=%25%27%00")
    assert (re.findall(each, nobody.text), "No user is like that." in nobody.text) == ([], True)
    for odd in (("\0", "x"), ("x",), (1, "x")):  # forged, each for its list
        cursor = make_cursor(odd, "/console/users")
        answer = await root.get(f"/console/users?cursor={cursor}")
        assert (answer.status_code, title(answer)) == (400, "There is no such page of the list")
    page = (await root.get("/console/users?role=store&sort=called")).text
    assert 'aria-sort="ascending"><a href="/console/users?role=store&amp;sort=called&amp;down=1"' in page

    file = await filed(root, "/console/users.csv?role=store&sort=called")
    assert [(row["name"], row["called"], row["roles"]) for row in file] == [
        ("zoe", "'=cmd()", "store"), ("abe", "Operator", "store"), ("store", "store", "store")
    ]  # fmt: skip
    assert "argon2" not in str(file)
    log = (await root.get("/console/audit?action=users.exported&sort=at&down=1")).text
    assert (log.count(">users.exported<"), ">admin<" in log) == (7, True)


async def test_users_of_very_long_names_are_paged(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """What people are called may be 100 signs of four bytes: the place after one of them still fits into an address."""
    monkeypatch.setattr("gateway.console.pages.users.ROWS_MAX", 1)
    names = [end * 64 for end in "abc"]
    for name in names:
        await add_user(worker, name, "admin", display="\N{CJK UNIFIED IDEOGRAPH-20BB7}" * 100)
    root = await signed_in(worker, names[0])
    assert await walked(root, "/console/users?sort=called", r'<a href="/console/users/(\w+)">') == names


async def test_the_audit_log_is_read_both_ways_and_filed(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Each act once over all pages, by time up and down, with a filter and its bound, too; the file has the same whole,
    before and after as JSON, and is an act itself. A cursor of another list is refused.
    """
    for name, most in (("ROWS_MAX", 3), ("FILE_ROWS", 2), ("LINES_LOOKED_AT", 4)):
        monkeypatch.setattr(f"gateway.console.pages.audit.{name}", most)
    for at in range(7):
        await add_user(worker, f"user{at}", "auditor", display="=cmd()" if at == 0 else "")
    browser, each = await signed_in(worker, "user0"), r'<tr id="act-(\d+)"'
    up = await walked(browser, "/console/audit?sort=at&down=0", each)
    made = await walked(browser, "/console/audit?action=user.created&down=0", r">user:(user\d)<")

    assert [int(number) for number in up] == sorted(map(int, up))
    assert await walked(browser, "/console/audit", each) == up[::-1]
    assert made == [f"user{at}" for at in range(7)]
    assert await walked(browser, "/console/audit?action=user.created", r">user:(user\d)<") == made[::-1]
    assert await walked(browser, "/console/audit?action=user.created&subject=user0", r">user:(user\d)<") == ["user0"]
    file = await filed(browser, "/console/audit.csv?down=0&action=USER.CREATED")
    assert [row["subject"] for row in file] == [f"user:{name}" for name in made]
    assert json.loads(file[0]["detail"])["after"] == {"display": "=cmd()", "roles": ["auditor"], "must_change": False}
    everything = await filed(browser, "/console/audit.csv")
    assert [row["id"] for row in everything][-len(up) :] == up[::-1]
    assert (everything[0]["action"], everything[0]["actor"]) == ("audit.exported", "user:user0")
    for odd in ("x", "-1", "9" * 30, "²"):
        assert (await browser.get(f"/console/audit?cursor={odd}")).status_code == 400
    assert await walked(browser, "/console/audit?actor=nobody", each) == []
    monkeypatch.setattr("gateway.console.pages.audit.LINES_LOOKED_AT", 1000)
    assert "Nothing like that was done." in (await browser.get("/console/audit?actor=nobody")).text


async def test_a_filter_looks_at_so_many_acts(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the log is; what is further back is led to, and there nothing is left out."""
    monkeypatch.setattr("gateway.console.pages.audit.LINES_LOOKED_AT", 3)
    for at in range(5):
        await add_user(worker, f"user{at}", "auditor")
    browser = await signed_in(worker, "user0")

    answer = await browser.get("/console/audit?subject=user1")
    assert "Nothing like that is among the 3 acts that were looked at." in answer.text
    on = re.search(r'href="(/console/audit\?[^"]*)">Look further back', answer.text)
    assert on
    further = await browser.get(on[1].replace("&amp;", "&"))
    assert re.findall(r">user:(user\d)<", further.text) == ["user1"]
    assert "Look further back" not in further.text


async def test_the_look_is_kept_with_the_user(worker: Worker) -> None:
    """Language, colours and zone hold in every browser of his; what is not in the list is refused."""
    await add_user(worker, "ann", "auditor")
    browser, other = await signed_in(worker, "ann"), await signed_in(worker, "ann")

    bad = await browser.post("/console/account", {"step": "look", "language": "xx", "theme": "pink", "zone": "../etc"})
    assert (bad.status_code, bad.text.count("Choose one of the list.") >= 3) == (400, True)
    look = {"step": "look", "language": "zh_Hans", "theme": "dark", "zone": "Asia/Shanghai"}
    assert (await browser.post("/console/account", look)).status_code == 303
    log = await other.get("/console/audit", accept_language="en-GB")
    assert '<html lang="zh-Hans" data-theme="dark">' in log.text
    assert "审计日志" in log.text
    assert "Asia/Shanghai" in log.text


async def test_the_language_before_signing_in(worker: Worker) -> None:
    """The browser's, or the one that was chosen on the page, which goes on after signing in."""
    await add_user(worker, "ann", "auditor")
    browser = Browser(worker)

    assert "登录控制台" in (await browser.get("/console/sign-in", accept_language="zh-CN")).text
    assert "Sign in to the console" in (await browser.get("/console/sign-in?language=en", accept_language="zh-CN")).text
    await browser.post("/console/sign-in", {"name": "ann", "password": "correct horse battery"})
    assert "Welcome, ann" in (await browser.get("/console", accept_language="zh-CN")).text


async def gone(*_: Any) -> None:
    """A server that does not answer."""
    raise RedisConnectionError("away")


async def test_the_figures(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was claimed, the memory, what is booked and what is on its way; with Redis away each says so."""
    monkeypatch.setattr("gateway.console.figures.LOOK_S_MAX", 60)  # a machine may be busy with other tests
    await add_user(worker, "ann", "operator")
    await worker.publish()
    assert (await worker.claim("h1")).status_code == 201
    browser = await signed_in(worker, "ann")

    def figures(answer: Any) -> dict[str, tuple[str, str]]:
        found = re.findall(r'class="figure (\w+)"><dt>([^<]+)</dt><dd class="value">([^<]+)<', answer.text)
        return {name: (state, value) for state, name, value in found}

    seen = figures(await browser.get("/console/figures"))
    assert seen["Gateway"] == ("good", "1")
    assert seen["Redis"][0] == "good"
    assert seen["Redis"][1].endswith(" MiB")
    assert seen["Books"] == ("good", "0")
    page = await browser.get("/console")
    assert re.search(r"[1-9] changes? (is|are) on (its|their) way", page.text)

    monkeypatch.setattr(worker.services.door.redis, "info", gone)
    monkeypatch.setattr("gateway.console.figures.drain_lag", gone)
    away = figures(await browser.get("/console"))
    assert away == {"Gateway": ("good", "1"), "Redis": ("bad", "–"), "Books": ("bad", "–"), "Drain lag": ("bad", "–")}
