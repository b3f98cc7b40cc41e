"""Closing the books at the console: a month and a day, by two at once, reopened by two; damage found and mended."""

import asyncio
import re
from datetime import datetime
from pathlib import Path

import httpx2
import psycopg
import pytest

from lua.door import Door
from tests.conftest import redis_binaries
from tests.integration.consoling import Browser, add_user, poll, signed_in
from tests.integration.draining import Books
from tests.integration.lived_in import forge
from tests.integration.periods import open_months
from tests.integration.site_http import open_http
from tests.integration.stocktaking import drain_all, live, open_stocked

pytestmark = pytest.mark.parametrize("redis_server", list(redis_binaries().items())[:1], ids=["valkey"], indirect=True)
"""The books are PostgreSQL's, whichever Redis there is."""

BOOKS, WAITING = "/console/books", "/console/waiting"
JANUARY = f"{BOOKS}/periods/main/month/2024-01-01"
NASTY = "<script>alert(1)</script>"
OPEN = 'id="standing" class="badge note">Open'


def items(page: str) -> dict[str, bool]:
    """A check-list: the name of each item → whether it holds."""
    found = re.findall(r'<tr data-item="(\w+)">.*?class="badge (good|bad)"', page, re.DOTALL)
    return {name: state == "good" for name, state in found}


async def closed(browser: Browser, period: str) -> str:
    """Hold a period and close it; its page then."""
    for step in ("hold", "close"):
        assert (await browser.post(f"{period}/act", {"step": step})).status_code == 303
    return await poll(browser, period, "data-close")


async def look_at_the_report(reader: Browser) -> None:
    """The only one of January: a page in both languages, and a PDF."""
    pdf = await reader.get(f"{JANUARY}/report?form=pdf")
    assert (pdf.headers["content-type"], pdf.content[:5]) == ("application/pdf", b"%PDF-")
    assert "Close report" in (await reader.get(f"{JANUARY}/report?number=1&form=html")).text
    chinese = await reader.get(f"{JANUARY}/report?form=html", accept_language="zh-CN")
    assert ("关账报告" in chinese.text, "Close report" in chinese.text) == (True, False)
    assert (await reader.get(f"{JANUARY}/report?number=9")).status_code == 404


async def at_once(postgres_url: str, *browsers: Browser) -> list[httpx2.Response]:
    """What each is told who closes January: whoever is first waits for the database until the other one has asked."""
    with psycopg.connect(postgres_url) as slow:
        slow.execute("LOCK TABLE close_reports IN SHARE MODE")
        return await asyncio.gather(*(each.post(f"{JANUARY}/act", {"step": "close"}) for each in browsers))


def set_clock(monkeypatch: pytest.MonkeyPatch, day: str, days_later: int = 0) -> None:
    """To those who look whether a day is over it is noon of *day*, or so many days later."""
    noon_ms = round(datetime.fromisoformat(f"{day}T12:00:00Z").timestamp() * 1000)

    async def clock_ms(_: Door) -> int:
        return noon_ms + days_later * 24 * 3_600_000

    monkeypatch.setattr("reconciler.periods.checks.clock_ms", clock_ms)


async def test_a_month_is_closed_and_opened_again(
    door: Door, redis_url: str, postgres_url: str, tmp_path: Path
) -> None:
    """
    What is in the way says what to do; of two who close at once one does, and the other is told; the report is there as
    page and PDF. Opening it again is proposed once, decided by an admin and not by finance, and audited on both ends.
    """
    with Books(postgres_url) as books:
        await open_months(door, redis_url, books)
        async with open_http(redis_url, postgres_url, tmp_path) as http:
            for name, role in (("fay", "finance"), ("gus", "finance"), ("root", "admin")):
                await add_user(http.worker, name, role)
            fay, gus, root = [await signed_in(http.worker, name) for name in ("fay", "gus", "root")]

            assert f'id="upcoming" href="{JANUARY}"' in (await fay.get(f"{BOOKS}/periods")).text
            assert (await fay.post(f"{JANUARY}/act", {"step": "close"})).status_code == 303
            early = await poll(fay, JANUARY, "data-close")
            assert [name for name, holds in items(early).items() if not holds] == ["hold"]
            assert "Put it on hold, with the button above." in early
            february = f"{BOOKS}/periods/main/month/2024-02-01"
            await fay.post(f"{february}/act", {"step": "close"})
            later = await poll(fay, february, "data-close")
            assert f'<a href="{BOOKS}/periods/main/day/2024-01-03">' in later, "what comes before it is led to"

            assert (await fay.post(f"{JANUARY}/act", {"step": "hold"})).status_code == 303
            both = await at_once(postgres_url, fay, gus)
            assert sorted(answer.status_code for answer in both) == [303, 409]
            assert "Somebody is at it already." in next(each.text for each in both if each.status_code == 409)
            page = await poll(gus, JANUARY, "data-close")
            assert 'data-close="closed"' in page
            assert all(items(page).values())
            assert books.value("SELECT count(*) FROM close_reports") == 1
            await look_at_the_report(gus)
            late = await gus.post(f"{JANUARY}/act", {"step": "hold"})
            assert (late.status_code, "Not in this state." in late.text) == (409, True)

            key = re.search(r'name="key" value="([^"]+)"', page)
            assert key
            again = {"step": "reopen", "reason": NASTY, "key": key[1]}
            assert [(await fay.post(f"{JANUARY}/act", again)).status_code for _ in range(2)] == [303, 303]
            other = await gus.post(f"{JANUARY}/act", {**again, "reason": "mine too", "key": "another"})
            assert (other.status_code, "It is proposed already." in other.text) == (409, True)
            mute = await fay.post(f"{JANUARY}/act", {"step": "reopen", "reason": "", "key": "m"})
            assert (mute.status_code, 'id="reason-error"' in mute.text) == (400, True)
            [proposal] = [row[0] for row in books.rows("SELECT id FROM proposals")]
            assert NASTY not in (await root.get(WAITING)).text
            decide = {"proposal": proposal, "step": "approve"}
            decided = [(await each.post(WAITING, decide)).status_code for each in (fay, gus, root)]
            assert decided == [403, 403, 303]
            opened = (await fay.get(JANUARY)).text
            assert [each in opened for each in (OPEN, "opened again since", "It is closed.")] == [True, True, False]
            told = books.rows(
                "SELECT action, actor, detail -> 'before' ->> 'state', detail -> 'after' ->> 'state' FROM audit_log "
                "WHERE subject = 'period:main/2024-01' ORDER BY id"
            )
            assert [(action, before, after) for action, _, before, after in told] == [
                ("period.held", "open", "hold"), ("period.closed", "hold", "closed"),
                ("period.reopened", "closed", "open"),
            ]  # fmt: skip
            assert told[2][1] == f"user:fay, approved by user:root ({proposal})"

            day = f"{BOOKS}/periods/main/day/2024-01-03"
            assert f'id="upcoming" href="{day}"' in (await fay.get(f"{BOOKS}/periods?kind=day")).text
            assert 'data-close="closed"' in await closed(fay, day)
            assert books.value("SELECT closed_through::text FROM legal_entities") == "2024-01-03"


async def see_a_verdict_turn(reader: Browser, books: Books) -> None:
    """It names the first row of what is violated; once that is put right it is green."""
    forge(books, "UPDATE coupons SET holder = 'eve' WHERE holder = 'kept'")
    verdict = f"{BOOKS}/verdict"
    await reader.post(verdict)
    broken = await poll(reader, verdict, "data-verdict")
    assert [name for name, holds in items(broken).items() if not holds] == ["answers", "live"]
    answers = broken.partition('data-item="answers"')[2].partition("</tr>")[0]
    assert "eve" in answers
    assert re.search(r'<a href="/console/coupons/\w+">', answers), "the first row leads to its coupon"
    forge(books, "UPDATE coupons SET holder = 'kept' WHERE holder = 'eve'")
    await reader.post(verdict)
    assert 'data-verdict="holds"' in await poll(reader, verdict, "data-verdict")


async def test_a_day_with_damage_is_mended_and_closed(
    door: Door, redis_url: str, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Stock that somebody set by hand is a break that keeps the day open, until it is explained, mended and resolved; the
    verdict names the first row of what is violated, and is green at last; the day is closed on the morning after.
    """
    with Books(postgres_url) as books:
        sale = await open_stocked(door, books)
        await live(sale)
        await drain_all(sale, redis_url)
        async with open_http(redis_url, postgres_url, tmp_path) as http:
            await add_user(http.worker, "fay", "finance")
            fay = await signed_in(http.worker, "fay")
            today = books.value("SELECT max(effective_date)::text FROM account_days")
            set_clock(monkeypatch, today)
            day = f"{BOOKS}/periods/main/day/{today}"
            await fay.post(f"{day}/act", {"step": "hold"})
            take = f"{BOOKS}/new-stocktake"
            assert (await fay.post(take, {"campaign": "c"})).headers["location"].endswith("done=clean")
            none = await fay.post(take, {"campaign": "nothing"})
            assert (none.status_code, 'id="campaign-error"' in none.text) == (404, True)

            await door.redis.incrby(sale.on.shard.key("stock"), -5)
            taken = await fay.post(take, {"campaign": "c"})
            assert taken.headers["location"].endswith("done=broken")
            assert "there are differences" in (await fay.get(taken.headers["location"])).text
            one = f"{BOOKS}/breaks/{books.value('SELECT id FROM breaks')}"
            assert "<dd" in (await fay.get(one)).text
            await fay.post(f"{day}/act", {"step": "close"})
            waits = await poll(fay, day, "data-close")
            assert [name for name, holds in items(waits).items() if not holds] == ["over"]
            assert "Wait until it is over everywhere" in waits
            set_clock(monkeypatch, today, days_later=1)
            await fay.post(f"{day}/act", {"step": "close"})
            refused = await poll(fay, day, "data-close")
            assert [name for name, holds in items(refused).items() if not holds] == ["settled", "live"]
            assert f'<a href="{one}">' in refused

            ends = {"step": "resolve", "resolution": "put back", "compensation": "INCRBY stock 5"}
            empty = await fay.post(f"{one}/act", {**ends, "compensation": ""})
            assert (empty.status_code, 'id="compensation-error"' in empty.text) == (400, True)
            explained = await fay.post(f"{one}/act", {"step": "explain", "explanation": NASTY})
            assert explained.headers["location"] == f"{one}?done=explained"
            shown = (await fay.get(one)).text
            assert (NASTY in shown, "&lt;script&gt;" in shown) == (False, True)
            remains = await fay.post(f"{one}/act", ends)
            assert (remains.status_code, "It is still there." in remains.text) == (409, True)
            await door.redis.incrby(sale.on.shard.key("stock"), 5)
            assert (await fay.post(f"{one}/act", ends)).headers["location"] == f"{one}?done=resolved"
            twice = await fay.post(f"{one}/act", ends)
            assert (twice.status_code, "It is resolved already" in twice.text) == (409, True)

            await see_a_verdict_turn(fay, books)

            assert 'data-close="closed"' in await closed(fay, day)
