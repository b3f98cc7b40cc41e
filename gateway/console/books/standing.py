"""When the books were last compared with Redis, which every total says."""

from datetime import datetime
from typing import NamedTuple

from gateway.console.page import Visit
from gateway.sql import postgres
from reconciler.stocktake.keeping import list_stocktakes


class Reconciled(NamedTuple):
    """The last stocktake: of which *shard*, when, and how many differences it found."""

    shard: str
    at: datetime
    breaks: int


async def reconciled(visit: Visit, campaign: str | None) -> Reconciled | None:
    """The last stocktake of *campaign*, or of anything; None where there was none. Errors: Refusal not_ready."""
    async with postgres(visit.here.pool) as connection:
        found = await list_stocktakes(connection, campaign=campaign or None, rows_max=1)
    return Reconciled(found[0]["shard"], found[0]["taken_at"], found[0]["breaks"]) if found else None
