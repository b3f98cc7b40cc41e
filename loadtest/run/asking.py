"""
One request through Locust: sent, judged, named by its outcome, recorded; and asked again as a phone does.

Requests are put together by hand and answers parsed by what FastHttpUser is made of (geventhttpclient), without its
cookies, redirects and header objects: a process sends several times as many.
"""

import random
import time
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import gevent  # type: ignore[import-untyped]
from geventhttpclient.connectionpool import ConnectionPool, SSLConnectionPool
from geventhttpclient.response import HTTPParseError, HTTPSocketPoolResponse

from loadtest.run.faults import Weather, drop_reply, trickle
from loadtest.run.outcomes import DONE, GRANTED, OVERLOAD, UNANSWERED, UNNAMED, WRONG, Outcome, outcome_of, wrong
from loadtest.run.plan import Part
from loadtest.run.recording import recorder
from loadtest.told import KINDS, Attempt

CONNECT_S_MAX = 10.0
RETRY_AFTER_S_MAX = 30.0
TRIES_MAX = 20
"""How often somebody asks before he goes home without an answer."""
DROPPED, SLOW_LINK = "dropped", "over a slow link"
BLOCK_BYTES = 16_384


class Failed(Exception):
    """What Locust's tables say of a request that failed: the text alone."""

    def __repr__(self) -> str:
        return str(self)


class Ask(NamedTuple):
    """
    A request: *kind* says how it is judged and recorded, *what* how Locust's tables call it, *about* the campaign, code
    or redemption it is asked of. *request* is all of its bytes. *check* gets the body of an answer that grants it, and
    says why that is wrong, in the same words each time, or nothing.
    """

    kind: str
    what: str
    method: str
    path: str
    request: bytes
    about: str
    campaign: str
    holder: str = ""
    key: str = ""
    code: str = ""
    ref: str = ""
    check: Callable[[bytes], str] | None = None


class Answer(NamedTuple):
    """What came back. *status* 0: nothing did, and *says* why."""

    status: int
    replayed: bool
    retry_after_s: float
    body: bytes
    says: str = ""


class Line:
    """Where a phone's requests go, one connection at a time, kept between them."""

    def __init__(self, url: str, patience_s: float) -> None:
        parts = urlsplit(url)
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname or "", parts.port or (443 if self._secure else 80)
        self.authority, self.base = parts.netloc.rpartition("@")[2], parts.path.rstrip("/")
        self.patience_s = patience_s
        self.pool = self._connecting()

    def _connecting(self) -> ConnectionPool:
        kind = SSLConnectionPool if self._secure else ConnectionPool
        where = self._host, self._port
        return kind(*where, *where, size=1, connection_timeout=CONNECT_S_MAX, network_timeout=self.patience_s)

    def close(self) -> None:
        """End the connection; the next request makes another one."""
        self.pool.close()
        self.pool = self._connecting()

    def send(self, ask: Ask, slowly: random.Random | None = None) -> Answer:
        """Ask once; *slowly* in pieces, drawn by it."""
        try:
            connection = self.pool.get_socket()
        except OSError as error:
            return Answer(0, False, 0.0, b"", f"no connection: {_short(error)}")
        try:
            if slowly is None:
                connection.sendall(ask.request)
            else:
                trickle(connection, ask.request, slowly)
        except BaseException as error:
            self.pool.release_socket(connection)
            if isinstance(error, OSError):
                return Answer(0, False, 0.0, b"", f"lost the connection: {_short(error)}")
            raise
        try:
            answer = HTTPSocketPoolResponse(connection, self.pool, block_size=BLOCK_BYTES, method=ask.method)
            body = answer.read()
        except TimeoutError:
            return Answer(0, False, 0.0, b"", f"no answer within {self.patience_s:g} s")
        except (OSError, HTTPParseError) as error:
            return Answer(0, False, 0.0, b"", f"lost the connection: {_short(error)}")
        status = answer.get_code()
        replayed = status == 200 and answer.get("idempotency-replayed") == "true"
        retry_after = answer.get("retry-after") if status in (429, 503) else None
        return Answer(status, replayed, float(retry_after) if isinstance(retry_after, str) else 0.0, body)


def _short(error: BaseException) -> str:
    return f"{type(error).__name__} {error.args[0] if error.args else ''}".strip()


class Asker:
    """
    Somebody who asks: his connection, and how he goes about it when things go wrong.

    *patience_s* is his own, where it is not that of a phone; nothing is slow to him before it is over.
    """

    def __init__(
        self, environment: Any, part: Part, weather: Weather, dice: random.Random, patience_s: float | None = None
    ) -> None:
        self._fire = environment.events.request.fire
        self._weather, self._dice = weather, dice
        self._slow_ms = part.options.slow_ms if patience_s is None else patience_s * 1000
        self._host = part.host
        self.line = Line(part.host, patience_s or part.options.patience)
        self._twin: Line | None = None

    def close(self) -> None:
        """End the connections."""
        for line in (self.line, self._twin):
            if line is not None:
                line.close()

    def head(self, method: str, path: str, authorization: str, body: bytes | None = None, key: str = "") -> bytes:
        """The bytes of a request, with *body* where there is one."""
        line = self.line
        text = f"{method} {line.base}{path} HTTP/1.1\r\nHost: {line.authority}\r\nAuthorization: {authorization}\r\n"
        if key:
            text += f"Idempotency-Key: {key}\r\n"
        if body is None:
            return f"{text}\r\n".encode()
        return f"{text}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body

    def ask(
        self, kind: str, what: str, method: str, path: str, authorization: str, body: bytes | None = None, **more: Any
    ) -> Ask:
        """A request, with *more* fields of Ask by name."""
        request = self.head(method, path, authorization, body, more.get("key", ""))
        return Ask(kind, what, method, path, request, **{"about": "", "campaign": "", **more})

    def claim(self, campaign: str, holder: str, authorization: str, key: str) -> Ask:
        """A claim."""
        path = f"/v1/campaigns/{campaign}/claims"
        request = self.head("POST", path, authorization, b'{"channel":"app"}', key)
        return Ask("claim", "claim", "POST", path, request, campaign, campaign, holder, key)

    def once(self, ask: Ask, due_s: float | None = None) -> Outcome:
        """
        Ask once, with whatever goes wrong on the way. *due_s*: when it should have been sent, by time.perf_counter();
        its latency counts from then.
        """
        return self._once(ask, due_s)[0]

    def until_answered(self, ask: Ask, due_s: float | None = None) -> Outcome:
        """
        Ask with the same key until there is an answer that decides, as long as TRIES_MAX; what the last one came to.

        After 429 and 503 when Retry-After says; without an answer at once, or when the stage says.
        """
        for _ in range(TRIES_MAX):
            outcome, wait_s = self._once(ask, due_s)
            due_s = None
            if outcome.name not in OVERLOAD and outcome.name != UNANSWERED:
                break
            if wait_s:
                gevent.sleep(wait_s)
        return outcome

    def _once(self, ask: Ask, due_s: float | None) -> tuple[Outcome, float]:
        """What it came to, and how long to wait before it is asked again."""
        shares = self._weather.now(time.time())
        if not shares.any:
            return self._sent(ask, self.line, due_s)
        dice = self._dice
        if shares.drop_replies and dice.random() < shares.drop_replies:
            return self._dropped(ask)
        if shares.reconnects and dice.random() < shares.reconnects:
            self.line.close()
        if shares.duplicate_sends and ask.key and dice.random() < shares.duplicate_sends:
            return self._doubled(ask)
        slowly = dice if shares.slow_links and dice.random() < shares.slow_links else None
        return self._sent(ask, self.line, due_s, slowly)

    def _sent(
        self, ask: Ask, line: Line, due_s: float | None, slowly: random.Random | None = None
    ) -> tuple[Outcome, float]:
        sent_s, began_s = time.time(), time.perf_counter()
        try:
            answer = line.send(ask, slowly)
        except BaseException:
            # The user is stopped while he waits: what he asked for may be done all the same.
            self._record(ask, 0, Outcome(UNANSWERED), sent_s)
            raise
        ms = (time.perf_counter() - (due_s or began_s)) * 1000
        if not answer.status:
            outcome = Outcome(UNANSWERED, says=answer.says)
        else:
            outcome = outcome_of(ask.kind, ask.about, answer.status, answer.replayed, answer.body)
            if ask.check is not None and outcome.name in GRANTED:
                found = ask.check(answer.body)
                outcome = wrong(found) if found else outcome
        says = outcome.says
        if not says and slowly is None and ms > self._slow_ms:
            says = f"slower than {self._slow_ms} ms"
        self._record(ask, answer.status, outcome, sent_s)
        what = ask.what if slowly is None else f"{ask.what} {SLOW_LINK}"
        kind = ask.kind if slowly is None else f"{ask.kind} {SLOW_LINK}"
        self._tell(ask, kind, what, outcome.name, ms, len(answer.body), says, sent_s)
        return outcome, answer.retry_after_s and min(answer.retry_after_s, RETRY_AFTER_S_MAX)

    def _dropped(self, ask: Ask) -> tuple[Outcome, float]:
        """The reply is lost by our doing: no failure, and no latency that anybody judges."""
        sent_s, began_s = time.time(), time.perf_counter()
        outcome = Outcome(UNANSWERED)
        try:
            drop_reply(self.line.pool, ask.request, self._dice, self.line.patience_s)
        except OSError as error:
            outcome = Outcome(UNANSWERED, says=f"lost the connection: {_short(error)}")
        finally:
            self._record(ask, 0, outcome, sent_s)
        ms = (time.perf_counter() - began_s) * 1000
        self._tell(ask, DROPPED, ask.what, DROPPED, ms, 0, outcome.says, sent_s)
        return outcome, self._weather.wait_s(time.time())

    def _doubled(self, ask: Ask) -> tuple[Outcome, float]:
        """The same at the same time on two connections: one thing may come of it."""
        self._twin = self._twin or Line(self._host, self.line.patience_s)
        other = gevent.spawn(self._sent, ask, self._twin, None)
        try:
            outcome, wait_s = self._sent(ask, self.line, None)
            twin, _ = other.get()
        finally:
            other.kill()
        if outcome.code and twin.code and (outcome.code, outcome.ref) != (twin.code, twin.ref):
            self.accuse(ask, "two answers to one key")
        return (outcome, wait_s) if outcome.name != UNANSWERED else (twin, wait_s)

    def accuse(self, ask: Ask, says: str) -> Outcome:
        """An answer that was right by itself contradicts one before: a failure of its own in Locust's tables."""
        self._tell(ask, f"{ask.kind} compared", ask.what, WRONG, 0.0, 0, says, time.time())
        return wrong(says)

    def _record(self, ask: Ask, status: int, outcome: Outcome, sent_s: float) -> None:
        if ask.kind not in KINDS:
            return
        code, ref = outcome.code or ask.code, outcome.ref or ask.ref
        told = ask.kind, ask.campaign, ask.holder, ask.key, status, outcome.name, code, outcome.seq, ref, outcome.minor
        recorder.attempt(Attempt(*told, sent_s, time.time()))

    def _tell(
        self, ask: Ask, kind: str, what: str, outcome: str, ms: float, length: int, says: str, sent_s: float
    ) -> None:
        self._fire(
            request_type=ask.method,
            name=what if outcome == DONE and kind in UNNAMED else f"{what}: {outcome}",
            response_time=ms,
            response_length=length,
            response=None,
            context={"kind": kind, "outcome": outcome},
            exception=Failed(says) if says else None,
            start_time=sent_s,
            url=ask.path,
        )
