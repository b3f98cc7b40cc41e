"""What a campaign's pages have from the books: stock over time, channels, holders, versions, acts of two people."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from gateway.console.campaigns.holders import ROWS_MAX
from gateway.routes.paging import make_cursor
from tests.conftest import ON_VALKEY
from tests.http import Worker
from tests.integration.consoling import add_user, filed, signed_in, walked
from tests.integration.draining import Books, draining
from tests.integration.test_console_campaigns import PAGE, filled, made, marketer

pytestmark = ON_VALKEY

HOLDER = r'data-label="Holder"><a[^>]*>([^<]*)<'
NASTY = "<script>alert(1)</script>"


def cells(page: str) -> list[list[str]]:
    """The rows of the tables of a page, as texts."""
    rows = re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)
    return [
        [unescape(re.sub(r"<[^>]+>", "", cell)).strip() for cell in re.split(r"</t[hd]>", row)][:-1] for row in rows
    ]


def stock_of(page: str) -> list[str]:
    """What was left, from the beginning to the last change, by the table beside the curve of a campaign's page."""
    return [row[1] for row in cells(page.partition('aria-labelledby="curve"')[2].partition("</section>")[0])[1:]]


async def redeemed(worker: Worker, code: str, order: str) -> None:
    """A coupon spent on an order of 50.00."""
    lines = [{"sku": "tea", "quantity": 1, "unit_price_minor": 5000}]
    body = {"code": code, "store": "s-1", "order": {"id": order, "currency": "CNY", "lines": lines}}
    sent = {**await worker.key("store"), "Idempotency-Key": f"key of {order}"}
    answer = await worker.http.post("/v1/redemptions", json=body, headers=sent)
    assert answer.status_code == 201, answer.text


async def claimed_later(worker: Worker, holder: str, channel: str, key: str = "") -> str:
    """The code of a claim a millisecond after the one before: those of one are in the order of their codes."""
    clock: Any = worker.services.door.redis.time
    before = await ms_of(clock)
    while await ms_of(clock) == before:
        pass
    return str((await worker.claim(holder, key, body={"channel": channel})).json()["code"])


async def ms_of(clock: Callable[[], Awaitable[tuple[int, int]]]) -> int:
    """The milliseconds that a clock of Redis shows."""
    seconds, microseconds = await clock()
    return seconds * 1000 + microseconds // 1000


async def test_stock_channels_and_holders_of_a_sale(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Of claims over two shards, through two channels, with a restock by two people and redemptions, the page has each
    figure of the books; holders are found, by time both ways, and all of them are in the file, without a code.
    """
    ann, cho = await marketer(worker), await marketer(worker, "cho")
    await worker.publish(shards=2, stock=200, name=NASTY, limits={"per_holder": 2})
    servers = worker.settings.redis_url, worker.settings.postgres_url
    async with draining(*servers):
        pass
    assert stock_of((await ann.get(f"{PAGE}/flash")).text)[-1] == "200", "both shards got theirs"
    async with draining(*servers):
        codes = [await claimed_later(worker, f"h{n}", "web" if n % 4 == 0 else "app") for n in range(ROWS_MAX + 5)]
        await claimed_later(worker, "h0", "web", key="again")
        await ann.get(f"{PAGE}/flash")
        stock = {"step": "stock", "way": "in", "count": "40", "reason": NASTY}
        assert (await ann.post(f"{PAGE}/flash", stock)).status_code == 303
        waits = (await cho.get(f"{PAGE}/flash")).text
        assert re.search(r"<del>144</del> → <ins>184</ins>", waits)
        number = re.search(r"/console/waiting#(\w+)", waits)
        assert number
        assert (await cho.post("/console/waiting", {"proposal": number[1], "step": "approve"})).status_code == 303
        for n, code in enumerate(codes[:3]):
            await redeemed(worker, code, f"o-{n}")

    page = (await ann.get(f"{PAGE}/flash")).text
    table = cells(page)
    assert ["app", "41", "73.21%", "2", "CN¥10.00"] in table
    assert ["web", "15", "26.79%", "1", "CN¥5.00"] in table
    assert stock_of(page)[-1] == "184"
    assert '<strong>Restocked</strong> <span class="wrap">ann, approved by cho</span>' in page
    assert NASTY not in page

    first = await ann.get(f"{PAGE}/flash/holders")
    more = re.search(r'href="([^"]*cursor=[^"]*)"', first.text)
    assert more
    second = await ann.get(unescape(more[1]))
    claims = [row for each in (first, second) for row in cells(each.text)[1:]]
    assert [row[0] for row in claims] == ["h0", *(f"h{n}" for n in reversed(range(ROWS_MAX + 5)))]
    assert claims[0][2:] == ["web", claims[0][3], "Claimed", "2"]
    assert [row[4] for row in claims[-3:]] == ["Redeemed"] * 3
    one = cells((await ann.get(f"{PAGE}/flash/holders?holder=h0")).text)
    assert [row[0] for row in one[1:]] == ["h0", "h0"]
    up = await walked(ann, f"{PAGE}/flash/holders?down=0", HOLDER)
    assert up == [row[0] for row in reversed(claims)]
    assert [row["holder"] for row in await filed(ann, f"{PAGE}/flash/holders.csv?down=0")] == up
    his = [await filed(ann, f"{PAGE}/flash/holders.csv?holder=h0&down={down}") for down in (0, 1)]
    assert ([row["channel"] for row in his[0]], his[0]) == (["web", "web"], his[1][::-1])
    monkeypatch.setattr("gateway.console.campaigns.holders.ROWS_MAX", 1)
    assert await walked(ann, f"{PAGE}/flash/holders?holder=h0&down=0", HOLDER) == ["h0", "h0"]
    assert "Nobody of this name" in (await ann.get(f"{PAGE}/flash/holders?holder={NASTY}")).text
    file = (await ann.get(f"{PAGE}/flash/holders.csv")).text.splitlines()
    assert (len(file), file[0], file[1].split(",")[0]) == (ROWS_MAX + 7, "holder,claimed_at,channel,state", "h0")
    assert not any(code in line for line in file for code in codes)
    with Books(worker.settings.postgres_url) as books:
        taken = books.rows("SELECT actor, subject FROM audit_log WHERE action = 'holders.exported'")
    assert set(taken) == {("user:ann", "campaign:flash")}


async def test_claims_far_away_are_found_by_their_journals(worker: Worker) -> None:
    """Between very many other state changes claims come in order all the same, both ways, each of them once."""
    ann = await marketer(worker)
    await worker.publish()
    with Books(worker.settings.postgres_url) as books:
        plant_claims(books, claims=120, others=2500)
    first = [f"h{n}" for n in range(1, 121)]
    assert await walked(ann, f"{PAGE}/flash/holders", HOLDER) == first[::-1]
    assert await walked(ann, f"{PAGE}/flash/holders?down=0", HOLDER) == first
    for seq in (2**63 - 1, 2**64 - 1, -1):  # forged
        for way in ("", "?sort=claimed&down=0"):
            address = f"{PAGE}/flash/holders{way}"
            cursor = make_cursor((datetime.now(UTC), "", [seq]), address)
            asked = f"{address}{'&' if way else '?'}cursor={cursor}"
            assert (await ann.get(asked)).status_code == 400, (seq, way)


def plant_claims(books: Books, *, claims: int, others: int) -> None:
    """Claims in journals of seven, between what expired, as the books have a sale of long ago."""
    books.rows(
        "INSERT INTO coupon_entries (shard, seq, kind, at, epoch, version, entry_id, holder, channel, code,"
        " effective_date)"
        f" SELECT 'flash/0', n, CASE WHEN n - {others} BETWEEN 1 AND {claims} THEN 'claimed' ELSE 'expired' END,"
        f" now() + n * interval '1 ms', 1, 2, '1-1', 'h' || n - {others}, 'app', 'C' || n, '2026-01-01'"
        f" FROM generate_series(1, {claims + 2 * others}) n"
    )
    books.rows(
        "WITH made AS (INSERT INTO journals (shard, verb, first_seq, last_seq, occurred_at, effective_date,"
        f" previous_hash, hash) SELECT 'flash/0', 'claim', n, least(n + 6, {others + claims}), now(), '2026-01-01',"
        f" int4send(n), int4send(n) FROM generate_series({others + 1}, {others + claims}, 7) n"
        " RETURNING id, first_seq, last_seq)"
        " INSERT INTO postings (journal, line, source, destination, commodity, amount)"
        " SELECT id, 1, 'stock', 'outstanding', 'coupon:flash', last_seq - first_seq + 1 FROM made"
    )
    books.rows(f"UPDATE checkpoints SET seq = {claims + 2 * others} WHERE shard = 'flash/0'")


async def test_very_many_journals_are_summed_up_by_days(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stock over time is the same at its ends, from the sums of days, where journals are too many to be added up."""
    ann = await marketer(worker)
    await worker.publish(stock=50)
    async with draining(worker.settings.redis_url, worker.settings.postgres_url):
        for n in range(9):
            await worker.claim(f"h{n}")
    monkeypatch.setattr("gateway.campaigns.register.JOURNALS_MAX", 1)
    stocks = stock_of((await ann.get(f"{PAGE}/flash")).text)
    assert (stocks[0], stocks[-1]) == ("50", "41"), "with a day between them where midnight was"


async def test_money_waits_for_a_second_person(redis_url: str, postgres_url: str, tmp_path: Path) -> None:
    """
    What moves money is seen on the campaign while it waits, in words, and is one version when it is approved, by both;
    with two people asked of everybody, too. What does not, changes at once. Each act has its before and after.
    """
    async with Worker(redis_url, postgres_url, tmp_path, two_people=True) as worker:
        ann, cho = await marketer(worker), await marketer(worker, "cho")
        await ann.get(PAGE)
        form = filled(name="Flash")
        assert (await made(ann, **form)).status_code == 303
        await ann.post(f"{PAGE}/flash", {"step": "publish"})
        changed = {**form, "value.minor": "6", "limits.budget_minor": "900", "reason": "agreed", "version": "2"}
        asked = await ann.post(f"{PAGE}/flash/change", changed)
        assert asked.headers["location"] == f"{PAGE}/flash?done=proposed"
        waits = unescape((await cho.get(f"{PAGE}/flash")).text)
        for told in ("<del>CN¥5.00</del> → <ins>CN¥6.00</ins>", "Budget</span> <del>none</del> → <ins>CN¥900.00</ins>"):
            assert told in waits
        again = await ann.post(f"{PAGE}/flash/change", {**changed, "value.minor": "7"})
        assert (again.status_code, "waits already" in again.text) == (409, True)
        number = re.search(r"/console/waiting#(\w+)", waits)
        assert number
        assert (await ann.post("/console/waiting", {"proposal": number[1], "step": "approve"})).status_code == 403
        assert (await cho.post("/console/waiting", {"proposal": number[1], "step": "approve"})).status_code == 303
        story = unescape((await ann.get(f"{PAGE}/flash/versions")).text)
        assert "ann, approved by cho" in story
        assert "<del>CN¥5.00</del> → <ins>CN¥6.00</ins>" in story
        named = {**changed, "limits.budget_minor": "900", "name": "Better", "version": "3"}
        assert "done=changed" in (await ann.post(f"{PAGE}/flash/change", named)).headers["location"]
        with Books(worker.settings.postgres_url) as books:
            audited: list[Any] = books.rows(
                "SELECT action, detail -> 'before', detail -> 'after' FROM audit_log WHERE subject = 'campaign:flash'"
                " ORDER BY id"
            )
        assert [action for action, _, _ in audited] == [
            "campaign.created", "campaign.scheduled", "stock.done", "campaign.changed", "campaign.changed",
        ]  # fmt: skip
        assert audited[1][1:] == ({"state": "draft"}, {"state": "scheduled"})
        assert audited[2][1:] == ({"stock": 0}, {"stock": 10})
        assert audited[3][1]["value"]["minor"] == 500
        assert audited[4][1:] == ({"name": "Flash"}, {"name": "Better"})
        assert audited[0][2]["stock"] == 10


async def test_what_is_frozen_is_said_where_it_was_typed(worker: Worker) -> None:
    """With a coupon out, a worth that changes is refused beside the amount, and a scope beside its stores."""
    ann = await marketer(worker)
    await ann.get(PAGE)
    form = filled(name="Flash")
    await made(ann, **form)
    await ann.post(f"{PAGE}/flash", {"step": "publish"})
    assert (await worker.claim("bob")).status_code == 201
    page = await ann.post(
        f"{PAGE}/flash/change", {**form, "value.minor": "9", "scope.stores": "s-1", "reason": "x", "version": "2"}
    )
    assert page.status_code == 409
    assert set(re.findall(r'id="([\w.]+)-error"', page.text)) == {"value.minor", "scope.stores"}


async def test_two_people_at_the_same_time(worker: Worker) -> None:
    """Whatever two of them press at once, one state comes of it, each is told, and no version is lost or made twice."""
    ann, cho = await marketer(worker), await marketer(worker, "cho")
    for browser in (ann, cho):
        await browser.get(PAGE)
    for n, (one, other, ends) in enumerate(
        [("publish", "publish", "active"), ("pause", "pause", "paused"), ("pause", "end", "ended")]
    ):
        campaign = f"race-{n}"
        await made(ann, id=campaign)
        if n:
            await ann.post(f"{PAGE}/{campaign}", {"step": "publish"})
        answers = await asyncio.gather(
            ann.post(f"{PAGE}/{campaign}", {"step": one}), cho.post(f"{PAGE}/{campaign}", {"step": other})
        )
        assert {each.status_code for each in answers} <= {303, 409}, (one, other)
        seen = (await worker.http.get(f"/v1/campaigns/{campaign}", headers=await worker.key("marketer"))).json()
        assert seen["state"] == ends, (one, other)
        assert seen["version"] in ((2 if n == 0 else 3), 4), (one, other)


async def test_a_draft_whose_time_is_over(worker: Worker) -> None:
    """It can't be started, and the page says what to do about it."""
    ann = await marketer(worker)
    await ann.get(PAGE)
    await made(ann)
    with Books(worker.settings.postgres_url) as books:
        gone = (datetime.now(UTC) - timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        books.rows("UPDATE campaigns SET definition = definition || jsonb_build_object('ends_at', %s::text)", gone)
    page = await ann.get(f"{PAGE}/flash")
    assert "It can’t be started: its time is over." in page.text
    assert 'value="publish"' not in page.text
    late = await ann.post(f"{PAGE}/flash", {"step": "publish"})
    assert (late.status_code, "Its time is over before it began." in late.text) == (409, True)


async def test_an_auditor_sees_what_waits_and_changes_nothing(worker: Worker) -> None:
    """He sees the proposal on the campaign, and no way to the page that decides it."""
    ann = await marketer(worker)
    await add_user(worker, "eve", "auditor")
    await worker.publish()
    await ann.get(PAGE)
    await ann.post(f"{PAGE}/flash", {"step": "stock", "way": "out", "count": "5", "reason": "broken"})
    page = (await (await signed_in(worker, "eve")).get(f"{PAGE}/flash")).text
    assert "<del>100</del> → <ins>95</ins>" in page
    assert "/console/waiting" not in page
    assert "All of it in the audit log" in page
