"""Alerts over HTTP, in the console and on the command line: who sees, who acts, what is refused, page by page."""

import asyncio
import re
from pathlib import Path
from typing import Any

import psycopg
import pytest

from gateway.alerts.kinds import KINDS, acted_on_by, seen_by
from gateway.keys import ROLES as KEY_ROLES
from gateway.keys import ApiKey
from gateway.lane import Lane
from gateway.people.person import ROLES, Person
from tests.conftest import ON_VALKEY
from tests.http import Worker
from tests.integration.commands import Cli
from tests.integration.consoling import add_one_of_each_role, filed, signed_in, title, walked

pytestmark = ON_VALKEY

EACH = "INSERT INTO alerts (kind, subject, severity, figure, worst, threshold, unit, cleared_at) VALUES "


def add_alerts(worker: Worker, *, over: bool = False, kinds: tuple[str, ...] = tuple(KINDS)) -> dict[str, int]:
    """One alert of each of *kinds*; their ids."""
    with psycopg.connect(worker.settings.postgres_url, autocommit=True) as connection:
        connection.execute("UPDATE alert_watch SET worker = 'another', until = now() + interval '1 hour'")
        found = {}
        for name in kinds:
            kind = KINDS[name]
            values = (name, "flash" if kind.of_campaigns else "", kind.severity, 1, 1, kind.threshold, kind.unit)
            row = connection.execute(
                f"{EACH} (%s, %s, %s, %s, %s, %s, %s, {'now()' if over else 'NULL'}) RETURNING id".encode(), values
            ).fetchone()
            assert row is not None
            found[name] = row[0]
    return found


async def ask(worker: Worker, role: str, method: str, path: str, body: Any = None) -> Any:
    """What a key of *role* is answered."""
    return await worker.http.request(method, f"/v1/{path}", json=body, headers=await worker.key(role))


async def test_each_key_sees_and_acknowledges_what_is_its_own(worker: Worker) -> None:
    """By role: the kinds in the list, one by its id, who may acknowledge; once, and not what is over."""
    ids = add_alerts(worker)
    for role in KEY_ROLES:
        who = ApiKey("id", "name", role)
        listed = await ask(worker, role, "GET", "alerts")
        if role == "store":
            assert listed.status_code == 403
            continue
        assert {each["kind"] for each in listed.json()["items"]} == set(seen_by(who)), role
        for kind, number in ids.items():
            one = await ask(worker, role, "GET", f"alerts/{number}")
            assert one.status_code == (200 if kind in seen_by(who) else 404), (role, kind)
            if kind in seen_by(who) and kind not in acted_on_by(who):
                assert (await ask(worker, role, "POST", f"alerts/{number}/acknowledge")).status_code == 403
    done = await ask(worker, "finance", "POST", f"alerts/{ids['breaks']}/acknowledge", {"note": "  on it "})
    assert (done.status_code, done.json()["note"], done.json()["cleared_at"]) == (200, "on it", None)
    again = await ask(worker, "admin", "POST", f"alerts/{ids['breaks']}/acknowledge")
    assert (again.status_code, again.json()["code"]) == (409, "invalid_state")
    over = add_alerts(worker, over=True, kinds=("low_stock",))["low_stock"]
    assert (await ask(worker, "marketer", "POST", f"alerts/{over}/acknowledge")).status_code == 409
    long = await ask(worker, "finance", "POST", f"alerts/{ids['drain_lag']}/acknowledge", {"note": "x" * 501})
    assert (long.status_code, long.json()["field"]) == (400, "note")
    for odd in ("0", "x", "9" * 30, "99999"):
        assert (await ask(worker, "admin", "GET", f"alerts/{odd}")).json()["code"] == "alert_not_found"


async def test_the_list_is_filtered_and_paged(worker: Worker) -> None:
    """The newest first, each once over all pages; by state, kind and campaign; what is no filter is named."""
    add_alerts(worker, over=True)
    add_alerts(worker)
    seen, path = list[int](), "alerts?limit=5"
    while path:
        page = (await ask(worker, "auditor", "GET", path)).json()
        seen += [each["id"] for each in page["items"]]
        path = f"alerts?limit=5&cursor={page['next']}" if page["next"] else ""
    assert seen == sorted(seen, reverse=True)
    assert len(seen) == 2 * len(KINDS)
    flash = (await ask(worker, "admin", "GET", "alerts?state=open&campaign=flash&kind=low_stock")).json()["items"]
    assert [(each["kind"], each["campaign"], each["cleared_at"]) for each in flash] == [("low_stock", "flash", None)]
    for query, field in (("kind=x", "kind"), ("state=x", "state"), ("cursor=x", "cursor")):
        refused = await ask(worker, "admin", "GET", f"alerts?{query}")
        assert (refused.status_code, refused.json()["field"]) == (400, field)


async def test_who_chooses_thresholds(worker: Worker) -> None:
    """A marketer of a campaign, an admin of everything; what it was and is stands in the audit log."""
    await worker.publish()
    own = {"kind": "low_stock", "campaign": "flash", "value": 7}
    assert (await ask(worker, "finance", "POST", "alert-thresholds", own)).status_code == 403
    assert (await ask(worker, "marketer", "POST", "alert-thresholds", {**own, "campaign": None})).status_code == 403
    chosen = await ask(worker, "marketer", "POST", "alert-thresholds", own)
    assert (chosen.status_code, chosen.json()["value"], chosen.json()["unit"]) == (200, 7, "coupons")
    await ask(worker, "marketer", "POST", "alert-thresholds", {**own, "value": None, "is_off": True})
    assert (await ask(worker, "admin", "POST", "alert-thresholds", {"kind": "drain_lag", "value": 9})).json()[
        "value"
    ] == 9
    nowhere = await ask(worker, "marketer", "POST", "alert-thresholds", {**own, "campaign": "nowhere"})
    assert (nowhere.status_code, nowhere.json()["code"]) == (404, "campaign_not_found")
    wrong = await ask(worker, "admin", "POST", "alert-thresholds", {"kind": "drain_lag", "value": 0})
    assert (wrong.status_code, wrong.json()["field"]) == (400, "value")
    found = (await ask(worker, "auditor", "GET", "alert-thresholds")).json()["items"]
    by_key = {(each["kind"], each["campaign"]): each["value"] for each in found}
    assert (by_key["drain_lag", None], by_key["low_stock", "flash"], by_key["low_stock", None]) == (9, None, 10)
    with psycopg.connect(worker.settings.postgres_url) as connection:
        told = connection.execute(
            "SELECT subject, detail FROM audit_log WHERE action = 'alert.threshold_changed' ORDER BY id"
        ).fetchall()
    assert [subject for subject, _ in told] == ["campaign:flash", "campaign:flash", "alerts:drain_lag"]
    assert told[1][1]["before"] == {"value": 7, "is_off": False}
    assert told[1][1]["after"] == {"value": None, "is_off": True}


async def test_thresholds_that_count_are_whole_and_go_again(worker: Worker) -> None:
    """There is no half of a coupon, in the form and over /v1; a campaign that goes by all again is not listed."""
    await worker.publish()
    await add_one_of_each_role(worker)
    browser, page = await signed_in(worker, "marketer"), "/console/alert-thresholds"
    own = {"kind": "low_stock", "campaign": "flash", "of_one": "1", "step": "choose"}
    half = await browser.post(page, {**own, "value": "1.5"})
    assert (half.status_code, "A whole number from 0 to 100,000,000." in half.text) == (400, True)
    assert '<li>Threshold: <a href="#value">' in half.text
    asked = {"kind": "low_stock", "campaign": "flash", "value": 1.5}
    refused = await ask(worker, "marketer", "POST", "alert-thresholds", asked)
    assert (refused.status_code, refused.json()["field"]) == (400, "value")
    odd = await ask(worker, "admin", "POST", "alert-thresholds", {"kind": "breaks", "value": 2.5})
    assert (odd.status_code, odd.json()["field"]) == (400, "value")
    share = await ask(worker, "admin", "POST", "alert-thresholds", {"kind": "low_stock", "value": 12.5})
    assert share.status_code == 200, "a share may be"

    assert (await browser.post(page, {**own, "value": "7"})).status_code == 303
    assert 'data-label="Campaign"><a href="/console/campaigns/flash"' in (await browser.get(page)).text
    assert (await browser.post(page, {**own, "step": "default"})).status_code == 303
    assert "No campaign has a threshold of its own." in (await browser.get(page)).text
    found = (await ask(worker, "auditor", "GET", "alert-thresholds")).json()["items"]
    assert [each["campaign"] for each in found if each["campaign"]] == []


async def test_receivers_are_the_admins(worker: Worker) -> None:
    """Nobody else lists, makes or tries them; what can't be one is named; a state that it is in already is refused."""
    body = {"by": "webhook", "name": "x", "address": "https://hooks.example.com/a"}
    for role in KEY_ROLES:
        if role != "admin":
            assert (await ask(worker, role, "GET", "alert-receivers")).status_code == 403
            assert (await ask(worker, role, "POST", "alert-receivers", body)).status_code == 403
    for change, field in (
        ({"address": "http://hooks.example.com/"}, "address"),
        ({"address": "https://localhost.\u212aom"}, "address"),
        ({"name": "\n"}, "name"),
        ({"by": "email", "address": "a@example.com"}, "by"),
        ({"by": "email", "address": "a@example.com, b@example.com"}, "address"),
    ):
        refused = await ask(worker, "admin", "POST", "alert-receivers", body | change)
        assert (refused.status_code, refused.json()["field"]) == (400, field), change
    made = (await ask(worker, "admin", "POST", "alert-receivers", body)).json()
    path = f"alert-receivers/{made['id']}"
    assert (await ask(worker, "admin", "POST", f"{path}/state", {"to": "on"})).status_code == 409
    assert (await ask(worker, "admin", "POST", f"{path}/state", {"to": "removed"})).json()["state"] == "removed"
    for step in ("state", "secret", "test"):
        gone = await ask(worker, "admin", "POST", f"{path}/{step}", {"to": "on"} if step == "state" else None)
        assert (gone.status_code, gone.json()["code"]) == (404, "receiver_not_found")
    odd = await ask(worker, "admin", "POST", "alert-receivers/ar_%00/test")
    assert (odd.status_code, odd.json()["code"]) == (404, "receiver_not_found")
    assert (await ask(worker, "admin", "GET", "alert-receivers")).json()["items"] == []


async def test_each_person_at_the_page(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page, its number in the menu, and the file have what is of his roles; the history is sorted and paged."""
    monkeypatch.setattr("gateway.console.alerts.pages.ROWS_MAX", 4)
    monkeypatch.setattr("gateway.console.alerts.pages._FILE_ROWS", 5)
    monkeypatch.setattr("gateway.alerts.alerts.COUNT_FRESH_S", 0)
    await add_one_of_each_role(worker)
    ids, over = add_alerts(worker), add_alerts(worker, over=True)
    for role in ROLES:
        who, browser = Person(role, (role,), role), await signed_in(worker, role)
        page = await browser.get("/console/alerts")
        if role == "store":
            assert page.status_code == 403
            continue
        shown = {int(number) for number in re.findall(r'id="alert-(\d+)"', page.text)}
        assert shown == {ids[kind] for kind in seen_by(who)}, role
        counted = re.search(r'href="/console/alerts"[^\n]*?</span>(\d+)</span>', page.text)
        assert counted
        assert int(counted[1]) == len(seen_by(who))
        file = await browser.get("/console/alerts.csv?kind=breaks")
        assert file.text.count("\r\n") == 1 + (2 if "breaks" in seen_by(who) else 0)

    browser = await signed_in(worker, "auditor")
    link = r'data-label="Alert"><a href="/console/alerts/(\d+)"'
    of = {str(number): KINDS[kind].of_campaigns for kind, number in over.items()}
    began = sorted(of, key=int)
    for sort, wanted in (("began", began), ("over", began), ("campaign", sorted(began, key=lambda each: of[each]))):
        for down in (0, 1):
            query = f"sort={sort}&down={down}"
            past = await walked(browser, f"/console/alerts?{query}", link)
            assert past == (wanted[::-1] if down else wanted), query
            taken = [row["id"] for row in await filed(browser, f"/console/alerts.csv?{query}")]
            assert [number for number in taken if number in of] == past, query
            assert len(set(taken)) == len(ids) + len(over)
    assert await walked(browser, "/console/alerts?sort=worst", link) == began[::-1]
    assert "No alert is like that." in (await browser.get("/console/alerts?campaign=nowhere")).text
    late = {"by": "webhook", "name": "late", "address": "https://hooks.example.com/"}
    assert (await ask(worker, "admin", "POST", "alert-receivers", late)).status_code == 201
    one = await browser.get(f"/console/alerts/{ids['breaks']}")
    assert "Nobody: when it began, no receiver was told of this kind." in one.text, "one that is told of all came later"
    assert (one.status_code, "Acknowledge it" in one.text) == (200, False)
    operator = await signed_in(worker, "operator")
    hidden = await operator.get(f"/console/alerts/{ids['expiry_wave']}")
    assert (hidden.status_code, title(hidden)) == (404, "There is nothing here")


async def test_thresholds_and_receivers_are_sorted_and_filed(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Thresholds of campaigns by campaign, kind and who, page by page, and all that somebody sees in the file; receivers
    by name and age, in the file with no more of an address than the page has, and that is in the audit log.
    """
    monkeypatch.setattr("gateway.console.alerts.thresholds.ROWS_MAX", 2)
    await add_one_of_each_role(worker)
    chosen = []
    for n, campaign in enumerate(("c", "a", "b")):
        await worker.publish(campaign)
        for kind in ("low_stock", "budget_low")[: 1 + n % 2]:
            body = {"kind": kind, "campaign": campaign, "value": 7}
            assert (await ask(worker, "marketer", "POST", "alert-thresholds", body)).status_code == 200
            chosen.append((campaign, kind))
    browser, finance = await signed_in(worker, "admin"), await signed_in(worker, "finance")
    page, own = "/console/alert-thresholds", r'data-label="Campaign"><a href="/console/campaigns/(\w)"'
    for sort, at in (("campaign", (0, 1)), ("kind", (1, 0)), ("by", (0, 1))):
        wanted = [each[0] for each in sorted(chosen, key=lambda each: [each[part] for part in at])]
        for down in (0, 1):
            query = f"sort={sort}&down={down}"
            assert await walked(browser, f"{page}?{query}", own) == (wanted[::-1] if down else wanted), query
            file = await filed(browser, f"{page}.csv?{query}")
            assert [row["campaign"] for row in file if row["campaign"]] == (wanted[::-1] if down else wanted)
    assert len(file) == len(chosen) + len(KINDS)
    his = seen_by(Person("finance", ("finance",), "finance"))
    assert {row["kind"] for row in await filed(finance, f"{page}.csv")} == set(his)

    for name in ("=b", "a"):
        body = {"by": "webhook", "name": name, "address": f"https://hooks.example.com/{name[-1]}"}
        assert (await ask(worker, "admin", "POST", "alert-receivers", body)).status_code == 201
    page, named = "/console/alert-receivers", r'<h2 class="wrap" id="name-\w+">(\S+) <span'
    for sort, names in (("made", ["=b", "a"]), ("name", ["=b", "a"]), ("x", ["=b", "a"])):
        assert await walked(browser, f"{page}?sort={sort}&down=0", named) == names
        assert await walked(browser, f"{page}?sort={sort}&down=1", named) == names[::-1]
    assert (await browser.get(page)).text.count("<dt>Last alert arrived</dt><dd>never</dd>") == 2, "a trial is no alert"
    file = await filed(browser, f"{page}.csv?sort=name&down=1")
    assert [(row["name"], row["address"]) for row in file] == [
        ("a", "https://hooks.example.com/…"), ("'=b", "https://hooks.example.com/…")
    ]  # fmt: skip
    log = await (await signed_in(worker, "auditor")).get("/console/audit?action=receivers.exported")
    assert (">admin<" in log.text, "user:admin" in log.text) == (True, False), "people are called by their names"


async def test_the_command_line(
    redis_url: str, postgres_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """List, acknowledge once (4), thresholds, receivers, a trial that does not arrive (1); 2, 3 and 5 as told."""
    async with Worker(redis_url, postgres_url, tmp_path, http=Lane) as worker:
        cli, url, ids = Cli(capsys), f"http://127.0.0.1:{worker.port}", add_alerts(worker)
        keys = {role: (await worker.key(role))["Authorization"].split()[1] for role in ("admin", "marketer")}
        body = {"by": "webhook", "name": "x", "address": "https://localhost/a"}
        made = (await ask(worker, "admin", "POST", "alert-receivers", body)).json()["id"]

        async def ran(who: str, *arguments: str, code: int = 0) -> Any:
            flags = ("--gateway-url", url, "--api-key", keys[who])
            return await asyncio.to_thread(cli.json, "alerts", *arguments, *flags, code=code)

        number = str(ids["low_stock"])
        assert len((await ran("admin", "list"))["items"]) == len(KINDS)
        assert [each["kind"] for each in (await ran("marketer", "list", "--kind", "low_stock"))["items"]] == [
            "low_stock"
        ]
        assert (await ran("marketer", "ack", number, "--note", "seen"))["note"] == "seen"
        assert (await ran("marketer", "ack", number, code=4))["code"] == "invalid_state"
        assert (await ran("marketer", "ack", str(ids["drain_lag"]), code=3))["code"] == "alert_not_found"
        assert (await ran("marketer", "thresholds"))["items"][0]["kind"] == "low_stock"
        assert (await ran("marketer", "receivers", code=5))["code"] == "forbidden"
        assert [each["address"] for each in (await ran("admin", "receivers"))["items"]] == ["https://localhost/…"]
        assert "not public" in (await ran("admin", "test", made, code=1))["error"]
        assert (await ran("admin", "test", "../x", code=2))["code"] == "bad_id"
        assert (await ran("admin", "test", "ar_0", code=3))["code"] == "receiver_not_found"
