"""Breaks: differences that were found, what they come from, and what ended them."""

from collections.abc import Iterator
from typing import Any

import msgspec
from redis.exceptions import RedisError
from starlette.responses import Response

from gateway.console.books.causes import likely, place_of, spelt
from gateway.console.books.cells import BOOKS
from gateway.console.books.lists import Listing, shown_or_wrong
from gateway.console.locales import N_
from gateway.console.page import Page, Visit
from gateway.console.tables import Cell, Noted, Sort, Table, csv_file
from gateway.console.words import Trouble
from gateway.errors import Refusal
from gateway.finance.outside import PATIENCE_S
from gateway.finance.snapshot import turn
from gateway.finance.stocktakes import books_with
from gateway.sql import postgres
from lua.door import DoorError
from reconciler.ordering import Order, Place
from reconciler.stocktake.breaks import (
    BREAK_ORDERS,
    STATES,
    WORDS_CHARS_MAX,
    Break,
    BreakRefused,
    explain,
    list_breaks,
    resolve,
    see_break,
)

BREAKS, FILE = f"{BOOKS}/breaks", f"{BOOKS}/breaks.csv"
ROWS_MAX = 30
ID_DIGITS_MAX = 18
STATE_WORDS = {"open": N_("Open"), "explained": N_("Explained"), "resolved": N_("Resolved")}
SORTS = {
    "seen": Sort(N_("Seen"), falls=True),
    "state": Sort(N_("State")),
    "shard": Sort(N_("Where")),
}
_PLAIN = (
    "id", "state", "kind", "shard", "figure", "seq", "detected_at", "likely", "clean_seq", "clean_at", "explained_by",
    "explained_at", "explanation", "resolved_by", "resolved_at", "resolution", "compensation",
)  # fmt: skip
"""What a file has of a break as it is."""
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


def _listing(visit: Visit) -> Listing[Break]:
    filters = {name: visit.asked(name) for name in ("campaign", "shard", "state")}
    if filters["state"] not in STATES:
        filters["state"] = ""
    table = Table(visit, BREAKS, SORTS, filters, FILE)
    campaign, shard = (table.given(name) or None for name in ("campaign", "shard"))
    states = [table.given("state")] if table.given("state") else None

    async def fetch(order: Order, after: Place | None, limit: int) -> list[Break]:
        async with books_with(visit.here.pool, {"campaign": campaign, "shard": shard}) as connection:
            return await list_breaks(
                connection, states=states, campaign=campaign, shard=shard, order=order, after=after, rows_max=limit
            )

    return Listing(table, BREAK_ORDERS, fetch)


async def show_list(visit: Visit) -> Response:
    """Breaks, the newest first where nobody says how."""
    listing = _listing(visit)
    shown, errors = await shown_or_wrong(visit, listing.page(ROWS_MAX))
    return visit.render(
        "books_breaks",
        400 if errors else 200,
        table=listing.table,
        shown=shown,
        errors=errors,
        **_words(visit),
    )


async def give_file(visit: Visit) -> Response:
    """Every break that the list has, in its order, as CSV; holders are in it: who took it is in the audit log."""
    listing = _listing(visit)
    noted = Noted("breaks.exported", "breaks", listing.table.filters)
    return await csv_file(visit, "breaks", (*_PLAIN, "expected", "found"), listing.lines(_cells), noted)


def _cells(one: Break) -> Iterator[tuple[Cell, ...]]:
    sides = (msgspec.json.encode(side).decode() for side in (one.expected, one.found))
    yield (*(getattr(one, name) for name in _PLAIN), *sides)


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
    return visit.render("books_break", status, one=found, may_act=may, **_words(visit), **given)


def _words(visit: Visit) -> dict[str, Any]:
    """What a page says of breaks."""
    words = visit.words
    return {
        "states": STATE_WORDS,
        "likely": lambda one: likely(one, words),
        "place": lambda one: place_of(one, words),
        "spelt": lambda side: spelt(side, words),
    }


def _id(visit: Visit) -> int:
    text = visit.request.path_params["break"]
    if not (text.isascii() and text.isdigit() and len(text) <= ID_DIGITS_MAX):
        raise Refusal("not_found")
    return int(text)


READERS = ("finance", "auditor")
PAGES = (
    Page(path=BREAKS, show=show_list, roles=READERS, menu=N_("Breaks"), section=N_("Books")),
    Page(path=FILE, show=give_file, roles=READERS, under=BREAKS),
    Page(path=f"{BREAKS}/{{break}}", show=show, roles=READERS, under=BREAKS),
    Page(path=f"{BREAKS}/{{break}}/act", show=show, act=act, roles=("finance",), under=BREAKS),
)
