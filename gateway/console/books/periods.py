"""Periods: their check-list, on hold, closed, and proposed to be opened again."""

import re
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from starlette.responses import Response

from gateway.console.access import HOME
from gateway.console.books.cells import BOOKS
from gateway.console.books.checking import of_check
from gateway.console.books.work import Progress
from gateway.console.books.working import told
from gateway.console.locales import N_
from gateway.console.page import Page, Visit
from gateway.console.render import HEADERS
from gateway.console.tables import Cell, Read, Shown, Sort, Table, csv_file, every_page
from gateway.console.words import Trouble
from gateway.errors import Refusal
from gateway.finance.close_report.page import POLICY
from gateway.finance.period_reports import rendered
from gateway.finance.periods import ENTITY, REASON_CHARS_MAX, answered
from gateway.finance.verdict import judged
from gateway.proposals.asked import PeriodNamed, PeriodReopening
from gateway.proposals.deciding import Proposals
from gateway.sql import postgres
from reconciler.periods.calendar import KINDS, Kind, Period, parse_period
from reconciler.periods.closing import NotClosable, close, hold
from reconciler.periods.entities import ID_PATTERN, list_entities
from reconciler.periods.listing import Listed, list_periods, next_to_close, one_period, report_of
from reconciler.periods.report import Check
from reconciler.verdict.judging import Verdict

READERS = ("finance", "auditor")
PERIODS, FILE = f"{BOOKS}/periods", f"{BOOKS}/periods.csv"
SORTS = {"starts": Sort(N_("Period"), falls=True)}
ROWS_MAX = 24
STATE_WORDS = {"open": N_("Open"), "hold": N_("On hold"), "closed": N_("Closed")}
KIND_WORDS = {"month": N_("Months"), "day": N_("Days")}
_DONE = {
    "held": N_("It is on hold: nothing is booked into it by hand any more. Sales go on."),
    "proposed": N_("It is proposed: somebody else has to approve it."),
}
_BUSY = Trouble(
    N_("Somebody is at it already."), N_("What you asked for was not begun. This is what is being done now.")
)
_STATE = Trouble(N_("Not in this state."), N_("Somebody may have changed it. This is how it stands now."))
_OTHERWISE = {
    "hold": Trouble(
        N_("It has not begun yet."),
        N_("It can be put on hold from its first day on, by the date of its legal entity."),
    ),
    "reopen": Trouble(
        N_("Another period was closed after it."), N_("The last one that was closed is opened again first.")
    ),
}
"""What no state of its own would allow, by step."""
_PENDING = Trouble(N_("It is proposed already."), N_("Somebody else has to decide, on the page Waiting."))
_WHY = N_("Say why, in 1 to %(chars)s characters.")
_UNKNOWN = N_("There is no such legal entity.")


class Outcome(msgspec.Struct, frozen=True):
    """What came of a close, or of a dry run of one: *number* is that of its report, None where it was not closed."""

    is_dry: bool
    checks: list[Check]
    number: int | None


async def show_list(visit: Visit) -> Response:
    """Months or days of a legal entity, the newest first."""
    entity, kind, table = _asked(visit)
    async with postgres(visit.here.pool) as connection:
        entities = await list_entities(connection)
        zones = {one.id: one.zone for one in entities}
        errors = {} if entity in zones else {"entity": visit.words.say(_UNKNOWN)}
        upcoming, is_over = None, False
        if not errors:
            upcoming = await next_to_close(connection, entity, kind)
            is_over = upcoming is not None and upcoming.ends < _today(zones[entity])
    shown = Shown[Listed]([], "", "")
    if not errors:
        shown = await table.page(_reader(visit, table, zones[entity]), _starts, date, ROWS_MAX)
    return visit.render(
        "books_periods",
        400 if errors else 200,
        periods=[(one, _path(parse_period(entity, str(one.starts), kind))) for one in shown.rows],
        table=table,
        shown=shown,
        upcoming=(upcoming, _path(upcoming)) if upcoming else None,
        is_over=is_over,
        entities=entities,
        entity=entity,
        kind=kind,
        kinds=KIND_WORDS,
        states=STATE_WORDS,
        errors=errors,
    )


def _asked(visit: Visit) -> tuple[str, Kind, Table]:
    """The legal entity, months or days, and how they are sorted."""
    entity, kind = visit.asked("entity") or ENTITY, _kind(visit.asked("kind"))
    return entity, kind, Table(visit, PERIODS, SORTS, {"entity": entity, "kind": kind}, FILE)


def _reader(visit: Visit, table: Table, zone: str) -> Read[date, Listed]:
    entity, kind = table.given("entity"), _kind(table.given("kind"))

    async def read(after: date | None, limit: int) -> list[Listed]:
        async with postgres(visit.here.pool) as connection:
            day = _today(zone)
            return await list_periods(connection, entity, kind, day, behind=after, limit=limit, is_down=table.down)

    return read


def _starts(one: Listed) -> date:
    return one.starts


def _today(zone: str) -> date:
    return datetime.now(UTC).astimezone(ZoneInfo(zone)).date()


async def give_file(visit: Visit) -> Response:
    """Every period that the list has, in its order, as CSV. Errors: Refusal("not_found") for an unknown entity."""
    entity, _, table = _asked(visit)
    async with postgres(visit.here.pool) as connection:
        zones = {one.id: one.zone for one in await list_entities(connection)}
    if entity not in zones:
        raise Refusal("not_found")
    read = _reader(visit, table, zones[entity])

    async def pages() -> AsyncIterator[Iterable[Sequence[Cell]]]:
        async for page in every_page(read, _starts):
            yield map(_cells, page)

    heads = ("entity", "kind", "starts", "ends", "state", "changed_by", "changed_at")
    return await csv_file(visit, "periods", heads, pages())


def _cells(one: Listed) -> tuple[Cell, ...]:
    return one.entity, one.kind, str(one.starts), str(one.ends), one.state, one.changed_by, one.changed_at


async def show(visit: Visit) -> Response:
    """A period, its check-list as it was last looked at, and its closes."""
    done = _DONE.get(visit.asked("done"))
    return await _render(visit, done=visit.words.say(done) if done else "")


async def show_report(visit: Visit) -> Response:
    """A close report as it was signed: a page that prints, or a PDF."""
    period, number = _period(visit), visit.asked("number")
    wanted = int(number) if number.isascii() and number.isdigit() and len(number) <= 18 else None
    async with postgres(visit.here.pool) as connection:
        found = await report_of(connection, period, wanted)
    if found is None:
        raise Refusal("not_found")
    is_pdf = visit.asked("form") == "pdf"
    made = await rendered(visit.here, *found, "pdf" if is_pdf else "html", visit.words.language)
    headers = {**HEADERS, "content-security-policy": POLICY}
    return Response(made, headers=headers, media_type="application/pdf" if is_pdf else "text/html; charset=utf-8")


async def act(visit: Visit) -> Response:
    """Hold it, look whether it can be closed, close it, or propose to open it again."""
    period, here, who, path = _period(visit), visit.here, visit.who, _path(_period(visit))
    try:
        match visit.one("step"):
            case "hold":
                async with answered():
                    await hold(lambda: postgres(here.pool), period, who.actor)
                return visit.go(f"{path}?done=held")
            case "check" | "close" as step:
                if not await _in_the_background(visit, period, is_dry=step == "check"):
                    return await _render(visit, 409, notice=_BUSY)
                return visit.go(f"{path}#checks")
            case "reopen":
                reason = visit.one("reason")
                if not 1 <= len(reason) <= REASON_CHARS_MAX or not reason.isprintable():
                    wrong = visit.words.say(_WHY, chars=REASON_CHARS_MAX)
                    return await _render(visit, 400, errors={"reason": wrong}, reason=reason)
                named = PeriodNamed(starts=str(period.starts), kind=period.kind, entity=period.entity)
                asked = PeriodReopening(period=named, reason=reason)
                await Proposals(here.pool, here.door, here.settings).make(visit.one("key"), asked, who)
                return visit.go(f"{path}?done=proposed")
    except Refusal as refusal:
        troubles = {"invalid_state": _STATE, "proposal_pending": _PENDING}
        if refusal.code not in troubles:
            raise
        notice = troubles[refusal.code]
        if refusal.context.get("allowed") == []:
            notice = _OTHERWISE.get(visit.one("step"), notice)
        return await _render(visit, refusal.status, notice=notice)
    raise Refusal("bad_request", "The form could not be read.")


async def _in_the_background(visit: Visit, period: Period, *, is_dry: bool) -> bool:
    """Begin a close, or a dry run of one; False where somebody is at one."""
    here, actor = visit.here, visit.who.actor

    async def do(progress: Progress) -> Outcome:
        async def judge() -> Verdict:
            verdict = await judged(here, entity=period.entity, beginning=progress.tell)
            progress.tell("signing" if verdict.holds and not is_dry else "checks")
            return verdict

        progress.tell("checks")
        async with answered():
            try:
                done = await close(lambda: postgres(here.pool), here.door, judge, period, actor, dry_run=is_dry)
            except NotClosable as error:
                return Outcome(is_dry, error.checks, None)
        return Outcome(is_dry, done.checks, done.number)

    return await here.works.begin(_name(period), visit.who.name, do)


async def _render(visit: Visit, status: int = 200, **values: Any) -> Response:
    period, words = _period(visit), visit.words
    work = await visit.here.works.load(_name(period))  # first: what it closed stands in the books before it says so
    try:
        async with answered(), postgres(visit.here.pool) as connection:
            found, closes = await one_period(connection, period)
    except Refusal as refusal:
        raise Refusal("not_found") if refusal.code == "not_found" else refusal from None
    outcome = msgspec.json.decode(work.result, type=Outcome) if work and work.state == "done" else None
    items = [of_check(one, period.entity, words) for one in outcome.checks] if outcome else []
    items.sort(key=lambda one: one.holds)  # what is in the way comes first
    given: dict[str, Any] = {"done": "", "reason": "", "errors": {}, "notice": None, **values}
    return visit.render(
        "books_period",
        status,
        period=found,
        path=_path(period),
        closes=closes,
        work=told(work, words) if work else None,
        outcome=outcome,
        items=items,
        missing=sum(not one.holds for one in items),
        is_stale=outcome is not None and (outcome.number is None) == (found.state == "closed"),
        states=STATE_WORDS,
        may_act=visit.who.may("finance"),
        key=_key(found.changed_at, period),
        waiting=f"{HOME}/waiting",
        **given,
    )


def _key(changed_at: datetime | None, period: Period) -> str:
    """One proposal, however often the form is sent, as long as the period stands as it does."""
    return f"console {_name(period)} {changed_at.timestamp() if changed_at else 0}"


def _name(period: Period) -> str:
    return f"close:{period.entity}/{period.label}"


def _path(period: Period) -> str:
    return f"{PERIODS}/{period.entity}/{period.kind}/{period.starts}"


def _kind(text: str) -> Kind:
    return next((kind for kind in KINDS if kind == text), "month")


def _period(visit: Visit) -> Period:
    """The period in the path. Errors: Refusal("not_found")."""
    at = visit.request.path_params
    try:
        if at["kind"] not in KINDS or not re.fullmatch(ID_PATTERN, at["entity"]):
            raise Refusal("not_found")
        return parse_period(at["entity"], at["starts"], at["kind"])
    except ValueError:
        raise Refusal("not_found") from None


PERIOD = f"{PERIODS}/{{entity}}/{{kind}}/{{starts}}"
PAGES = (
    Page(path=PERIODS, show=show_list, roles=READERS, menu=N_("Periods"), section=N_("Books")),
    Page(path=FILE, show=give_file, roles=READERS, under=PERIODS),
    Page(path=PERIOD, show=show, roles=READERS, under=PERIODS),
    Page(path=f"{PERIOD}/report", show=show_report, roles=READERS, under=PERIODS),
    Page(path=f"{PERIOD}/act", show=show, act=act, roles=("finance",), under=PERIODS),
)
