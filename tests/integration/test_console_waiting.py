"""The page of what waits: two people who are signed in, one proposes, the other decides; and what is refused there."""

import json
import re
from pathlib import Path

import pytest

from tests.conftest import ON_VALKEY
from tests.integration.consoling import add_user, filed, signed_in, title, walked
from tests.integration.proposing import CHANGE, JOURNAL, REVOCATION, STOCK, open_office, reopening

pytestmark = ON_VALKEY
PAGE = "/console/waiting"


async def test_two_people_at_the_console(redis_url: str, postgres_url: str, tmp_path: Path) -> None:
    """
    Who proposed by a key sees it as his own and takes it back; another one approves or rejects, with a reason; neither
    decides what is his own or decided, also by a form of his own making, and a name is text.
    """
    async with open_office(redis_url, postgres_url, tmp_path) as office:
        worker = office.http.worker
        await add_user(worker, "ann", "marketer")
        await add_user(worker, "cho", "marketer")
        ann, cho = await signed_in(worker, "ann"), await signed_in(worker, "cho")
        stock = await office.make({**STOCK, "reason": "<b>pallet</b>"})
        change = await office.make(CHANGE, "bob", "c")

        his, hers = await ann.get(PAGE), await cho.get(PAGE)
        assert title(his) == "Waiting"
        for page, decides in ((his, 1), (hers, 2)):
            assert page.text.count('value="approve"') == decides
            assert page.text.count('value="withdraw"') == 2 - decides
            assert "<b>pallet" not in page.text
            assert "<ins>15</ins>" in page.text
        own = await ann.post(PAGE, {"proposal": stock["id"], "step": "approve"})
        mute = await cho.post(PAGE, {"proposal": change["id"], "step": "reject", "said": " "})
        approved = await cho.post(PAGE, {"proposal": stock["id"], "step": "approve", "said": "seen"})
        rejected = await cho.post(PAGE, {"proposal": change["id"], "step": "reject", "said": "too dear"})
        late = await cho.post(PAGE, {"proposal": change["id"], "step": "approve"})
        odd = await cho.post(PAGE, {"proposal": stock["id"], "step": "burn"})
        foreign = await cho.post(PAGE, {"proposal": stock["id"], "step": "approve", "form": "x"})

        assert [each.status_code for each in (own, mute, late, odd, foreign)] == [403, 400, 409, 400, 403]
        assert f'href="#said-{change["id"]}"' in mute.text
        assert [each.headers["location"] for each in (approved, rejected)] == [
            f"{PAGE}?done=approved", f"{PAGE}?done=rejected"
        ]  # fmt: skip
        seen = await office.see(stock)
        assert (seen["state"], seen["decided_by"], seen["said"]) == ("applied", "user:cho", "seen")
        assert (await office.see(change))["state"] == "rejected"
        back = await office.make(STOCK, "ann", "back")
        assert (await ann.post(PAGE, {"proposal": back["id"], "step": "withdraw"})).status_code == 303
        assert "Nothing of yours waits." in (await ann.get(PAGE)).text


COUNTED = re.compile(r"for you: </span>(\d+)<")


async def test_the_menu_counts_what_waits_for_me(redis_url: str, postgres_url: str, tmp_path: Path) -> None:
    """
    Each has the number of what he may decide now beside Waiting, on any page: nothing of his own, of other roles, of a
    closed period where he is no admin, or that is decided or has waited too long. Who decides nothing has none.
    """
    async with open_office(redis_url, postgres_url, tmp_path) as office:
        worker, users = office.http.worker, {"ann": "marketer", "cho": "marketer", "fay": "finance", "root": "admin"}
        for name, role in {**users, "aud": "auditor"}.items():
            await add_user(worker, name, role)
        browsers = {name: await signed_in(worker, name) for name in (*users, "aud")}
        office.period("2026-03-01", "2026-03-31", "closed")

        async def counted() -> dict[str, int]:
            pages = {name: (await each.get("/console/account")).text for name, each in browsers.items()}
            return {name: int(found[1]) for name, page in pages.items() if (found := COUNTED.search(page))}

        assert await counted() == {}
        stock = await office.make(STOCK, "ann", "s")
        await office.make(CHANGE, "ann", "c")
        await office.make(reopening(), "eve", "r")
        await office.make(JOURNAL, "eve", "j")
        assert await counted() == {"cho": 2, "fay": 1, "root": 4}
        waiting = await browsers["cho"].get(PAGE)
        assert waiting.text.count("<article") == 2
        assert 'id="waits" data-calm hx-get="/console/waiting" hx-trigger="every 5s"' in waiting.text
        mute = await browsers["cho"].post(PAGE, {"proposal": stock["id"], "step": "reject"})
        assert (mute.status_code, "hx-trigger" in mute.text) == (400, False), "what is wrong stays beside its field"
        await browsers["cho"].post(PAGE, {"proposal": stock["id"], "step": "reject", "said": "no"})
        assert await counted() == {"cho": 1, "fay": 1, "root": 3}
        office.books.rows("UPDATE proposals SET expires_at = now() WHERE state = 'pending'")
        assert await counted() == {"fay": 1, "root": 1}


async def test_each_kind_is_told_in_words(redis_url: str, postgres_url: str, tmp_path: Path) -> None:
    """What it would change stands beside what is, for each kind; in Chinese too, and in the audit log."""
    async with open_office(redis_url, postgres_url, tmp_path) as office:
        await add_user(office.http.worker, "root", "admin")
        office.period("2026-03-01", "2026-03-31", "hold")
        limits = {**CHANGE, "change": {"limits": {"budget_minor": 100_000, "per_day": None, "per_holder": 2}}}
        for body, who in ((limits, "ann"), (STOCK, "ann"), (REVOCATION, "ann"), (reopening(), "eve"), (JOURNAL, "eve")):
            await office.make(body, who, str(body["kind"]))

        root = await signed_in(office.http.worker, "root")
        page = (await root.get(PAGE, accept_language="en-GB")).text
        chinese = (await root.get(PAGE, accept_language="zh-CN")).text

        for told in (
            '<span class="hint">Budget</span> <del>none</del> → <ins>CN¥1,000.00</ins>',
            '<span class="hint">For one person</span> <del>1</del> → <ins>2</ins>',
            '<a href="/console/campaigns/flash">Flash (flash)</a>',
            '<a href="/console/books/periods/main/month/2026-03-01">main: 1 Mar 2026 – 31 Mar 2026</a>',
            "<del>On hold</del> → <ins>Open</ins>",
            "10 Nov 2026",
            "CN¥12.50",
            "clearing:bank → payable:m-1",
        ):
            assert told in page
        period = await root.get("/console/books/periods/main/month/2026-03-01", accept_language="en-GB")
        assert "<h1>Period 1 Mar 2026 – 31 Mar 2026 <span" in period.text, "as in the list"
        assert "For everybody a day" not in page, "that is none as it was"
        assert page.count("<article") == chinese.count("<article") == 5
        assert "批准并执行" in chinese
        log = (await root.get("/console/audit?action=proposal.made", accept_language="en-GB")).text
        assert '<span class="hint">Budget</span> <del>none</del> → <ins>CN¥1,000.00</ins>' in log
        assert "<del>On hold</del> → <ins>Open</ins>" in log
        assert "&#34;" not in log, "nothing of it is JSON"


async def test_what_waits_is_sorted_paged_and_filed(
    redis_url: str, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By when it was made, both ways; what waits for you and what is yours have each their pages, and one file."""
    monkeypatch.setattr("gateway.console.pages.waiting.ROWS_MAX", 1)
    async with open_office(redis_url, postgres_url, tmp_path) as office:
        await add_user(office.http.worker, "ann", "marketer", "finance")
        mine = [(await office.make(STOCK, "ann", "k1"))["id"], (await office.make(CHANGE, "ann", "k2"))["id"]]
        his = [(await office.make({**REVOCATION, "reason": "=cmd()"}, "bob"))["id"]]
        his.append((await office.make(JOURNAL, "eve"))["id"])
        ann, card = await signed_in(office.http.worker, "ann"), r'<article class="card" id="(\w+)"'

        first = await ann.get(PAGE)
        assert re.findall(card, first.text) == [his[1], mine[1]]
        assert len(re.findall(">More<", first.text)) == 2
        for down in (0, 1):
            for whose, made in (("you", his), ("mine", mine)):
                wanted = made[::-1] if down else made
                assert await walked(ann, f"{PAGE}?whose={whose}&down={down}", card) == wanted
        file = await filed(ann, f"{PAGE}.csv?down=0")
        assert [(row["id"], row["waits_for"]) for row in file] == [
            *((each, "you") for each in his), *((each, "others") for each in mine)
        ]  # fmt: skip
        assert (file[0]["reason"], json.loads(file[2]["asked"])["delta"]) == ("'=cmd()", 5)
        await add_user(office.http.worker, "aud", "auditor")
        log = (await (await signed_in(office.http.worker, "aud")).get("/console/audit?action=waiting.exported")).text
        assert (log.count(">waiting.exported<"), ">ann<" in log) == (1, True)
        both = await ann.get(f"{PAGE}?whose=nobody&sort=x")
        assert re.findall(card, both.text) == [his[1], mine[1]]
