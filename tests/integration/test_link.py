"""The claim calls' connection: replies to the right caller, nothing sent twice, whatever becomes of the connection."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from redis.exceptions import ResponseError

from gateway.asks import Rush
from gateway.stack.valkey import Valkey
from lua.door import Door, LostReply, Refused, Unreachable, connect
from lua.keys import CampaignId, Shard
from lua.link import Link, ScriptCall
from lua.scripts import load_script, parse_script
from tests.builders import an_ask, open_shard, pack
from tests.conftest import Eventually
from tests.proxy import Proxy

NewLink = Callable[..., Link]
CALL = ScriptCall(load_script("claim"), Shard(CampaignId("c"), 0))


@pytest.fixture
async def new_link() -> AsyncIterator[NewLink]:
    """Makes links, and closes them."""
    links: list[Link] = []

    def make(url: str, call_ms_max: int = 30_000) -> Link:
        links.append(Link(connect(url, connections_max=2, call_ms_max=call_ms_max, connect_ms_max=30_000), call_ms_max))
        return links[-1]

    yield make
    for link in links:
        await link.close()


def ask(link: Link, *holders: str, call: ScriptCall = CALL) -> "asyncio.Future[Any]":
    """Claim for *holders* in one call; the future has what came of it, exceptions too."""
    answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    link.call(call, pack([part for holder in holders for part in an_ask(holder)]), answered.set_result)
    return answered


def replies(answer: Any) -> list[Any]:
    """What the script said of each ask."""
    return list(msgspec.msgpack.decode(answer, type=Rush).replies)


async def test_replies_go_to_whoever_asked_in_order(door: Door, redis_url: str, new_link: NewLink) -> None:
    """Two hundred calls of different sizes at once: each gets the reply of its own asks."""
    await open_shard(door, stock=1000)
    link = new_link(redis_url)
    sizes = [1 + number % 5 for number in range(200)]

    answers = await asyncio.gather(*(ask(link, *(f"h{n}-{i}" for i in range(size))) for n, size in enumerate(sizes)))

    assert [len(replies(answer)) for answer in answers] == sizes
    assert [seq for answer in answers for seq in replies(answer)] == list(range(3, 3 + sum(sizes)))


async def test_a_script_the_server_forgot_runs_once(door: Door, redis_url: str, new_link: NewLink) -> None:
    """SCRIPT FLUSH between and under calls: each call runs exactly once, and its reply is its own."""
    shard = await open_shard(door, stock=1000)
    link = new_link(redis_url)
    asked = []
    for number in range(60):
        if number % 7 == 0:
            await door.redis.script_flush()
        asked.append(ask(link, f"h{number}"))

    seqs = [replies(answer)[0] for answer in await asyncio.gather(*asked)]

    assert sorted(seqs) == list(range(3, 63))
    assert await shard.stock() == 940


async def test_a_connection_that_is_cut_loses_its_calls_and_the_next_is_made(
    door: Door, redis_url: str, new_link: NewLink
) -> None:
    """LostReply for what was on it; calls after it go over a new connection, which the old one's end spares."""
    await open_shard(door)
    async with Proxy(redis_url) as proxy:
        link = new_link(proxy.url)
        assert replies(await ask(link, "first")) == [3]
        proxy.lose_replies = True
        lost = await ask(link, "lost")
        proxy.lose_replies = False
        again = [replies(answer) for answer in await asyncio.gather(*(ask(link, f"h{n}") for n in range(3)))]
        later = replies(await ask(link, "later"))
        await link.close()

    assert isinstance(lost, LostReply)
    assert (again, later) == ([[5], [6], [7]], [8])


async def test_a_call_without_a_reply_ends_in_its_time_and_a_new_connection_takes_over(
    redis_server: Valkey, door: Door, redis_url: str, new_link: NewLink, eventually: Eventually
) -> None:
    """A server that is stopped: LostReply after call_ms_max for each call on the way; a patient link still waits."""
    await open_shard(door)
    link, patient = new_link(redis_url, call_ms_max=200), new_link(redis_url)

    async def is_up() -> bool:
        return isinstance(await ask(link, "first"), bytes)

    await eventually(is_up)  # on a busy machine the first reply may take longer than 200 ms
    await ask(patient, "first")
    os.kill(redis_server.pid, signal.SIGSTOP)
    try:
        waiting = ask(patient, "c")
        lost = await asyncio.wait_for(asyncio.gather(ask(link, "a"), ask(link, "b")), 60)
        waits = not waiting.done()
    finally:
        os.kill(redis_server.pid, signal.SIGCONT)

    assert [type(answer) for answer in lost] == [LostReply, LostReply]
    assert waits
    assert len(replies(await waiting)) == 1
    await eventually(is_up)


async def test_who_can_not_connect_is_told_so_and_may_ask_again(door: Door, redis_url: str, new_link: NewLink) -> None:
    """Unreachable while nobody listens, for all that wait; once somebody does, the same link works."""
    await open_shard(door)
    async with Proxy(redis_url) as proxy:
        proxy.refuse = True
        link = new_link(proxy.url)
        refused = await asyncio.gather(ask(link, "a"), ask(link, "b"))
        proxy.refuse = False
        answer = await ask(link, "c")
        await link.close()

    assert [type(each) for each in refused] == [Unreachable, Unreachable]
    assert replies(answer) == [3]


async def test_errors_are_values_and_leave_the_connection_up(door: Door, redis_url: str, new_link: NewLink) -> None:
    """A script's own failure, a refusal and a wrong type are given to their caller alone; the next call works."""
    await open_shard(door)
    keys = "#!lua\n-- KEYS rules counters stock holders coupons entries\n"
    shard = Shard(CampaignId("c"), 0)
    failing = ScriptCall(parse_script("failing", keys + "error('on purpose')"), shard)
    readonly = ScriptCall(parse_script("refused", keys + "return redis.error_reply('MISCONF no disk')"), shard)
    link = new_link(redis_url)

    failed, refused, fine = await asyncio.gather(
        ask(link, "a", call=failing), ask(link, "b", call=readonly), ask(link, "c")
    )

    assert isinstance(failed, ResponseError)
    assert isinstance(refused, Refused)
    assert replies(fine) == [3]


@pytest.mark.parametrize(
    ("said", "told"), [(b"nonsense\r\n", [LostReply, LostReply]), (b"$1\r\nx\r\n" * 3, [bytes, bytes])]
)
async def test_a_server_that_talks_out_of_turn_is_not_believed(
    new_link: NewLink, said: bytes, told: list[type]
) -> None:
    """Bytes that are no RESP, or a reply too many, end the connection; who still waits is told his answer is lost."""
    impostor = Impostor(said)
    server = await asyncio.start_server(impostor, "127.0.0.1", 0)
    link = new_link(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}")

    answers = await asyncio.gather(ask(link, "a"), ask(link, "b"))

    assert [type(answer) for answer in answers] == told
    await asyncio.wait_for(impostor.left.wait(), 60)
    server.close()


class Impostor:
    """Shakes hands as Redis does, and answers the first call with *said*."""

    def __init__(self, said: bytes) -> None:
        self._said, self.left = said, asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await self._talk(reader, writer)
        writer.close()
        self.left.set()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        told = False
        while data := await reader.read(65536):
            for line in data.split(b"\r\n"):
                if line == b"SETINFO":
                    writer.write(b"+OK\r\n")
                elif line == b"INFO":
                    writer.write(b"$11\r\nrun_id:abc\n\r\n")
                elif line == b"EVALSHA" and not told:
                    told = True
                    writer.write(self._said)
