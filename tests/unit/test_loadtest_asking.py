"""How somebody asks: what he makes of a gateway that is wrong, slow or gone, and that all of it is recorded."""

import gc
import json
import os
import random
import resource
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from loadtest.run import line
from loadtest.run.arguments import ARGUMENTS, Options
from loadtest.run.asking import Asker
from loadtest.run.faults import Weather
from loadtest.run.plan import Part, Plan
from loadtest.run.recording import recorder
from loadtest.told import Attempt

Answer = Callable[[bytes, int], bytes]
"""From a request and how many came before it: bytes of an answer; none hangs up."""


@contextmanager
def answering(answer: Answer) -> Iterator[str]:
    """A gateway of one's own making, a thread a connection; its URL."""
    listening = socket.create_server(("127.0.0.1", 0))
    came = list[bytes]()

    def serve(connection: socket.socket) -> None:
        # Whoever asks may hang up before the answer: that is what some of these tests are about.
        with connection, suppress(OSError):
            request = b""
            while received := connection.recv(65536):
                request += received
                head, end, body = request.partition(b"\r\n\r\n")
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]
                if not end or len(body) < int(length):
                    continue
                came.append(request)
                reply = answer(request, len(came) - 1)
                if not reply:
                    return
                connection.sendall(reply)
                request = b""

    def accept() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=[connection], daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join()


def reply(status: int, body: Any, *headers: str) -> bytes:
    """The bytes of an answer."""
    data = json.dumps(body).encode()
    head = "\r\n".join([f"HTTP/1.1 {status} X", f"Content-Length: {len(data)}", *headers])
    return f"{head}\r\n\r\n".encode() + data


def coupon(code: str = "C1", **changes: Any) -> dict[str, Any]:
    """The body of a claim that is granted."""
    return {"code": code, "campaign": "flash", "seq": 1, "state": "claimed", **changes}


PEOPLE = list["Somebody"]()


@pytest.fixture(autouse=True)
def hung_up() -> Iterator[None]:
    """Nobody keeps a connection beyond his test."""
    yield
    while PEOPLE:
        PEOPLE.pop().asker.close()
    gc.collect()


class Somebody:
    """An asker, and the rows of Locust's tables that came of him."""

    def __init__(self, url: str, **changes: Any) -> None:
        self.rows = list[tuple[str, str]]()
        patient = {"patience": 60.0, "slow_ms": 60_000}  # a busy machine is no gateway that is slow
        parsed = {argument.dest: argument.default for argument in ARGUMENTS} | patient | changes
        options = Options.of(SimpleNamespace(**parsed))
        part = Part(options, url)
        part.host = url
        plan = Plan("run", ("flash",), 1, 1, 1, 1, 1.0, "steady", True, 1, 1, 1.0, None, "")
        environment = SimpleNamespace(events=SimpleNamespace(request=SimpleNamespace(fire=self._fired)))
        self.asker = Asker(environment, part, Weather(options, plan), random.Random(1))
        recorder.take()
        PEOPLE.append(self)

    def _fired(self, *, name: str, exception: Exception | None, **_more: Any) -> None:
        self.rows.append((name, str(exception or "")))

    def claim(self) -> str:
        """One claim until it is answered; what came of it."""
        return self.asker.until_answered(self.asker.claim("flash", "ann", "Bearer t", "k1")).name

    @property
    def attempts(self) -> list[Attempt]:
        """What was recorded."""
        return recorder.take()[0]


def test_an_answer_is_a_row_and_an_attempt() -> None:
    """With what was told, and by when."""
    with answering(lambda request, number: reply(201, coupon())) as url:
        ann = Somebody(url)
        assert ann.claim() == "claimed"

    [attempt] = ann.attempts
    assert ann.rows == [("claim: claimed", "")]
    assert attempt[:9] == ("claim", "flash", "ann", "k1", 201, "claimed", "C1", 1, "")
    assert 0 < attempt.sent_s <= attempt.answered_s


@pytest.mark.parametrize(
    ("answer", "row"),
    [
        (reply(500, {"code": "internal", "status": 500}), ("claim: wrong", "status 500 with internal")),
        (reply(409, {"code": "overloaded", "status": 409}), ("claim: wrong", "status 409 with overloaded")),
        (reply(201, coupon(campaign="x")), ("claim: wrong", "a coupon that was not asked for")),
        (reply(201, []), ("claim: wrong", "status 201 with a body that is none")),
        (reply(409, {"code": "sold_out", "status": 409}), ("claim: sold_out", "")),
    ],
    ids=["status", "code", "campaign", "body", "sold-out"],
)
def test_what_is_wrong_fails_and_what_is_refused_does_not(answer: bytes, row: tuple[str, str]) -> None:
    """The name has the outcome, the failure says which."""
    with answering(lambda request, number: answer) as url:
        ann = Somebody(url)
        ann.claim()

    assert ann.rows == [row]
    assert len(ann.attempts) == 1


def test_too_busy_is_waited_out_with_the_same_key() -> None:
    """429 and 503 are no failures; Retry-After is kept to, and the next answer is that of the same ask."""
    busy = reply(503, {"code": "not_ready", "status": 503}, "Retry-After: 0")
    with answering(lambda request, number: busy if number < 2 else reply(201, coupon())) as url:
        ann = Somebody(url)
        assert ann.claim() == "claimed"

    assert ann.rows == [("claim: not_ready", ""), ("claim: not_ready", ""), ("claim: claimed", "")]
    assert {attempt.key for attempt in ann.attempts} == {"k1"}


def test_a_connection_that_breaks_is_a_failure_and_asked_again() -> None:
    """Nobody but the gateway did it; the row says so, the attempt is unanswered, and the same key gets the answer."""
    with answering(
        lambda request, number: reply(200, coupon(), "Idempotency-Replayed: true") if number else b""
    ) as url:
        ann = Somebody(url)
        assert ann.claim() == "replayed"

    [(name, says), answered] = ann.rows
    assert (name, answered) == ("claim: unanswered", ("claim: replayed", ""))
    assert says.startswith("lost the connection: ")
    assert [(attempt.status, attempt.outcome) for attempt in ann.attempts] == [(0, "unanswered"), (200, "replayed")]


@pytest.mark.parametrize(
    ("idle_s_min", "failure"), [(0.0, ""), (3600.0, "lost the connection: ")], ids=["idle", "busy"]
)
def test_an_idle_connection_that_is_closed_is_made_anew(
    monkeypatch: pytest.MonkeyPatch, idle_s_min: float, failure: str
) -> None:
    """
    As by every HTTP client: one that had been idle may be closed as the request is sent, which is no failure; one that
    was in use is broken. Either way the attempt is recorded, and the same key gets the answer.
    """
    monkeypatch.setattr(line, "IDLE_S_MIN", idle_s_min)
    with answering(lambda request, number: b"" if number == 1 else reply(201, coupon())) as url:
        ann = Somebody(url)
        assert [ann.claim(), ann.claim()] == ["claimed", "claimed"]

    broken = "claim: unanswered" if failure else "claim: hung up"
    assert [name for name, _ in ann.rows] == ["claim: claimed", broken, "claim: claimed"]
    assert ann.rows[1][1].startswith(failure)
    assert bool(ann.rows[1][1]) == bool(failure)
    assert [attempt.outcome for attempt in ann.attempts] == ["claimed", "unanswered", "claimed"]


def test_a_connection_is_kept_however_many_there_are() -> None:
    """Above the 1023rd file of a process too, which select does not know: a thousand users are kept connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 4096), hard), hard))
    asked_by = list[threading.Thread]()

    def keep(request: bytes, number: int) -> bytes:
        asked_by.append(threading.current_thread())
        return reply(201, coupon())

    with answering(keep) as url, ExitStack() as files:
        while files.enter_context(Path(os.devnull).open()).fileno() < 1030:
            pass
        ann = Somebody(url)
        assert [ann.claim() for _ in range(3)] == ["claimed"] * 3

    assert len(set(asked_by)) == 1
    assert len(asked_by) == 3


def test_an_address_is_not_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand who connect at once would wait seconds for each other in the resolver; a name still goes there."""
    looked_up = list[str]()

    def look_up(host: str, port: int, *more: int) -> list[Any]:
        looked_up.append(host)
        return socket.getaddrinfo("127.0.0.1", port, *more)

    monkeypatch.setattr("gevent.socket.getaddrinfo", look_up)
    with answering(lambda request, number: reply(201, coupon())) as url:
        assert Somebody(url).claim() == "claimed"
        assert looked_up == []
        assert Somebody(url.replace("127.0.0.1", "gateway.test")).claim() == "claimed"

    assert looked_up == ["gateway.test"]


def test_patience_ends_and_slowness_is_named() -> None:
    """Who gives up says after how long; an answer that is slower than allowed counts, and fails."""
    wait = threading.Event()

    def slow(request: bytes, number: int) -> bytes:
        wait.wait(30 if number == 0 else 0.1)
        return reply(201, coupon())

    with answering(slow) as url:
        ann = Somebody(url, patience=0.3, slow_ms=50)
        assert ann.claim() == "claimed"
        wait.set()

    *given_up, answered = ann.rows  # on a busy machine the second answer may be too late as well
    assert {*given_up} == {("claim: unanswered", "no answer within 0.3 s")}
    assert answered == ("claim: claimed", "slower than 50 ms")


def test_a_gateway_that_is_gone_is_given_up_after_twenty_tries() -> None:
    """Each of them is a failure of its own; all are recorded, for nobody knows what came of them."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # and nobody listens
        ann = Somebody(f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert ann.claim() == "unanswered"

    assert [name for name, _ in ann.rows] == ["claim: unanswered"] * 20
    assert all(says.startswith("no connection: ") for _, says in ann.rows)
    assert len(ann.attempts) == 20


def test_a_lost_reply_is_no_failure_and_no_latency_of_a_claim() -> None:
    """It has a row of its own; the attempt is unanswered."""
    with answering(lambda request, number: reply(201, coupon())) as url:
        ann = Somebody(url, drop_replies=1)
        ann.asker.once(ann.asker.claim("flash", "ann", "Bearer t", "k1"))

    assert ann.rows == [("claim: dropped", "")]
    assert [attempt.outcome for attempt in ann.attempts] == ["unanswered"]


def test_a_slow_link_sends_every_byte_and_has_rows_of_its_own() -> None:
    """In pieces, but the same request; what it took is not judged."""
    came = list[bytes]()

    def keep(request: bytes, number: int) -> bytes:
        came.append(request)
        return reply(201, coupon())

    with answering(keep) as url:
        ann = Somebody(url, slow_links=1, slow_ms=1)
        ask = ann.asker.claim("flash", "ann", "Bearer t", "k1")
        ann.asker.once(ask)

    assert came == [ask.request]
    assert ann.rows == [("claim over a slow link: claimed", "")]


def test_two_answers_to_one_key_are_found_out() -> None:
    """Both are recorded; where they differ, a row says it."""
    with answering(lambda request, number: reply(201, coupon(f"C{number}"))) as url:
        ann = Somebody(url, duplicate_sends=1)
        ann.claim()

    assert sorted(ann.rows) == [
        ("claim: claimed", ""),
        ("claim: claimed", ""),
        ("claim: wrong", "two answers to one key"),
    ]
    assert {attempt.code for attempt in ann.attempts} == {"C0", "C1"}
