"""Open alerts first, then those that are over; one of them, to acknowledge; all of them as a file."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response, StreamingResponse

from gateway.alerts.alerts import NOTE_CHARS_MAX
from gateway.alerts.kinds import ACTORS, KINDS, READERS, SEVERITIES, acted_on_by, seen_by
from gateway.alerts.payload import SEVERITY_WORDS, english, sentence, shown
from gateway.alerts.reasons import said
from gateway.alerts.store import Alert
from gateway.console.access import HOME
from gateway.console.locales import N_
from gateway.console.page import Page, Visit
from gateway.console.render import HEADERS
from gateway.console.words import Trouble
from gateway.errors import Refusal
from gateway.issuing.csv_lines import row as csv_row

ALERTS, OPEN, EXPORT = f"{HOME}/alerts", f"{HOME}/alerts-open", f"{HOME}/alerts.csv"
ROWS_MAX = 30
OPEN_MAX = 200
_EXPORT_ROWS = 500
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
    kind, campaign = visit.asked("kind"), visit.asked("campaign", 63)
    asked = {name: value for name, value in (("kind", kind), ("campaign", campaign)) if value}
    before = _number(visit.asked("before"))
    over = await _found(visit, is_open=False, before=before, limit=ROWS_MAX + 1)
    more = ""
    if len(over) > ROWS_MAX:
        more = f"{ALERTS}?{urlencode({**asked, 'before': over[ROWS_MAX - 1].id})}"
    return visit.render(
        "alerts",
        **await _open(visit),
        over=over[:ROWS_MAX],
        asked=asked,
        given={"kind": kind, "campaign": campaign},
        kinds={name: KINDS[name].title for name in seen_by(visit.who)},
        more=more,
        first=f"{ALERTS}?{urlencode(asked)}" if before else "",
        export=f"{EXPORT}?{urlencode(asked)}",
    )


async def show_open(visit: Visit) -> Response:
    """The open ones alone, for the page to bring up to date."""
    return visit.render("alerts_open", **await _open(visit))


async def _open(visit: Visit) -> dict[str, Any]:
    found = await visit.here.alerts.found(visit.who, is_open=True, limit=OPEN_MAX)
    found.sort(key=lambda each: (SEVERITIES.index(each.severity), each.acknowledged_at is not None, -each.id))
    return {"opened": found, "open_at": OPEN, **_words(visit)}


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
    done = visit.words.say(N_("It is acknowledged. It stays open until it is over.")) if visit.asked("done") else ""
    return await _one(visit, done=done)


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
    given = {"done": "", "typed": "", "note_chars_max": NOTE_CHARS_MAX, **_words(visit), **values}
    return visit.render(
        "alerts_one",
        status,
        alert=found,
        kind=kind,
        sent=sent,
        types=TYPE_WORDS,
        deliveries=DELIVERY_WORDS,
        may_act=found.kind in acted_on_by(visit.who) and not found.cleared_at and not found.acknowledged_at,
        **given,
    )


def _not_found(refusal: Refusal) -> Refusal:
    return Refusal("not_found") if refusal.code == "alert_not_found" else refusal


async def export(visit: Visit) -> Response:
    """Every alert that the page has, open and over, as CSV; times in UTC."""
    headers = {**HEADERS, "content-disposition": 'attachment; filename="alerts.csv"'}
    first = await _found(visit, limit=_EXPORT_ROWS)

    async def lines() -> AsyncIterator[str]:
        yield csv_row(
            "id", "kind", "severity", "campaign", "says", "figure", "worst", "threshold", "unit", "raised_at",
            "cleared_at", "acknowledged_by", "acknowledged_at", "note",
        )  # fmt: skip
        page = first
        while page:
            for each in page:
                yield csv_row(*_cells(each))
            full = len(page) == _EXPORT_ROWS
            page = await _found(visit, before=page[-1].id, limit=_EXPORT_ROWS) if full else []

    return StreamingResponse(lines(), headers=headers, media_type="text/csv; charset=utf-8")


async def _found(visit: Visit, **more: Any) -> list[Alert]:
    kind, campaign = visit.asked("kind"), visit.asked("campaign", 63)
    return await visit.here.alerts.found(
        visit.who, kind=kind if kind in KINDS else None, campaign=campaign or None, **more
    )


def _cells(each: Alert) -> list[str]:
    figures = [f"{value:g}" for value in (each.figure, each.worst, each.threshold)]
    return [
        str(each.id), each.kind, each.severity, each.subject, sentence(each, english()), *figures, each.unit,
        _utc(each.raised_at), _utc(each.cleared_at), each.acknowledged_by or "", _utc(each.acknowledged_at),
        each.note or "",
    ]  # fmt: skip


def _utc(at: datetime | None) -> str:
    return "" if at is None else at.astimezone(UTC).isoformat()


def _number(text: str) -> int | None:
    """PostgreSQL's bigint; what is none is the first page."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None


PAGES = (
    Page(path=ALERTS, show=show, roles=READERS, menu=N_("Alerts"), section=N_("Overview")),
    Page(path=OPEN, show=show_open, roles=READERS, is_looked_at=False),
    Page(path=EXPORT, show=export, roles=READERS, under=ALERTS),
    Page(path=f"{ALERTS}/{{alert}}", show=show_one, act=acknowledge, roles=READERS, actors=ACTORS, under=ALERTS),
)
