"""One request through Locust: sent, judged, named by its outcome, recorded; and asked again as a phone does."""

import random
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import gevent  # type: ignore[import-untyped]

from loadtest.run.faults import Weather, drop_reply
from loadtest.run.line import Answer, Line, short
from loadtest.run.outcomes import DONE, GRANTED, OVERLOAD, UNANSWERED, UNNAMED, WRONG, Outcome, outcome_of, wrong
from loadtest.run.plan import Part
from loadtest.run.recording import recorder
from loadtest.told import KINDS, Attempt

RETRY_AFTER_S_MAX = 30.0
TRIES_MAX = 20
"""How often somebody asks before he goes home without an answer."""
DROPPED, HUNG_UP, SLOW_LINK = "dropped", "hung up", "over a slow link"


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
            answer = line.send(ask.request, ask.method, slowly)
            if answer.hung_up and (ask.key or ask.kind not in KINDS):
                answer, sent_s = self._on_a_new_connection(ask, line, sent_s)
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

    def _on_a_new_connection(self, ask: Ask, line: Line, sent_s: float) -> tuple[Answer, float]:
        """
        As the HTTP client of every phone does (RFC 9110, 9.2.2) where an idle connection was closed in the instant of
        sending: nobody's fault, but what was asked may be done.
        """
        self._record(ask, 0, Outcome(UNANSWERED), sent_s)
        self._tell(ask, HUNG_UP, ask.what, HUNG_UP, 0.0, 0, "", sent_s)
        sent_s = time.time()
        return line.send(ask.request, ask.method), sent_s

    def _dropped(self, ask: Ask) -> tuple[Outcome, float]:
        """The reply is lost by our doing: no failure, and no latency that anybody judges."""
        sent_s, began_s = time.time(), time.perf_counter()
        outcome = Outcome(UNANSWERED)
        try:
            drop_reply(self.line.pool, ask.request, self._dice, self.line.patience_s)
        except OSError as error:
            outcome = Outcome(UNANSWERED, says=f"lost the connection: {short(error)}")
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
