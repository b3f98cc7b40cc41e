"""For finance: months and days of a legal entity, held, closed and reopened."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from redis.exceptions import RedisError
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.operation import PAGE, Operation, Parameter, Time
from gateway.campaigns.broken import is_text, text_rule
from gateway.errors import Refusal
from gateway.finance.entities import NO_ENTITY
from gateway.finance.verdict import judged
from gateway.issuing.asked import refuse
from gateway.routes.access import alone, staff
from gateway.routes.paging import Page, make_cursor, page_limit, query_value, read_cursor
from gateway.services import Services, services
from gateway.sql import postgres
from gateway.wire import body, json_response, rfc3339, time_ms
from lua.door import DoorError
from reconciler.periods.calendar import KINDS, Kind, Period, State, parse_period
from reconciler.periods.closing import NoEntity, NotAllowed, NotClosable, WrongState, close, hold, reopen
from reconciler.periods.entities import ID_PATTERN, list_entities
from reconciler.periods.listing import Listed, Signed, list_periods, one_period
from reconciler.periods.report import Check
from reconciler.verdict.judging import Verdict

READERS = ("finance", "auditor")
ENTITY = "main"  # where none is named
REASON_CHARS_MAX = 500


class PeriodView(msgspec.Struct, frozen=True):
    """A period; *changed_by* and *changed_at* are null where nobody has touched it."""

    entity: str
    kind: Kind
    starts: date
    ends: date
    state: State
    changed_by: str | None
    changed_at: Time | None


class SignedView(msgspec.Struct, frozen=True):
    """One close of a period: the number of its report, who closed it and when."""

    id: int
    closed_by: str
    closed_at: Time


class PeriodSeen(msgspec.Struct, frozen=True):
    """A period and its closes, the last first; there are several where it was reopened."""

    period: PeriodView
    reports: list[SignedView]


class PeriodList(Page[PeriodView]):
    """Periods of a legal entity, the newest first."""


class CloseBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The body of a close; *dry_run* makes every check and changes nothing."""

    dry_run: bool = False


class ReopenBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The body of POST …/reopen."""

    reason: str


class NoBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Nothing: no body, or the empty object."""


class ClosedView(msgspec.Struct, frozen=True):
    """What came of a close: every check, and the number of its report; null after a dry run."""

    holds: bool
    checks: list[Check]
    report: int | None


class _Place(NamedTuple):
    """The first day of the last period shown."""

    starts: date


def period_in(request: Request) -> Period:
    """The period in the path. Errors: Refusal("not_found")."""
    at = request.path_params
    if at["kind"] not in KINDS:
        raise Refusal("not_found", f"A period is a {' or a '.join(KINDS)}.")
    if not re.fullmatch(ID_PATTERN, at["entity"]):
        raise Refusal("not_found", NO_ENTITY)
    try:
        return parse_period(at["entity"], at["starts"], at["kind"])
    except ValueError as error:
        raise Refusal("not_found", f"{error}.") from None


@asynccontextmanager
async def answered() -> AsyncIterator[None]:
    """Refusals for what a period says no to. Errors: Refusal."""
    try:
        yield
    except NoEntity:
        raise Refusal("not_found", NO_ENTITY) from None
    except WrongState as error:
        told: dict[str, Any] = {"from": error.state, "allowed": list(error.allowed)}
        raise Refusal("invalid_state", f"Not possible: {error}; {error.to_do}.", **told) from None
    except NotAllowed:
        raise Refusal("forbidden", "Reopening what is closed needs an API key with role admin.") from None
    except NotClosable as error:
        checks = [msgspec.to_builtins(one) for one in error.checks]
        raise Refusal("close_refused", f"What is in the way: {error}.", checks=checks) from None
    except (DoorError, RedisError, OSError):
        raise Refusal("not_ready", "Redis can't be reached at the moment.") from None


async def see_periods(request: Request) -> Response:
    """Months or days of a legal entity, the newest first, back to the first day of its books."""
    await staff(request, *READERS)
    here = services(request)
    entity, kind = query_value(request, "entity") or ENTITY, query_value(request, "kind") or "month"
    if not re.fullmatch(ID_PATTERN, entity):
        raise Refusal("not_found", NO_ENTITY)
    if kind not in KINDS:
        raise Refusal("bad_request", f"kind: one of {', '.join(KINDS)}.", field="kind")
    limit, of_list = page_limit(request, here.settings.page_rows_max), f"periods {entity} {kind}"
    after = read_cursor(request, _Place, of_list)
    async with answered(), postgres(here.pool) as connection:
        zones = {one.id: one.zone for one in await list_entities(connection)}
        today = datetime.now(UTC).astimezone(ZoneInfo(zones.get(entity, "UTC"))).date()
        before = after.starts if after else None
        found = await list_periods(connection, entity, kind, today, behind=before, limit=limit + 1)
    more = make_cursor(_Place(found[limit - 1].starts), of_list) if len(found) > limit else None
    return json_response({"items": [_view(one) for one in found[:limit]], "next": more})


async def see_period(request: Request) -> Response:
    """A period and its closes."""
    await staff(request, *READERS)
    here, period = services(request), period_in(request)
    async with answered(), postgres(here.pool) as connection:
        found, reports = await one_period(connection, period)
    return json_response(PeriodSeen(_view(found), [signed_view(one) for one in reports]))


async def hold_period(request: Request) -> Response:
    """
    Put an open period on hold, before it is closed.

    Finance makes no more journals in it by hand; everything else goes on. One that is on hold stays so.
    """
    who, here, period = await staff(request, "finance"), services(request), period_in(request)
    await body(request, NoBody, here.settings.body_bytes_max)
    async with answered():
        await hold(lambda: postgres(here.pool), period, who.actor)
    return await _seen(here, period)


async def close_period(request: Request) -> Response:
    """
    Close a period that is on hold, if every check of it and every invariant of its entity's books holds.

    409 `close_refused` names each check that does not, with its figures. From then on nothing is booked in it: what
    comes late is booked on the next open day, with its own date beside it. It takes as long as a verdict does, up to
    ten minutes, and goes on where the client does not wait: the period says what came of it. 503 is as of a verdict.
    """
    who, here, period = await staff(request, "finance"), services(request), period_in(request)
    asked = await body(request, CloseBody, here.settings.body_bytes_max)

    async def judge() -> Verdict:
        return await judged(here, entity=period.entity)

    async with answered():
        done = await close(lambda: postgres(here.pool), here.door, judge, period, who.actor, dry_run=asked.dry_run)
    return json_response(ClosedView(all(one.holds for one in done.checks), done.checks, done.number))


async def reopen_period(request: Request) -> Response:
    """
    Open a period again: one on hold, or, for an admin, the last one that was closed.

    The reports of its closes stay; when it is closed again there is one more.
    """
    who, here, period = await staff(request, "finance"), services(request), period_in(request)
    alone(request, "period_reopening")
    asked = await body(request, ReopenBody, here.settings.body_bytes_max)
    if not is_text(asked.reason, REASON_CHARS_MAX):
        raise refuse("reason", text_rule(REASON_CHARS_MAX))
    async with answered():
        await reopen(lambda: postgres(here.pool), period, who.actor, asked.reason, may_reopen=who.role == "admin")
    return await _seen(here, period)


async def _seen(here: Services, period: Period) -> Response:
    async with postgres(here.pool) as connection:
        found, reports = await one_period(connection, period)
    return json_response(PeriodSeen(_view(found), [signed_view(one) for one in reports]))


def _view(found: Listed) -> PeriodView:
    shown: dict[str, Any] = msgspec.structs.asdict(found)
    at = shown.pop("changed_at")
    return PeriodView(**shown, changed_at=rfc3339(time_ms(at)) if at else None)


def signed_view(one: Signed) -> SignedView:
    """One close, as it is shown."""
    return SignedView(one.id, one.closed_by, rfc3339(time_ms(one.closed_at)))


PERIOD = "/v1/periods/{entity}/{kind}/{starts}"
FOUND: tuple[str, ...] = ("not_found",)

routes = [
    Operation(
        "GET",
        "/v1/periods",
        see_periods,
        under="Periods",
        who=READERS,
        query=(
            Parameter("entity", str, "The legal entity; else main."),
            Parameter("kind", Kind, "Months or days; else months."),
            *PAGE,
        ),
        gives={200: PeriodList},
        refuses=FOUND,
    ),
    Operation("GET", PERIOD, see_period, under="Periods", who=READERS, gives={200: PeriodSeen}, refuses=FOUND),
    Operation(
        "POST",
        f"{PERIOD}/hold",
        hold_period,
        under="Periods",
        who=("finance",),
        takes=NoBody,
        gives={200: PeriodSeen},
        refuses=(*FOUND, "invalid_state"),
    ),
    Operation(
        "POST",
        f"{PERIOD}/close",
        close_period,
        under="Periods",
        who=("finance",),
        takes=CloseBody,
        example={"dry_run": True},
        gives={200: ClosedView},
        refuses=(*FOUND, "invalid_state", "close_refused"),
    ),
    Operation(
        "POST",
        f"{PERIOD}/reopen",
        reopen_period,
        under="Periods",
        who=("finance",),
        takes=ReopenBody,
        example={"reason": "An invoice of the month came in"},
        gives={200: PeriodSeen},
        refuses=(*FOUND, "invalid_state", "second_person_needed"),
    ),
]
