"""Periods on real books: what a close is signed on, what is in its way, and what comes after it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from lua.door import Door
from reconciler.periods.calendar import parse_period
from reconciler.periods.checks import SAYS, booked, period_checks
from reconciler.periods.closing import NoEntity, NotAllowed, NotClosable, WrongState, close, hold, reopen
from reconciler.periods.listing import list_periods, report_of
from reconciler.verdict.judging import Verdict, judge
from tests.builders import amid_a_day
from tests.conftest import Eventually, redis_binaries
from tests.integration.draining import Books, draining
from tests.integration.life import open_life
from tests.integration.periods import FAULTS, Months, open_months

pytestmark = pytest.mark.parametrize("redis_server", list(redis_binaries().items())[:1], ids=["valkey"], indirect=True)

JANUARY, FEBRUARY = parse_period("main", "2024-01"), parse_period("main", "2024-02")
OTHERS = parse_period("other", "2024-01")


@pytest.fixture
async def months(door: Door, redis_url: str, postgres_url: str) -> AsyncIterator[Months]:
    """January and February of 2024, drained."""
    with Books(postgres_url) as books:
        yield await open_months(door, redis_url, books)


async def test_a_month_is_closed_on_what_its_books_say(months: Months) -> None:
    """Trial balance zero, roll-forward to the unit, every head: figures of January alone, by a reckoning of hand."""
    await months.hold("2024-01")
    done = await months.close("2024-01")

    report = done.report
    assert report is not None
    assert all(check.holds for check in report.checks)
    accounts = {one.account: (one.opening, one.debit, one.credit, one.closing) for one in report.accounts}
    assert accounts == {
        "budget:authorised": (0, 5_000, 50_000, -45_000),
        "budget:available": (0, 52_000, 9_000, 43_000),
        "commitment:c": (0, 4_000, 2_000, 2_000),
        "expense:promotion:brand": (0, 300, 150, 150),
        "expense:promotion:platform": (0, 700, 350, 350),
        "payable:m-1": (0, 500, 1_000, -500),
    }
    [campaign] = report.campaigns
    assert campaign.adds_up
    assert (campaign.restocked, campaign.withdrawn, campaign.returned, campaign.closing_stock) == (100, 10, 1, 84)
    assert (campaign.claimed, campaign.issued, campaign.redeemed, campaign.rolled_back) == (5, 2, 2, 1)
    assert (campaign.expired, campaign.revoked, campaign.closing_out) == (1, 1, 4)
    assert (campaign.currency, campaign.given_minor, campaign.given_back_minor) == ("CNY", 1_000, 500)
    assert [(one.shard, one.head) for one in report.chains] == [
        ("c/0", months.books.value("SELECT encode(head, 'hex') FROM checkpoints"))
    ]
    assert (report.late_count, report.manual_count) == (0, 0)
    assert months.closed_through() == "2024-01-31"
    async with months.connection() as connection:
        kept = await report_of(connection, JANUARY)
    assert kept is not None
    assert kept[1] == report
    assert [[*one.figures] for one in kept[1].checks] == [[*one.figures] for one in report.checks]
    assert months.books.rows("SELECT actor, action, subject FROM audit_log ORDER BY id") == [
        ("ann", "period.held", "period:main/2024-01"),
        ("ann", "period.closed", "period:main/2024-01"),
    ]
    with pytest.raises(WrongState, match="is closed"):
        await months.close("2024-01")
    with pytest.raises(WrongState, match="is closed"):
        await months.hold("2024-01")


async def test_whatever_is_in_the_way_is_named(months: Months) -> None:
    """Each check fails by what it is about, says what was found, and the period stays open; then it closes."""
    assert await months.in_the_way("2024-01") == {"hold": ["it is open: put it on hold first"]}
    await months.hold("2024-01")
    assert await months.in_the_way("2024-01") == {}
    for names, (fault, repair) in FAULTS.items():
        months.forge(*fault)
        found = await months.in_the_way("2024-01")
        assert tuple(found) == names
        assert all(found.values())
        assert all(one.startswith("check ") for name in names if name not in SAYS for one in found[name])
        assert months.closed_through() is None
        months.forge(*repair)

    assert (await months.close("2024-01")).number == 1


async def test_periods_close_in_order_and_when_they_are_over(months: Months) -> None:
    """Neither before what is open before it, nor before its last day is over by the clock of Redis."""
    days = "SELECT to_char(now(), 'YYYY-MM-DD'), to_char(now() + interval '1 day', 'YYYY-MM-DD')"
    [(today, tomorrow)] = months.books.rows(days)

    assert (await months.in_the_way("2024-02"))["order"] == ["2024-01-03 and what follows it is open: close it first"]
    [over] = (await months.in_the_way(tomorrow))["over"]  # which may be today by the time that it is asked
    assert over in [f"in UTC it is {day}: wait until it is over" for day in (today, tomorrow)]


async def test_a_month_closes_while_the_next_one_s_sale_goes_on(months: Months) -> None:
    """What waits on a stream is told by its date: a state change of January keeps it open, one of later does not."""
    await months.hold("2024-01")
    await months.claim("2024-01-31", "G")
    await months.claim("2024-02-02", "H")

    assert await months.in_the_way("2024-01") == {"drained": ["c/0: seq 18 of 2024-01-31 is not in the books yet"]}

    await months.drained()
    await months.claim("2024-02-03", "I")
    assert (await months.close("2024-01")).report is not None


async def test_a_stream_that_does_not_tell_keeps_a_month_open(months: Months) -> None:
    """A record that can't be read, state changes that are on no stream, and a Redis behind the books are each named."""
    key = months.sale.on.shard.key
    await months.hold("2024-01")
    await months.door.redis.hset(key("counters"), "seq", 18)
    assert (await months.in_the_way("2024-01"))["drained"] == ["c/0: seq 18 to 18 are on no stream"]
    redis: Any = months.door.redis
    entry_id = await redis.xadd(key("entries"), {"seq": 18, "count": 1, "entry": b"?"})
    [found] = (await months.in_the_way("2024-01"))["drained"]
    assert found.startswith(f"c/0: record {entry_id.decode()} can't be read (body: ")
    await months.door.redis.hset(key("counters"), "seq", 3)
    assert (await months.in_the_way("2024-01"))["drained"] == ["c/0: Redis is at seq 3, behind the books at 17"]


async def test_a_close_compares_redis_with_the_books(door: Door, redis_url: str, postgres_url: str) -> None:
    """A shard with a coupon more in stock than the books make of it is named, with the figure."""
    with Books(postgres_url) as books:
        sale = await open_life(door, books, stock=5)
        months = Months(door, redis_url, books, sale)
        await sale.claim("ann", "ben")
        async with draining(redis_url, postgres_url):
            pass
        today = books.value("SELECT to_char(now(), 'YYYY-MM-DD')")

        checks = {one.name: one for one in (await months.close(today, dry_run=True)).checks}
        assert (checks["live"].holds, checks["live"].figures["coupons sampled"]) == (True, 2)
        await door.redis.incr(sale.on.shard.key("stock"))
        [found] = (await months.in_the_way(today))["live"]
        assert found.startswith("check stocktake, shard c/0, seq 4, kind figure, name stock, expected value 3")


async def test_what_comes_late_is_booked_on_the_next_open_day_and_listed(months: Months) -> None:
    """With its own date in the journal; January's figures stay, February's report lists it, and all totals agree."""
    await months.hold("2024-01")
    closed = await months.close("2024-01")
    await months.step("2024-01-31", "redeemed", "E")
    await months.drained()
    await months.hold("2024-02")
    done = await months.close("2024-02")

    assert closed.report is not None
    assert done.report is not None
    [late] = done.report.late
    assert (str(late.original_date), str(late.effective_date), late.verb) == ("2024-01-31", "2024-02-01", "redeem")
    assert [(one.destination, one.commodity, one.amount) for one in late.lines] == [
        ("redeemed", "coupon:c", 1),
        ("budget:available", "CNY", 500),
        ("expense:promotion:platform", "CNY", 350),
        ("expense:promotion:brand", "CNY", 150),
    ]
    closings = {one.account: one.closing for one in closed.report.accounts}
    assert {one.account: one.opening for one in done.report.accounts} == closings
    [january], [february] = closed.report.campaigns, done.report.campaigns
    assert (february.opening_stock, february.opening_out) == (january.closing_stock, january.closing_out)
    assert (february.claimed, february.redeemed, february.closing_out) == (1, 1, 4)
    assert months.closed_through() == "2024-02-29"

    for period in (FEBRUARY, JANUARY):
        await reopen(months.connection, period, "root", "an invoice", may_reopen=True)
    await months.hold("2024-01")
    again = (await months.close("2024-01")).report
    assert again is not None
    assert (again.late_onward, again.late_count) == (1, 0)
    assert (again.accounts, again.campaigns) == (closed.report.accounts, closed.report.campaigns)


async def test_a_manual_journal_is_in_the_report_of_its_period(months: Months, eventually: Eventually) -> None:
    """Drafted it keeps the month open; posted it is listed with who made and who approved it, and its units add up."""
    lines = [
        {"debit": "stock", "credit": "supply", "commodity": "coupon:c", "minor": 2},
        {"debit": "expense:promotion:brand", "credit": "payable:m-1", "commodity": "CNY", "minor": 40},
    ]
    months.books.rows(
        "INSERT INTO manual_journals (id, entity, effective_date, about, reason, attachment, lines, made_by) "
        "VALUES ('mj_1', 'main', '2024-01-31', 'c/0', 'A box was found', 'INV-7', %s, 'key:a Ann')",
        msgspec.json.encode(lines).decode(),
    )
    await months.hold("2024-01")
    assert await months.in_the_way("2024-01") == {"manual": ["mj_1 is drafted: approve or reject it"]}
    months.books.rows("UPDATE manual_journals SET state = 'approved', checked_by = 'key:b Ben', checked_at = now()")
    assert await months.in_the_way("2024-01") == {"manual": ["mj_1 is approved: the reconciler posts it, once it runs"]}
    async with months.draining():
        await eventually(lambda: months.books.value("SELECT state FROM manual_journals") == "posted")

    report = (await months.close("2024-01")).report
    assert report is not None
    [manual], [campaign] = report.manual, report.campaigns
    assert (manual.id, manual.made_by, manual.checked_by) == ("mj_1", "key:a Ann", "key:b Ben")
    assert (manual.reason, manual.attachment, len(manual.lines)) == ("A box was found", "INV-7", 2)
    assert (campaign.manual_stock, campaign.closing_stock, campaign.adds_up) == (2, 86, True)
    assert [(one.shard, one.journals) for one in report.chains if one.shard == "manual:main"] == [("manual:main", 1)]


async def test_each_legal_entity_closes_its_own_books(months: Months) -> None:
    """No fault of another one's books is in the way, nor are its figures or chains in the report; its own are."""
    months.forge("INSERT INTO legal_entities (id, zone) VALUES ('other', 'Asia/Shanghai')")
    months.books.add_campaign("d")
    for table, name in (("campaigns", "id"), ("campaign_versions", "campaign")):
        months.forge(
            f"UPDATE {table} SET definition = definition || '{{\"legal_entity\": \"other\"}}' WHERE {name} = 'd'"
        )
    months.forge(
        "UPDATE checkpoints SET state = 'stopped', head = '\\x00' WHERE shard = 'd/0'",
        "INSERT INTO breaks (shard, kind, expected, found) VALUES ('other', 'outside', '1', '2')",
        "INSERT INTO quarantine (shard, entry_id, fields, reason) VALUES ('d/0', '9-9', '{}', 'why')",
        'INSERT INTO coupon_entries SELECT (r).* FROM (SELECT jsonb_populate_record(e, \'{"shard": "d/0"}\') AS r'
        " FROM coupon_entries AS e WHERE kind = 'claimed' LIMIT 1) AS copied",
        "INSERT INTO account_days (shard, effective_date, commodity, account, entity, debit, credit) "
        "VALUES ('d/0', '2024-01-05', 'CNY', 'suspense:promotion:d', 'other', 5, 0)",
        "INSERT INTO journals OVERRIDING SYSTEM VALUE SELECT (r).* FROM (SELECT jsonb_populate_record(j, "
        """'{"id": 99, "shard": "manual:other", "entity": "other"}') AS r FROM journals AS j LIMIT 1) AS copied""",
    )
    await months.hold("2024-01")

    report = (await months.close("2024-01")).report
    assert report is not None
    assert [one.campaign for one in report.campaigns] == ["c"]
    assert [one.shard for one in report.chains] == ["c/0"]
    assert months.books.rows("SELECT id, closed_through::text FROM legal_entities ORDER BY id") == [
        ("main", "2024-01-31"),
        ("other", None),
    ]
    found = await judge(months.door, months.books.url, entity="other")
    assert (found.shards, [one.shard for one in found.chains]) == (1, ["d/0", "manual:other"])
    faults = {one.name: one.wrong for one in found.invariants if not one.holds}
    assert faults == {
        **{"units": 1, "sequence": 1, "answers": 1, "balanced": 2, "control": 2},
        **{"chain": 2, "settled": 4, "totals": 2},
    }
    async with months.connection() as connection:
        others = await period_checks(connection, months.door, OTHERS, "hold", await booked(connection, OTHERS))
    assert [one.name for one in others if not one.holds] == ["suspense"]


async def test_a_batch_and_a_close_never_cross(
    months: Months, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A close waits for a batch that has begun, and is refused where that brought something of the period."""
    monkeypatch.setattr("reconciler.periods.closing.LOCK_S_MAX", 120)
    await months.hold("2024-01")
    async with months.connection() as other:
        await other.execute("SET ROLE NONE")
        async with other.transaction():
            await other.execute("SELECT FROM legal_entities WHERE id = 'main' FOR KEY SHARE")
            await other.execute(
                "INSERT INTO account_days (shard, effective_date, commodity, account, entity, debit, credit) "
                "VALUES ('c/0', '2024-01-31', 'CNY', 'a', 'main', 5, 5)"
            )
            await other.execute(
                "INSERT INTO quarantine (shard, entry_id, fields, reason) VALUES ('c/0', '9-9', '{}', '')"
            )
            closing = asyncio.create_task(months.close("2024-01"))
            locked = "wait_event_type = 'Lock' AND datname = current_database()"
            await eventually(lambda: months.books.value(f"SELECT count(*) FROM pg_stat_activity WHERE {locked}") == 1)

    with pytest.raises(NotClosable) as caught:
        await closing
    found = {one.name: one.found for one in caught.value.checks if not one.holds}
    assert found["still"] == ["something was booked meanwhile: try again"]
    assert found["settled"] == [
        "check nothing_in_quarantine, shard c/0, entry_id 9-9, first_seq None, count None, reason "
    ]
    assert "still: something was booked meanwhile: try again; settled: check nothing_in_quarantine" in str(caught.value)
    assert months.closed_through() is None


async def test_whoever_closes_second_is_told_that_it_is_closed(months: Months) -> None:
    """Two begin at once, and one of them ends while the other still judges the books: that is no check that failed."""
    await months.hold("2024-01")

    async def judge_slowly() -> Verdict:
        verdict = await judge(months.door, months.books.url, entity="main")
        await months.close("2024-01")
        return verdict

    with pytest.raises(WrongState, match="2024-01 is closed") as caught:
        await close(months.connection, months.door, judge_slowly, JANUARY, "bob")
    assert "an admin may open it again" in caught.value.to_do
    assert months.books.rows("SELECT closed_by FROM close_reports") == [("ann",)]


async def test_only_the_last_closed_period_is_reopened(months: Months) -> None:
    """By who may; the days of a month by reopening the month; what was closed before stays closed."""

    async def again(period: str, *, may_reopen: bool = True) -> None:
        await reopen(months.connection, parse_period("main", period), "root", "an invoice", may_reopen=may_reopen)

    months.forge("UPDATE legal_entities SET closed_through = '2024-01-29'")
    for period in ("2024-01-30", "2024-01-31", "2024-01", "2024-02-01"):
        await months.hold(period)
        await months.close(period)

    for period, because in (("2024-01", "day from 2024-02-01"), ("2024-01-31", "day from 2024-02-01")):
        with pytest.raises(WrongState, match=because):
            await again(period)
    with pytest.raises(NotAllowed):
        await again("2024-02-01", may_reopen=False)
    await again("2024-02-01")
    with pytest.raises(WrongState, match="month from 2024-01-01"):
        await again("2024-01-31")
    await again("2024-01")
    assert months.closed_through() == "2024-01-31"
    await again("2024-01-31")
    assert months.closed_through() == "2024-01-30"
    with pytest.raises(WrongState, match="is open"):
        await again("2024-01-31")

    told = "SELECT detail ->> 'reason', detail ->> 'closed_through' FROM audit_log WHERE action = 'period.reopened'"
    assert months.books.rows(f"{told} ORDER BY id") == [
        ("an invoice", "2024-01-31"),
        ("an invoice", "2024-01-31"),
        ("an invoice", "2024-01-30"),
    ]
    async with months.connection() as connection:
        listed = await list_periods(connection, "main", "day", FEBRUARY.starts, behind=FEBRUARY.starts, limit=3)
    assert [(one.starts.day, one.state) for one in listed] == [(31, "open"), (30, "closed"), (29, "open")]


async def test_a_hold_is_taken_away_by_who_may_hold(months: Months) -> None:
    """A period on hold is opened again without the right to reopen; an entity that is not there has no periods."""
    await months.hold("2024-01")
    await months.hold("2024-01")
    await reopen(months.connection, JANUARY, "ann", "too early", may_reopen=False)

    assert (await months.in_the_way("2024-01"))["hold"] == ["it is open: put it on hold first"]
    with pytest.raises(NoEntity):
        await hold(months.connection, parse_period("nobody", "2024-01"), "ann")


async def test_what_has_not_begun_where_the_entity_is_is_not_held(months: Months) -> None:
    """A day begins when it does in the entity's zone, whatever day it is elsewhere."""
    # A day apart, and not soon midnight: these are where it is always the same time of another day.
    here = amid_a_day("Etc/GMT+12", "Etc/GMT+10")
    for zone in (here, {"Etc/GMT+12": "Etc/GMT-12", "Etc/GMT+10": "Etc/GMT-14"}[here]):
        months.books.rows("UPDATE legal_entities SET zone = %s", zone)
        today = months.books.value("SELECT (now() AT TIME ZONE %s)::date", zone)
        with pytest.raises(WrongState, match="has not begun"):
            await months.hold(str(today + timedelta(days=1)))
        await months.hold(str(today))
