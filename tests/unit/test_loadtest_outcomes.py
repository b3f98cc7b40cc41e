"""What an answer comes to: status, problem code and body have to fit together, else it is wrong and says why."""

import json
from typing import Any

import pytest

from loadtest.run import outcomes
from loadtest.run.outcomes import REFUSALS, outcome_of
from tests.test_docs import page, table


def answered(kind: str, status: int, body: Any, about: str = "flash", *, replayed: bool = False) -> tuple[str, str]:
    """Name of the outcome, and why it is wrong."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    outcome = outcome_of(kind, about, status, replayed, data)
    return outcome.name, outcome.says


COUPON = {"code": "C1", "campaign": "flash", "seq": 7, "state": "claimed", "value": {}}
REDEMPTION = {"id": "r1", "code": "C1", "discount": {"minor": 500, "currency": "CNY"}}
ROLLBACK = {"redemption": "r1", "amount": {"minor": 200, "currency": "CNY"}}


@pytest.mark.parametrize(
    ("kind", "status", "about", "body", "replayed", "name"),
    [
        ("claim", 201, "flash", COUPON, False, "claimed"),
        ("claim", 200, "flash", COUPON, True, "replayed"),
        ("redeem", 201, "C1", REDEMPTION, False, "done"),
        ("redeem", 200, "C1", REDEMPTION, True, "replayed"),
        ("rollback", 201, "r1", ROLLBACK, False, "done"),
        ("reserve", 201, "C1", {"code": "C1"}, False, "done"),
        ("release", 200, "C1", {"code": "C1"}, False, "done"),
        ("adjust", 200, "flash", {"campaign": "flash", "delta": 5}, False, "done"),
        ("adjust", 200, "flash", {"campaign": "flash", "delta": 5}, True, "replayed"),
        ("read", 200, "", {}, False, "done"),
        ("stocktake", 201, "", {}, False, "done"),
    ],
)
def test_what_was_granted(kind: str, status: int, about: str, body: Any, replayed: bool, name: str) -> None:
    """The first time has its own status; a replay is 200 and says so."""
    assert answered(kind, status, body, about, replayed=replayed) == (name, "")


def test_what_was_told_is_kept() -> None:
    """The coupon and its seq, the redemption and its discount."""
    claim = outcome_of("claim", "flash", 201, False, json.dumps(COUPON).encode())
    redemption = outcome_of("redeem", "C1", 201, False, json.dumps(REDEMPTION).encode())

    assert (claim.code, claim.seq) == ("C1", 7)
    assert (redemption.code, redemption.ref, redemption.minor) == ("C1", "r1", 500)


@pytest.mark.parametrize(
    ("kind", "status", "body", "says"),
    [
        ("claim", 200, COUPON, "status 200"),
        ("claim", 204, COUPON, "status 204"),
        ("claim", 201, {**COUPON, "campaign": "other"}, "a coupon that was not asked for"),
        ("claim", 201, {**COUPON, "state": "redeemed"}, "a coupon that was not asked for"),
        ("claim", 201, {**COUPON, "seq": 0}, "a coupon that was not asked for"),
        ("claim", 201, {"code": "C1"}, "status 201 with a body that is none"),
        ("claim", 201, b"<html>", "status 201 with a body that is none"),
        ("claim", 409, b"", "status 409 with a body that is none"),
        ("claim", 409, {"code": "overloaded", "status": 409}, "status 409 with overloaded"),
        ("claim", 503, {"code": "sold_out", "status": 503}, "status 503 with sold_out"),
        ("claim", 409, {"code": "sold_out", "status": 410}, "status 409 with sold_out"),
        ("claim", 500, {"code": "internal", "status": 500}, "status 500 with internal"),
        ("claim", 401, {"code": "unauthenticated", "status": 401}, "status 401 with unauthenticated"),
        ("claim", 409, {"code": "invalid_state", "status": 409}, "status 409 with invalid_state"),
        ("read", 404, {"code": "coupon_not_found", "status": 404}, "status 404 with coupon_not_found"),
        ("redeem", 201, {**REDEMPTION, "code": "C2"}, "a redemption of another coupon"),
        ("rollback", 201, {**ROLLBACK, "redemption": "r2"}, "a rollback of another redemption"),
        ("reserve", 201, {"code": "C2"}, "a hold of another coupon"),
        ("adjust", 200, {"campaign": "other", "delta": 5}, "stock of another campaign"),
    ],
)
def test_what_is_wrong(kind: str, status: int, body: Any, says: str) -> None:
    """A status with a code or body it can't have, or one that this ask can't get: the same words each time."""
    about = {"redeem": "C1", "rollback": "r1", "reserve": "C1"}.get(kind, "flash")

    assert answered(kind, status, body, about) == ("wrong", says)


def test_a_replay_with_the_status_of_a_first_time_is_wrong() -> None:
    """201 and Idempotency-Replayed contradict each other."""
    assert answered("claim", 201, COUPON, replayed=True) == ("wrong", "status 201 of a replay")


@pytest.mark.parametrize("kind", REFUSALS)
def test_refusals_are_outcomes_and_overload_is_one_of_its_own(kind: str) -> None:
    """Each code of the table with its status, and no other; too busy is possible whatever is asked."""
    for code, status in {**REFUSALS[kind], **outcomes.OVERLOAD}.items():
        assert answered(kind, status, {"code": code, "status": status}) == (code, "")
        assert answered(kind, 418, {"code": code, "status": 418})[0] == "wrong"


def test_codes_and_statuses_are_those_of_the_documentation() -> None:
    """Every refusal that is expected is a problem of docs/errors.md, with that status."""
    documented = {
        row[0].strip("`"): int(row[1])
        for row in table(page("errors"), "code", "status", "retryable", "where", "adds", "what to do")
    }
    expected = {
        code: status for refusals in [*REFUSALS.values(), outcomes.OVERLOAD] for code, status in refusals.items()
    }

    assert expected.items() <= documented.items()
