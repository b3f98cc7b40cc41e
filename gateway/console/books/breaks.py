"""Breaks: differences that were found, what they come from, and what ended them."""

from typing import Any
from urllib.parse import urlencode

import msgspec
from redis.exceptions import RedisError
from starlette.responses import Response

from gateway.console.books.cells import BOOKS
from gateway.console.books.stocktakes import UNKNOWN
from gateway.console.locales import N_
from gateway.console.page import Page, Visit
from gateway.console.words import Trouble
from gateway.errors import Refusal
from gateway.finance.outside import PATIENCE_S
from gateway.finance.snapshot import turn
from gateway.finance.stocktakes import Place, books_with
from gateway.routes.paging import make_cursor, read_cursor
from gateway.sql import postgres
from lua.door import DoorError
from reconciler.stocktake.breaks import (
    STATES,
    WORDS_CHARS_MAX,
    Break,
    BreakRefused,
    explain,
    list_breaks,
    resolve,
    see_break,
)

BREAKS = f"{BOOKS}/breaks"
ROWS_MAX = 30
ID_DIGITS_MAX = 18
STATE_WORDS = {"open": N_("Open"), "explained": N_("Explained"), "resolved": N_("Resolved")}
_SAY = N_("Say it in 1 to %(chars)s characters.")
_DONE = {"explained": N_("It is explained. It still stands in the way of a close."), "resolved": N_("It is resolved.")}
_TROUBLES = {
    "break_remains": Trouble(
        N_("It is still there."),
        N_("Stock was taken again, and the difference was found again. Make it good first."),
    ),
    "invalid_state": Trouble(
        N_("Not this one."),
        N_("It is resolved already, or it ends by itself when the drain goes on."),
    ),
    "not_ready": Trouble(N_("It could not be compared."), N_("Nothing was changed. Try again in a moment.")),
}


async def show_list(visit: Visit) -> Response:
    """Breaks, the newest first."""
    asked = {name: value for name in ("campaign", "shard", "state") if (value := visit.asked(name))}
    scope: dict[str, str | None] = {"campaign": asked.get("campaign"), "shard": asked.get("shard")}
    states = [asked["state"]] if asked.get("state") in STATES else None
    of_list = f"console breaks {sorted(asked.items())}"
    before = read_cursor(visit.request, Place, of_list)
    found, errors = list[Break](), dict[str, str]()
    try:
        async with books_with(visit.here.pool, scope) as connection:
            found = await list_breaks(connection, states=states, **scope, before=before, rows_max=ROWS_MAX + 1)
    except Refusal as refusal:
        if refusal.code != "not_found":
            raise
        errors[str(refusal.context.get("field"))] = visit.words.say(UNKNOWN)
    more = ""
    if len(found) > ROWS_MAX:
        more = f"{BREAKS}?{urlencode({**asked, 'cursor': make_cursor(found[ROWS_MAX - 1].id, of_list)})}"
    return visit.render(
        "books_breaks",
        400 if errors else 200,
        breaks=found[:ROWS_MAX],
        given={"campaign": "", "shard": "", "state": "", **asked},
        asked=asked,
        errors=errors,
        states=STATE_WORDS,
        more=more,
        first=f"{BREAKS}?{urlencode(asked)}" if visit.asked("cursor") else "",
        spelt=spelt,
    )


async def show(visit: Visit) -> Response:
    """One break."""
    done = _DONE.get(visit.asked("done"))
    return await _render(visit, done=visit.words.say(done) if done else "")


async def act(visit: Visit) -> Response:
    """Explain or resolve it."""
    number, step, who = _id(visit), visit.one("step"), visit.who.actor
    names = {"explain": ("explanation",), "resolve": ("resolution", "compensation")}.get(step)
    if names is None:
        raise Refusal("bad_request", "The form could not be read.")
    typed = {name: visit.one(name) for name in names}
    wrong = visit.words.say(_SAY, chars=WORDS_CHARS_MAX)
    errors = {name: wrong for name, text in typed.items() if not 1 <= len(text) <= WORDS_CHARS_MAX}
    if errors:
        return await _render(visit, 400, errors=errors, typed=typed)
    here = visit.here
    try:
        if step == "explain":
            async with postgres(here.pool) as connection:
                await explain(connection, number, who, typed["explanation"])
            return visit.go(f"{BREAKS}/{number}?done=explained")
        async with turn(here.pool), postgres(here.pool) as connection:
            said = (who, typed["resolution"], typed["compensation"])
            await resolve(here.door, connection, number, *said, patience_s=PATIENCE_S)
        return visit.go(f"{BREAKS}/{number}?done=resolved")
    except BreakRefused as error:
        if error.code not in _TROUBLES:
            raise Refusal("not_found") from None
        return await _render(visit, Refusal(error.code).status, notice=_TROUBLES[error.code], typed=typed)
    except (DoorError, RedisError, OSError):
        return await _render(visit, 503, notice=_TROUBLES["not_ready"], typed=typed)


async def _render(visit: Visit, status: int = 200, **values: Any) -> Response:
    try:
        async with postgres(visit.here.pool) as connection:
            found = await see_break(connection, _id(visit))
    except BreakRefused:
        raise Refusal("not_found") from None
    given = {"typed": {}, "done": "", **values}
    may = visit.who.may("finance") and found.state != "resolved"
    return visit.render("books_break", status, one=found, states=STATE_WORDS, spelt=spelt, may_act=may, **given)


def spelt(value: dict[str, Any]) -> list[tuple[str, str]]:
    """One side of a difference."""
    return [
        (name, each if isinstance(each, str) else msgspec.json.encode(each).decode()) for name, each in value.items()
    ]


def _id(visit: Visit) -> int:
    text = visit.request.path_params["break"]
    if not (text.isascii() and text.isdigit() and len(text) <= ID_DIGITS_MAX):
        raise Refusal("not_found")
    return int(text)


READERS = ("finance", "auditor")
PAGES = (
    Page(path=BREAKS, show=show_list, roles=READERS, menu=N_("Breaks"), section=N_("Books")),
    Page(path=f"{BREAKS}/{{break}}", show=show, roles=READERS, under=BREAKS),
    Page(path=f"{BREAKS}/{{break}}/act", show=show, act=act, roles=("finance",), under=BREAKS),
)
