"""Open alerts first, then those that are over; one of them, to acknowledge; all of them as a file."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from starlette.responses import Response

from gateway.alerts.alerts import NOTE_CHARS_MAX
from gateway.alerts.kinds import ACTORS, KINDS, READERS, SEVERITIES, acted_on_by, seen_by
from gateway.alerts.payload import SEVERITY_WORDS, english, sentence, shown
from gateway.alerts.reasons import said
from gateway.alerts.store import DELIVERIES_KEPT_DAYS, STILL_OPEN, After, Alert, Way
from gateway.console.access import HOME
from gateway.console.locales import N_
from gateway.console.page import Page, Visit
from gateway.console.tables import Cell, Read, Sort, Table, csv_file, every_page
from gateway.console.words import Trouble
from gateway.errors import Refusal

ALERTS, EXPORT = f"{HOME}/alerts", f"{HOME}/alerts.csv"
ROWS_MAX = 30
OPEN_MAX = 200
_FILE_ROWS = 500
SORTS: Mapping[str, Sort] = {
    "began": Sort(N_("Began"), falls=True),
    "over": Sort(N_("Over since"), falls=True),
    "campaign": Sort(N_("Campaign")),
}
_KINDS: Mapping[str, Any] = {
    "began": tuple[int, int],
    "over": tuple[datetime, int],
    "campaign": tuple[str, int],
}
"""What a place is made of, by what is sorted."""
BADGES = {"critical": "bad", "warning": "note", "info": "plain"}
TYPE_WORDS = {
    "alert.raised": N_("that it began"),
    "alert.cleared": N_("that it is over"),
    "alert.acknowledged": N_("that somebody has seen it"),
}
DELIVERY_WORDS = {
    "pending": (N_("On its way"), "note"),
    "sent": (N_("Arrived"), "good"),
    "failed": (N_("Did not arrive"), "bad"),
    "dropped": (N_("Not sent: the receiver is off"), "plain"),
}
_TOO_LATE = Trouble(
    N_("Not this one."), N_("Somebody has acknowledged it before, or it is over. This is how it is now.")
)


async def show(visit: Visit) -> Response:
    """All open ones, and a page of those that are over."""
    table = _table(visit)
    by = cast(Way, table.by)
    shown = await table.page(_reader(visit, table, is_open=False), lambda each: _place(each, by), _KINDS[by], ROWS_MAX)
    return visit.render(
        "alerts",
        **await _open(visit),
        table=table,
        shown=shown,
        kinds={name: KINDS[name].title for name in seen_by(visit.who)},
    )


def _table(visit: Visit) -> Table:
    kind = visit.asked("kind")
    filters = {"kind": kind if kind in KINDS else "", "campaign": visit.asked("campaign", 63)}
    return Table(visit, ALERTS, SORTS, filters, EXPORT)


def _reader(visit: Visit, table: Table, is_open: bool | None = None) -> Read[After, Alert]:
    async def read(after: After | None, limit: int) -> list[Alert]:
        asked: dict[str, Any] = {**table.filters, "by": table.by, "down": table.down, "is_open": is_open}
        return await visit.here.alerts.found(visit.who, **asked, after=after, limit=limit)

    return read


def _place(alert: Alert, by: Way) -> After:
    keys: dict[Way, int | datetime | str]
    keys = {"began": alert.id, "over": alert.cleared_at or STILL_OPEN, "campaign": alert.subject}
    return After(keys[by], alert.id)


async def _open(visit: Visit) -> dict[str, Any]:
    found = await visit.here.alerts.found(visit.who, is_open=True, limit=OPEN_MAX)
    found.sort(key=lambda each: (SEVERITIES.index(each.severity), each.acknowledged_at is not None, -each.id))
    return {"opened": found, **_words(visit)}


def _words(visit: Visit) -> dict[str, Any]:
    words = visit.words
    return {
        "says": lambda alert: sentence(alert, words),
        "amount": lambda value, unit: shown(value, unit, words),
        "titles": KINDS,
        "why": lambda reason: said(reason, words),
        "severities": SEVERITY_WORDS,
        "badges": BADGES,
    }


async def show_one(visit: Visit) -> Response:
    """One alert, what to do about it, and who was told."""
    return await _one(visit, is_done=bool(visit.asked("done")))


async def acknowledge(visit: Visit) -> Response:
    """Note that he has seen it. Errors: Refusal."""
    number, note = visit.request.path_params["alert"], visit.one("note")
    if visit.one("step") != "acknowledge":
        raise Refusal("bad_request", "The form could not be read.")
    try:
        await visit.here.alerts.acknowledge(visit.who, number, note)
    except Refusal as refusal:
        if refusal.code == "invalid_state":
            return await _one(visit, 409, notice=_TOO_LATE)
        if refusal.code == "bad_request":
            wrong = visit.words.say(N_("At most %(chars)s characters."), chars=NOTE_CHARS_MAX)
            return await _one(visit, 400, errors={"note": wrong}, typed=note)
        raise _not_found(refusal) from refusal
    visit.here.background.wake()
    return visit.go(f"{ALERTS}/{number}?done=1")


async def _one(visit: Visit, status: int = 200, **values: Any) -> Response:
    try:
        found, sent = await visit.here.alerts.see(visit.who, visit.request.path_params["alert"])
    except Refusal as refusal:
        raise _not_found(refusal) from refusal
    kind = KINDS[found.kind]
    given = {"is_done": False, "typed": "", "note_chars_max": NOTE_CHARS_MAX, **_words(visit), **values}
    return visit.render(
        "alerts_one",
        status,
        alert=found,
        kind=kind,
        sent=sent,
        is_on_its_way=any(each.state == "pending" for each in sent),
        is_forgotten=found.is_forgotten(datetime.now(UTC)),
        kept_days=DELIVERIES_KEPT_DAYS,
        types=TYPE_WORDS,
        deliveries=DELIVERY_WORDS,
        may_act=found.kind in acted_on_by(visit.who) and not found.cleared_at and not found.acknowledged_at,
        **given,
    )


def _not_found(refusal: Refusal) -> Refusal:
    return Refusal("not_found") if refusal.code == "alert_not_found" else refusal


async def export(visit: Visit) -> Response:
    """Every alert that the page has, open and over, as CSV; times in UTC."""
    table = _table(visit)

    async def pages() -> AsyncIterator[Iterable[Sequence[Cell]]]:
        async for page in every_page(_reader(visit, table), lambda each: _place(each, cast(Way, table.by)), _FILE_ROWS):
            yield map(_cells, page)

    heads = (
        "id", "kind", "severity", "campaign", "says", "figure", "worst", "threshold", "unit", "raised_at", "cleared_at",
        "acknowledged_by", "acknowledged_at", "note",
    )  # fmt: skip
    return await csv_file(visit, "alerts", heads, pages())


def _cells(each: Alert) -> tuple[Cell, ...]:
    return (
        each.id, each.kind, each.severity, each.subject, sentence(each, english()), each.figure, each.worst,
        each.threshold, each.unit, each.raised_at, each.cleared_at, each.acknowledged_by, each.acknowledged_at,
        each.note,
    )  # fmt: skip


PAGES = (
    Page(path=ALERTS, show=show, roles=READERS, menu=N_("Alerts"), section=N_("Overview")),
    Page(path=EXPORT, show=export, roles=READERS, under=ALERTS),
    Page(path=f"{ALERTS}/{{alert}}", show=show_one, act=acknowledge, roles=READERS, actors=ACTORS, under=ALERTS),
)
