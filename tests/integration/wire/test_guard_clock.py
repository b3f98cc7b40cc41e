"""
How long a connection may take: to send a request, to be idle, to hear that it is refused; and how many there may be.

Times are seconds, so everything that has to wait waits at the same time, in the lane and without one.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from itertools import cycle

import pytest
import pytest_asyncio

from gateway.guard import Guard
from gateway.lane import Lane
from gateway.stack.postgres import Postgres
from gateway.stack.valkey import Valkey
from tests.http import ON_SOCKETS, Worker, claim_bytes, served
from tests.phone import Phone, request_bytes

HEALTH = request_bytes("GET", "/healthz")
SHORT_S, LONG_S = 1, 60
CALL_MS = 9000
"""Of a call to Redis: longer than any test makes it stand still."""
LATE_S = 5.0
"""How much later than it should something may happen on a busy machine."""

pytestmark = ON_SOCKETS


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hasty(
    redis_server: Valkey, postgres_server: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[list[Worker]]:
    """Workers that want a request at once, and keep an idle connection long."""
    folder = tmp_path_factory.mktemp("hasty")
    times = {"receipt_s_max": SHORT_S, "keep_alive_s_max": LONG_S, "redis_call_ms_max": CALL_MS}
    async with served(redis_server, postgres_server, folder, Lane, Guard, **times) as workers:
        yield workers


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def brief(hasty: list[Worker], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[list[Worker]]:
    """Workers beside them that have time for a request, and keep an idle connection no longer than they have to."""
    here = hasty[0].settings
    times = {"receipt_s_max": LONG_S, "keep_alive_s_max": SHORT_S, "redis_call_ms_max": CALL_MS}
    async with AsyncExitStack() as stack:
        workers = [
            Worker(here.redis_url, here.postgres_url, tmp_path_factory.mktemp("brief"), http=protocol, **times)
            for protocol in (Lane, Guard)
        ]
        for worker in workers:
            await stack.enter_async_context(worker)
            assert (await worker.claim("early")).status_code in (200, 201)
        yield workers


CHUNKED = claim_bytes("late", "Transfer-Encoding: chunked", body=None)
HALVES = {
    "a method": (b"", b"PO"),
    "a request line": (b"", b"POST /v1/x"),
    "a head": (b"", b"POST /v1/x HTTP/1.1\r\nHost: gate"),
    "a head after a request": (HEALTH, b"POST /v1/x HTTP/1.1\r\nHost: gate"),
    "a claim": (b"", claim_bytes("late")[:-1]),
    "a claim after a request": (HEALTH, claim_bytes("late")[:-1]),
    "a claim without its body": (b"", claim_bytes("late")[:-2]),
    "a claim in chunks": (HEALTH, CHUNKED + b"1\r\n{\r\n"),
    "a claim expecting 100": (b"", claim_bytes("late", "Expect: 100-continue")[:-2]),
    "another request": (b"", claim_bytes("late").replace(b"/claims", b"/tickets")[:-1]),
}


async def _half(worker: Worker, before: bytes, half: bytes) -> None:
    """After a whole request perhaps, half of one: 408 in time, and the end."""
    loop = asyncio.get_running_loop()
    async with Phone(worker.port) as phone:
        if before:
            assert (await phone.ask(before)).status == 200
        began_s = loop.time()
        await phone.send(half)
        answer = await phone.answer()
        if answer.status == 100:
            answer = await phone.answer()
        took_s = loop.time() - began_s
        assert await phone.rest() == b""

    assert (answer.status, answer.code, answer.header(b"connection")) == (408, "request_timeout", b"close")
    assert SHORT_S - 0.1 <= took_s <= SHORT_S + LATE_S, f"after {took_s} s"


async def _dripping(worker: Worker) -> None:
    """A claim that comes drop by drop has no more time than another."""
    async with Phone(worker.port) as phone:
        request, sent = claim_bytes("late", body=b" " * 8000), 0
        answering = asyncio.create_task(phone.answer())
        while not answering.done():
            with suppress(ConnectionError):
                await phone.send(request[sent : sent + 1])
            sent += 1
            await asyncio.wait({answering}, timeout=0.05)
        assert (await answering).code == "request_timeout"
        assert sent < (SHORT_S + LATE_S) / 0.05


async def test_half_a_request_is_waited_for_so_long(hasty: list[Worker]) -> None:
    """Wherever a request stops, 408 comes when its time is over, however long an idle connection may live."""
    decided = hasty[0].decided()

    await asyncio.gather(
        *(_half(worker, *halves) for worker in hasty for halves in HALVES.values()),
        *(_dripping(worker) for worker in hasty),
    )

    assert hasty[0].decided() == decided


async def test_what_was_refused_early_need_not_be_sent_to_the_end(hasty: list[Worker]) -> None:
    """A refusal that needs no body is given at once; who then stops sending is not kept either."""

    async def refused_early(worker: Worker) -> None:
        async with Phone(worker.port) as phone:
            answer = await phone.ask(claim_bytes("late").replace(b"Bearer ", b"Bearer x")[:-1])
            assert answer.status == 401
            await asyncio.wait_for(phone.rest(), SHORT_S + LATE_S)

    await asyncio.gather(*map(refused_early, hasty))


async def _idle(worker: Worker, *requests: bytes) -> None:
    """After its last answer the connection is kept for the time it has, whatever was asked before, and then ends."""
    loop = asyncio.get_running_loop()
    async with Phone(worker.port) as phone:
        began_s = asked_s = answered_s = loop.time()
        for request in cycle(requests):
            asked_s = loop.time()
            await phone.ask(request)
            answered_s = loop.time()
            if answered_s >= began_s + SHORT_S / 2:  # an earlier answer's time can't be taken for the last one's
                break
        assert await phone.rest() == b""
        ended_s = loop.time()

    # The answer was given at some moment between: on a busy machine long before it is read here.
    assert ended_s - asked_s >= SHORT_S - 0.1, f"ended {ended_s - asked_s} s after {requests}"
    assert ended_s - answered_s <= SHORT_S + LATE_S, f"ended {ended_s - answered_s} s after {requests}"


async def test_an_idle_connection_ends_after_its_time(brief: list[Worker]) -> None:
    """Never asked anything, or asked and answered, with a coupon, a refusal or another route: the same time."""
    unauthenticated = claim_bytes("idle").replace(b"Bearer ", b"Bearer x")
    asked = (HEALTH, claim_bytes("idle"), unauthenticated, claim_bytes("idle", body=b"{"), claim_bytes("idle", key="2"))

    await asyncio.gather(
        *(_idle(worker) for worker in brief),
        *(_idle(worker, *requests) for worker in brief for requests in (asked, *((each,) for each in asked))),
    )


async def test_a_claim_in_flight_is_never_taken_for_idle(brief: list[Worker], hasty: list[Worker]) -> None:
    """While Redis stands still longer than every time there is, the claim is waited for, and what is behind it too."""
    workers = (*hasty, *brief)  # who has little time to go on is read first
    claims = [claim_bytes(f"patient-{number}") for number in range(len(workers))]
    async with AsyncExitStack() as stack:
        phones = [await stack.enter_async_context(Phone(worker.port)) for worker in workers]
        async with brief[0].redis_stands_still():
            for phone, claim in zip(phones, claims, strict=True):
                await phone.send(claim + HEALTH + claim[:-1])
            for _ in range(2):  # two connections, one after the other, are idle for their time
                async with Phone(brief[0].port) as idle:
                    assert await idle.rest() == b""
            assert [phone.unread() for phone in phones] == [b""] * len(phones)
        for phone in phones:
            answers = [await phone.answer(), await phone.answer(), await phone.ask(b"}")]
            assert [answer.status for answer in answers] == [201, 200, 200]


async def test_who_is_refused_hears_it_and_may_not_go_on_for_ever(brief: list[Worker]) -> None:
    """One who keeps sending what nobody reads still gets his answer, and is cut off soon after."""

    async def talkative(worker: Worker) -> None:
        async with Phone(worker.port) as phone:
            await phone.send(b"nonsense\r\n\r\n")
            assert (await phone.answer()).status == 400
            async with asyncio.timeout(SHORT_S + LATE_S):
                with suppress(ConnectionError):
                    while True:
                        await phone.send(b"x" * 4096)

    await asyncio.gather(*map(talkative, brief))


@pytest.mark.parametrize("protocol", [Lane, Guard])
async def test_one_connection_too_many_is_told_so_and_others_go_on(
    hasty: list[Worker], protocol: type[Guard], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Above the bound a request is overloaded and told when to come back; those who were there before are served."""
    here, folder, most = hasty[0].settings, tmp_path_factory.mktemp("crowd"), 16
    async with (
        Worker(here.redis_url, here.postgres_url, folder, http=protocol, connections_max=most) as worker,
        AsyncExitStack() as stack,
    ):
        phones = [await stack.enter_async_context(Phone(worker.port)) for _ in range(most)]
        assert {(await phone.ask(HEALTH)).status for phone in phones} == {200}
        async with Phone(worker.port) as one_more:
            refused = await one_more.ask(HEALTH)
            assert [(await phone.ask(HEALTH)).status for phone in phones] == [200] * most
            assert await one_more.rest() == b""
        assert (refused.status, refused.code, refused.header(b"connection")) == (503, "overloaded", b"close")
        assert int(refused.header(b"retry-after") or 0) >= 1

        phones[0].vanish()
        async with Phone(worker.port) as next_one:
            assert (await phones[1].ask(HEALTH)).status == 200  # by then the one who left is gone
            assert (await next_one.ask(HEALTH)).status == 200
