"""Stocktakes: what Redis was found to hold beside the books, and taking stock now."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from redis.exceptions import RedisError
from starlette.responses import Response

from gateway.console.books.causes import field_name
from gateway.console.books.cells import BOOKS
from gateway.console.books.lists import Listing, shown_or_wrong
from gateway.console.locales import N_
from gateway.console.page import Page, Visit
from gateway.console.tables import Cell, Sort, Table, csv_file
from gateway.errors import Refusal
from gateway.finance.snapshot import turn
from gateway.finance.stocktakes import books_with
from gateway.sql import postgres
from lua.door import DoorError
from reconciler.ordering import Order, Place
from reconciler.stocktake import list_shards
from reconciler.stocktake.keeping import STOCKTAKE_ORDERS, ask, list_stocktakes

STOCKTAKES = f"{BOOKS}/stocktakes"
FILE, NEW = f"{BOOKS}/stocktakes.csv", f"{BOOKS}/new-stocktake"
ROWS_MAX = 30
SAMPLES = 100
SORTS = {
    "taken": Sort(N_("Taken"), falls=True),
    "shard": Sort(N_("Shard")),
    "breaks": Sort(N_("Differences"), falls=True),
}
_NOT_THERE = N_("There is no such campaign, or it is archived.")


def _listing(visit: Visit) -> Listing[dict[str, Any]]:
    table = Table(visit, STOCKTAKES, SORTS, {name: visit.asked(name) for name in ("campaign", "shard")}, FILE)
    campaign, shard = (table.given(name) or None for name in ("campaign", "shard"))

    async def fetch(order: Order, after: Place | None, limit: int) -> list[dict[str, Any]]:
        async with books_with(visit.here.pool, {"campaign": campaign, "shard": shard}) as connection:
            return await list_stocktakes(
                connection, campaign=campaign, shard=shard, order=order, after=after, rows_max=limit
            )

    return Listing(table, STOCKTAKE_ORDERS, fetch)


async def show(visit: Visit) -> Response:
    """Stocktakes, the newest first where nobody says how."""
    listing = _listing(visit)
    shown, errors = await shown_or_wrong(visit, listing.page(ROWS_MAX))
    return visit.render(
        "books_stocktakes",
        400 if errors else 200,
        taken=[(row, differing(row["figures"])) for row in shown.rows],
        called=lambda name: field_name(name, visit.words),
        table=listing.table,
        shown=shown,
        errors=errors,
        may_take=visit.who.may("finance"),
        done=visit.asked("done"),
    )


async def give_file(visit: Visit) -> Response:
    """Every stocktake that the list has, in its order, as CSV; what differs has the books' side first."""
    heads = ("id", "taken_at", "shard", "seq", "breaks", "differing", "figures", "coupons", "holders", "asked_by")
    return await csv_file(visit, "stocktakes", heads, _listing(visit).lines(_cells))


def _cells(row: dict[str, Any]) -> Iterator[tuple[Cell, ...]]:
    sides = "; ".join(f"{name} {_side(books)} {_side(redis)}" for name, books, redis in differing(row["figures"]))
    sampled = row["sampled"]
    yield (
        row["id"], row["taken_at"], row["shard"], row["seq"], row["breaks"], sides, len(row["figures"]),
        sampled.get("coupons"), sampled.get("holders"), row["asked_by"],
    )  # fmt: skip


def _side(value: int | None) -> str:
    return "none" if value is None else str(value)


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
    Page(path=FILE, show=give_file, roles=("finance", "auditor"), under=STOCKTAKES),
    Page(path=NEW, show=show_form, act=take, roles=("finance",), under=STOCKTAKES),
)
