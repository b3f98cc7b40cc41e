"""Stocktakes: what Redis was found to hold beside the books, and taking stock now."""

from typing import Any
from urllib.parse import urlencode

from redis.exceptions import RedisError
from starlette.responses import Response

from gateway.console.books.cells import BOOKS
from gateway.console.locales import N_
from gateway.console.page import Page, Visit
from gateway.errors import Refusal
from gateway.finance.snapshot import turn
from gateway.finance.stocktakes import Place, books_with
from gateway.routes.paging import make_cursor, read_cursor
from gateway.sql import postgres
from lua.door import DoorError
from reconciler.stocktake import list_shards
from reconciler.stocktake.keeping import ask, list_stocktakes

STOCKTAKES = f"{BOOKS}/stocktakes"
NEW = f"{BOOKS}/new-stocktake"
ROWS_MAX = 30
SAMPLES = 100
UNKNOWN = N_("The books know no such name.")
_NOT_THERE = N_("There is no such campaign, or it is archived.")


async def show(visit: Visit) -> Response:
    """Stocktakes, the newest first."""
    asked = {name: value for name in ("campaign", "shard") if (value := visit.asked(name))}
    scope: dict[str, str | None] = {"campaign": asked.get("campaign"), "shard": asked.get("shard")}
    of_list = f"console stocktakes {sorted(asked.items())}"
    before = read_cursor(visit.request, Place, of_list)
    found, errors = list[dict[str, Any]](), dict[str, str]()
    try:
        async with books_with(visit.here.pool, scope) as connection:
            found = await list_stocktakes(connection, **scope, before=before, rows_max=ROWS_MAX + 1)
    except Refusal as refusal:
        if refusal.code != "not_found":
            raise
        errors[str(refusal.context.get("field"))] = visit.words.say(UNKNOWN)
    shown = found[:ROWS_MAX]
    more = ""
    if len(found) > ROWS_MAX:
        more = f"{STOCKTAKES}?{urlencode({**asked, 'cursor': make_cursor(shown[-1]['id'], of_list)})}"
    return visit.render(
        "books_stocktakes",
        400 if errors else 200,
        taken=[(row, differing(row["figures"])) for row in shown],
        given={"campaign": "", "shard": "", **asked},
        asked=asked,
        errors=errors,
        more=more,
        first=f"{STOCKTAKES}?{urlencode(asked)}" if visit.asked("cursor") else "",
        may_take=visit.who.may("finance"),
        done=visit.asked("done"),
    )


def differing(figures: dict[str, Any]) -> list[tuple[str, int | None, int | None]]:
    """The figures that are not the same on both sides: name, by the books, in Redis."""
    return [(name, books, redis) for name, (books, redis) in figures.items() if books != redis]


async def show_form(visit: Visit) -> Response:
    """What to take stock of."""
    return visit.render("books_new_stocktake", typed=visit.asked("campaign"))


async def take(visit: Visit) -> Response:
    """Compare the shards of a campaign, or of all, with the books. Errors: Refusal overloaded, not_ready."""
    campaign = visit.one("campaign")[:200]
    try:
        async with turn(visit.here.pool), postgres(visit.here.pool) as connection:
            shards = await list_shards(connection, campaign or None, None)
            if not shards and campaign:
                errors = {"campaign": visit.words.say(_NOT_THERE)}
                return visit.render("books_new_stocktake", 404, typed=campaign, errors=errors)
            taken = await ask(visit.here.door, connection, shards, SAMPLES, visit.who.actor)
    except (DoorError, RedisError, OSError) as error:
        raise Refusal("not_ready", "Redis can't be reached at the moment.") from error
    done = (
        "unfinished"
        if any(one.unfinished for one in taken)
        else "clean"
        if all(one.is_clean for one in taken)
        else "broken"
    )
    return visit.go(f"{STOCKTAKES}?{urlencode({**({'campaign': campaign} if campaign else {}), 'done': done})}")


PAGES = (
    Page(path=STOCKTAKES, show=show, roles=("finance", "auditor"), menu=N_("Stocktakes"), section=N_("Books")),
    Page(path=NEW, show=show_form, act=take, roles=("finance",), under=STOCKTAKES),
)
