"""Refusals as answers of a route: which ones it may give, by status, and what is in their bodies."""

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from gateway.api.operation import Operation, Time
from gateway.errors import ALWAYS_RETRY_AFTER, PROBLEMS, Refusal, problem_body
from gateway.wire import rfc3339
from gateway.worth.reason import Reason

ANY_ROUTE = ("bad_request", "request_timeout", "headers_too_large", "internal", "overloaded")
"""What each request may be refused with."""


_ID, _THEN_MS = "5f0c93a1d2b4e687", 1_795_341_600_123


class BrokenRule(msgspec.Struct):
    """A rule that does not hold: where, and what is allowed there."""

    field: str
    rule: str


class RefusedItem(msgspec.Struct):
    """One code of several that takes nothing off, and why."""

    code: str
    reason: Reason


class CheckOfClose(msgspec.Struct):
    """One check before the close of a period; *figure* counts what is in the way, *found* names some of it."""

    name: str
    says: str
    holds: bool
    figure: int
    found: list[str]


class ProblemBody(msgspec.Struct, kw_only=True):
    """
    A refusal, by RFC 9457. Programs go by its code.

    The members after server_time come with some codes only.
    """

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    retryable: bool
    server_time: Time
    field: str | UnsetType = UNSET
    errors: list[BrokenRule] | UnsetType = UNSET
    codes: list[str] | UnsetType = UNSET
    starts_at: Time | UnsetType = UNSET
    ended_at: Time | UnsetType = UNSET
    resets_at: Time | UnsetType = UNSET
    from_: str | UnsetType = msgspec.field(default=UNSET, name="from")
    to: str | UnsetType = UNSET
    allowed: list[str] | UnsetType = UNSET
    stock: int | UnsetType = UNSET
    version: int | UnsetType = UNSET
    left_minor: int | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    items: list[RefusedItem] | UnsetType = UNSET
    coupon: str | UnsetType = UNSET
    order_id: str | UnsetType = UNSET
    reserved_until: Time | UnsetType = UNSET
    checks: list[CheckOfClose] | UnsetType = UNSET
    proposal: str | UnsetType = UNSET


def problem_codes(operation: Operation) -> list[str]:
    """Every code that *operation* may refuse with, in the order of PROBLEMS."""
    codes = {*ANY_ROUTE, *operation.refuses}
    if operation.who:
        codes |= {"unauthenticated", "forbidden", "not_ready"}
    if operation.takes is not None:
        codes |= {"too_large", "unsupported_media_type"}
    return [code for code in PROBLEMS if code in codes]


def refusals(operation: Operation) -> dict[str, Any]:
    """The responses of *operation* that are refusals, by status."""
    by_status: dict[int, list[str]] = {}
    for code in problem_codes(operation):
        by_status.setdefault(PROBLEMS[code].status, []).append(code)
    return {str(status): _refusal(status, codes) for status, codes in by_status.items()}


def refusal_examples() -> dict[str, Any]:
    """A body of each code."""
    then = rfc3339(_THEN_MS)
    bodies = {code: msgspec.Raw(problem_body(Refusal(code), _ID, then)) for code in PROBLEMS}
    return {code: {"summary": PROBLEMS[code].title, "value": body} for code, body in bodies.items()}


def _refusal(status: int, codes: list[str]) -> dict[str, Any]:
    headers: dict[str, Any] = {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}}
    if any(PROBLEMS[code].retryable for code in codes) and status not in (408, 500):
        name = "Retry-After" if ALWAYS_RETRY_AFTER.issuperset(codes) else "Retry-After-Optional"
        headers["Retry-After"] = {"$ref": f"#/components/headers/{name}"}
    if status == 401:
        headers["WWW-Authenticate"] = {"required": True, "schema": {"const": "Bearer"}}
    return {
        "description": _listed(codes),
        "headers": headers,
        "content": {
            "application/problem+json": {
                "schema": {
                    "allOf": [{"$ref": "#/components/schemas/ProblemBody"}],
                    "properties": {"status": {"const": status}, "code": {"enum": codes}},
                },
                "examples": {code: {"$ref": f"#/components/examples/{code}"} for code in codes},
            }
        },
    }


def _listed(codes: Iterable[str]) -> str:
    """Codes and titles, a line each, in Markdown."""
    return "\n".join(f"- `{code}`: {PROBLEMS[code].title}" for code in codes)
