"""
What happens to claims in flight: of callers who vanish, who do not read, who ask too much, and when a worker stops.

Redis is made to stand still (CLIENT PAUSE) where a claim has to be in flight; a request that is answered on another
connection afterwards proves that everything sent before it was read.
"""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

import pytest
import pytest_asyncio

from gateway.guard import Guard
from gateway.lane import Lane
from gateway.stack.postgres import Postgres
from gateway.stack.valkey import Valkey
from tests.http import ON_SOCKETS, Worker, claim_bytes, served
from tests.phone import Phone, request_bytes

HEALTH = request_bytes("GET", "/healthz")

pytestmark = ON_SOCKETS


class Fronts(NamedTuple):
    """One worker whose lane answers claims, one that leaves them to Starlette."""

    lane: Worker
    route: Worker


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fronts(
    redis_server: Valkey, postgres_server: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Fronts]:
    """The two, on the same servers."""
    folder = tmp_path_factory.mktemp("flight")
    async with served(redis_server, postgres_server, folder, Lane, Guard) as workers:
        yield Fronts(*workers)


async def all_is_read(worker: Worker) -> None:
    """Return when the worker has read what was sent to it before; an end of a connection comes a turn later."""
    async with Phone(worker.port) as phone:
        for _ in range(3):
            assert (await phone.ask(HEALTH)).status == 200


async def test_a_phone_that_vanishes_leaves_its_claim_decided_and_others_alone(
    fronts: Fronts, caplog: pytest.LogCaptureFixture
) -> None:
    """Gone with a reset while in flight: decided all the same, what shares its call is answered, nothing is logged."""
    for number, worker in enumerate(fronts):
        gone, stays = claim_bytes(f"gone-{number}"), claim_bytes(f"stays-{number}")
        async with Phone(worker.port) as vanishing, Phone(worker.port) as staying:
            async with worker.redis_stands_still():
                await vanishing.send(gone)
                await staying.send(stays)
                await all_is_read(worker)
                vanishing.vanish()
                await all_is_read(worker)
            assert (await staying.answer()).status == 201
            assert (await staying.ask(gone)).status == 200

    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_phone_that_vanishes_takes_what_was_not_begun_with_it(
    fronts: Fronts, caplog: pytest.LogCaptureFixture
) -> None:
    """Of the pipelined claims of one who is gone, the last are never asked, and it is no failure that needs a line."""
    worker, crowd = fronts.lane, range(8)
    claims, decided = [claim_bytes(f"pipelined-{at}") for at in crowd], worker.decided()
    async with Phone(worker.port) as vanishing, worker.redis_stands_still():
        await vanishing.send(b"".join(claims))
        await all_is_read(worker)
        vanishing.vanish()
        await all_is_read(worker)
    await all_is_read(worker)

    async with Phone(worker.port) as phone:
        replayed = [(await phone.ask(claim)).status for claim in claims]

    begun = worker.decided() - decided - len(crowd)
    assert 1 <= begun < len(crowd)
    assert replayed == [200] * begun + [201] * (len(crowd) - begun)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@asynccontextmanager
async def short_of_memory(fronts: Fronts) -> AsyncIterator[None]:
    """No claims are admitted until the block ends."""
    redis = fronts.lane.services.door.redis
    used = (await redis.info("memory"))["used_memory"]
    await redis.config_set("maxmemory", int(used * 1.05))
    try:
        await asyncio.gather(*(worker.services.pressure.look() for worker in fronts))
        yield
    finally:
        await redis.config_set("maxmemory", 1024**3)
        await asyncio.gather(*(worker.services.pressure.look() for worker in fronts))


@pytest.mark.parametrize("why", ["unauthenticated", "overloaded"])
async def test_a_crowd_behind_a_claim_in_flight_is_refused_in_order(fronts: Fronts, why: str) -> None:
    """However many refusals wait behind one claim on a connection, each is given, in order, and the next claim too."""
    crowd = range(600)
    for number, worker in enumerate(fronts):
        first = claim_bytes(f"{why}-{number}")
        refused = b"".join(claim_bytes("crowd", f"X-Request-Id: {at}") for at in crowd)
        if why == "unauthenticated":
            refused = refused.replace(b"Bearer ", b"Bearer x")
        async with AsyncExitStack() as stack, Phone(worker.port) as phone:
            async with worker.redis_stands_still():
                await phone.send(first)
                await all_is_read(worker)
                sending = asyncio.create_task(phone.send(refused))
                await all_is_read(worker)
                if why == "overloaded":
                    await stack.enter_async_context(short_of_memory(fronts))
            answered, *others = [await phone.answer() for _ in (0, *crowd)]
            await sending
            await stack.aclose()
            last = await phone.ask(first)

        assert (answered.status, {answer.code for answer in others}, last.status) == (201, {why}, 200)
        assert [answer.header(b"x-request-id") for answer in others] == [b"%d" % at for at in crowd]


async def _until_stalled(sent: list[int], worker: Worker) -> None:
    """Return when nothing more was taken in while the worker has answered fifty other requests."""
    before = -1
    async with Phone(worker.port) as phone:
        while sent[0] != before:
            before = sent[0]
            for _ in range(50):
                assert (await phone.ask(HEALTH)).status == 200


@pytest.mark.parametrize("front", [0, 1], ids=["lane", "route"])
async def test_who_does_not_read_is_not_read_from(fronts: Fronts, front: int) -> None:
    """Thousands of claims from one who reads nothing: little is taken in; when he reads, all are answered in order."""
    worker, crowd, holder = fronts[front], 2000, f"slow-{front}"
    requests = [claim_bytes(holder, f"X-Request-Id: {at}", f"X-Padding: {'x' * 1000}") for at in range(crowd)]
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):  # of connections accepted from now on
        worker.listening.setsockopt(socket.SOL_SOCKET, option, 16_384)
    sent = [0]
    async with Phone(worker.port, buffer_bytes=16_384) as phone:

        async def send() -> None:
            for request in requests:
                await phone.send(request)
                sent[0] += len(request)

        sending = asyncio.create_task(send())
        await _until_stalled(sent, worker)
        taken = sent[0]
        answers = [await phone.answer() for _ in requests]
        await sending

    assert taken < 1_000_000 < sum(map(len, requests)) / 2
    assert [answer.header(b"x-request-id") for answer in answers] == [b"%d" % at for at in range(crowd)]
    assert [answer.status for answer in answers] == [201] + [200] * (crowd - 1)
    assert len({answer.body for answer in answers}) == 1


@pytest.mark.parametrize("protocol", [Lane, Guard])
async def test_a_worker_that_stops_answers_what_is_in_flight(
    fronts: Fronts, protocol: type[Guard], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Claims in flight are answered with connection: close, idle connections end, nobody new is let in."""
    here, name = fronts.lane.settings, protocol.__name__
    folder = tmp_path_factory.mktemp("stopping")
    async with (
        Worker(here.redis_url, here.postgres_url, folder, http=protocol) as worker,
        Phone(worker.port) as idle,
        Phone(worker.port) as one,
        Phone(worker.port) as two,
    ):
        assert (await worker.claim(f"early-{name}")).status_code == 201
        assert (await idle.ask(HEALTH)).status == 200
        async with fronts.lane.redis_stands_still():
            await one.send(claim_bytes(f"one-{name}"))
            await two.send(HEALTH + claim_bytes(f"two-{name}") + claim_bytes(f"three-{name}"))
            await all_is_read(worker)
            worker.server.stop()
            assert await idle.rest() == b""
            with pytest.raises(ConnectionRefusedError):
                async with Phone(worker.port):
                    pass
        answers = [await one.answer(), *[await two.answer() for _ in range(3)]]
        assert [await phone.rest() for phone in (one, two)] == [b"", b""]
        await asyncio.wait_for(worker.serving, 5)

    assert [answer.status for answer in answers] == [201, 200, 201, 201]
    closing = [answer.header(b"connection") for answer in answers]
    assert closing == [b"close", None, None, b"close"]


async def test_metrics_add_up_over_workers_and_fronts(fronts: Fronts, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whichever worker is asked, /metrics counts the claims of both, by outcome, with batch sizes and times."""
    here, folder = fronts.lane.settings, tmp_path_factory.mktemp("metrics")
    async with (
        Worker(here.redis_url, here.postgres_url, folder, http=Lane) as lane,
        Worker(here.redis_url, here.postgres_url, folder, slot=1, http=Guard) as route,
    ):
        await lane.publish("counted", stock=3)
        for number in range(4):
            await (lane, route)[number % 2].claim(f"h{number}", campaign="counted")
        await route.claim("h0", campaign="counted")
        await lane.claim("h2", campaign="counted", key="another")
        texts = [(await worker.http.get("/metrics")).text for worker in (lane, route)]

    for text in texts:
        assert 'fairclaim_claims_total{outcome="claimed"} 3\n' in text
        assert 'fairclaim_claims_total{outcome="sold_out"} 1\n' in text
        assert 'fairclaim_claims_total{outcome="replayed"} 1\n' in text
        assert 'fairclaim_claims_total{outcome="limit_reached"} 1\n' in text
        assert 'fairclaim_http_responses_total{class="4xx"} 2\n' in text
        assert "fairclaim_claim_seconds_count 6\n" in text
        assert "fairclaim_batch_claims_sum 6\n" in text
        assert "fairclaim_queue_claims 0\n" in text
        assert "fairclaim_books_up 1\n" in text
        assert "fairclaim_drain_lag_seq " in text


async def test_both_fronts_tell_each_answer_to_who_looks_closely(
    fronts: Fronts, caplog: pytest.LogCaptureFixture
) -> None:
    """At log level debug each answer is a line, the same from lane and route: request id, method, path, status."""
    with caplog.at_level(logging.DEBUG, "fairclaim"):
        for number, worker in enumerate(fronts):
            good = claim_bytes(f"told-{number}", f"X-Request-Id: told-{number}")
            async with Phone(worker.port) as phone:
                answers = [await phone.ask(good), await phone.ask(good.replace(b"Bearer ", b"Bearer x"))]
            assert [answer.status for answer in answers] == [201, 401]

    path = "/v1/campaigns/flash/claims"
    told = [vars(record) for record in caplog.records if record.getMessage() == "answered"]
    assert [tuple(line[part] for part in ("request_id", "method", "path", "status")) for line in told] == [
        (f"told-{number}", "POST", path, status) for number in range(2) for status in (201, 401)
    ]
