"""
One claim: what is asked, and what is answered to it.

This is the whole of the claim but for HTTP, so that any front (a Starlette route, a protocol class)
answers alike, byte for byte.
"""

import asyncio
from collections.abc import Callable
from time import monotonic, time
from typing import Annotated, NamedTuple

import msgspec

from gateway.batcher import Answer, Ask, Batcher, Decided, Rush, Undecided
from gateway.catalog import Published
from gateway.codes import show_code
from gateway.errors import ALWAYS_RETRY_AFTER, PROBLEMS, Refusal, draw_retry_after_s, problem_body
from gateway.pressure import Pressure
from gateway.settings import Settings
from gateway.telemetry import Telemetry
from gateway.wire import rfc3339
from lua.keys import HolderId, idempotency_hash, shard_of
from lua.outcomes import Outcome


class ClaimBody(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The body of a claim. *channel* is where the holder is; a claim that names none passes the channel rule."""

    channel: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9_-]{1,32}\Z")] | None = None


class Reply(NamedTuple):
    """An HTTP answer: status, headers beyond those every answer has, body, and the outcome it counts as."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    outcome: str


class _Coupon(msgspec.Struct):
    code: str
    display_code: str
    campaign: str
    seq: int
    state: str
    value: msgspec.Raw
    currency: str
    expires_at: str
    server_time: str


_JSON = ("content-type", "application/json")
_PROBLEM = ("content-type", "application/problem+json")
_REPLAYED = ("idempotency-replayed", "true")

_REFUSED = {
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


class Claims:
    """Claims of one worker."""

    def __init__(self, batcher: Batcher, pressure: Pressure, settings: Settings, telemetry: Telemetry) -> None:
        self._batcher, self._pressure = batcher, pressure
        self._settings, self._telemetry = settings, telemetry

    async def claim(self, campaign: Published, holder: HolderId, key: str, asked: ClaimBody, request_id: str) -> Reply:
        """Decide one claim. Every expected outcome is a Reply; a cancelled caller leaves it decided all the same."""
        answered: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

        def done(reply: Reply) -> None:
            if not answered.done():  # a caller that is gone does not listen any more
                answered.set_result(reply)

        self.submit(campaign, holder, key, asked, request_id, done)
        return await answered

    def submit(
        self,
        campaign: Published,
        holder: HolderId,
        key: str,
        asked: ClaimBody,
        request_id: str,
        done: Callable[[Reply], None],
    ) -> None:
        """claim() with a callback, which is called once, from the loop, perhaps before this returns."""
        began = monotonic()

        def answer(decided: Answer) -> None:
            reply = self.reply(campaign, decided, request_id)
            self._telemetry.claim(reply.outcome, monotonic() - began)
            done(reply)

        if self._pressure.closed_because is not None:
            answer(Undecided("overloaded", self._pressure.closed_because))
            return
        ask = Ask(holder, idempotency_hash(key, msgspec.json.encode(asked)), asked.channel or "")
        self._batcher.submit(shard_of(campaign.id, holder, campaign.shards), campaign.number, ask, answer)

    def reply(self, campaign: Published, answer: Answer, request_id: str) -> Reply:
        """The HTTP answer to what was decided."""
        if isinstance(answer, Undecided):
            return self._refuse(Refusal(answer.code, answer.detail), request_id, round(time() * 1000))
        if answer.outcome is Outcome.REPLAYED and not answer.rush.value:
            lost = Undecided("not_ready", "The rules of this campaign are missing; your coupon is still yours.")
            return self.reply(campaign, lost, request_id)
        if answer.outcome in (Outcome.CLAIMED, Outcome.REPLAYED):
            coupon = _coupon(campaign, answer)
            if answer.outcome is Outcome.REPLAYED:
                return Reply(200, (_JSON, _REPLAYED), coupon, "replayed")
            return Reply(201, (_JSON,), coupon, "claimed")
        return self._refuse(_refusal(answer), request_id, answer.rush.now_ms)

    def _refuse(self, refusal: Refusal, request_id: str, now_ms: int) -> Reply:
        retry_after_s = refusal.retry_after_s
        if retry_after_s is None and refusal.code in ALWAYS_RETRY_AFTER:
            retry_after_s = draw_retry_after_s(self._settings.retry_after_s_max)
        headers = (_PROBLEM,) if retry_after_s is None else (_PROBLEM, ("retry-after", str(retry_after_s)))
        body = problem_body(refusal, request_id, rfc3339(now_ms))
        return Reply(PROBLEMS[refusal.code].status, headers, body, refusal.code)


def _coupon(campaign: Published, answer: Decided) -> bytes:
    """The body of 201, and of every replay of it: nothing in it depends on when it is asked again."""
    return msgspec.json.encode(
        _Coupon(
            code=answer.code,
            display_code=show_code(answer.code),
            campaign=campaign.id,
            seq=answer.seq,
            state="claimed",
            value=msgspec.Raw(answer.rush.value.encode()),
            currency=answer.rush.currency,
            expires_at=rfc3339(answer.expires_ms),
            server_time=rfc3339(answer.claimed_ms),
        )
    )


def _refusal(answer: Decided) -> Refusal:
    """A refusal of the script as the holder's problem, with what helps him."""
    code, rush = _REFUSED[answer.outcome], answer.rush
    match answer.outcome:
        case Outcome.LIMIT_REACHED:
            return Refusal(code, f"You hold {len(answer.held)} already.", codes=list(answer.held))
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
