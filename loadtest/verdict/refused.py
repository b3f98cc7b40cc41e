"""Refusals of claims besides sold_out and limit_reached: each needs a reason that the campaign had at some time."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import psycopg

from loadtest.verdict.books import named
from loadtest.verdict.crowd import Crowd, Refused
from loadtest.verdict.found import Tallies
from loadtest.verdict.walk import Walk

CHANNEL = "app"
"""By which a crowd claims, if it says any."""
APART_S = 60.0
"""How far clocks may be apart where no answer tells: a sale that nobody got anything of."""

Version = Any
"""One row of campaign_versions: state and definition."""

LIMITED: dict[str, Callable[[dict[str, Any]], bool]] = {
    "period_limit": lambda of: bool(of["limits"].get("per_holder_per_day") or of["limits"].get("per_day")),
    "budget_exhausted": lambda of: bool(of["limits"].get("budget_minor")),
    "not_eligible": lambda of: bool(of.get("channels")) and CHANNEL not in of["channels"],
}
"""Reasons that a definition has or has not."""


def check_refused(books: psycopg.Connection[Any], crowd: Crowd, walk: Walk, tallies: Tallies) -> None:
    """Each reason that was told is one by some version of the campaign; what is no reason of a sale never is."""
    check = tallies["refused"]
    versions = named(
        books, "SELECT state, definition FROM campaign_versions WHERE campaign = %s ORDER BY version", [crowd.campaign]
    )
    check.checked += crowd.limits_told + len(crowd.sold_out.asks)
    for reason, refused in crowd.refused.items():
        check.checked += refused.count
        if not any(_has(version, reason, refused, walk) for version in versions):
            first = refused.answered_first
            check.violate(
                "the campaign has no such reason", refused.count, campaign=crowd.campaign, told=reason,
                status=first.status, holder=first.holder, key=first.key, answered_s=first.answered_s,
            )  # fmt: skip


def _has(version: Version, reason: str, refused: Refused, walk: Walk) -> bool:
    of = version.definition
    if reason in LIMITED:
        return LIMITED[reason](of)
    if reason == "campaign_paused":
        return bool(version.state == "paused")
    if reason == "not_started":
        asked_s, _ = _during(refused.asked_last.sent_s, walk)
        return asked_s < _epoch_s(of["starts_at"])
    if reason == "campaign_ended":
        _, answered_s = _during(refused.answered_first.answered_s, walk)
        return version.state in ("ended", "archived") or answered_s >= _epoch_s(of["ends_at"])
    return False


def _during(at_s: float, walk: Walk) -> tuple[float, float]:
    return walk.clocks.during(at_s, at_s) if walk.clocks.known else (at_s - APART_S, at_s + APART_S)


def _epoch_s(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
