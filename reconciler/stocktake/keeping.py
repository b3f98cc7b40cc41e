"""Stocktakes are written down, with a break for each difference that is not open already."""

import json
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any

from psycopg import AsyncConnection

from lua.door import Door
from lua.keys import Shard
from reconciler.audit import audit
from reconciler.ordering import Key, Number, Order, Orders, Place, Text
from reconciler.queries import rows_of
from reconciler.stocktake.comparing import Stocktake
from reconciler.stocktake.reading import QUERIES
from reconciler.stocktake.taking import take

Connection = AsyncConnection[Any]

STOCKTAKE_ORDERS: Orders[dict[str, Any]] = Orders(
    Key("id", itemgetter("id"), Number),
    {
        "taken": Key("id", itemgetter("id"), Number),
        "shard": Key("shard", itemgetter("shard"), Text),
        "breaks": Key("breaks", itemgetter("breaks"), Number),
    },
)
"""How rows of stocktakes may be sorted; they are numbered in the order in which they were taken."""


async def record(connection: Connection, taken: Iterable[Stocktake], asked_by: str) -> dict[Shard, int]:
    """
    Write stocktakes down, and a break for each difference that is not open already.

    Shape: shard → the stocktake's id; what could not be compared is not written. Errors: psycopg.Error.
    """
    ids = {}
    for one in taken:
        if one.unfinished:
            continue
        values = {
            "shard": str(one.shard),
            "seq": one.seq,
            "asked_by": asked_by,
            "figures": json.dumps(one.figures),
            "sampled": json.dumps(one.sampled),
            "breaks": len(one.found),
        }
        async with connection.transaction():
            [row] = await run(connection, "insert_stocktake", **values)
            ids[one.shard] = row["id"]
            for found in one.found:
                difference = {"expected": json.dumps(found.expected), "found": json.dumps(found.found)}
                place = {"shard": str(one.shard), "kind": found.kind, "figure": found.name, "seq": one.seq}
                await run(connection, "insert_break", **place, **difference, likely=found.cause.text)
    return ids


async def ask(door: Door, connection: Connection, shards: Sequence[Shard], samples: int, actor: str) -> list[Stocktake]:
    """Take stock because somebody asks for it: written down, and in the audit log. Errors: as take() and record()."""
    taken = await take(door, connection, shards, samples)
    await record(connection, taken, actor)
    for one in taken:
        told = {"seq": one.seq, "breaks": len(one.found), "unfinished": one.unfinished}
        await audit(connection, actor, "stocktake.taken", str(one.shard), told)
    return taken


async def list_stocktakes(
    connection: Connection,
    *,
    campaign: str | None = None,
    shard: str | None = None,
    order: Order | None = None,
    after: Place | None = None,
    rows_max: int = 1000,
) -> list[dict[str, Any]]:
    """Rows of stocktakes in a STOCKTAKE_ORDERS, from behind the place *after*. Errors: psycopg.Error."""
    query = QUERIES["list_stocktakes" if campaign is None and shard is None else "list_stocktakes_of"]
    statement, place = STOCKTAKE_ORDERS.statement(query, order, after)
    values = {"campaign": campaign, "shard": shard, "rows_max": rows_max, **place}
    return await rows_of(connection, statement, values)


async def standing(connection: Connection, campaign: str | None = None) -> dict[str, Any]:
    """
    How the shards of *campaign*, or of all that are not archived, were compared last.

    Shape: `shards`, those `never` compared, and the `breaks` of the last stocktakes; `oldest_shard`, `oldest_at`,
    `newest_shard`, `newest_at`, None where there was none. Errors: psycopg.Error.
    """
    [found] = await run(connection, "standing", campaign=campaign)
    return found


async def run(connection: Connection, name: str, **values: object) -> list[dict[str, Any]]:
    """Run a statement of QUERIES and give its rows, if it has any. Errors: psycopg.Error."""
    return await rows_of(connection, QUERIES[name], values)
