"""
What a claim is answered: status, header lines and body, rendered once a script call where it is the same for all.

Both fronts (the Starlette route and the lane) take their bytes from here, so they answer alike.
"""

from collections.abc import Mapping, Sequence
from time import time
from typing import NamedTuple

import msgspec

from gateway.asks import Decided, Rush, ScriptReply, read_reply
from gateway.catalog import Published
from gateway.errors import ALWAYS_RETRY_AFTER, Refusal, draw_retry_after_s, problem_body
from gateway.queue import Undecided
from gateway.wire import rfc3339
from lua.outcomes import Outcome


class Answer(NamedTuple):
    """
    An HTTP answer.

    Shape: *head* is header lines as they go on the wire, all but Date, Content-Length and X-Request-Id, which each
    answer has. *outcome* is what it counts as: claimed, replayed, or a problem code.
    """

    status: int
    head: bytes
    body: bytes
    outcome: str


_COUPON_HEAD = b"content-type: application/json\r\n"
_REPLAYED_HEAD = _COUPON_HEAD + b"idempotency-replayed: true\r\n"
_PROBLEM_HEAD = b"content-type: application/problem+json\r\n"

REFUSED = {
    Outcome.KEY_REUSED: "idempotency_key_reused",
    Outcome.NOT_READY: "not_ready",
    Outcome.LIMIT_REACHED: "limit_reached",
    Outcome.NOT_STARTED: "not_started",
    Outcome.ENDED: "campaign_ended",
    Outcome.PAUSED: "campaign_paused",
    Outcome.NOT_ELIGIBLE: "not_eligible",
    Outcome.PERIOD_LIMIT: "period_limit",
    Outcome.BUDGET_EXHAUSTED: "budget_exhausted",
    Outcome.SOLD_OUT: "sold_out",
}
"""What the script refuses → the problem the holder sees."""


def problem_answer(refusal: Refusal, request_id: str, now_ms: int, retry_after_s_max: int) -> Answer:
    """The answer to a refused request; 429 and 503 always say when to come back."""
    retry_after_s = refusal.retry_after_s
    if retry_after_s is None and refusal.code in ALWAYS_RETRY_AFTER:
        retry_after_s = draw_retry_after_s(retry_after_s_max)
    head = _PROBLEM_HEAD
    if retry_after_s is not None:
        head += b"retry-after: %d\r\n" % retry_after_s
    if refusal.code == "unauthenticated":
        head += b"www-authenticate: Bearer\r\n"
    return Answer(refusal.status, head, problem_body(refusal, request_id, rfc3339(now_ms)), refusal.code)


def undecided_answer(why: Undecided, request_id: str, retry_after_s_max: int) -> Answer:
    """The answer to a claim that was not decided, by our own clock."""
    return problem_answer(Refusal(why.code, why.detail), request_id, round(time() * 1000), retry_after_s_max)


class _Refused(NamedTuple):
    """A refusal that all of a call share: only the request id, between *before* and *after*, differs."""

    status: int
    head: bytes
    before: bytes
    after: bytes
    outcome: str


class CallAnswers:
    """The answers of one script call on a shard of *campaign*."""

    def __init__(self, campaign: Published, rush: Rush, retry_after_s_max: int) -> None:
        self._campaign, self._rush, self._retry_after_s_max = campaign, rush, retry_after_s_max
        self._coupon = _coupon_form(campaign, rush, rush.now_ms, rush.expires_ms)
        self._refused: dict[int, _Refused] = {}
        self._limits: dict[int, Answer] = {}
        self._wire, self._wire_low = "", 0

    def of(self, reply: ScriptReply, code: str, request_id: str) -> Answer:
        """The answer to *reply*. Errors: ValueError for an outcome that is not known."""
        if isinstance(reply, int):
            if reply > 0:
                return Answer(201, _COUPON_HEAD, self._body(code, reply), "claimed")
            shared = self._refused.get(reply)
            if shared is not None:
                status, head, before, after, outcome = shared
                return Answer(status, head, before + request_id.encode() + after, outcome)
        return self._render(read_reply(self._rush, reply, code), request_id)

    def _body(self, code: str, seq: int) -> bytes:
        return (self._coupon % (code, code[:6], code[6:12], code[12:], seq)).encode()

    def on_wire(self, default: Sequence[tuple[bytes, bytes]], seq: int, code: str, request_id: str) -> bytes:
        """All of a 201 in one step, what of() and Guard.on_wire() give in two; *default* are uvicorn's own headers."""
        if not self._wire_low <= seq < 10 * self._wire_low:  # as many digits as the last one: as many bytes
            self._wire_low = 10 ** (len(str(seq)) - 1)
            length = len(self._body(code, seq))
            before = b"".join((b"HTTP/1.1 201 Created\r\n", *(b"%b: %b\r\n" % header for header in default)))
            head = f"{(before + _COUPON_HEAD).decode()}content-length: {length}\r\nx-request-id: %s\r\n\r\n"
            self._wire = head + self._coupon
        return (self._wire % (request_id, code, code[:6], code[6:12], code[12:], seq)).encode()

    def _render(self, decided: Decided, request_id: str) -> Answer:
        if decided.outcome is not Outcome.REPLAYED:
            return self._refuse(decided, request_id)
        if not self._rush.value:
            lost = Undecided("not_ready", "The rules of this campaign are missing; your coupon is still yours.")
            return undecided_answer(lost, request_id, self._retry_after_s_max)
        form = _coupon_form(self._campaign, self._rush, decided.claimed_ms, decided.expires_ms)
        code = decided.code
        body = form % (code, code[:6], code[6:12], code[12:], decided.seq)
        return Answer(200, _REPLAYED_HEAD, body.encode(), "replayed")

    def _refuse(self, decided: Decided, request_id: str) -> Answer:
        if decided.held:
            return self._at_the_limit(decided.held, request_id)
        refusal = _refusal(decided, self._rush)
        if refusal.code in ALWAYS_RETRY_AFTER:  # each has a jitter of its own
            return problem_answer(refusal, request_id, self._rush.now_ms, self._retry_after_s_max)
        status, head, body, outcome = problem_answer(refusal, "", self._rush.now_ms, self._retry_after_s_max)
        before, mark, after = body.partition(b'"request_id":"')
        self._refused[decided.outcome] = _Refused(status, head, before + mark, after, outcome)
        return self.of(int(decided.outcome), "", request_id)

    def _at_the_limit(self, held: tuple[str, ...], request_id: str) -> Answer:
        """The refusal with the codes that are held, which need no escape in JSON."""
        form = self._limits.get(len(held))
        if form is None:
            refusal = Refusal(REFUSED[Outcome.LIMIT_REACHED], f"You hold {len(held)} already.", codes=[])
            form = self._limits[len(held)] = problem_answer(refusal, "", self._rush.now_ms, self._retry_after_s_max)
        status, head, body, outcome = form
        before, mark, rest = body.partition(b'"request_id":"')
        between, codes_mark, after = rest.partition(b'"codes":[')
        codes = b'","'.join(code.encode() for code in held)
        parts = (before, mark, request_id.encode(), between, codes_mark, b'"', codes, b'"', after)
        return Answer(status, head, b"".join(parts), outcome)


def _coupon_form(campaign: Published, rush: Rush, claimed_ms: int, expires_ms: int) -> str:
    """
    The body of a 201, and of every replay of it, with room for code, its three groups, and seq.

    Nothing in it depends on when it is asked again. What is filled in needs no escape in JSON.
    """
    rest: Mapping[str, object] = {
        "state": "claimed",
        "value": msgspec.Raw(rush.value.encode() or b"null"),
        "currency": rush.currency,
        "expires_at": rfc3339(expires_ms),
        "server_time": rfc3339(claimed_ms),
    }
    about, told = msgspec.json.encode({"campaign": campaign.id}), msgspec.json.encode(rest)
    escaped = [text[1:-1].decode().replace("%", "%%") for text in (about, told)]
    return '{"code":"%s","display_code":"%s-%s-%s",' + escaped[0] + ',"seq":%d,' + escaped[1] + "}"


def _refusal(decided: Decided, rush: Rush) -> Refusal:
    """A refusal of the script as the holder's problem, with what helps him."""
    code = REFUSED[decided.outcome]
    match decided.outcome:
        case Outcome.NOT_STARTED:
            return Refusal(code, retry_after_s=_seconds_until(rush.starts_ms, rush), starts_at=rfc3339(rush.starts_ms))
        case Outcome.ENDED if rush.ends_ms <= rush.now_ms:  # one that was ended earlier does not know since when
            return Refusal(code, ended_at=rfc3339(rush.ends_ms))
        case Outcome.PERIOD_LIMIT if rush.day_ends_ms:
            resets_at = rfc3339(rush.day_ends_ms)
            return Refusal(code, retry_after_s=_seconds_until(rush.day_ends_ms, rush), resets_at=resets_at)
        case Outcome.NOT_READY:
            return Refusal(code, "This campaign's stock is being checked against the books; nothing was changed.")
        case _:
            return Refusal(code)


def _seconds_until(then_ms: int, rush: Rush) -> int:
    return max(1, -(-(then_ms - rush.now_ms) // 1000))
