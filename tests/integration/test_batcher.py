"""The batcher on a real Redis: who travels with whom, and what each is told when things go wrong."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway import batcher as batcher_module
from gateway.asks import Ask, Decided, Rush, ScriptReply, Undecided, read_reply
from gateway.batcher import Batcher
from gateway.codes import CodeMaker, parse_code
from gateway.settings import Settings
from gateway.stack.valkey import Valkey
from gateway.telemetry import Telemetry
from lua.door import Door, LostReply, connect
from lua.keys import CampaignId, HolderId, Shard, key_hash, payload_hash
from lua.link import Done, Link, ScriptCall
from lua.outcomes import Outcome
from lua.scripts import load_script, parse_script
from tests.builders import ShardUnderTest, an_ask, open_shard
from tests.conftest import Eventually
from tests.proxy import Proxy

Answer = Decided | Undecided


class Waiting(Ask):
    """An ask whose answer is a future."""

    def __init__(self, holder: str, key: str) -> None:
        super().__init__(HolderId(holder), key_hash(key) + payload_hash(b"{}"), "")
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def decided(self, rush: Rush, reply: ScriptReply, code: str) -> None:
        self._done(read_reply(rush, reply, code))

    def undecided(self, why: Undecided) -> None:
        self._done(why)

    def _done(self, answer: Answer) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)


class Failing(Waiting):
    """An ask whose caller fails on its answer."""

    def decided(self, rush: Rush, reply: ScriptReply, code: str) -> None:
        raise RuntimeError("the caller's own failure")


class Desk:
    """A batcher and what was asked of it."""

    def __init__(self, link: Link, telemetry: Telemetry, **settings: int) -> None:
        self.batcher = Batcher(link, msgspec.structs.replace(Settings(), **settings), telemetry)

    def ask(self, holder: str, key: str = "", campaign: str = "c") -> "asyncio.Future[Answer]":
        """Submit one claim; the future is done when it is answered."""
        waiting = Waiting(holder, key or holder)
        self.batcher.submit(Shard(CampaignId(campaign), 0), 1, waiting)
        return waiting.answer


NewDesk = Callable[..., Desk]


@pytest.fixture
async def new_desk(tmp_path: Path) -> AsyncIterator[NewDesk]:
    """Makes desks, and closes what they opened."""
    telemetry = Telemetry(tmp_path, 0)
    links: list[Link] = []
    desks: list[Desk] = []

    def make(url: str, call_ms_max: int = 5000, **settings: int) -> Desk:
        links.append(Link(connect(url, connections_max=8, call_ms_max=call_ms_max, connect_ms_max=1000), call_ms_max))
        desks.append(Desk(links[-1], telemetry, **settings))
        return desks[-1]

    yield make
    for desk in desks:
        await desk.batcher.close()
    for link in links:
        await link.close()
    telemetry.close()


def outcomes(answers: Sequence[Answer]) -> list[Any]:
    """Outcome or problem code of each."""
    return [answer.outcome if isinstance(answer, Decided) else answer.code for answer in answers]


async def evalsha_calls(door: Door) -> int:
    """Script calls the server has run."""
    return int((await door.redis.info("commandstats")).get("cmdstat_evalsha", {}).get("calls", 0))


async def test_claims_of_one_turn_travel_together(door: Door, redis_url: str, new_desk: NewDesk) -> None:
    """300 claims submitted at once are three calls, and each gets its own coupon."""
    await open_shard(door, stock=1000)
    desk = new_desk(redis_url)
    await desk.ask("first")
    before = await evalsha_calls(door)

    answers = await asyncio.gather(*(desk.ask(f"h{n}") for n in range(300)))

    assert await evalsha_calls(door) - before == 3
    assert sorted(answer.seq for answer in answers if isinstance(answer, Decided)) == list(range(4, 304))
    codes = {answer.code for answer in answers if isinstance(answer, Decided)}
    assert len(codes) == 300
    assert all(parse_code(code) is not None for code in codes)


async def test_never_more_than_two_calls_are_in_flight(
    door: Door, redis_url: str, new_desk: NewDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many claims wait, a worker has at most two calls on their way to a shard, of at most the batch size."""
    await open_shard(door, stock=1000)
    flying = most = 0
    sizes = []
    real = Link.call

    def counted(self: Link, call: ScriptCall, payload: bytes, done: Done) -> None:
        nonlocal flying, most
        flying += 1
        most = max(most, flying)
        sizes.append(len(msgspec.msgpack.decode(payload)) // 4)

        def landed(reply: Any) -> None:
            nonlocal flying
            flying -= 1
            done(reply)

        real(self, call, payload, landed)

    monkeypatch.setattr(Link, "call", counted)
    desk = new_desk(redis_url, claim_batch_max=16)

    answers = await asyncio.gather(*(desk.ask(f"h{n}") for n in range(400)))

    assert set(outcomes(answers)) == {Outcome.CLAIMED}
    assert (most, max(sizes)) == (2, 16)


async def test_a_lost_reply_is_unknown_and_the_retry_learns_the_truth(
    door: Door, redis_url: str, new_desk: NewDesk
) -> None:
    """The script ran, its reply was dropped: unknown for all; the same keys then get those coupons, stock down once."""
    shard = await open_shard(door, stock=10)
    async with Proxy(redis_url) as proxy:
        desk = new_desk(proxy.url, call_ms_max=300)
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
    hurried = Door(connect(redis_url, connections_max=2, call_ms_max=200, connect_ms_max=200))
    before = await evalsha_calls(door)
    other = ShardUnderTest(hurried)
    assert (await other.claim(an_ask("warm"))).replies == [3]
    os.kill(redis_server.pid, signal.SIGSTOP)
    try:
        with pytest.raises(LostReply):
            await other.claim(an_ask("a"))
    finally:
        os.kill(redis_server.pid, signal.SIGCONT)
    replayed = await other.claim(an_ask("a"))

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


async def test_a_full_queue_refuses_at_once_and_sends_nothing(
    redis_server: Valkey, door: Door, redis_url: str, new_desk: NewDesk
) -> None:
    """With Redis stopped the queue fills to its bound; one more is told overloaded at once, the rest are kept."""
    await open_shard(door, stock=100)
    desk = new_desk(redis_url, call_ms_max=5000, claim_batch_max=1, claim_queue_max=5, claim_wait_ms_max=10_000)
    await asyncio.gather(desk.ask("warm"), desk.ask("warm too"))
    os.kill(redis_server.pid, signal.SIGSTOP)
    try:
        flying = [desk.ask(f"flying{n}") for n in range(2)]
        await asyncio.sleep(0)
        waiting = [desk.ask(f"waiting{n}") for n in range(5)]
        refused = await asyncio.wait_for(desk.ask("one too many"), 0.2)
    finally:
        os.kill(redis_server.pid, signal.SIGCONT)
    answers = await asyncio.gather(*flying, *waiting)

    assert isinstance(refused, Undecided)
    assert refused.code == "overloaded"
    assert set(outcomes(answers)) == {Outcome.CLAIMED}
    assert (await desk.ask("one too many")) != refused


async def test_a_claim_that_waits_too_long_is_refused_unsent(
    redis_server: Valkey, door: Door, redis_url: str, new_desk: NewDesk
) -> None:
    """Past its deadline a waiting claim is told overloaded although the slots are stuck, and is never granted."""
    shard = await open_shard(door, stock=100)
    desk = new_desk(redis_url, call_ms_max=5000, claim_batch_max=1, claim_wait_ms_max=50)
    await asyncio.gather(desk.ask("warm"), desk.ask("warm too"))
    os.kill(redis_server.pid, signal.SIGSTOP)
    try:
        flying = [desk.ask(f"flying{n}") for n in range(2)]
        await asyncio.sleep(0)
        late = await asyncio.wait_for(desk.ask("late"), 2)
    finally:
        os.kill(redis_server.pid, signal.SIGCONT)
    await asyncio.gather(*flying)

    assert isinstance(late, Undecided)
    assert late.code == "overloaded"
    assert not await door.redis.hexists(shard.shard.key("holders"), "late")


async def test_a_taken_code_is_replaced_and_the_claim_granted(
    door: Door, redis_url: str, new_desk: NewDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A maker that repeats itself costs another call, never a coupon and never an answer."""
    await open_shard(door, stock=5)
    fresh = CodeMaker(1, 0)
    codes = iter([same := fresh.take(1)[0], same, *fresh.take(2)])
    monkeypatch.setattr(CodeMaker, "take", lambda self, count: [next(codes) for _ in range(count)])
    desk = new_desk(redis_url)

    answers = await asyncio.gather(desk.ask("a"), desk.ask("b"))

    assert outcomes(answers) == [Outcome.CLAIMED, Outcome.CLAIMED]
    assert len({answer.code for answer in answers if isinstance(answer, Decided)}) == 2


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


async def test_one_hot_campaign_does_not_starve_another(door: Door, redis_url: str, new_desk: NewDesk) -> None:
    """A claim for a quiet campaign overtakes the thousands that wait for a hot one."""
    await open_shard(door, stock=4000, campaign="hot")
    await open_shard(door, stock=5, campaign="quiet")
    desk = new_desk(redis_url, claim_batch_max=8)
    hot = [desk.ask(f"h{n}", campaign="hot") for n in range(2000)]

    quiet = await desk.ask("a", campaign="quiet")

    assert outcomes([quiet]) == [Outcome.CLAIMED]
    assert sum(answer.done() for answer in hot) < 500
    await asyncio.gather(*hot)


async def test_closing_answers_what_is_in_flight_and_refuses_the_rest_unsent(
    door: Door, redis_url: str, new_desk: NewDesk
) -> None:
    """On close every claim is either decided or told that it was not sent; none is left without an answer."""
    shard = await open_shard(door, stock=1000)
    desk = new_desk(redis_url, claim_batch_max=4)
    asked = [desk.ask(f"h{n}") for n in range(50)]
    await asyncio.sleep(0)
    await desk.batcher.close()

    answers = outcomes(await asyncio.gather(*asked))
    late = await desk.ask("late")

    assert answers.count(Outcome.CLAIMED) == 8
    assert answers.count("overloaded") == 42
    assert await shard.stock() == 1000 - 8
    assert outcomes([late]) == ["overloaded"]


async def test_closing_answers_a_claim_that_needs_another_code(
    door: Door, redis_url: str, new_desk: NewDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claim whose code was taken goes out again while the batcher closes; close() waits for that call too."""
    await open_shard(door, stock=5)
    fresh = CodeMaker(1, 0)
    codes = iter([same := fresh.take(1)[0], same, *fresh.take(1)])
    monkeypatch.setattr(CodeMaker, "take", lambda self, count: [next(codes) for _ in range(count)])
    desk = new_desk(redis_url)
    asked = [desk.ask("a"), desk.ask("b")]
    await asyncio.sleep(0)
    await desk.batcher.close()

    assert [answer.done() for answer in asked] == [True, True]
    assert outcomes(await asyncio.gather(*asked)) == [Outcome.CLAIMED, Outcome.CLAIMED]


async def test_a_restarted_redis_is_not_ready_until_it_is_attached(
    tmp_path: Path, new_desk: NewDesk, eventually: Eventually
) -> None:
    """After a restart the same data has another run id: not_ready; attached again, winners replay and seq goes on."""
    server = Valkey(tmp_path / "valkey", memory_mb=64, fsync="always", password="test")
    server.start()
    door = Door(connect(server.url, connections_max=2, call_ms_max=2000, connect_ms_max=1000))
    await open_shard(door, stock=5)
    won = await new_desk(server.url).ask("a")
    await door.close()
    server.stop()

    server.start()
    door = Door(connect(server.url, connections_max=2, call_ms_max=2000, connect_ms_max=1000))
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
