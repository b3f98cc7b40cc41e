"""
Every refusal the HTTP interface knows, in one table, and its RFC 9457 body.

    Refusal(Exception)   raised by services; carries a code of PROBLEMS and a detail for the caller

Nothing but this table decides a status. A detail is written for the caller: never a stack, a key
name or a statement.
"""

import random
from typing import Any, NamedTuple

import msgspec


class Problem(NamedTuple):
    """One kind of refusal: its status, its title, whether the same request may succeed later."""

    status: int
    title: str
    retryable: bool


PROBLEMS: dict[str, Problem] = {
    "bad_request": Problem(400, "The request is not as it has to be", False),
    "unauthenticated": Problem(401, "No valid credentials", False),
    "forbidden": Problem(403, "These credentials may not do this", False),
    "second_person_needed": Problem(403, "This takes two people", False),
    "not_eligible": Problem(403, "Not eligible for this campaign", False),
    "not_holder": Problem(403, "Somebody else's coupon", False),
    "not_found": Problem(404, "There is nothing here", False),
    "campaign_not_found": Problem(404, "No such campaign", False),
    "coupon_not_found": Problem(404, "No such coupon", False),
    "redemption_not_found": Problem(404, "No such redemption", False),
    "code_batch_not_found": Problem(404, "No such code batch", False),
    "revocation_not_found": Problem(404, "No such revocation", False),
    "proposal_not_found": Problem(404, "No such proposal", False),
    "alert_not_found": Problem(404, "No such alert", False),
    "receiver_not_found": Problem(404, "No such receiver of alerts", False),
    "break_not_found": Problem(404, "No such break", False),
    "outside_file_not_found": Problem(404, "No such file of orders", False),
    "export_not_found": Problem(404, "No such export", False),
    "method_not_allowed": Problem(405, "Not with this method", False),
    "request_timeout": Problem(408, "The request did not come in time", True),
    "limit_reached": Problem(409, "You hold as many as one person may", False),
    "sold_out": Problem(409, "Sold out", False),
    "period_limit": Problem(409, "Today's coupons are gone", True),
    "budget_exhausted": Problem(409, "The campaign's budget is used up", False),
    "campaign_paused": Problem(409, "The campaign is paused", True),
    "entity_exists": Problem(409, "There is a legal entity of this id", False),
    "campaign_exists": Problem(409, "There is a campaign of this id", False),
    "code_taken": Problem(409, "There is such a code", False),
    "invalid_state": Problem(409, "Not possible in this state", False),
    "proposal_pending": Problem(409, "Another one of it waits already", True),
    "proposal_failed": Problem(409, "It can't be done any more", False),
    "break_remains": Problem(409, "The difference is there still", True),
    "frozen": Problem(409, "Can't change once a coupon is out", False),
    "stock_floor": Problem(409, "Fewer coupons left than that", False),
    "reserved_by_other": Problem(409, "Held for another order", True),
    "already_rolled_back": Problem(409, "All of it came back before", False),
    "rollback_exceeds": Problem(409, "More than is left to give back", False),
    "close_refused": Problem(409, "The period can't be closed yet", True),
    "version_conflict": Problem(409, "Somebody else changed it first", True),
    "campaign_ended": Problem(410, "The campaign has ended", False),
    "too_large": Problem(413, "The body is too large", False),
    "unsupported_media_type": Problem(415, "The body has to be JSON", False),
    "conditions_not_met": Problem(422, "The coupon takes nothing off this order", False),
    "idempotency_key_reused": Problem(422, "This Idempotency-Key came with another request", False),
    "not_started": Problem(425, "The campaign has not started", True),
    "rate_limited": Problem(429, "Too many requests", True),
    "headers_too_large": Problem(431, "The headers are too large", False),
    "internal": Problem(500, "Something went wrong on our side", True),
    "overloaded": Problem(503, "Too busy to decide this now", True),
    "not_ready": Problem(503, "Not ready to decide this", True),
    "unknown": Problem(503, "The outcome is unknown, retry with the same Idempotency-Key", True),
}
"""code → what it means. The code is also the last part of the type URI."""

ALWAYS_RETRY_AFTER = frozenset(code for code, problem in PROBLEMS.items() if problem.status in (429, 503))


class Refusal(Exception):
    """
    A request that is refused, with *code* from PROBLEMS and a *detail* for the caller.

    *retry_after_s* becomes the Retry-After header; *context* becomes further members of the body.
    """

    def __init__(self, code: str, detail: str = "", *, retry_after_s: int | None = None, **context: Any) -> None:
        super().__init__(detail or PROBLEMS[code].title)
        self.code, self.detail, self.context = code, detail, context
        self.retry_after_s = retry_after_s

    @property
    def status(self) -> int:
        """The HTTP status of this refusal."""
        return PROBLEMS[self.code].status


def draw_retry_after_s(high: int) -> int:
    """A whole number of seconds from 1 to *high*, drawn so that refused clients do not return all at once."""
    return random.randint(1, high)  # noqa: S311 - jitter, not a secret


def problem_body(refusal: Refusal, request_id: str, server_time: str) -> bytes:
    """The problem+json body: the members of RFC 9457, then ours, then the refusal's context."""
    problem = PROBLEMS[refusal.code]
    body: dict[str, Any] = {
        "type": f"urn:fairclaim:problem:{refusal.code}",
        "title": problem.title,
        "status": problem.status,
        "detail": refusal.detail or problem.title,
        "code": refusal.code,
        "request_id": request_id,
        "retryable": problem.retryable,
        "server_time": server_time,
    }
    body.update(refusal.context)
    return msgspec.json.encode(body)
