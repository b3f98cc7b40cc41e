"""
What has to hold before a period closes, each with its figures, also where it holds: they are signed too.

Some of it only a period can have; it is looked at twice, the second time under the lock that keeps every batch of the
entity out. The rest is the verdict on all the books of the entity, which takes long: it is judged once, before the
lock. Under it `still` says that nothing was booked in the period since, and the invariant `settled` is judged again:
it is the one that something without a posting may have broken since.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from psycopg import AsyncConnection

from lua.door import Door
from reconciler.periods.calendar import DAY, Period, gap_before
from reconciler.periods.figures import campaigns_of
from reconciler.periods.report import Check
from reconciler.periods.statements import row, rows
from reconciler.periods.waiting import Standing, clock_ms, date_at, waiting
from reconciler.verdict.books import scope_of
from reconciler.verdict.figures import row_text
from reconciler.verdict.invariants import INVARIANTS
from reconciler.verdict.judging import Judged, judge_by_books

FOUND_MAX = 20
"""How many of the things in the way a check names."""

SAYS = {
    "hold": "the period is on hold",
    "order": "every day before it is closed",
    "over": "the period is over in every zone of the entity, by the clock of Redis",
    "drained": "every state change dated in it is in the books",
    "manual": "every manual journal dated in it is posted or rejected",
    "suspense": "nothing is in suspense at its end",
    "roll_forward": "every campaign's opening and movements come to its closing",
    "still": "nothing was booked in it while the books were judged",
}
"""Name of a check that only a period can have → what it says, in the order in which they are made."""

TO_DO = {"drafted": "approve or reject it", "approved": "the reconciler posts it, once it runs"}
"""What becomes of a manual journal in a state that keeps a period open."""

CLEAR = "name the funder, and move it by a manual journal"

SETTLED = next(each for each in INVARIANTS if each.name == "settled")

Booked = Mapping[str, Any]
"""What is booked up to the end of a period: it changes with whatever is booked there."""


def check(name: str, found: Sequence[str], **figures: int) -> Check:
    """The check *name* of a period, which holds where nothing was *found*; of a figure, _ stands for a space."""
    told = {figure.replace("_", " "): count for figure, count in figures.items()}
    return Check(name, "period", SAYS[name], not found, told, list(found[:FOUND_MAX]))


def checks_of(judged: Iterable[Judged]) -> list[Check]:
    """The invariants of a verdict as checks of a close."""
    return [
        Check(one.name, "books", one.says, one.holds, one.figures, [] if one.holds else [row_text(one.first)])
        for one in judged
    ]


async def booked(connection: AsyncConnection[Any], period: Period) -> Booked:
    """What is booked up to the end of *period*. Errors: psycopg.Error."""
    return await row(connection, "booked", period._asdict()) or {}


async def period_checks(
    connection: AsyncConnection[Any], door: Door, period: Period, state: str, before: Booked
) -> list[Check]:
    """
    What only a period can have. *state* is the period's, *before* what was booked when the books began to be judged.

    Errors: psycopg.Error, RedisError, OSError.
    """
    values = period._asdict()
    undecided = await rows(connection, "undecided", values)
    to_decide = [f"{one['id']} is {one['state']}: {TO_DO[one['state']]}" for one in undecided]
    suspense = await rows(connection, "suspense", values)
    campaigns = await campaigns_of(connection, period)
    now = await booked(connection, period)
    return [
        check("hold", [] if state == "hold" else [f"it is {state}: put it on hold first"]),
        await _order(connection, period),
        await _over(connection, door, period),
        await _drained(connection, door, period),
        check("manual", to_decide, journals_undecided=len(undecided)),
        check(
            "suspense",
            [f"{one['account']}: {one['minor']} {one['currency']} (minor units): {CLEAR}" for one in suspense],
            in_suspense=len(suspense),
        ),
        check("roll_forward", [one.campaign for one in campaigns if not one.adds_up], campaigns=len(campaigns)),
        check(
            "still",
            [] if now == before else ["something was booked meanwhile: try again"],
            totals_of_accounts=now["totals"],
        ),
    ]


async def settled_again(connection: AsyncConnection[Any], period: Period) -> Judged:
    """The invariant `settled` of the period's entity, as it is now. Errors: psycopg.Error."""
    return await judge_by_books(connection, SETTLED, await scope_of(connection, entity=period.entity))


async def _order(connection: AsyncConnection[Any], period: Period) -> Check:
    entity = await row(connection, "entity", period._asdict()) or {}
    first = await row(connection, "first_day", period._asdict()) or {}
    gap = gap_before(period, entity["closed_through"], first["first"])
    if gap is None:
        return check("order", [], days_open_before_it=0)
    found = [f"{gap} and what follows it is open: close it first"]
    return check("order", found, days_open_before_it=(period.starts - gap) // DAY)


async def _over(connection: AsyncConnection[Any], door: Door, period: Period) -> Check:
    now_ms = await clock_ms(door)
    zones = [one["zone"] for one in await rows(connection, "zones", period._asdict())]
    today = {zone: date_at(now_ms, zone) for zone in zones}
    found = [f"in {zone} it is {day}: wait until it is over" for zone, day in today.items() if day <= period.ends]
    return check("over", found, zones=len(zones))


async def _drained(connection: AsyncConnection[Any], door: Door, period: Period) -> Check:
    async def zone_of(campaign: str, version: int) -> str:
        found = await row(connection, "zone_of_version", {"campaign": campaign, "version": version})
        return str(found["zone"]) if found else "UTC"

    standings = [Standing(**one) for one in await rows(connection, "positions", period._asdict())]
    return check("drained", await waiting(door, standings, period.ends, zone_of), shards=len(standings))
