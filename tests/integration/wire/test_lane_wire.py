"""
HTTP on the lane's socket is uvicorn's own: the same bytes, sent the same way, to the lane and to uvicorn without us.

Three workers of one application on the same servers: the lane, the guard alone, and uvicorn's plain HttpToolsProtocol.
What each says on a connection, and whether it stays open, has to be the same; only what no two answers share is masked.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest
import pytest_asyncio
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.guard import Guard
from gateway.lane import Lane
from gateway.stack.postgres import Postgres
from gateway.stack.valkey import Valkey
from tests.http import ON_SOCKETS, Worker, bearer, served
from tests.phone import Phone, WireAnswer, request_bytes

PATH = "/v1/campaigns/flash/claims"
HEALTH = request_bytes("GET", "/healthz")
LAST = request_bytes("GET", "/healthz", "Connection: close")

pytestmark = ON_SOCKETS


class Servers(NamedTuple):
    """The same application, served in three ways."""

    lane: Worker
    guard: Worker
    plain: Worker


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def servers(
    redis_server: Valkey, postgres_server: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Servers]:
    """The three, each of which knows the campaign already."""
    folder = tmp_path_factory.mktemp("wire")
    async with served(redis_server, postgres_server, folder, Lane, Guard, HttpToolsProtocol) as workers:
        yield Servers(*workers)


class Talk(NamedTuple):
    """What is sent, part by part, each after so many answers as stand before it; how many answers come in all."""

    parts: tuple[tuple[int, bytes], ...]
    answers: int
    closes: bool = False


def at_once(answers: int, *requests: bytes, closes: bool = False) -> Talk:
    """A talk in which all requests leave in one write."""
    return Talk(((0, b"".join(requests)),), answers, closes)


def in_turn(*requests: bytes, closes: bool = False) -> Talk:
    """A talk in which each request waits for the answer before it."""
    return Talk(tuple(enumerate(requests)), len(requests), closes)


def claim(*lines: str, key: str = "first", credential: str = "TOKEN", body: bytes | None = b"{}") -> bytes:
    """A claim of whoever has the talk: his token takes the place of TOKEN."""
    head = (f"Authorization: {credential}", f"Idempotency-Key: {key}")
    return request_bytes("POST", PATH, *head, *lines, body=body)


def other(method: str) -> bytes:
    """A request to the claim path that is no claim."""
    return claim().replace(b"POST", method.encode(), 1)


def old(*lines: str) -> bytes:
    """A claim as an HTTP/1.0 client sends it."""
    return claim(*lines).replace(b"HTTP/1.1", b"HTTP/1.0")


CLAIM, SECOND = claim(), claim(key="second")
NOBODY = claim(credential="Bearer x")
CHUNKED = claim("Transfer-Encoding: chunked", body=None)
EXPECTING = claim("Expect: 100-continue")[:-2]

TALKS = {
    "one after the other": in_turn(CLAIM, CLAIM, SECOND, HEALTH, CLAIM, NOBODY, CLAIM),
    "pipelined claims": at_once(4, CLAIM, CLAIM, SECOND, CLAIM),
    "pipelined with other routes": at_once(
        9, CLAIM, HEALTH, NOBODY, request_bytes("GET", "/nothing"), SECOND,
        request_bytes("GET", PATH + "/mine", "Authorization: TOKEN"), CLAIM, HEALTH, CLAIM,
    ),
    "pipelined, the last one not whole yet": Talk(((0, HEALTH + CLAIM + SECOND[:-1]), (2, SECOND[-1:])), 3),
    "the last one to be refused, its body not there yet": Talk(((0, CLAIM + NOBODY[:-1]), (2, b"}")), 2),
    "refused before its body came, then a claim": Talk(((0, NOBODY[:-1]), (1, b"}" + CLAIM)), 2),
    "closing": at_once(1, claim("Connection: close"), closes=True),
    "closing a refused one": at_once(
        1, claim("Connection: close", credential="Bearer x"), closes=True
    ),
    "closing behind others": at_once(3, HEALTH, CLAIM, claim("Connection: close"), closes=True),
    "closing, and one more behind": at_once(1, claim("Connection: close"), SECOND, closes=True),
    "closing, other words around it": at_once(1, claim("Connection: TE, Close"), closes=True),
    "keep-alive asked for": at_once(1, claim("Connection: keep-alive")),
    "HTTP/1.0": at_once(1, old(), closes=True),
    "HTTP/1.0 that would stay": at_once(1, old("Connection: keep-alive"), closes=True),
    "GET": in_turn(other("GET"), CLAIM),
    "PUT": in_turn(other("PUT"), CLAIM),
    "DELETE": in_turn(other("DELETE"), CLAIM),
    "OPTIONS": in_turn(other("OPTIONS"), CLAIM),
    "PATCH behind a claim": at_once(2, CLAIM, other("PATCH")),
    "expecting 100": Talk(((0, EXPECTING), (1, b"{}")), 2),
    "expecting 100 behind a claim": Talk(((0, CLAIM + EXPECTING), (2, b"{}")), 3),
    "expecting 100, and refused before": Talk(((0, EXPECTING.replace(b"TOKEN", b"Bearer x")), (1, b"{}")), 1),
    "in chunks": at_once(2, CHUNKED + b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", CLAIM),
    "in chunks with an extension": at_once(2, CHUNKED + b"2;a=b\r\n{}\r\n0\r\n\r\n", CLAIM),
    "in chunks with a trailer": at_once(2, CHUNKED + b"2\r\n{}\r\n0\r\nX-Holder: bob\r\n\r\n", CLAIM),
    "in chunks, in pieces": Talk(((0, CHUNKED + b"1\r"), (0, b"\n{\r\n1\r\n}"), (0, b"\r\n0\r\n\r\n")), 1),
    "empty lines before it": at_once(2, b"\r\n\r\n" + CLAIM, b"\r\n" + CLAIM),
    "the whole URL": at_once(2, CLAIM.replace(b"/v1", b"http://gateway/v1", 1), CLAIM),
    "an upgrade to HTTP/2": in_turn(claim("Upgrade: h2c", "Connection: Upgrade", body=None), CLAIM),
    "names in capitals": at_once(1, CLAIM.replace(b"Content-Length", b"CONTENT-LENGTH")),
    "a page of ours": in_turn(request_bytes("GET", "/docs"), CLAIM),
}  # fmt: skip


async def talk(worker: Worker, data: Talk, holder: str) -> list[WireAnswer | str]:
    """What is heard on a connection, whether it is open afterwards, and how many claims were decided."""
    heard, decided, token = list[WireAnswer | str](), worker.decided(), bearer(holder).encode()
    async with Phone(worker.port) as phone:
        for before, part in data.parts:
            while len(heard) < before:
                heard.append((await phone.answer()).masked())
            await phone.send(part.replace(b"TOKEN", token))
            await asyncio.sleep(0)  # the server may read what there is
        while len(heard) < data.answers:
            heard.append((await phone.answer()).masked())
        if not data.closes:
            heard.append((await phone.ask(LAST)).masked())
        heard.append(f"closed after {await phone.rest()!r}")
    return [*heard, f"{worker.decided() - decided} decided"]


@pytest.mark.parametrize("name", TALKS)
async def test_a_talk_with_the_lane_is_the_same_as_with_uvicorn(servers: Servers, name: str) -> None:
    """Answers, their order, the end of the connection, and what was decided are the same at all three."""
    lane, guard, plain = [
        await talk(worker, TALKS[name], f"{name} at {number}".replace(" ", "-"))
        for number, worker in enumerate(servers)
    ]

    assert lane == plain
    assert guard == plain
    assert not any(isinstance(answer, WireAnswer) and answer.status >= 500 for answer in lane)


async def test_a_claim_that_comes_byte_by_byte_is_a_claim(servers: Servers) -> None:
    """However a request is cut, it is the same request: one byte at a time, and two of them cut in one another."""
    for number, worker in enumerate(servers):
        token = bearer(f"slow-{number}").encode()
        one, two = (request.replace(b"TOKEN", token) for request in (CLAIM, SECOND))
        async with Phone(worker.port) as phone:
            for part in [bytes([byte]) for byte in one] + [two[:50], two[50:] + one[:9], one[9:-1], one[-1:]]:
                await phone.send(part)
                await asyncio.sleep(0)

            answers = [await phone.answer() for _ in range(3)]

        assert [(answer.status, answer.code) for answer in answers] == [(201, ""), (409, "limit_reached"), (200, "")]
        assert answers[2].body == answers[0].body


async def test_head_on_the_claim_path_is_answered_without_a_body(servers: Servers) -> None:
    """HEAD is not POST: 405 with the length of a body that does not follow, and the connection goes on."""
    heard = []
    for number, worker in enumerate(servers):
        async with Phone(worker.port) as phone:
            await phone.send((other("HEAD") + CLAIM).replace(b"TOKEN", bearer(f"head-{number}").encode()))
            heard.append([(await phone.answer(bodiless=True)).masked(), (await phone.answer()).masked()])

    assert heard[0] == heard[1] == heard[2]
    assert [answer.status for answer in heard[0]] == [405, 201]


async def test_a_slow_claim_is_answered_before_what_is_pipelined_behind_it(servers: Servers) -> None:
    """While Redis stands still nothing overtakes the claim, neither a refusal nor another route; then all come."""
    for number, worker in enumerate(servers):
        requests = CLAIM + NOBODY + HEALTH + SECOND + HEALTH
        async with Phone(worker.port) as phone, Phone(worker.port) as another:
            async with worker.redis_stands_still():
                await phone.send(requests.replace(b"TOKEN", bearer(f"ordered-{number}").encode()))
                for _ in range(3):  # each of these was read after the claim
                    assert (await another.ask(HEALTH)).status == 200
                assert phone.unread() == b""

            assert [(await phone.answer()).status for _ in range(5)] == [201, 401, 200, 409, 200]


async def test_a_half_closed_client_is_treated_as_uvicorn_treats_it(servers: Servers) -> None:
    """Who ends his sending ends the connection, whatever is in flight; the claim is decided all the same."""
    for number, worker in enumerate(servers):
        request = CLAIM.replace(b"TOKEN", bearer(f"half-{number}").encode())
        async with Phone(worker.port) as phone:
            assert (await phone.ask(HEALTH)).status == 200
            async with worker.redis_stands_still():
                await phone.send(request)
                phone.end_sending()
                assert await phone.rest() == b""
        async with Phone(worker.port) as phone:
            assert (await phone.ask(request)).status == 200
