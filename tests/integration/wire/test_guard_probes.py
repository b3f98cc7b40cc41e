"""
What is not HTTP as it has to be is refused, for every route, and no second request is ever smuggled in.

Each probe is sent to the claim path of the lane, to another route behind it, and to the claim path without a lane. What
the application saw and what was decided is counted: a probe that hides a request hides it in vain.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import NamedTuple

import pytest
import pytest_asyncio

from gateway.errors import PROBLEMS
from gateway.guard import Guard
from gateway.lane import Lane
from gateway.stack.postgres import Postgres
from gateway.stack.valkey import Valkey
from tests.http import ON_SOCKETS, Worker, bearer, claim_bytes, served
from tests.phone import Phone, request_bytes

PATH = "/v1/campaigns/flash/claims"
HEALTH = request_bytes("GET", "/healthz")
HEAD_BYTES_MAX, BODY_BYTES_MAX = 16_384, 65_536

pytestmark = ON_SOCKETS


class Place(NamedTuple):
    """Where a probe goes."""

    worker: Worker
    path: str

    def request(self, holder: str, *lines: str, body: bytes | None = b"{}", method: str = "POST") -> bytes:
        """A request to it that would be good without a probe in it; on the claim path, a claim of *holder*."""
        head = (f"Authorization: {bearer(holder)}", f"Idempotency-Key: key-of-{holder}")
        return request_bytes(method, self.path, *head, *lines, body=body)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def workers(
    redis_server: Valkey, postgres_server: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[list[Worker]]:
    """Behind the lane, and behind the guard alone."""
    folder = tmp_path_factory.mktemp("guard")
    async with served(redis_server, postgres_server, folder, Lane, Guard) as workers:
        yield workers


@pytest.fixture(params=["claims in the lane", "another route", "claims in Starlette"])
def place(workers: list[Worker], request: pytest.FixtureRequest) -> Place:
    """Each of the places a probe goes to."""
    lane, guard = workers
    return {
        "claims in the lane": Place(lane, PATH),
        "another route": Place(lane, "/v1/campaigns/flash/tickets"),
        "claims in Starlette": Place(guard, PATH),
    }[request.param]


class Probe(NamedTuple):
    """A good request in which *old* is replaced by *new*: what it is answered."""

    says: str
    new: bytes
    old: bytes = b"Content-Length: 2\r\n\r\n{}"


LENGTH, HOST, LINE_END = b"Content-Length: 2", b"Host: gateway\r\n", b"HTTP/1.1\r\n"
CHUNKED, HIDDEN = b"Transfer-Encoding: chunked\r\n\r\n", request_bytes("GET", "/hidden")
BAD = "bad_request"
PROBES = {
    "length and chunks": Probe(BAD, LENGTH + b"\r\n" + CHUNKED + b"0\r\n\r\n" + HIDDEN),
    "chunks and length": Probe(BAD, CHUNKED[:-2] + LENGTH + b"\r\n\r\n0\r\n\r\n" + HIDDEN),
    "the same length twice": Probe(BAD, b"\r\n".join((LENGTH, LENGTH, b"", b"{}")) + HIDDEN),
    "two lengths": Probe(BAD, LENGTH + b"\r\nContent-Length: 0\r\n\r\n{}" + HIDDEN),
    "two lengths in one": Probe(BAD, b"Content-Length: 2, 2\r\n\r\n{}" + HIDDEN),
    "a length with a sign": Probe(BAD, b"Content-Length: +2\r\n\r\n{}" + HIDDEN),
    "a length below zero": Probe(BAD, b"Content-Length: -2\r\n\r\n{}" + HIDDEN),
    "a length in hexadecimal": Probe(BAD, b"Content-Length: 0x2\r\n\r\n{}" + HIDDEN),
    "an endless length": Probe(BAD, b"Content-Length: 99999999999999999999999\r\n\r\n{}"),
    "no length": Probe(BAD, b"Content-Length:\r\n\r\n{}" + HIDDEN),
    "chunks that are not the last coding": Probe(BAD, b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n" + HIDDEN),
    "a coding nobody knows": Probe(BAD, b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + HIDDEN),
    "chunks twice": Probe(BAD, CHUNKED[:-2] * 2 + b"\r\n0\r\n\r\n" + HIDDEN),
    "a chunk that does not end": Probe(BAD, CHUNKED + b"2\r\n{}XX0\r\n\r\n" + HIDDEN),
    "a chunk that ends in LF": Probe(BAD, CHUNKED + b"2\r\n{}\n0\r\n\r\n" + HIDDEN),
    "LF after a chunk's size": Probe(BAD, CHUNKED + b"2\n{}\r\n0\r\n\r\n" + HIDDEN),
    "LF in a chunk's extension": Probe(BAD, CHUNKED + b"2;a\nb\r\n{}\r\n0\r\n\r\n" + HIDDEN),
    "a chunk's size below zero": Probe(BAD, CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n" + HIDDEN),
    "a chunk's size in other digits": Probe(BAD, CHUNKED + b"0x2\r\n{}\r\n0\r\n\r\n" + HIDDEN),
    "an endless chunk": Probe(BAD, CHUNKED + b"FFFFFFFFFFFFFFFFF\r\n{}\r\n0\r\n\r\n"),
    "a line that ends in LF": Probe(BAD, b"Host: gateway\n", HOST),
    "a request line that ends in LF": Probe(BAD, b"HTTP/1.1\n", LINE_END),
    "a head that ends in LF": Probe(BAD, LENGTH + b"\r\n\n{}" + HIDDEN),
    "a CR alone": Probe(BAD, b"X-A: a\rX-B: b\r\n" + HOST, HOST),
    "a NUL": Probe(BAD, b"X-A: a\0b\r\n" + HOST, HOST),
    "a folded line": Probe(BAD, b"X-A: a\r\n b\r\n" + HOST, HOST),
    "a folded first line": Probe(BAD, LINE_END + b" X-A: a\r\n", LINE_END),
    "a blank before the colon": Probe(BAD, b"Host : gateway\r\n", HOST),
    "a line without a colon": Probe(BAD, b"X-A\r\n" + HOST, HOST),
    "a name that is none": Probe(BAD, b"X(A): a\r\n" + HOST, HOST),
    "no Host": Probe(BAD, b"", HOST),
    "two Hosts": Probe(BAD, HOST * 2, HOST),
    "two Hosts, spelt differently": Probe(BAD, HOST + b"host: gateway\r\n", HOST),
    "a Host with a path": Probe(BAD, b"Host: gateway/x\r\n", HOST),
    "a Host with a user": Probe(BAD, b"Host: a@gateway\r\n", HOST),
    "a Host with a blank": Probe(BAD, b"Host: gate way\r\n", HOST),
    "a Host that is not ASCII": Probe(BAD, b"Host: caf\xe9\r\n", HOST),
    "a Host with a port that is none": Probe(BAD, b"Host: gateway:http\r\n", HOST),
    "another protocol": Probe(BAD, b"HTP/1.1\r\n", LINE_END),
    "HTTP/2": Probe(BAD, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"POST "),
    "HTTP/0.9": Probe(BAD, b"GET /hidden\r\n\r\n", b"POST "),
    "a method that is none": Probe(BAD, b"STEAL ", b"POST "),
    "a method in small letters": Probe(BAD, b"post ", b"POST "),
    "a method that opens a tunnel": Probe(BAD, b"CONNECT ", b"POST "),
    "a tunnel to elsewhere": Probe(BAD, b"CONNECT gateway:80 HTTP/1.1\r\nX-A: ", b"POST "),
    "a path that is not ASCII": Probe(BAD, b"/v1/caf\xe9/", b"/v1/"),
    "a URL that is none": Probe(BAD, b"POST http://[", b"POST "),
    "nonsense": Probe(BAD, b"\x16\x03\x01\x02\x00\x01", b"POST "),
    "a long line": Probe("headers_too_large", b"X-A: " + b"x" * HEAD_BYTES_MAX + b"\r\n" + HOST, HOST),
    "a long URL": Probe("headers_too_large", b"/?" + b"x" * HEAD_BYTES_MAX + b" HTTP/1.1\r\n", b" " + LINE_END),
    "many lines": Probe("headers_too_large", b"X-Aaaaaaaaaa: b\r\n" * (HEAD_BYTES_MAX // 17) + HOST, HOST),
}  # fmt: skip


@pytest.mark.parametrize("name", PROBES)
async def test_what_is_not_http_is_refused_and_hides_nothing(place: Place, name: str) -> None:
    """One problem and the end of the connection; nothing hidden was seen by the application, no claim was decided."""
    says, new, old = PROBES[name]
    worker, good = place.worker, place.request("prober")
    assert good.count(old) == 1
    entered, decided = len(worker.entered), worker.decided()

    async with Phone(worker.port) as phone:
        await phone.send(good.replace(old, new))
        answer, rest = await phone.answer(), await phone.rest()

    assert (answer.code, answer.status) == (says, PROBLEMS[says].status)
    assert (answer.header(b"connection"), rest) == (b"close", b"")
    assert {scope["path"] for scope in worker.entered[entered:]} <= {place.path}
    assert worker.decided() == decided


@pytest.mark.parametrize("name", PROBES)
async def test_what_is_refused_waits_for_its_turn(place: Place, name: str) -> None:
    """Behind a good request the good one is answered first, and then the problem, as if it had come alone."""
    says, new, old = PROBES[name]
    worker = place.worker
    holder = f"before-{name}-at-{worker.port}".replace(" ", "-")
    probe = HEALTH + claim_bytes(holder) + place.request("prober").replace(old, new)

    async with Phone(worker.port) as phone:
        await phone.send(probe)
        answers = [await phone.answer() for _ in range(3)]
        assert await phone.rest() == b""

    assert answers[0].status == 200
    assert answers[1].status in (200, 201)
    assert answers[2].code == says


async def test_an_underscore_is_not_read_as_a_hyphen(place: Place) -> None:
    """A header whose name has an underscore does not reach the application, and takes no place of the real one."""
    worker, lines = place.worker, ("X_User: root", "Idempotency_Key: a", "X_Request_Id: b", "Host_: c")
    async with Phone(worker.port) as phone:
        answer = await phone.ask(place.request(f"hyphen-{worker.port}", *lines, "X-Request-Id: mine"))
        seen = await phone.ask(request_bytes("GET", "/healthz", *lines, "X-User: ann"))

    assert answer.status in (200, 201)
    assert answer.header(b"x-request-id") == b"mine"
    assert seen.status == 200
    assert worker.entered[-1]["headers"] == [(b"host", b"gateway"), (b"x-user", b"ann")]


async def test_a_key_with_an_underscore_is_no_key(place: Place) -> None:
    """Where only the spelling with underscores is there, the header is missing."""
    request = place.request("no-key").replace(b"Authorization:", b"Author_ization:")
    async with Phone(place.worker.port) as phone:
        assert (await phone.ask(request)).code == "unauthenticated"


@pytest.mark.parametrize("host", ["gateway", "gateway:8080", "[::1]:80", "127.0.0.1", "", "xn--caf-dma.example:", "a "])
async def test_a_host_that_may_be_is_let_in(place: Place, host: str) -> None:
    """Names, addresses, ports, none at all, and blanks around it, are Hosts."""
    request = place.request(f"hosts-{place.worker.port}").replace(HOST, f"Host: {host}\r\n".encode())
    async with Phone(place.worker.port) as phone:
        assert (await phone.ask(request)).status in (200, 201)


async def test_a_head_may_be_exactly_as_large_as_it_may(place: Place) -> None:
    """The bound is of the head: as many bytes pass, one more does not, in one piece and in several."""
    holder = f"exact-{place.worker.port}"
    bare = len(place.request(holder, "X-A: ", body=b"")) - len("POST  HTTP/1.1\r\n\r\n")
    for more, says in ((0, ""), (1, "headers_too_large")):
        request = place.request(holder, f"X-A: {'x' * (HEAD_BYTES_MAX - bare + more)}", body=b"")
        for cut in (len(request), 1000):
            async with Phone(place.worker.port) as phone:
                await phone.send(request[:cut])
                await phone.send(request[cut:])
                assert (await phone.answer()).code == says, (more, cut)


async def test_a_head_is_counted_behind_another_request_too(place: Place) -> None:
    """The bound holds where a head begins in the read in which another request ended, and is sent in pieces."""
    large = place.request("prober", f"X-A: {'x' * 3 * HEAD_BYTES_MAX}")
    async with Phone(place.worker.port) as phone:
        await phone.send(HEALTH + large[:-100])
        assert (await phone.answer()).status == 200
        await phone.send(large[-100:])
        assert (await phone.answer()).code == "headers_too_large"


async def test_a_head_without_end_is_refused_as_soon_as_it_is_too_large(place: Place) -> None:
    """Of 4 MiB of header the worker reads little more than the bound before it answers and closes."""
    sent = 0
    async with Phone(place.worker.port, buffer_bytes=4096) as phone:
        await phone.send(f"POST {place.path} HTTP/1.1\r\nHost: gateway\r\nX-A: ".encode())
        answering = asyncio.create_task(phone.answer())
        while not answering.done() and sent < 4 << 20:
            await phone.send(b"x" * 1024)
            sent += 1024
        assert (await answering).code == "headers_too_large"

    assert sent < 4 * HEAD_BYTES_MAX


@pytest.mark.parametrize("framing", ["length", "chunks"])
async def test_a_body_without_end_is_refused_and_not_read_for_ever(place: Place, framing: str) -> None:
    """Of a body over the bound little more than the bound is read, however it is framed; no claim comes of it."""
    worker, sent, decided = place.worker, 0, place.worker.decided()
    line, part = {
        "length": (f"Content-Length: {4 << 20}", b" " * 4096),
        "chunks": ("Transfer-Encoding: chunked", b"1000\r\n" + b" " * 4096 + b"\r\n"),
    }[framing]
    async with Phone(worker.port, buffer_bytes=4096) as phone:
        await phone.send(place.request("endless", line, body=None))
        with suppress(ConnectionError):  # closed while it is sent
            while sent < 4 << 20:
                await phone.send(part)
                sent += len(part)
        answer = await phone.answer()
        assert await phone.rest() == b""

    assert (answer.status, answer.code) == (413, "too_large")
    assert sent < 8 * BODY_BYTES_MAX
    assert worker.decided() == decided


async def test_what_comes_behind_an_upgrade_is_not_read(place: Place) -> None:
    """The request itself is answered as plain HTTP, and then the connection ends: what follows may be anything."""
    worker, entered = place.worker, len(place.worker.entered)
    request = place.request(f"upgrade-{worker.port}", "Upgrade: h2c", "Connection: Upgrade", body=b"")
    async with Phone(worker.port) as phone:
        answer = await phone.ask(request + HIDDEN)
        assert await phone.rest() == b""

    assert answer.status in (200, 201)
    assert [scope["path"] for scope in worker.entered[entered:]] == [place.path]


async def test_trailers_are_ignored(place: Place) -> None:
    """Headers behind the last chunk change nothing: no other holder, key or request id, and no second request."""
    request = place.request(
        f"trailers-{place.worker.port}", "Transfer-Encoding: chunked", "X-Request-Id: head", body=None
    )
    trailers = f"Authorization: {bearer('mallory')}\r\nX-Request-Id: trailer\r\nHost: elsewhere\r\nHost: again\r\n"
    async with Phone(place.worker.port) as phone:
        answer = await phone.ask(request + b"2\r\n{}\r\n0\r\n" + trailers.encode() + b"\r\n")
        again = await phone.ask(place.request(f"trailers-{place.worker.port}"))

    assert answer.status in (200, 201)
    assert answer.header(b"x-request-id") == b"head"
    assert again.status in (200, 201)
