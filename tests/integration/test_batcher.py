"""The batcher on a real Redis: who travels with whom, in how many calls, and what waits, is refused or is closed."""

import asyncio
import os
import signal
from typing import Any

import msgspec
import pytest

from gateway.asks import Decided
from gateway.codes import CodeMaker, parse_code
from gateway.queue import Undecided
from gateway.stack.valkey import Valkey
from lua.door import Door
from lua.link import Done, Link, ScriptCall
from lua.outcomes import Outcome
from tests.builders import open_shard
from tests.integration.batching import NewDesk, evalsha_calls, outcomes


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


async def test_a_full_queue_refuses_at_once_and_sends_nothing(
    redis_server: Valkey, door: Door, redis_url: str, new_desk: NewDesk
) -> None:
    """With Redis stopped the queue fills to its bound; one more is told overloaded at once, the rest are kept."""
    await open_shard(door, stock=100)
    desk = new_desk(redis_url, claim_batch_max=1, claim_queue_max=5)
    await asyncio.gather(desk.ask("warm"), desk.ask("warm too"))
    os.kill(redis_server.pid, signal.SIGSTOP)
    try:
        flying = [desk.ask(f"flying{n}") for n in range(2)]
        await asyncio.sleep(0)
        waiting = [desk.ask(f"waiting{n}") for n in range(5)]
        refusal = desk.ask("one too many")
        await asyncio.sleep(0)
        assert refusal.done(), "at once"
        refused = refusal.result()
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
    desk = new_desk(redis_url, claim_batch_max=1)
    await asyncio.gather(desk.ask("warm"), desk.ask("warm too"))
    os.kill(redis_server.pid, signal.SIGSTOP)
    try:
        flying = [desk.ask(f"flying{n}") for n in range(2)]
        await asyncio.sleep(0)
        [queue] = desk.batcher._queues.values()
        queue._wait_s_max = 0.05  # from here on: those that hold the slots were not to wait too long before
        late = await asyncio.wait_for(desk.ask("late"), 20)
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
