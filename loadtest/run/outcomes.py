"""
What an answer came to: status and problem code together, and a body that says what it has to.

An outcome is a word. Those of a table below are expected: the sale said what it may say. What fits none is ``wrong``,
and says why. 429 and 503 are expected too, but decide nothing.
"""

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from loadtest.told import ADJUST, CLAIM, REDEEM, RELEASE, RESERVE, ROLLBACK

CLAIMED, REPLAYED, DONE, UNANSWERED, WRONG = "claimed", "replayed", "done", "unanswered", "wrong"
READ, QUOTE, STATE, REPORT, STOCKTAKE = "read", "quote", "state", "report", "stocktake"
GRANTED = frozenset({CLAIMED, REPLAYED, DONE})
UNNAMED = frozenset({READ, QUOTE, STATE, REPORT, STOCKTAKE})
"""What nothing but an answer can come of: its row in Locust's tables has no outcome in its name."""

OVERLOAD = {"rate_limited": 429, "overloaded": 503, "not_ready": 503, "unknown": 503}
"""Problem code → status. Nothing is known by them: ask again with the same key."""
_STEPS = {"invalid_state": 409, "reserved_by_other": 409}
REFUSALS: dict[str, dict[str, int]] = {
    CLAIM: {
        "limit_reached": 409,
        "sold_out": 409,
        "period_limit": 409,
        "budget_exhausted": 409,
        "campaign_paused": 409,
        "not_eligible": 403,
        "campaign_ended": 410,
        "not_started": 425,
    },
    QUOTE: {},
    RESERVE: dict(_STEPS),
    RELEASE: dict(_STEPS),
    REDEEM: {**_STEPS, "conditions_not_met": 422},
    ROLLBACK: {"already_rolled_back": 409, "rollback_exceeds": 409},
    ADJUST: {"stock_floor": 409},
    STATE: {"invalid_state": 409},
    READ: {},
    REPORT: {"not_found": 404},
    STOCKTAKE: {},
}
"""What may be refused, by what was asked: problem code → status."""
GRANTED_STATUS = {CLAIM: 201, RESERVE: 201, REDEEM: 201, ROLLBACK: 201, STOCKTAKE: 201}
"""The status of the first time; a replay is 200 with Idempotency-Replayed. Others are 200 each time."""


class Outcome(NamedTuple):
    """What it came to. *says* is why it is wrong, the same words each time; *code*, *seq*, *ref*, *minor* as told."""

    name: str
    code: str = ""
    seq: int = 0
    ref: str = ""
    minor: int = 0
    says: str = ""


class Problem(msgspec.Struct):
    """As much of a refusal as is judged."""

    code: str
    status: int


class _Money(msgspec.Struct):
    minor: int


class _Claimed(msgspec.Struct):
    code: str
    campaign: str
    seq: int
    state: str


class _Redeemed(msgspec.Struct):
    id: str
    code: str
    discount: _Money


class _RolledBack(msgspec.Struct):
    redemption: str
    amount: _Money


class _Held(msgspec.Struct):
    code: str


class _Adjusted(msgspec.Struct):
    campaign: str
    delta: int


_problem = msgspec.json.Decoder(Problem)
_claimed = msgspec.json.Decoder(_Claimed)
_redeemed = msgspec.json.Decoder(_Redeemed)
_rolled_back = msgspec.json.Decoder(_RolledBack)
_held = msgspec.json.Decoder(_Held)
_adjusted = msgspec.json.Decoder(_Adjusted)
_any = msgspec.json.Decoder()


def wrong(says: str) -> Outcome:
    """An answer that it must not have given."""
    return Outcome(WRONG, says=says)


def outcome_of(kind: str, about: str, status: int, replayed: bool, body: bytes) -> Outcome:
    """
    What an answer to *kind* came to; *about* is the campaign, code or redemption it was asked of.

    *replayed* is whether it said Idempotency-Replayed.
    """
    try:
        if status >= 400:
            return _refused(kind, status, body)
        first = GRANTED_STATUS.get(kind, 200)
        if status != first and not (status == 200 and replayed):
            return wrong(f"status {status}")
        if status == first and replayed and first != 200:
            return wrong(f"status {status} of a replay")
        granted = _GRANTED[kind](body, about)
    except msgspec.MsgspecError:
        return wrong(f"status {status} with a body that is none")
    if granted.says:
        return granted
    return granted._replace(name=REPLAYED) if replayed else granted


def _refused(kind: str, status: int, body: bytes) -> Outcome:
    problem = _problem.decode(body)
    allowed = REFUSALS[kind].get(problem.code) or OVERLOAD.get(problem.code)
    if allowed != status or problem.status != status:
        return wrong(f"status {status} with {problem.code[:40]}")
    return Outcome(problem.code)


def _claim(body: bytes, campaign: str) -> Outcome:
    told = _claimed.decode(body)
    if told.campaign != campaign or told.state != "claimed" or not told.code or told.seq < 1:
        return wrong("a coupon that was not asked for")
    return Outcome(CLAIMED, told.code, told.seq)


def _redeem(body: bytes, code: str) -> Outcome:
    told = _redeemed.decode(body)
    if told.code != code or not told.id:
        return wrong("a redemption of another coupon")
    return Outcome(DONE, told.code, ref=told.id, minor=told.discount.minor)


def _rollback(body: bytes, redemption: str) -> Outcome:
    told = _rolled_back.decode(body)
    if told.redemption != redemption:
        return wrong("a rollback of another redemption")
    return Outcome(DONE, ref=told.redemption, minor=told.amount.minor)


def _hold(body: bytes, code: str) -> Outcome:
    return Outcome(DONE, code) if _held.decode(body).code == code else wrong("a hold of another coupon")


def _adjust(body: bytes, campaign: str) -> Outcome:
    told = _adjusted.decode(body)
    return Outcome(DONE, minor=told.delta) if told.campaign == campaign else wrong("stock of another campaign")


def _done(body: bytes, about: str) -> Outcome:
    _any.decode(body)
    return Outcome(DONE)


_GRANTED: dict[str, Callable[[bytes, str], Outcome]] = {
    CLAIM: _claim,
    QUOTE: _done,
    RESERVE: _hold,
    RELEASE: _hold,
    REDEEM: _redeem,
    ROLLBACK: _rollback,
    ADJUST: _adjust,
    STATE: _done,
    READ: _done,
    REPORT: _done,
    STOCKTAKE: _done,
}
