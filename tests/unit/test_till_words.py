"""Refusals in words: every one a till may meet has its own, with what to do."""

from typing import Any

import pytest

from gateway.api.operation import Operation
from gateway.errors import PROBLEMS, Refusal
from gateway.routes import redemptions, reservations
from gateway.till.words import NEXT, notice_of, notice_of_reason
from gateway.worth.reason import REASONS, Reason, reason

ASKED = {"/v1/quotes", "/v1/redemptions", "/v1/redemptions/{redemption}", "/v1/redemptions/{redemption}/rollback"}
OPERATIONS: list[Operation] = [each for each in (*redemptions.routes, *reservations.routes) if each.path in ASKED]


def test_every_refusal_a_till_may_meet_has_its_words() -> None:
    """What the routes behind the till may refuse is in the table, which names no problem that is none."""
    refused = {code for operation in OPERATIONS for code in operation.refuses} - {"redemption_not_found"}

    assert {operation.path for operation in OPERATIONS} == ASKED
    assert refused <= NEXT.keys()
    assert NEXT.keys() <= PROBLEMS.keys()


@pytest.mark.parametrize("code", PROBLEMS)
def test_every_problem_can_be_said(code: str) -> None:
    """Whatever is refused is two sentences: what it is and what to do."""
    what, then = notice_of(Refusal(code))

    assert what.endswith(".")
    assert then.endswith(".")


@pytest.mark.parametrize(
    ("state", "says"), [("redeemed", "redeemed already"), ("expired", "expired"), ("revoked", "withdrawn")]
)
def test_a_coupon_s_state_is_said(state: str, says: str) -> None:
    """An illegal step is said by where the coupon is, not by the step."""
    context: dict[str, Any] = {"from": state, "to": "redeemed", "allowed": []}

    assert says in notice_of(Refusal("invalid_state", **context)).what


@pytest.mark.parametrize("code", REASONS)
def test_every_reason_can_be_said(code: str) -> None:
    """Why a coupon takes nothing off is said with what to do, by the quote and by a redemption alike."""
    why = reason(code)
    quoted = notice_of_reason(why, "CNY")
    redeemed = notice_of(Refusal("conditions_not_met", why.detail, reason=code), "CNY")

    assert quoted == redeemed
    assert why.detail in quoted.what


def test_amounts_of_a_reason_are_in_major_units() -> None:
    """A threshold is said as the till's prices are typed."""
    why = Reason("below_threshold", "3000 is needed of goods in scope, 2999 is left.")

    assert "30.00\u00a0EUR is needed" in notice_of_reason(why, "EUR").what
    assert "3\u202f000\u00a0JPY is needed" in notice_of_reason(why, "JPY").what
