"""The batcher when something goes wrong: what is lost, late, odd or broken, and what each caller is told."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from gateway import batcher as batcher_module
from gateway.asks import Decided
from gateway.stack.valkey import Valkey
from lua.door import Door, LostReply, connect
from lua.keys import CampaignId, Shard
from lua.outcomes import Outcome
from lua.scripts import load_script, parse_script
from tests.builders import ShardUnderTest, an_ask, open_shard
from tests.conftest import Eventually
from tests.integration.batching import Failing, NewDesk, evalsha_calls, outcomes
from tests.proxy import Proxy


async def test_a_lost_reply_is_unknown_and_the_retry_learns_the_truth(
    door: Door, redis_url: str, new_desk: NewDesk
) -> None:
    """The script ran, its reply was dropped: unknown for all; the same keys then get those coupons, stock down once."""
    shard = await open_shard(door, stock=10)
    async with Proxy(redis_url) as proxy:
        desk = new_desk(proxy.url)  # which the proxy cuts off: nothing has to wait for a time to be over
        assert outcomes([await desk.ask("warm")]) == [Outcome.CLAIMED]
        before = await evalsha_calls(door)
        proxy.lose_replies = True
        lost = await asyncio.gather(desk.ask("a"), desk.ask("b"))
        proxy.lose_replies = False
        ran = await evalsha_calls(door) - before
        again = await asyncio.gather(desk.ask("a"), desk.ask("b"))

        assert outcomes(lost) == ["unknown", "unknown"]
        assert ran == 1, "redis-py must not have sent it twice"
        assert outcomes(again) == [Outcome.REPLAYED, Outcome.REPLAYED]
        assert await shard.stock() == 7
        await desk.batcher.close()


def test_redis_py_retries_are_off_on_the_constructed_client() -> None:
    """No retry on the pool, on any connection it makes, or on the client, for each kind of URL."""
    for url in ("redis://127.0.0.1:1", "rediss://127.0.0.1:1", "unix:///nowhere"):
        client = connect(url, connections_max=2, call_ms_max=100, connect_ms_max=100)
        pool: Any = client.connection_pool
        connection = pool.make_connection()
        assert connection.retry._retries == 0
        assert connection.retry_on_error == []
        assert client.get_retry()._retries == 0  # type: ignore[union-attr]
        assert connection.retry_on_timeout is False


async def test_a_time_out_is_sent_once(redis_server: Valkey, door: Door, redis_url: str) -> None:
    """A server that is stopped mid-call gives LostReply, and after it wakes the call has run at most once."""
    shard = await open_shard(door, stock=10)
    hurried = Door(connect(redis_url, connections_max=1, call_ms_max=30_000, connect_ms_max=30_000))
    before = await evalsha_calls(door)
    other = ShardUnderTest(hurried)
    assert (await other.claim(an_ask("warm"))).replies == [3]
    pool: Any = hurried.redis.connection_pool
    connection = await pool.get_connection()
    connection.socket_timeout = 0.2  # from here on: what came before may have taken its time
    await pool.release(connection)
    os.kill(redis_server.pid, signal.SIGSTOP)
    try:
        with pytest.raises(LostReply):
            await other.claim(an_ask("a"))
    finally:
        os.kill(redis_server.pid, signal.SIGCONT)
    replayed = await shard.claim(an_ask("a"))

    assert isinstance(replayed.replies[0], int | list)
    assert await shard.stock() == 8
    assert await evalsha_calls(door) - before == 3
    await hurried.close()


async def test_a_cancelled_caller_touches_nobody_else(door: Door, redis_url: str, new_desk: NewDesk) -> None:
    """Half of the callers go away while their claims are in flight: the others are answered, and all are decided."""
    shard = await open_shard(door, stock=200)
    desk = new_desk(redis_url)
    asked = [desk.ask(f"h{n}") for n in range(100)]
    for caller in asked[::2]:
        caller.cancel()

    answers = await asyncio.gather(*asked[1::2])
    again = await asyncio.gather(*(desk.ask(f"h{n}") for n in range(0, 100, 2)))

    assert set(outcomes(answers)) == {Outcome.CLAIMED}
    assert set(outcomes(again)) == {Outcome.REPLAYED}
    assert await shard.stock() == 100


async def test_a_caller_that_fails_on_its_answer_touches_nobody_else(
    door: Door, redis_url: str, new_desk: NewDesk, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception in one callback is logged; the rest of the batch is answered and the lane goes on."""
    await open_shard(door)
    desk = new_desk(redis_url)

    desk.batcher.submit(Shard(CampaignId("c"), 0), 1, Failing("x", "x"))
    answers = [await desk.ask("a"), await desk.ask("b")]

    assert outcomes(answers) == [Outcome.CLAIMED, Outcome.CLAIMED]
    assert "failed on its answer" in caplog.text


@pytest.mark.parametrize("reply", ["cmsgpack.pack({1, 1, 1, 1, 1, 0, 1, '', '', {3}})", "'not msgpack'", "1"])
async def test_a_reply_that_does_not_fit_its_batch_is_unknown_for_all(
    door: Door, redis_url: str, new_desk: NewDesk, monkeypatch: pytest.MonkeyPatch, reply: str
) -> None:
    """A reply of another length or shape is trusted by nobody."""
    await open_shard(door)
    odd = parse_script("claim", f"#!lua\n-- KEYS rules counters stock holders coupons entries\nreturn {reply}")
    monkeypatch.setattr(batcher_module, "_CLAIM", odd)
    desk = new_desk(redis_url)

    answers = await asyncio.gather(desk.ask("a"), desk.ask("b"))

    assert outcomes(answers) == ["unknown", "unknown"]


async def test_a_full_redis_is_overload_and_an_absent_one_not_ready(
    door: Door, redis_url: str, new_desk: NewDesk
) -> None:
    """What was certainly not decided is said so: no memory → overloaded, no connection → not_ready, both unsent."""
    await open_shard(door)
    await door.redis.config_set("maxmemory", 1)
    full = await new_desk(redis_url).ask("a")
    absent = await new_desk("redis://127.0.0.1:1").ask("a")

    assert outcomes([full, absent]) == ["overloaded", "not_ready"]


async def test_a_restarted_redis_is_not_ready_until_it_is_attached(
    tmp_path: Path, new_desk: NewDesk, eventually: Eventually
) -> None:
    """After a restart the same data has another run id: not_ready; attached again, winners replay and seq goes on."""
    server = Valkey(tmp_path / "valkey", memory_mb=64, fsync="always", password="test")
    server.start()
    door = Door(connect(server.url, connections_max=2, call_ms_max=30_000, connect_ms_max=30_000))
    await open_shard(door, stock=5)
    won = await new_desk(server.url).ask("a")
    await door.close()
    server.stop()

    server.start()
    door = Door(connect(server.url, connections_max=2, call_ms_max=30_000, connect_ms_max=30_000))
    desk = new_desk(server.url)
    before = await asyncio.gather(desk.ask("a"), desk.ask("b"))
    attached = await door.call(load_script("attach"), Shard(CampaignId("c"), 0), 1, 3, "0-0")
    after = await asyncio.gather(desk.ask("b"), desk.ask("a"))

    assert outcomes([won, *before, *after]) == [
        Outcome.CLAIMED, Outcome.REPLAYED, Outcome.NOT_READY, Outcome.CLAIMED, Outcome.REPLAYED,
    ]  # fmt: skip
    assert attached[0] == Outcome.DONE
    assert isinstance(after[0], Decided)
    assert after[0].seq == 5
    await desk.batcher.close()
    await door.close()
    server.stop()
