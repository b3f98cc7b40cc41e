"""What `fairclaim status` finds: on real servers, with a real drain, and with each thing broken in turn."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from gateway.cli import status_screen
from gateway.cli.status_screen import show_status
from gateway.settings import Settings
from gateway.status import drain_lag, sight, take_status
from gateway.status.report import CampaignStatus, Status
from gateway.wire import rfc3339
from lua.door import Door
from lua.keys import PROBING_KEY
from tests.builders import HOUR_MS, now_ms
from tests.conftest import ON_VALKEY, Eventually
from tests.http import PATIENT
from tests.integration.draining import Books, Sale, draining, open_sale

pytestmark = ON_VALKEY

STOCK = 1000


def a_definition(campaign: str, **changes: Any) -> str:
    """A whole definition as Postgres keeps it, open for an hour."""
    now = now_ms()
    definition = {
        "id": campaign,
        "name": "Test",
        "currency": "CNY",
        "stock": STOCK,
        "value": {"type": "amount_off", "minor": 500},
        "starts_at": rfc3339(now - HOUR_MS),
        "ends_at": rfc3339(now + HOUR_MS),
        "validity": {"days": 1},
    }
    return json.dumps({**definition, **changes})


@pytest.fixture
async def sale(door: Door, postgres_url: str) -> AsyncIterator[Sale]:
    """A campaign with STOCK coupons in Redis, and its row in the books."""
    with Books(postgres_url) as books:
        sale = await open_sale(door, books, stock=STOCK)
        books.rows("UPDATE campaigns SET definition = %s", a_definition("c"))
        yield sale


async def status_of(sale: Sale) -> Status:
    """The status now, without the second it takes to measure claims/s."""
    async with await psycopg.AsyncConnection.connect(sale.books.url, autocommit=True) as connection:
        found, _ = await take_status(sale.on.door, connection, before={})
    return found


async def one(sale: Sale) -> CampaignStatus:
    """The one campaign of the status now."""
    [campaign] = (await status_of(sale)).campaigns
    return campaign


async def drained(sale: Sale, redis_url: str, eventually: Eventually) -> None:
    """Let a reconciler bring everything into the books, and end."""
    async with draining(redis_url, sale.books.url):
        await eventually(sale.drained)


def tamper(sale: Sale, statement: str) -> None:
    """Change the books as nobody may: with their triggers off."""
    sale.books.rows(f"BEGIN; SET LOCAL session_replication_role = replica; {statement}; COMMIT")


async def test_everything_in_order(sale: Sale, redis_url: str, eventually: Eventually) -> None:
    """After the drain: claims are coupons, seq is whole, the unit book balances with Redis, nothing lags."""
    await sale.claim("ann", "bob", "cy")
    await drained(sale, redis_url, eventually)
    found = await status_of(sale)
    [campaign] = found.campaigns

    assert found.ok
    assert (campaign.id, campaign.state, campaign.equal, campaign.problems) == ("c", "active", True, [])
    assert (campaign.stock, campaign.claimed) == (STOCK - 3, 3)
    assert campaign.seq == campaign.books.seq == await sale.last_seq()
    assert (campaign.books.coupons, campaign.books.outstanding, campaign.books.stock) == (3, 3, STOCK - 3)
    assert (campaign.books.seq_gaps, campaign.books.holders_over_limit) == (0, 0)
    assert (campaign.lag.seq, campaign.lag.seconds) == (0, 0.0)
    assert (found.totals.claimed, found.totals.coupons, found.totals.stock) == (3, 3, STOCK - 3)
    assert (found.breaks, found.quarantine) == ([], [])


async def test_books_that_are_behind_are_equal_where_they_stand(
    sale: Sale, redis_url: str, eventually: Eventually
) -> None:
    """What is on the stream and not drained is lag and no difference: Redis is compared as of the books' seq."""
    await sale.claim("ann", "bob")
    await drained(sale, redis_url, eventually)
    await sale.claim("cy", "di", "ed")
    await sale.on.adjust(-7)
    behind = await one(sale)

    assert (behind.lag.seq, behind.claimed, behind.books.coupons) == (4, 5, 2)
    assert (behind.equal, behind.problems) == (True, [])

    await drained(sale, redis_url, eventually)
    assert (await one(sale)).lag.seq == 0


async def test_a_difference_shows_while_the_books_are_behind(
    sale: Sale, redis_url: str, eventually: Eventually
) -> None:
    """Lag does not hide a difference: stock that was changed behind the scripts' back is found before the drain."""
    await sale.claim("ann")
    await drained(sale, redis_url, eventually)
    await sale.claim("bob")
    await sale.on.door.redis.incr(sale.on.shard.key("stock"))
    found = await one(sale)

    assert found.equal is False
    assert found.problems == [f"stock at the same seq: Redis {STOCK}, book {STOCK - 1}"]


async def test_the_comparison_holds_while_claims_come_in(sale: Sale, redis_url: str) -> None:
    """With claims and the drain both running, no status ever finds a difference that is not there."""
    await sale.on.adjust(1_000_000)
    enough, verdicts = asyncio.Event(), list[bool | None]()
    async with draining(redis_url, sale.books.url):
        claiming = asyncio.create_task(_claim_until(sale, enough))
        try:
            # One that is None could not be told: between its snapshot and its look the stream was trimmed, each time.
            while verdicts.count(True) < 10:
                assert not claiming.done()
                found = await one(sale)
                verdicts.append(found.equal)
                assert found.problems == []
        finally:
            enough.set()
        claimed = await claiming

    assert set(verdicts) <= {True, None}
    assert (await one(sale)).books.coupons == claimed >= 450


async def _claim_until(sale: Sale, enough: asyncio.Event) -> int:
    """Claim until there is *enough* of it, and 150 times at least, never far ahead of the books; the coupons."""
    calls = 0
    while calls < 150 or not enough.is_set():
        if await sale.last_seq() > sale.books.seq() + 500:
            await asyncio.sleep(0.1)
            continue
        await _claim_once(sale, calls)
        calls += 1
    return calls * 3


async def _claim_on(sale: Sale, calls: int) -> None:
    for call in range(calls):
        await _claim_once(sale, call)


async def _claim_once(sale: Sale, call: int) -> None:
    await sale.claim(*(f"{call}-{n}" for n in range(3)))


BROKEN_BOOKS = [
    ("DELETE FROM coupon_entries WHERE seq = 3", "numbers 1 to"),
    ("DELETE FROM coupon_entries WHERE seq = (SELECT max(seq) FROM coupon_entries)", "numbers 1 to"),
    ("UPDATE checkpoints SET seq = seq + 1", "numbers 1 to"),
    ("DELETE FROM coupons WHERE seq = 3", "the coupons come to"),
    ("UPDATE coupons SET state = 'reserved' WHERE seq = 3", "the book has 0 reserved, the coupons come to 1"),
    ("UPDATE coupons SET state = 'redeemed' WHERE seq = 3", "the book has 0 redeemed, the coupons come to 1"),
    ("UPDATE account_days SET debit = debit - 1 WHERE account = 'outstanding'", "outstanding"),
    ("UPDATE account_days SET debit = debit + 1 WHERE account = 'stock'", "stock at the same seq"),
    (
        "INSERT INTO coupons SELECT 'x', campaign, shard, 'eve', state, 99, version, channel, claimed_at, expires_at, "
        "99 FROM coupons LIMIT 1",
        "claimed at the same seq",
    ),
]


@pytest.mark.parametrize(("statement", "said"), BROKEN_BOOKS)
async def test_books_that_were_changed_are_not_equal(
    sale: Sale, redis_url: str, eventually: Eventually, statement: str, said: str
) -> None:
    """A row lost, added or altered in the books makes the campaign unequal, in words, and the verdict no."""
    await sale.claim("ann", "bob", "cy")
    await drained(sale, redis_url, eventually)
    tamper(sale, statement)
    found = await status_of(sale)
    [campaign] = found.campaigns

    assert campaign.equal is False
    assert any(said in problem for problem in campaign.problems), campaign.problems
    assert not found.ok


async def test_a_holder_over_the_limit_is_counted(sale: Sale, redis_url: str, eventually: Eventually) -> None:
    """A holder with more coupons than any version allowed is counted, though Redis and the books are equal."""
    await sale.on.rule(per_holder=2)
    await sale.claim("ann", "bob")
    await sale.on.claim([f"{sale.name} ann", "2" * 12, "X" * 18, ""])
    await drained(sale, redis_url, eventually)
    found = await status_of(sale)
    [campaign] = found.campaigns

    assert campaign.books.holders_over_limit == 1
    assert campaign.equal is True
    assert not found.ok


async def test_a_limit_that_was_lowered_later_accuses_nobody(
    sale: Sale, redis_url: str, eventually: Eventually
) -> None:
    """Who was within the limit when he claimed is not over it because a later version allows less."""
    sale.books.rows(
        "INSERT INTO campaign_versions (campaign, version, state, definition, changed_by) VALUES ('c', 2, 'scheduled', "
        """'{"limits": {"per_holder": 2}}', 'test'), ('c', 3, 'scheduled', '{"limits": {"per_holder": 1}}', 'test')"""
    )
    await sale.on.rule(per_holder=2)
    await sale.claim("ann")
    await sale.on.claim([f"{sale.name} ann", "2" * 12, "X" * 18, ""])
    await drained(sale, redis_url, eventually)

    assert (await one(sale)).books.holders_over_limit == 0


async def test_a_redis_that_lost_its_data_is_behind_the_books(
    sale: Sale, redis_url: str, eventually: Eventually
) -> None:
    """An emptied Redis is said to be behind the books and not ready: never equal, never sold out."""
    await sale.claim("ann")
    await drained(sale, redis_url, eventually)
    await sale.on.door.redis.flushall()
    found = await one(sale)

    assert found.equal is False
    assert any("behind the books" in problem for problem in found.problems)
    assert any("not ready" in problem for problem in found.problems)


async def test_what_the_reconciler_found_is_in_the_verdict(sale: Sale, redis_url: str, eventually: Eventually) -> None:
    """A stopped drain, an open break and an entry in quarantine are each shown and each make the verdict no."""
    await drained(sale, redis_url, eventually)
    books = sale.books
    for change, undo, seen in (
        (
            "UPDATE checkpoints SET state = 'stopped'",
            "UPDATE checkpoints SET state = 'running'",
            lambda s: s.campaigns[0].problems,
        ),
        (
            "INSERT INTO breaks (shard, kind, expected, found) VALUES ('c/0', 'seq_gap', '4', '6')",
            "UPDATE breaks SET state = 'resolved', resolved_at = now()",
            lambda s: [each.kind for each in s.breaks],
        ),
        (
            "INSERT INTO quarantine (shard, entry_id, first_seq, count, fields, reason) "
            "VALUES ('c/0', '1-1', 4, 1, '{}', 'x')",
            "UPDATE quarantine SET replayed_at = now()",
            lambda s: [each.entry_id for each in s.quarantine],
        ),
    ):
        books.rows(change)
        broken = await status_of(sale)
        books.rows(undo)
        mended = await status_of(sale)

        assert seen(broken)
        assert not broken.ok
        assert not seen(mended)
        assert mended.ok


async def test_too_far_behind_is_left_open(
    sale: Sale, redis_url: str, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where more is on the stream than is read, equal is None and not a guess; that alone is not wrong."""
    await drained(sale, redis_url, eventually)
    await sale.claim("ann")
    await sale.claim("bob")
    monkeypatch.setattr(sight, "RECORDS_MAX", 1)
    found = await status_of(sale)

    assert found.campaigns[0].equal is None
    assert found.ok


async def test_lag_is_counted_and_aged_by_the_clock_of_redis(
    sale: Sale, redis_url: str, eventually: Eventually
) -> None:
    """drain_lag tells how many state changes wait and how old the oldest is; after the drain there is no lag."""
    await drained(sale, redis_url, eventually)
    async with AsyncConnectionPool(sale.books.url, min_size=1, kwargs={"row_factory": dict_row}, open=False) as pool:

        async def lag() -> Any:
            [shard_lag] = await drain_lag(sale.on.door, pool)
            return shard_lag

        idle = await lag()
        await sale.claim("ann")
        await sale.claim("bob", "cy")
        late = await lag()
        later = await eventually(lambda: _older(lag, late.lag_s + 0.05))

    assert (idle.lag_seq, idle.lag_s) == (0, 0.0)
    assert (late.shard, late.lag_seq, late.seq) == (sale.on.shard, 3, await sale.last_seq())
    assert later.lag_seq == 3


async def _older(lag: Any, than_s: float) -> Any:
    found = await lag()
    return found if found.lag_s > than_s else None


async def test_a_draft_and_an_archived_campaign_are_no_trouble(
    sale: Sale, redis_url: str, eventually: Eventually
) -> None:
    """A draft has no shards and is equal, nothing to nothing; what is archived is left out."""
    await drained(sale, redis_url, eventually)
    sale.books.rows(
        "INSERT INTO campaigns (id, version, state, definition) VALUES ('d', 1, 'draft', %s), ('z', 1, 'archived', %s)",
        a_definition("d"),
        a_definition("z"),
    )
    found = await status_of(sale)

    assert [(each.id, each.state, each.equal) for each in found.campaigns] == [
        ("c", "active", True),
        ("d", "draft", True),
    ]
    assert found.ok


async def test_claims_a_second_are_those_between_two_samples(sale: Sale) -> None:
    """claims_per_s is what was claimed since the sample before, over the time between by the clock of Redis."""
    async with await psycopg.AsyncConnection.connect(sale.books.url, autocommit=True) as connection:
        _, first = await take_status(sale.on.door, connection, before={})
        await _claim_on(sale, 20)
        found, second = await take_status(sale.on.door, connection, before=first)
    [before], [after] = first.values(), second.values()

    assert after.claimed - before.claimed == 60
    assert found.campaigns[0].claims_per_s == pytest.approx(60_000 / (after.now_ms - before.now_ms), abs=0.1)


async def test_watching_ends_when_it_is_interrupted_whoever_swallows_that(
    sale: Sale, redis_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A Ctrl-C that a library takes for a time of its own that is over is heard all the same, before another look."""

    async def interrupted(*asked: Any) -> Any:
        found, task = await take_status(*asked), asyncio.current_task()
        assert task is not None
        task.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(0):  # as redis-py looks whether there is something to read, before each command
                await asyncio.Event().wait()
        return found

    monkeypatch.setattr(status_screen, "take_status", interrupted)
    watching = asyncio.create_task(show_status(Settings(**PATIENT), redis_url, sale.books.url, 3600, True))
    await asyncio.wait({watching}, timeout=60)
    assert watching.cancelled()
    assert len(capsys.readouterr().out.splitlines()) <= 1


async def test_the_alarm_is_a_line_and_no_verdict(
    sale: Sale, redis_url: str, eventually: Eventually, capsys: pytest.CaptureFixture[str]
) -> None:
    """While codes are being guessed status says so, in words and in JSON, and the books are in order all the same."""
    await drained(sale, redis_url, eventually)
    for on in (True, False):
        await (sale.on.door.redis.set(PROBING_KEY, 301) if on else sale.on.door.redis.delete(PROBING_KEY))
        assert (await status_of(sale)).code_probing is on
        assert await show_status(Settings(**PATIENT), redis_url, sale.books.url, None, False)
        assert ("! Codes are being guessed" in capsys.readouterr().out) is on
