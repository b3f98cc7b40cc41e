"""The wizard against whoever types nonsense, clicks twice, is signed out meanwhile, or sends forms of another site."""

import asyncio
import re
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from gateway.console.campaigns.kept import read_kept
from tests.conftest import ON_VALKEY
from tests.http import Worker
from tests.integration.test_console_campaigns import NEW, PAGE, filled, local, made, marketer, step

pytestmark = ON_VALKEY

HUGE = "9" * 30
NONSENSE: list[tuple[str, list[str], str]] = [
    ("name", ["", " ", "x" * 201, "a\0b", "a\nb"], "worth"),
    ("id", ["", "No Id", "-x", "ﬀ", "x" * 64, "<b>", "a\0"], "worth"),
    ("currency", ["", "XXX", "CN", "<b>"], "worth"),
    ("value.minor", ["", "0", "-5", HUGE, "5.001", "5.000", "1e3", "five", "½", "1_0", "<b>", "5\0"], "worth"),
    ("value.threshold_minor", ["-1", "x", "0.001", "4", "4.99"], "worth"),
    ("stock", ["", "0", "-1", HUGE, "1.5", "1.000", "ten"], "who"),
    ("limits.per_holder", ["", "0", "101", "ten", "1,5"], "who"),
    ("limits.per_holder_per_day", ["0", "-1", "x"], "who"),
    ("limits.per_day", ["0", HUGE], "who"),
    ("limits.budget_minor", ["0", "-1", "1"], "who"),
    ("channels", ["Big", "a b", "a,a", "<b>"], "who"),
    ("conditions.quantity_min", ["0", "1000001", ""], "who"),
    ("timezone", ["", "Mars/Olympus", "../etc", "UTC\0"], "when"),
    ("starts_at", ["", "tomorrow", "10:00", "0000-01-01T00:00", "1999-12-31T23:59", "9999-12-31T23:59"], "when"),
    ("ends_at", ["", "2200-01-01T00:00", "2026-13-01T00:00", "2026-11-22T10:00+08:00"], "when"),
    ("validity.days", ["", "0", "3651", "x"], "when"),
    ("scope.stores", ["a, a", "x" * 65], "where"),
    ("scope.channels", ["A B"], "where"),
    ("stacking.group", ["-x", "A"], "where"),
    ("stacking.priority", ["1001", "-1001", "x"], "where"),
    (
        "funders",
        ["", "platform 90", "platform", "platform 50\nplatform 50", "<b> 100", "platform 0\nbrand 100"],
        "pays",
    ),
    ("legal_entity", ["", "nobody", "<b>"], "pays"),
    ("shards", ["0", "33", "x"], "pays"),
    ("on_rollback.extend_days", ["0", "x"], "pays"),
]
"""Field → what can't stand in it, and the step it is on."""


async def test_each_field_says_what_is_wrong_with_it(worker: Worker) -> None:
    """Beside the field, in focus, with what was typed still there, on the first step that has one; none is made."""
    ann = await marketer(worker)
    await ann.get(NEW)
    for field, texts, at in NONSENSE:
        for text in texts:
            answer = await made(ann, **{field: text})
            assert f"step={at}&checked=pays" in answer.headers["location"], (field, text)
            page = (await ann.get(answer.headers["location"])).text
            shown = re.search(rf'<(?:input|textarea|select) id="{re.escape(field)}"[^>]*>', page)
            assert shown, (field, text)
            assert f'id="{field}-error"' in page, (field, text)
            assert " autofocus" in shown[0], (field, text)
            assert 'aria-invalid="true"' in shown[0], (field, text)
            query = parse_qs(urlsplit(answer.headers["location"]).query)
            kept = read_kept(query["typed"][0])
            assert kept is not None
            assert kept.get(field, "") == text.strip().replace("\0", "\1"), (field, text)
    assert (await worker.http.get("/v1/campaigns", headers=await worker.key("marketer"))).json()["items"] == []


async def test_what_does_not_go_together(worker: Worker) -> None:
    """Rules about two fields are said beside the one to mend; all at once are said step by step, in both languages."""
    ann = await marketer(worker)
    await ann.get(NEW)
    percent = {"value.type": "percent", "value.cap_minor": "5"}
    cases: list[tuple[dict[str, str], str]] = [
        ({**percent, "value.basis_points": "101"}, "value.basis_points"),
        ({**percent, "value.basis_points": "0"}, "value.basis_points"),
        ({**percent, "value.basis_points": "12.345"}, "value.basis_points"),
        ({"value.type": "percent", "value.basis_points": "10"}, "value.cap_minor"),
        ({"value.every": "yes", "value.cap_minor": "4"}, "value.cap_minor"),
        ({"value.type": "gift_item"}, "value.sku"),
        ({"value.type": "gift_item", "value.sku": "a", "scope.skus_excluded": "a"}, "scope.skus_excluded"),
        ({"value.type": "free_shipping", "limits.budget_minor": "100"}, "limits.budget_minor"),
        ({"currency": "JPY", "value.minor": "5.5"}, "value.minor"),
        ({"ends_at": local(hours=-2)}, "ends_at"),
        ({"starts_at": local(hours=-3), "ends_at": local(hours=-2)}, "ends_at"),
        ({"validity.kind": "until", "validity.until": local()}, "validity.until"),
        ({"stock": "1", "shards": "2"}, "stock"),
        ({"scope.stores": "a", "scope.stores_excluded": "a"}, "scope.stores_excluded"),
        ({"timezone": "Europe/Berlin", "starts_at": "2027-03-28T02:30", "ends_at": "2027-03-29T00:00"}, "starts_at"),
        ({"timezone": "Europe/Berlin", "starts_at": "2026-12-01T00:00", "ends_at": "2027-10-31T02:30"}, "ends_at"),
        ({"value.type": "balance", "on_rollback.coupon": "end"}, "on_rollback.coupon"),
    ]
    for changes, field in cases:
        page = await ann.get((await made(ann, **changes)).headers["location"])
        assert f'id="{field}-error"' in page.text, changes
    everything = dict.fromkeys(filled(), "")
    page = await ann.get((await made(ann, **everything)).headers["location"])
    assert page.text.count('<span class="needs">') == 4, "where it holds, nothing is needed"
    assert '<li>Campaign name: <a href="#name">' in page.text
    chinese = await ann.get((await made(ann, stock="0")).headers["location"], accept_language="zh-CN")
    assert 'id="stock-error">1 到' in chinese.text


async def test_twice_makes_one(worker: Worker) -> None:
    """Who presses the button twice, at once or after going back, has one campaign and sees it; another one is told."""
    ann, cho = await marketer(worker), await marketer(worker, "cho")
    await ann.get(NEW)
    form = filled()
    answers = await asyncio.gather(*(ann.post(NEW, {"at": "pays", "to": "create", **form}) for _ in range(3)))
    later = await ann.post(NEW, {"at": "pays", "to": "create", **form})
    assert {each.headers["location"] for each in (*answers, later)} == {f"{PAGE}/flash?done=created"}
    for other in (await cho.post(NEW, {"at": "pays", "to": "create", **form}), await made(ann, stock="11")):
        page = await ann.get(other.headers["location"])
        assert "There is a campaign of this id already" in page.text
    early = await step(ann, {**form, "at": "worth", "to": "next"})
    assert 'id="id-error"' in early.text
    versions = await ann.get(f"{PAGE}/flash/versions")
    assert versions.text.count('<th scope="row"') == 1


async def test_a_session_that_ends_loses_nothing(worker: Worker) -> None:
    """Signed out in mid-wizard: after signing in again all that was typed is there, and nothing is done."""
    ann = await marketer(worker)
    await ann.get(NEW)
    gone = ann.cookie
    form = {**filled(name="Kept <i>"), "at": "when", "to": "next"}
    ann.cookie = ""
    away = await ann.post(NEW, form)
    piece = await ann.post("/console/campaign-sentence", form, hx_request="true", hx_current_url=f"http://gateway{NEW}")
    assert piece.headers["hx-redirect"] == away.headers["location"]
    sign_in = await ann.get(away.headers["location"])
    back = re.search(r'name="next" value="([^"]*)"', sign_in.text)
    assert back
    entered = await ann.post(
        "/console/sign-in", {"name": "ann", "password": "correct horse battery", "next": unescape(back[1])}
    )
    page = await ann.get(entered.headers["location"])
    assert '<h2 id="step"' in page.text
    assert 'name="at" value="when"' in page.text
    assert 'name="name" value="Kept &lt;i&gt;"' in page.text
    foreign = await ann.post(NEW, form, cookie="", sec_fetch_site="cross-site")
    assert "typed=" not in foreign.headers["location"]
    ann.cookie = gone
    assert (await worker.http.get("/v1/campaigns", headers=await worker.key("marketer"))).json()["items"] == []


async def test_a_form_of_another_session_is_shown_again(worker: Worker) -> None:
    """The form of a page that was open before somebody signed in anew does nothing, and has what was typed; one of
    another site has nothing."""
    ann = await marketer(worker)
    await worker.publish()
    old = {"form": "x" * 43}
    for path, more in ((NEW, {"at": "pays", "to": "create"}), (f"{PAGE}/flash/change", {"version": "2"})):
        again = await ann.post(path, {**filled(id="other", name="Mine"), **more, **old})
        assert (again.status_code, "Mine" in again.text) == (403, True), path
        assert "Nothing was done. What you typed is here" in again.text
        abroad = await ann.post(path, {**filled(name="Mine"), **more}, sec_fetch_site="cross-site")
        assert (abroad.status_code, "Mine" in abroad.text) == (403, False), path
    for fields in ({"step": "end"}, {"step": "stock", "way": "in", "count": "5", "reason": "x"}):
        assert (await ann.post(f"{PAGE}/flash", {**fields, **old})).status_code == 403
        assert (await ann.post(f"{PAGE}/flash", fields, origin="https://evil.example")).status_code == 403
    seen: dict[str, Any] = (await worker.http.get("/v1/campaigns", headers=await worker.key("marketer"))).json()
    assert [(each["id"], each["version"], each["state"]) for each in seen["items"]] == [("flash", 2, "active")]


@pytest.mark.parametrize("typed", ["", "x", "a" * 7000, "eJw", "é"], ids=["empty", "short", "long", "cut", "not ascii"])
async def test_an_address_that_nobody_made(worker: Worker, typed: str) -> None:
    """It is an empty form, not a failure."""
    ann = await marketer(worker)
    page = await ann.get(f"{NEW}?step=who&typed={typed}")
    assert (page.status_code, 'name="at" value="who"' in page.text) == (200, True)
    assert (await ann.get(f"{NEW}?step=nowhere")).status_code == 200


async def test_more_than_an_address_can_have(worker: Worker) -> None:
    """Very long lists go along in the form itself; nothing is cut."""
    ann = await marketer(worker)
    await ann.get(NEW)
    skus = ", ".join(f"{n:064x}"[::-1] for n in (pow(7, n, 2**255 - 19) for n in range(200)))
    answer = await ann.post(NEW, {**filled(**{"scope.skus": skus}), "at": "where", "to": "pays"})
    assert (answer.status_code, 'name="at" value="pays"' in answer.text) == (200, True)
    assert skus in answer.text
    assert (await made(ann, **{"scope.skus": skus})).status_code == 303
