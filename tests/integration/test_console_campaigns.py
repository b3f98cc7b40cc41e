"""The pages of campaigns: the wizard, life, stock, changes alone and by two, the list; what is refused, and to whom."""

import json
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from zoneinfo import ZoneInfo

import httpx2
import pytest

from gateway.console.campaigns.listing import SORTS
from tests.conftest import ON_VALKEY
from tests.http import Worker
from tests.integration.consoling import (
    Browser,
    add_one_of_each_role,
    add_user,
    filed,
    signed_in,
    title,
    walked,
)

pytestmark = ON_VALKEY

PAGE, NEW = "/console/campaigns", "/console/new-campaign"
SHANGHAI = ZoneInfo("Asia/Shanghai")
VERSION = r'data-label="Version"><span>(\d+)<'
HIDDEN = re.compile(r'<input type="hidden" name="([\w.]+)" value="([^"]*)">')
WORTH = {"value.type": "amount_off", "currency": "cny", "value.minor": "5", "value.threshold_minor": "30"}


def local(**ahead: float) -> str:
    """So far from now, as a clock in Shanghai shows it."""
    return (datetime.now(UTC) + timedelta(**ahead)).astimezone(SHANGHAI).strftime("%Y-%m-%dT%H:%M:%S")


def filled(**changes: str) -> dict[str, str]:
    """What is typed in all steps of a campaign that is open now; *changes* override, with _ for the dot."""
    return {
        "name": "Flash <b>", "id": "flash", **WORTH, "stock": "10", "limits.per_holder": "1",
        "conditions.quantity_min": "1", "timezone": "Asia/Shanghai", "starts_at": local(hours=-1),
        "ends_at": local(hours=1), "validity.kind": "days", "validity.days": "7", "funders": "platform 60\nbrand 40",
        "legal_entity": "main", "shards": "1", "stacking.priority": "0", **changes,
    }  # fmt: skip


def kept(answer: httpx2.Response) -> dict[str, str]:
    """The fields of other steps that a page of the wizard carries along."""
    return {name: unescape(value) for name, value in HIDDEN.findall(answer.text) if name != "form"}


async def marketer(worker: Worker, name: str = "ann") -> Browser:
    """Somebody who may act."""
    await add_user(worker, name, "marketer")
    return await signed_in(worker, name)


async def step(browser: Browser, fields: dict[str, str]) -> httpx2.Response:
    """The page that a form of the wizard leads to: an address that has it all."""
    answer = await browser.post(NEW, fields)
    assert answer.status_code == 303, answer.text
    return await browser.get(answer.headers["location"])


async def made(browser: Browser, **changes: str) -> httpx2.Response:
    """The answer to the last step."""
    return await browser.post(NEW, {"at": "pays", "to": "create", **filled(**changes)})


async def test_the_wizard_goes_back_and_forth_and_makes_a_draft(worker: Worker) -> None:
    """Each step carries what the others have; the sentence is said; the draft is what was typed, to the minor unit."""
    ann = await marketer(worker)
    all_fields = filled()
    first = kept(await ann.get(NEW))
    worth = first | {name: all_fields[name] for name in ("name", "id", *WORTH)}

    who = await step(ann, {"at": "worth", "to": "next", **worth})
    carried = kept(who)
    people = {"stock": "10", "limits.per_holder": "1", "conditions.quantity_min": "1"}
    when = await step(ann, {**carried, **people, "at": "who", "to": "next"})
    back = await step(ann, {**kept(when), "at": "when", "to": "worth", "starts_at": "nonsense"})
    again = await step(ann, {**kept(back), **worth, "at": "worth", "to": "when"})

    assert [each.status_code for each in (who, when, back, again)] == [200] * 4
    assert 'name="stock"' in who.text
    assert carried["value.minor"] == "5"
    assert "CN¥5 off orders over CN¥30, one per person, …" in unescape(who.text)
    assert 'value="nonsense"' in again.text
    assert 'value="Flash &lt;b&gt;"' in back.text
    created = await made(ann)
    assert (created.status_code, created.headers["location"]) == (303, f"{PAGE}/flash?done=created")
    seen = (await worker.http.get("/v1/campaigns/flash", headers=await worker.key("marketer"))).json()
    assert (seen["state"], seen["currency"], seen["stock"]) == ("draft", "CNY", 10)
    assert seen["value"] == {"type": "amount_off", "minor": 500, "threshold_minor": 3000}
    assert seen["funders"] == [
        {"account": "platform", "basis_points": 6000}, {"account": "brand", "basis_points": 4000}
    ]  # fmt: skip
    page = await ann.get(f"{PAGE}/flash")
    assert "Flash &lt;b&gt;" in page.text
    assert "<b>" not in page.text


async def test_who_sees_and_who_acts(worker: Worker) -> None:
    """Marketers and admins act; finance, auditors and operators see and are refused by URL; a store sees nothing."""
    await worker.publish()
    await add_one_of_each_role(worker)
    paths = [PAGE, f"{PAGE}.csv", f"{PAGE}/flash", f"{PAGE}/flash/holders", f"{PAGE}/flash/versions"]
    for role in ("admin", "marketer", "finance", "auditor", "operator", "store"):
        browser = await signed_in(worker, role)
        acts, sees = role in ("admin", "marketer"), role != "store"
        for path in paths:
            assert (await browser.get(path)).status_code == (200 if sees else 403), (role, path)
        for path in (NEW, f"{PAGE}/flash/change"):
            assert (await browser.get(path)).status_code == (200 if acts else 403), (role, path)
        await browser.get("/console")
        for step in ("stock", "end") if not acts else ("stock",):
            answer = await browser.post(f"{PAGE}/flash", {"step": step})
            assert answer.status_code == (400 if acts else 403), (role, step)
        if not acts and sees:
            assert 'name="step"' not in (await browser.get(f"{PAGE}/flash")).text
    assert title(await browser.get("/console/campaigns/none")) == "You may not do this"


async def test_through_its_life(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Start, pause, resume, end, archive: in Redis and the books; what is no step from there changes nothing. Its versions
    are read both ways, each with what it changed, and are in a file.
    """
    ann = await marketer(worker)
    await ann.get(NEW)
    await made(ann)
    states = []
    for step in ("publish", "pause", "resume", "end", "archive"):
        answer = await ann.post(f"{PAGE}/flash", {"step": step})
        assert answer.headers["location"] == f"{PAGE}/flash?done={step}", answer.text
        found = await worker.http.get("/v1/campaigns/flash", headers=await worker.key("marketer"))
        states.append(found.json()["state"])
        if step == "publish":
            assert (await worker.claim("bob")).status_code == 201
        assert ("hx-trigger" in (await ann.get(f"{PAGE}/flash")).text) is (step != "archive")
    assert states == ["active", "paused", "active", "ended", "archived"]
    late = await ann.post(f"{PAGE}/flash", {"step": "resume"})
    assert (late.status_code, "can’t be done in this state" in late.text) == (409, True)
    foreign = await ann.post(f"{PAGE}/flash", {"step": "resume", "form": "x"})
    assert foreign.status_code == 403
    clone = await ann.get(f"{NEW}?from=flash")
    assert 'id="value.minor" name="value.minor" value="5"' in clone.text
    assert (await ann.get(f"{NEW}?from=none")).status_code == 404
    versions = await ann.get(f"{PAGE}/flash/versions?of=1&to=3")
    assert "<del>Started</del> → <ins>Paused</ins>" in versions.text
    lost = await ann.get(f"{PAGE}/flash/versions?of=1&to=99")
    assert (lost.status_code, 'id="to-error"' in lost.text) == (404, True)
    monkeypatch.setattr("gateway.console.campaigns.versions.ROWS_MAX", 2)
    for down in (1, 0):
        numbers = [str(number) for number in range(1, 7)][:: -1 if down else 1]
        assert await walked(ann, f"{PAGE}/flash/versions?down={down}", VERSION) == numbers
        file = await filed(ann, f"{PAGE}/flash/versions.csv?down={down}")
        assert [row["version"] for row in file] == numbers
    assert [(row["state"], json.loads(row["definition"])["id"], row["changed_by"]) for row in file][1:3] == [
        ("scheduled", "flash", "user:ann"), ("paused", "flash", "user:ann")
    ]  # fmt: skip
    second = await ann.get(f"{PAGE}/flash/versions?down=0")
    assert "<del>Draft</del> → <ins>Started</ins>" in second.text
    story = re.findall(r"<strong>(\w[\w ]*)</strong> <span", (await ann.get(f"{PAGE}/flash")).text)
    assert story == ["Archived", "Ended", "Resumed", "Paused", "Started", "Draft made"]


async def test_what_was_done_is_said_as_long_as_it_is_so(worker: Worker) -> None:
    """A page that follows asks for the same address again: of what somebody else has undone it says nothing more."""
    ann = await marketer(worker)
    await ann.get(NEW)
    await made(ann)
    says = {
        "created": "Nobody sees it before",
        "publish": "It is started",
        "pause": "It is paused",
        "resume": "It goes on",
    }
    said = {"created": await ann.get(f"{PAGE}/flash?done=created")}
    for step in ("publish", "pause", "resume"):
        await ann.post(f"{PAGE}/flash", {"step": step})
        said[step] = await ann.get(f"{PAGE}/flash?done={step}")
    await ann.post(f"{PAGE}/flash", {"step": "end"})

    assert [step for step, text in says.items() if text not in said[step].text] == []
    later = {step: (await ann.get(f"{PAGE}/flash?done={step}")).text for step in says}
    assert [step for step, text in says.items() if text in later[step]] == []


async def test_a_draft_is_thrown_away(worker: Worker) -> None:
    """A draft that was a mistake goes to the archive, unstarted; then it leads nowhere but to a clone."""
    ann = await marketer(worker)
    await ann.get(NEW)
    await made(ann)
    assert "Throw the draft away" in (await ann.get(f"{PAGE}/flash")).text

    gone = await ann.post(f"{PAGE}/flash", {"step": "archive"})

    assert gone.headers["location"] == f"{PAGE}/flash?done=archive", gone.text
    page = await ann.get(f"{PAGE}/flash")
    assert re.findall(r"<strong>(\w[\w ]*)</strong> <span", page.text) == ["Archived", "Draft made"]
    assert not re.search(r'name="step" value="(publish|archive|stock)"', page.text)
    assert f"{NEW}?from=flash" in page.text
    assert f"{PAGE}/flash" not in (await ann.get(PAGE)).text
    assert f"{PAGE}/flash" in (await ann.get(f"{PAGE}?state=archived")).text
    assert (await ann.post(f"{PAGE}/flash", {"step": "publish"})).status_code == 409


async def test_stock_takes_two(worker: Worker) -> None:
    """Stock in is proposed, moves nothing, waits once, and is in Redis when somebody else approves it."""
    ann, cho = await marketer(worker), await marketer(worker, "cho")
    await worker.publish(name="Sale \u202efo")
    stock: dict[str, Any] = {"step": "stock", "way": "in", "count": "5", "reason": "pallet"}
    await ann.get(f"{PAGE}/flash")

    wrong = await ann.post(f"{PAGE}/flash", {**stock, "count": "1.5", "reason": ""})
    much = await ann.post(f"{PAGE}/flash", {**stock, "way": "out", "count": "101"})
    asked = await ann.post(f"{PAGE}/flash", stock)
    again = await ann.post(f"{PAGE}/flash", {**stock, "count": "6"})

    assert [each.status_code for each in (wrong, much, asked, again)] == [400, 409, 303, 409]
    assert all(f'id="{field}-error"' in wrong.text for field in ("count", "reason"))
    assert '<li>Coupons: <a href="#count">' in wrong.text
    assert '<li>Reason: <a href="#reason">' in wrong.text
    assert "Only 100 are left" in much.text
    page = await cho.get(f"{PAGE}/flash")
    assert "Waits for a second person" in page.text
    number = re.search(r"/console/waiting#([\w]+)", page.text)
    assert number
    waits = (await cho.get("/console/waiting")).text
    assert ">\u2068Sale \u202efo\u2069 (flash)</a>" in waits, "the name does not turn round what is approved"
    assert '<dt>Made by</dt><dd class="wrap">ann</dd>' in waits, "as she is called on the campaign's page"
    assert "<title>\u2068Sale \u202efo\u2069 · Fairclaim</title>" in page.text
    assert (await cho.post("/console/waiting", {"proposal": number[1], "step": "approve"})).status_code == 303
    found = await worker.http.get("/v1/campaigns/flash", headers=await worker.key("marketer"))
    assert found.json()["remaining"] == 105


async def test_a_change_alone_by_two_and_meanwhile(worker: Worker) -> None:
    """A name changes at once, a limit is proposed; of a version that is gone nothing is changed, and both are shown."""
    ann, cho = await marketer(worker), await marketer(worker, "cho")
    await ann.get(NEW)
    form = filled(name="Flash")
    assert (await made(ann, **form)).status_code == 303
    await ann.post(f"{PAGE}/flash", {"step": "publish"})
    del form["id"]
    path = f"{PAGE}/flash/change"
    await cho.get(path)

    same = await ann.post(path, {**form, "version": "2"})
    named = await ann.post(path, {**form, "version": "2", "name": "Better"})
    clash = await cho.post(path, {**form, "version": "2", "name": "Worse"})
    mute = await cho.post(path, {**form, "version": "3", "name": "Better", "limits.per_holder": "2"})
    limit = {**form, "version": "3", "name": "Better", "limits.per_holder": "2", "reason": "as agreed"}
    proposed = await cho.post(path, limit)

    assert [each.status_code for each in (same, named, clash, mute, proposed)] == [303, 303, 409, 400, 303]
    assert "done=same" in same.headers["location"], same.headers
    assert "Somebody changed it meanwhile" in clash.text
    for text in ("<ins>Better</ins>", "<ins>Worse</ins>", 'name="version" value="3"'):
        assert text in clash.text
    assert 'id="reason-error"' in mute.text
    assert proposed.headers["location"] == f"{PAGE}/flash?done=proposed"
    here = (await cho.get(f"{PAGE}/flash?done=proposed")).text
    [number] = re.findall(r"/console/waiting#(\w+)", here)
    assert "It is proposed." in here
    await cho.post("/console/waiting", {"proposal": number, "step": "withdraw"})
    assert "It is proposed." not in (await cho.get(f"{PAGE}/flash?done=proposed")).text, "it is decided"
    found = await worker.http.get("/v1/campaigns/flash", headers=await worker.key("marketer"))
    assert (found.json()["name"], found.json()["limits"]["per_holder"], found.json()["version"]) == ("Better", 1, 3)


async def test_the_list_is_filtered_sorted_paged_and_exported(worker: Worker) -> None:
    """One true state each, also sold out; pages meet without gap or repetition; the file has what the list has."""
    ann = await marketer(worker)
    await worker.publish("one", stock=1)
    await worker.claim("bob", campaign="one")
    for number in range(30):
        await ann.get(NEW)
        assert (await made(ann, id=f"c{number:02}", name=f"Draft {number}")).status_code == 303

    first = await ann.get(f"{PAGE}?sort=id&down=0")
    more = re.search(r'href="([^"]*cursor=[^"]*)"', first.text)
    assert more
    second = await ann.get(unescape(more[1]))
    rows = [re.findall(rf'href="{PAGE}/([\w-]+)"', page.text) for page in (first, second)]
    assert [*rows[0], *rows[1]] == [f"c{number:02}" for number in range(30)] + ["one"]
    sold_out = await ann.get(f"{PAGE}?state=active")
    assert re.findall(rf'href="{PAGE}/([\w-]+)"', sold_out.text) == ["one"]
    assert "Sold out</span>" in sold_out.text
    assert "No campaign is like that." in (await ann.get(f"{PAGE}?text=%25")).text
    assert re.findall(rf'href="{PAGE}/([\w-]+)"', (await ann.get(f"{PAGE}?state=sold_out")).text) == ["one"]
    assert len(first.content) < 100_000
    link = rf'href="{PAGE}/([\w-]+)">'
    for sort in SORTS:
        up, down = [await walked(ann, f"{PAGE}?sort={sort}&down={down}", link) for down in (0, 1)]
        assert (up, len(set(up))) == (down[::-1], 31), sort
        assert [row["id"] for row in await filed(ann, f"{PAGE}.csv?sort={sort}&down=1")] == down
    assert await walked(ann, f"{PAGE}?sort=stock", link) == await walked(ann, PAGE, link)
    file = await ann.get(f"{PAGE}.csv?sort=id&down=1&text=draft+2")
    assert [line.split(",")[0] for line in file.text.splitlines()] == [
        "id", *[f"c{number}" for number in range(29, 19, -1)], "c02",
    ]  # fmt: skip


async def test_those_that_are_sold_out(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found among all that are active, however few are asked about for a page; one of none leads on to those beyond."""
    for name, most in (("ROWS_MAX", 1), ("_AT_ONCE", 1), ("LOOKED_AT", 2), ("_FILE_ROWS", 1)):
        monkeypatch.setattr(f"gateway.console.campaigns.listing.{name}", most)
    for name in "abcdef":
        await worker.publish(name, stock=1)
        if name in "adf":
            assert (await worker.claim("bob", campaign=name)).status_code == 201
    ann, link = await marketer(worker), rf'href="{PAGE}/(\w)">'

    for down in (0, 1):
        query = f"state=sold_out&sort=id&down={down}"
        wanted = list("adf")[:: -1 if down else 1]
        assert await walked(ann, f"{PAGE}?{query}", link) == wanted
        assert [row["id"] for row in await filed(ann, f"{PAGE}.csv?{query}")] == wanted
    none = await ann.get(f"{PAGE}?state=sold_out&text=b")
    assert ("No campaign is like that.<" in none.text, "download" in none.text) == (True, False)
    await worker.publish("g", stock=1)
    monkeypatch.setattr("gateway.console.campaigns.listing.LOOKED_AT", 1)
    beyond = (await ann.get(f"{PAGE}?state=sold_out&sort=id&down=1")).text
    assert ("among the 1 that were looked at" in beyond, f'href="{PAGE}.csv?' in beyond) == (True, True)
