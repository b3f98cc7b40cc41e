"""Alerts from real figures: each kind begins and is over by what happens to a sale, its books and its servers."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.alerts.watch import Watch
from lua.door import Door, connect
from tests.conftest import ON_VALKEY, Eventually
from tests.http import Worker
from tests.integration.alerting import Watching, open_watching
from tests.integration.drained import Drained
from tests.integration.draining import Books, draining
from tests.integration.guesses import Guesses
from tests.proxy import Proxy

pytestmark = ON_VALKEY

LONG_S = 60.0


@pytest.fixture
async def worker(
    redis_url: str, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Worker]:
    """A worker whose own watch does not look, however long a test runs."""

    async def never(_watch: Watch, _worker: str) -> bool:
        return False

    monkeypatch.setattr(Watch, "once", never)
    limits: dict[str, Any] = {"code_failures_alarm": 5, "code_failures_holder_max": 100}
    async with Worker(redis_url, postgres_url, tmp_path, alerts_look_s=60, **limits) as worker:
        yield worker


@pytest.fixture
async def watching(worker: Worker) -> AsyncIterator[Watching]:
    """A watch that looks when it is told to."""
    async with open_watching(worker) as watching:
        yield watching


async def claim_many(worker: Worker, first: int, last: int) -> None:
    """Holders *first* to *last* claim."""
    for number in range(first, last + 1):
        assert (await worker.claim(f"h{number}")).status_code == 201


async def adjust(worker: Worker, delta: int) -> None:
    """Put stock in."""
    done = await worker.http.post(
        "/v1/campaigns/flash/stock-adjustments",
        json={"delta": delta, "reason": "more"},
        headers={**await worker.key("admin"), "Idempotency-Key": f"adjust {delta}"},
    )
    assert done.status_code == 200, done.text


async def choose(worker: Worker, **chosen: object) -> None:
    """Choose a threshold."""
    done = await worker.http.post("/v1/alert-thresholds", json=chosen, headers=await worker.key("admin"))
    assert done.status_code == 200, done.text


async def test_stock_and_budget_of_a_sale(worker: Worker, watching: Watching) -> None:
    """
    Nothing at the start; at a tenth both begin, once, and are held with the worst figure while it goes down. Stock that
    is put in ends the one, the end of the sale the other; and low stock once more is another alert.
    """
    await choose(worker, kind="drain_lag", value=86_400)  # nobody drains here, and a machine may take its time
    await worker.publish(stock=20, limits={"per_holder": 1, "budget_minor": 10_000})
    await watching.look()
    assert await watching.alerts() == []

    await claim_many(worker, 1, 18)
    await watching.look()
    for kind in ("low_stock", "budget_low"):
        assert await watching.open(kind) == [("flash", 10.0)]
    assert [name for name, _ in await watching.open("selling_out")] == ["flash"]
    await claim_many(worker, 19, 19)
    await watching.look()
    await watching.look()
    [low] = await watching.alerts("low_stock")
    assert (low.figure, low.worst, low.threshold, low.about["stock"]) == (5.0, 5.0, 10.0, 1)

    await adjust(worker, 50)
    await watching.look()
    [low] = await watching.alerts("low_stock")
    assert (low.cleared_at is not None, low.worst, await watching.open("budget_low")) == (True, 5.0, [("flash", 5.0)])
    await choose(worker, kind="low_stock", campaign="flash", value=51)
    await watching.look()
    assert await watching.open("low_stock") == [("flash", 51.0)]
    assert [each.unit for each in await watching.alerts("low_stock")] == ["%", "coupons"]

    await worker.state("ended")
    await watching.look()
    await watching.look(LONG_S)
    assert [each.kind for each in await watching.alerts() if each.cleared_at is None] == []
    assert len(await watching.alerts()) == 4


async def test_failures_and_guesses(worker: Worker, watching: Watching) -> None:
    """Answers of 5xx through all workers' counters, and codes that are not there through all workers' Redis."""
    await worker.publish()
    await watching.look()
    for _ in range(95):
        worker.services.telemetry.response(200)
    for _ in range(6):
        worker.services.telemetry.response(503)
    guesses = Guesses(worker)
    for number in range(6):
        assert await guesses.told(f"thief{number}") == [404]
    await watching.look()

    [failures] = await watching.alerts("failure_rate")
    assert failures.about["failed"] == 6
    assert failures.figure == pytest.approx(600 / failures.about["answers"], abs=0.01)
    assert await watching.open("code_probing") == [("", 6.0)]
    for _ in range(200):
        worker.services.telemetry.response(200)
    await watching.look(LONG_S)
    await watching.look(LONG_S)
    await watching.look(LONG_S)
    assert await watching.open("failure_rate") == []
    assert len(await watching.alerts("failure_rate")) == 1


async def test_the_books_are_behind_and_catch_up(
    worker: Worker, watching: Watching, redis_url: str, postgres_url: str, eventually: Eventually
) -> None:
    """Without a reconciler the lag grows until it is an alert; with one it is over."""
    await choose(worker, kind="drain_lag", value=1)
    await worker.publish()
    await claim_many(worker, 1, 1)

    async def is_behind() -> bool:
        await watching.look()
        return bool(await watching.open("drain_lag"))

    await eventually(is_behind)
    [lag] = await watching.alerts("drain_lag")
    assert (lag.severity, lag.subject, lag.about["behind"] >= 1) == ("critical", "", True)

    async with draining(redis_url, postgres_url):

        async def has_caught_up() -> bool:
            await watching.look(LONG_S)
            return not await watching.open("drain_lag")

        await eventually(has_caught_up)
    assert len(await watching.alerts("drain_lag")) == 1


async def test_breaks_and_expiring_coupons(worker: Worker, watching: Watching, drained: Drained) -> None:
    """A break of a campaign until it is resolved; coupons that expire within a day, until they are fewer."""
    await worker.publish()
    await choose(worker, kind="expiry_wave", campaign="flash", value=3)
    soon = datetime.now(UTC) + timedelta(hours=3)
    drained.add("ann", 2, expires_at=soon)
    drained.add("bob", 5, expires_at=soon + timedelta(days=2))
    with Books(worker.settings.postgres_url) as books:
        books.rows("INSERT INTO breaks (shard, kind, expected, found) VALUES ('flash/0', 'figure', '{}', '{}')")
        await watching.look()
        assert (await watching.open("breaks"), await watching.open("expiry_wave")) == ([("flash", 1.0)], [])
        drained.add("cid", 1, expires_at=soon)
        await watching.look(LONG_S)
        assert await watching.open("expiry_wave") == [("flash", 3.0)]

        books.rows("UPDATE breaks SET state = 'resolved', resolved_at = now()")
        books.rows("UPDATE coupons SET state = 'expired' WHERE holder = 'ann'")
        await watching.look(LONG_S)
        await watching.look()
    assert (await watching.open("breaks"), await watching.open("expiry_wave")) == ([], [])


async def test_redis_is_away(worker: Worker, redis_url: str) -> None:
    """While Redis does not answer that is the alert, and what can't be seen neither begins nor ends."""
    await worker.publish(stock=10)
    await claim_many(worker, 1, 9)
    async with Proxy(redis_url) as proxy:
        door = Door(connect(proxy.url, connections_max=8, call_ms_max=30_000, connect_ms_max=30_000))
        async with open_watching(worker, door) as watching:
            await watching.look()
            assert await watching.open("low_stock") == [("flash", 10.0)]
            proxy.refuse = True
            proxy.cut()
            for _ in range(3):
                await watching.look()
            assert await watching.open("redis_away") == [("", 10.0)]
            assert await watching.open("low_stock") == [("flash", 10.0)]
            proxy.refuse = False
            await watching.look()
            assert await watching.open("redis_away") == []
        await door.close()


async def test_one_watches_at_a_time_and_another_goes_on(worker: Worker, watching: Watching) -> None:
    """
    The second does not look while the first has the watch. When that is over it takes it, raises nothing twice and ends
    what is over; the first, who was only asleep, finds that it is another's and writes nothing.
    """
    await worker.publish(stock=10)
    await claim_many(worker, 1, 9)
    async with open_watching(worker) as other:
        assert await watching.look()
        assert not await other.look()
        with Books(worker.settings.postgres_url) as books:
            books.rows("UPDATE alert_watch SET until = now() - interval '1 second'")
        assert await other.look()
        assert not await watching.look()
        assert len(await other.alerts("low_stock")) == 1
        await adjust(worker, 50)
        assert not await watching.look()
        assert await other.open("low_stock") == [("flash", 10.0)]
        assert await other.look()
        assert await other.open("low_stock") == []


async def test_who_was_told_is_forgotten_long_after(
    worker: Worker, watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    What was sent of alerts that are over for 90 days goes, so many a look; what waits and what is younger stays, and
    the alerts do. The gateway may delete nothing of the last 30 days, whatever it asks for.
    """
    monkeypatch.setattr("gateway.alerts.watch.FORGOTTEN_MAX", 2)
    with Books(worker.settings.postgres_url) as books:
        books.rows(
            "INSERT INTO alert_receivers (id, by, name, address, secret, state, made_by, changed_by)"
            " VALUES ('ar_0', 'webhook', 'w', 'https://hooks.example.org/', 's', 'off', 'u', 'u')"
        )
        books.rows(
            "INSERT INTO alerts (kind, subject, severity, figure, worst, threshold, unit, raised_at, cleared_at)"
            " SELECT 'breaks', coalesce(days::text, 'open'), 'critical', 1, 1, 1, 'breaks', now() - interval '1 year',"
            " now() - make_interval(days => days) FROM unnest(ARRAY[91, 89, 29, NULL]) AS days"
        )
        books.rows(
            "INSERT INTO alert_deliveries (id, receiver, alert, type, payload, state)"
            " SELECT subject || '-' || state, 'ar_0', alerts.id, 'alert.raised', '{}', state"
            " FROM alerts, unnest(ARRAY['sent', 'failed', 'dropped', 'pending']) AS state"
        )

        def kept(days: str) -> int:
            return int(books.value("SELECT count(*) FROM alert_deliveries WHERE id LIKE %s", f"{days}-%"))

        await watching.look()
        assert kept("91") == 2
        await watching.look()
        assert kept("91") == 1
        assert books.value("SELECT state FROM alert_deliveries WHERE id LIKE '91-%%'") == "pending"
        books.rows("SET ROLE fairclaim_gateway")
        assert books.value("SELECT forget_alert_deliveries(0, 1000)") == 3
        assert (kept("89"), kept("29"), kept("open")) == (1, 4, 4)
        assert books.value("SELECT count(*) FROM alerts WHERE kind = 'breaks'") == 4
