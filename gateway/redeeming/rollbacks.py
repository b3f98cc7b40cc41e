"""
What a redemption took comes back: all of it, an amount, or lines, each once.

How much of each line and funder that is follows from what is stored with the redemption and its earlier rollbacks. The
script does it only if there were no others meanwhile; else it is worked out again.
"""

import logging
from functools import reduce
from typing import Any

import msgspec
from psycopg_pool import AsyncConnectionPool

from gateway.campaigns.definition import DAY_MS, OnRollback
from gateway.errors import Refusal
from gateway.redeeming.bodies import REASON_CHARS_MAX, Rollback, RollbackBody, checked_text, encoded
from gateway.redeeming.coupons import Asker, not_ready
from gateway.redeeming.names import act_key, payload_of
from gateway.redeeming.records import (
    FunderDetail,
    LineBack,
    Part,
    Record,
    RedemptionDetail,
    RollbackDetail,
    read_redemption,
    read_rollback,
)
from gateway.redeeming.redemptions import Redemptions, rollback_body
from gateway.sql import load_queries, postgres, rows
from gateway.worth.refund import Parts, RefundAsk, refund_of
from gateway.worth.terms import read_terms
from lua.keys import CampaignId
from lua.outcomes import Outcome

log = logging.getLogger("fairclaim.rollbacks")

_WAKE = load_queries("campaigns")["wake_archived"]

TRIES_MAX = 256
"""How often a rollback is worked out again because another one of the same redemption was first."""
ROLLBACKS_MAX = 100
"""Rollbacks a redemption may have: each is kept with it, and is carried along by the next one."""
_ONLY_ASK = -1
"""A number of earlier rollbacks that never was: the script tells a replay, and does nothing else."""


class Rollbacks:
    """Rollbacks of one worker."""

    def __init__(self, redemptions: Redemptions, pool: AsyncConnectionPool[Any]) -> None:
        self._redemptions, self._calls, self._pool = redemptions, redemptions.coupons.calls, pool

    async def roll_back(
        self, redemption: str, body: RollbackBody, key: str, asker: Asker, stack: str | None = None,
        policy: OnRollback | None = None,
    ) -> tuple[Rollback, bool]:  # fmt: skip
        """
        Give back what *body* says of a redemption; whether this key did it before comes along.

        *policy* says what becomes of the coupon; by default the campaign's does.

        Errors: Refusal redemption_not_found; already_rolled_back; rollback_exceeds with left_minor; bad_request;
        idempotency_key_reused; not_ready, overloaded, unknown.
        """
        checked_text("reason", body.reason, REASON_CHARS_MAX)
        shard, recalled = await self._redemptions.recall(redemption)
        if policy is None:  # else a stack is undone, whose coupon was out a moment ago
            await self._wake(shard.campaign)
        record = recalled.record
        policy = policy or read_terms(recalled.terms).on_rollback
        assert isinstance(record, Record)
        # Of the redemption and not of the caller: another till, or a key that was changed meanwhile, repeats it too.
        hashed = act_key("rollback", redemption, key), payload_of(redemption.encode(), encoded(body))
        for _ in range(TRIES_MAX):
            refusal, parts = None, None
            try:
                parts = _parts_of(record, body)
            except Refusal as caught:  # a request that comes again gets its first answer all the same
                refusal = caught
            ask = _asked(redemption, hashed, record, parts, policy, body, asker.actor, stack)
            call, reply = await self._calls.step("rollback", shard, ask)
            outcome, *told = reply if isinstance(reply, list) else [reply]
            if outcome == Outcome.DONE and parts is not None:
                seq, state, expires_ms, _ = told
                part = Part(seq, call.now_ms, str(parts.minor), state, expires_ms, str(ask[8]))
                done = msgspec.structs.replace(record, parts=[*record.parts, part])
                return rollback_body(redemption, shard, done, len(done.parts)), False
            if outcome == Outcome.REPLAYED:
                return rollback_body(redemption, shard, msgspec.convert(told[1], Record), told[0]), True
            if outcome != Outcome.STALE:
                raise _refused(outcome)
            if refusal is not None:
                raise refusal
            record = msgspec.convert(told[0], Record)
        raise Refusal("overloaded", "Others keep rolling this redemption back; nothing of this request was done.")

    async def _wake(self, campaign: CampaignId) -> None:
        """See that an archived campaign is drained again; while PostgreSQL is away nothing is drained anyway."""
        try:
            async with postgres(self._pool) as connection:
                await rows(connection, _WAKE, id=campaign)
        except Refusal:
            log.warning("an archived campaign could not be woken", extra={"campaign": campaign})


def _refused(outcome: int) -> Refusal:
    if outcome == Outcome.KEY_REUSED:
        return Refusal("idempotency_key_reused")
    if outcome == Outcome.NOT_READY:
        return not_ready()
    assert outcome == Outcome.ABSENT, f"rollback does not answer {outcome}"
    return Refusal("redemption_not_found")


def _asked(
    redemption: str, hashed: tuple[str, str], record: Record, parts: Parts | None, policy: OnRollback,
    body: RollbackBody, actor: str, stack: str | None,
) -> tuple[str | int, ...]:  # fmt: skip
    key, payload = hashed
    if parts is None:
        return (redemption, key, payload, _ONLY_ASK, "0", "restore", 0, "", "")
    detail = msgspec.json.encode(_detail(read_redemption(record), parts, body.reason, actor, hashed, stack)).decode()
    fate, extend_ms, returns = fate_of(policy, body.reason)
    return (redemption, key, payload, len(record.parts), str(parts.minor), fate, extend_ms, returns, detail)


def fate_of(policy: OnRollback, reason: str) -> tuple[str, int, str]:
    """What becomes of a coupon all of which came back for *reason*: restore or end, for how long more, what returns."""
    if reason in policy.reasons_exempt:
        return "end", 0, ""
    returns = [word for word, name in (("stock", policy.stock), ("slot", policy.holder_slot)) if name == "restore"]
    return policy.coupon, (policy.extend_days or 0) * DAY_MS, ",".join(returns)


def _parts_of(record: Record, body: RollbackBody) -> Parts:
    """What *body* asks back of what is left. Errors: Refusal already_rolled_back, rollback_exceeds, bad_request."""
    if record.back == record.minor:
        states: dict[str, Any] = {"from": "rolled_back", "to": "rolled_back", "allowed": []}
        raise Refusal("already_rolled_back", "All of this redemption came back before.", **states)
    stored = _stored(read_redemption(record))
    given = reduce(Parts.plus, map(_given, record.parts), Parts.zero_like(stored))
    asked = refund_of(stored, given, RefundAsk(body.amount_minor, body.lines))
    left = int(record.minor) - int(record.back)
    if len(record.parts) >= ROLLBACKS_MAX - 1 and asked.minor < left:
        detail = f"A redemption is rolled back at most {ROLLBACKS_MAX} times; the last one gives back all that is left."
        raise Refusal("rollback_exceeds", detail, left_minor=left)
    return asked


def _stored(detail: RedemptionDetail) -> Parts:
    return Parts(
        tuple(line.discount_minor for line in detail.lines),
        detail.shipping_discount_minor,
        tuple(funder.minor for funder in detail.funders),
    )


def _given(part: Part) -> Parts:
    detail = read_rollback(part)
    return Parts(
        tuple(line.discount_minor for line in detail.lines),
        detail.shipping_discount_minor,
        tuple(funder.minor for funder in detail.funders),
    )


def _detail(
    of: RedemptionDetail, parts: Parts, reason: str, actor: str, act: tuple[str, str], stack: str | None
) -> RollbackDetail:
    funders = zip(of.funders, parts.funders, strict=True)
    return RollbackDetail(
        reason=reason,
        lines=[LineBack(line.sku, minor) for line, minor in zip(of.lines, parts.lines, strict=True)],
        shipping_discount_minor=parts.shipping_minor,
        currency=of.currency,
        funders=[FunderDetail(funder.account, minor) for funder, minor in funders],
        actor=actor,
        act=act,
        merchant=of.merchant,
        store=of.store,
        stack=stack,
    )
