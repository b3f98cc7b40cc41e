"""The room of the coupons: found however it is asked for, its life told from the books, and each role's acts done."""

import re
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest

from gateway.codes import show_code
from gateway.console.coupons import finding
from gateway.console.coupons.searching import SORTS
from gateway.people.person import ROLES
from tests.conftest import ON_VALKEY, Eventually
from tests.http import Worker
from tests.integration.consoling import Browser, add_one_of_each_role, filed, signed_in, title, walked
from tests.integration.draining import draining

pytestmark = ON_VALKEY
PAGE = "/console/coupons"
NASTY = "<b>x</b>"


async def _claimed(worker: Worker, holder: str) -> str:
    answer = await worker.claim(holder)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["code"])


async def _redeem(worker: Worker, code: str, order: str) -> str:
    body: dict[str, Any] = {
        "code": code,
        "order": {
            "id": order,
            "currency": "CNY",
            "lines": [{"sku": "noodles", "quantity": 1, "unit_price_minor": 4000}],
        },
        "store": "nanjing-road",
    }
    sent = {**await worker.key("store"), "Idempotency-Key": f"key-{order}"}
    answer = await worker.http.post("/v1/redemptions", json=body, headers=sent)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def test_a_coupon_is_found_and_its_life_is_told(
    worker: Worker, redis_url: str, postgres_url: str, tmp_path: Path
) -> None:
    """
    By code in any spelling before it is booked and after, by holder, by order; each change with its seq and journal,
    who and why; what Redis says stands beside what the books say as long as they differ.
    """
    await add_one_of_each_role(worker)
    await worker.publish()
    code = await _claimed(worker, NASTY)
    browser = await signed_in(worker, "admin")

    typed = await browser.get(f"{PAGE}?code={show_code(code).lower()}")
    assert (typed.status_code, typed.headers["location"]) == (303, f"{PAGE}/{code}")
    ahead = await browser.get(f"{PAGE}/{code}")
    assert title(ahead) == show_code(code)
    assert "The books have not got it yet." in ahead.text
    wrong = await browser.post(f"{PAGE}/{code}", {"step": "revoke", "reason": ""})
    assert ("hx-get" in ahead.text, "hx-get" in wrong.text) == (True, False), "what is wrong stays beside its field"
    redemption = await _redeem(worker, code, "o-<b>x</b>")
    async with draining(redis_url, postgres_url):
        pass
    held = await _claimed(worker, "held")
    async with draining(redis_url, postgres_url):
        pass
    hold = await worker.http.post(
        "/v1/reservations", json={"code": held, "order_id": "o-2"}, headers=await worker.key("store")
    )
    assert hold.status_code == 201, hold.text
    behind = (await browser.get(f"{PAGE}/{held}")).text
    assert "The books are a moment behind." in behind
    async with draining(redis_url, postgres_url):
        pass

    page = (await browser.get(f"{PAGE}/{code}")).text
    assert NASTY not in page
    assert "moment behind" not in page
    for told in ("Claimed", "Redeemed", redemption, "CN¥5.00", "outstanding → redeemed", "nanjing-road"):
        assert told in page, told
    journals = re.findall(r'href="(/console/books/journals/\d+)"', page)
    assert len(set(journals)) == 2
    for journal in journals:
        assert f'href="{PAGE}/{code}"' in (await browser.get(journal)).text, "and back"
    assert 'href="/console/campaigns/flash"' in page
    first, second = map(int, re.findall(r"seq (\d+) ·", page))
    assert second == first + 1
    for asked, found in (("holder=%3Cb%3Ex%3C/b%3E", code), ("order=o-%3Cb%3Ex%3C/b%3E", code), ("order=o-2", held)):
        answer = await browser.get(f"{PAGE}?{asked}")
        assert answer.text.count('<th scope="row"') == 1
        assert f"{PAGE}/{found}" in answer.text
        assert NASTY not in answer.text
    assert (await browser.get(f"{PAGE}/{NASTY}")).text.count(NASTY) == 0
    assert "The books have no such coupon." in (await browser.get(f"{PAGE}?holder=nobody")).text
    assert (await browser.get(f"{PAGE}?code=!")).status_code == 400
    assert (await browser.get(f"{PAGE}?holder=x&at=never&after=y&state=odd")).status_code == 200


async def test_each_act_by_each_role(worker: Worker, redis_url: str, postgres_url: str) -> None:
    """
    A marketer revokes, a store lets go and gives back, an admin does all of it, nobody else anything, also by URL; a
    reason is asked for beside its field, and what came too late is told with the coupon as it is.
    """
    await add_one_of_each_role(worker)
    await worker.publish()
    spent, held, given = [await _claimed(worker, name) for name in ("spent", "held", "given")]
    redemption = await _redeem(worker, spent, "o-1")
    hold = await worker.http.post(
        "/v1/reservations", json={"code": held, "order_id": "o-2"}, headers=await worker.key("store")
    )
    assert hold.status_code == 201
    async with draining(redis_url, postgres_url):
        pass
    assert "o-2" not in (await (await signed_in(worker, "store")).get(f"{PAGE}/{held}")).text, "he has to name it"
    assert "o-2" in (await (await signed_in(worker, "auditor")).get(f"{PAGE}/{held}")).text
    acts = {
        "revoke": ("marketer", given, {"reason": f"misprint {NASTY}"}),
        "release": ("store", held, {"order": "o-2", "why": "went home"}),
        "roll-back": ("store", spent, {"redemption": redemption, "key": "k-1", "reason": "refund", "amount": "2.00"}),
    }
    browsers: dict[str, Browser] = {role: await signed_in(worker, role) for role in ROLES}
    for step, (role, code, fields) in acts.items():
        for other in set(ROLES) - {role, "admin"}:
            refused = await browsers[other].post(f"{PAGE}/{code}", {"step": step, **fields})
            assert refused.status_code == 403, (step, other)
        mute = {name: "" if name in ("reason", "why") else value for name, value in fields.items()}
        wrong = await browsers[role].post(f"{PAGE}/{code}", {"step": step, **mute})
        assert (wrong.status_code, "Say why" in wrong.text) == (400, True), step
        for _ in range(2):  # the same form once more does nothing more
            done = await browsers[role].post(f"{PAGE}/{code}", {"step": step, **fields})
            assert done.status_code == 303, done.text
    odd = {"redemption": redemption, "key": "k-2", "reason": "refund", "amount": "much"}
    assert (await browsers["store"].post(f"{PAGE}/{spent}", {"step": "roll-back", **odd})).status_code == 400
    late = await browsers["admin"].post(f"{PAGE}/{spent}", {"step": "roll-back", **odd, "key": "k-3", "amount": "4.00"})
    assert (late.status_code, "More than is left to give back" in late.text) == (409, True)
    async with draining(redis_url, postgres_url):
        pass

    acted = (await browsers["auditor"].get("/console/audit?subject=coupon:")).text
    for told in ("coupon.revoked", "coupon.released", "coupon.rolled_back"):
        assert acted.count(told) == 1, told
    for told in ("misprint", "went home", "refund", "<del>Claimed</del>", "<ins>Revoked</ins>", "<del>CN¥5.00</del>"):
        assert told in acted, told
    assert f'<a href="{PAGE}/{held}">coupon:{held}</a>' in acted
    chinese = (await browsers["auditor"].get(f"{PAGE}/{held}", accept_language="zh-CN")).text
    assert ("流通中 → 已预留" in chinese, "outstanding" in chinese) == (True, False), "accounts too are in his language"
    assert "store · went home" in (await browsers["auditor"].get(f"{PAGE}/{held}")).text
    life = (await browsers["auditor"].get(f"{PAGE}/{given}")).text
    assert ("marketer · misprint" in life, NASTY in life + acted) == (True, False)
    assert 'name="step"' not in life
    back = (await browsers["finance"].get(f"{PAGE}/{spent}")).text
    assert "CN¥2.00" in back
    assert "store" in back
    rows = await worker.http.get(f"/v1/redemptions/{redemption}", headers=await worker.key("finance"))
    assert rows.json()["rolled_back"]["minor"] == 200


async def test_guesses_are_counted(worker: Worker) -> None:
    """Codes that are not there are limited for a person as for a key, and then nothing is told of any code."""
    await add_one_of_each_role(worker)
    await worker.publish()
    code = await _claimed(worker, "holder")
    browser = await signed_in(worker, "store")

    answers = [(await browser.get(f"{PAGE}/GUESS{n:04}")).status_code for n in range(31)]
    assert answers == [404] * 30 + [429]
    assert (await browser.get(f"{PAGE}/{code}")).status_code == 429


async def test_the_list_is_sorted_paged_narrowed_and_exported(
    worker: Worker, redis_url: str, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Every coupon once whatever the order, page by page and in the file, which no formula gets into and the audit log
    knows of; a store looks up no holder and takes no file, and its misses count.
    """
    monkeypatch.setattr(finding, "ROWS_MAX", 2)
    monkeypatch.setattr(finding, "_FILE_ROWS", 2)
    await add_one_of_each_role(worker)
    await worker.publish(limits={"per_holder": 5})
    for key in range(5):
        assert (await worker.claim("=cmd", key=f"k-{key}")).status_code == 201
    async with draining(redis_url, postgres_url):
        pass
    browser, store = await signed_in(worker, "marketer"), await signed_in(worker, "store")
    taken = await filed(browser, f"{PAGE}.csv?holder=%3Dcmd")
    by_code = sorted(taken, key=itemgetter("code"))  # which tells those of one millisecond apart
    codes = [each["code"].replace("-", "") for each in sorted(by_code, key=itemgetter("claimed_at"), reverse=True)]
    asked = f"{PAGE}?holder=%3Dcmd&campaign=flash&state=claimed"
    for sort in SORTS:
        up, down = [
            await walked(browser, f"{asked}&sort={sort}&down={down}", rf'href="{PAGE}/(\w+)">') for down in (0, 1)
        ]
        assert (up, sorted(up)) == (down[::-1], sorted(codes)), sort
    assert await walked(browser, f"{asked}&sort=newest", rf'href="{PAGE}/(\w+)">') == codes
    for narrowed in ("campaign=other", "state=revoked"):
        assert "The books have no such coupon." in (await browser.get(f"{PAGE}?holder=%3Dcmd&{narrowed}")).text
    piece = await browser.get(f"{PAGE}?code=!", hx_request="true")
    assert (piece.headers["hx-redirect"], piece.text) == (f"{PAGE}?code=%21", "")

    file = (await browser.get(f"{PAGE}.csv?holder=%3Dcmd")).text.splitlines()
    assert (len(file), file[1].split(",")[3]) == (6, "'=cmd")
    assert (await browser.get(f"{PAGE}.csv")).status_code == 404
    audited = (await (await signed_in(worker, "auditor")).get("/console/audit?action=coupons.exported")).text
    assert (">marketer<" in audited, "holder:=cmd" in audited) == (True, True)
    assert (await store.get(f"{PAGE}.csv?order=o-1")).status_code == 403
    assert (await store.get(f"{PAGE}?holder=%3Dcmd")).status_code == 403
    misses = [(await store.get(f"{PAGE}?order=o-{n}")).status_code for n in range(31)]
    assert misses == [200] * 30 + [429]


async def test_many_are_proposed_and_revoked_by_two(
    worker: Worker, redis_url: str, postgres_url: str, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A marketer sees how many it is and proposes, once however often the form is sent; nothing is revoked before another
    one has approved; then both see the work come to its end. What was proposed is sorted, paged and in a file.
    """
    monkeypatch.setattr("gateway.console.coupons.many.ROWS_MAX", 1)
    await add_one_of_each_role(worker)
    await worker.publish()
    code = await _claimed(worker, "holder")
    browser = await signed_in(worker, "marketer")

    many = "/console/revoke-coupons"
    async with draining(redis_url, postgres_url):
        pass
    assert "1 coupon is out and would be revoked." in (await browser.get(f"{many}?campaign=flash")).text
    assert "There is no such campaign." in (await browser.get(f"{many}?campaign=!")).text
    looked = await browser.post(many, {"key": "k", "step": "look", "holder": "holder"})
    assert "1 coupon is out" in looked.text
    empty = await browser.post("/console/revoke-coupons", {"key": "k", "reason": "x"})
    mute = await browser.post("/console/revoke-coupons", {"key": "k", "campaign": "flash"})
    assert [each.status_code for each in (empty, mute)] == [400, 400]
    assert 'href="#reason"' in mute.text
    fields = {"key": "k-1", "campaign": "flash", "reason": f"misprint {NASTY}"}
    for _ in range(2):
        done = await browser.post("/console/revoke-coupons", fields)
        assert (done.status_code, done.headers["location"][:27]) == (303, "/console/revoke-coupons/pr_")
    other = await browser.post("/console/revoke-coupons", {**fields, "key": "k-2"})
    assert (other.status_code, "waits already" in other.text) == (409, True)
    assert (await browser.get("/console/waiting")).text.count("<article") == 1
    shown = await worker.http.get(f"/v1/coupons/{code}", headers=await worker.key("admin"))
    assert shown.json()["state"] == "claimed"
    at = done.headers["location"]
    assert "Somebody else has to decide" in (await browser.get(at)).text

    admin = await signed_in(worker, "admin")
    approved = await admin.post("/console/waiting", {"proposal": at.rpartition("/")[2], "step": "approve"})
    assert (approved.status_code, approved.headers["location"]) == (303, at)

    async def is_done() -> bool:
        return ">Done<" in (await browser.get(at)).text

    async with draining(redis_url, postgres_url):
        await eventually(is_done)
    page = (await browser.get(at)).text
    assert ("<strong>1</strong>" in page, NASTY in page) == (True, False)
    assert "hx-trigger" not in page.partition('id="work"')[2]
    assert (await browser.get(f"{at}x")).status_code == 404
    for refused in ("store", "operator", "finance"):
        assert (await (await signed_in(worker, refused)).get(at)).status_code == 403

    second = await browser.post(many, {"key": "k-3", "holder": "holder", "reason": "=cmd()"})
    made = [at, second.headers["location"]]
    for down in (0, 1):
        wanted = [each.rpartition("/")[2] for each in (made[::-1] if down else made)]
        assert await walked(browser, f"{many}?down={down}", rf'<a href="{many}/(\w+)"') == wanted
        file = await filed(browser, f"{many}.csv?down={down}")
        assert [row["id"] for row in file] == wanted
    assert [(row["reason"], row["state"], row["decided_by"]) for row in file] == [
        ("'=cmd()", "pending", ""), (f"misprint {NASTY}", "applied", "user:admin")
    ]  # fmt: skip
