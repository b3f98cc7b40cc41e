"""When the books were last compared with Redis, which every total says: what was compared longest ago, and last."""

from datetime import datetime
from typing import NamedTuple

from gateway.console.page import Visit
from gateway.sql import postgres
from reconciler.stocktake.keeping import standing


class Compared(NamedTuple):
    """A shard, and when it was compared."""

    shard: str
    at: datetime


class Reconciled(NamedTuple):
    """
    What of the shards asked about was compared longest ago and last; how many never were, and how many there are.

    *breaks* are the differences that the last comparison of each found.
    """

    oldest: Compared | None
    newest: Compared | None
    never: int
    shards: int
    breaks: int


async def reconciled(visit: Visit, campaign: str | None) -> Reconciled:
    """How the shards of *campaign*, or of all that are not archived, were compared. Errors: Refusal not_ready."""
    async with postgres(visit.here.pool) as connection:
        found = await standing(connection, campaign or None)
    oldest, newest = (
        Compared(found[f"{end}_shard"], found[f"{end}_at"]) if found[f"{end}_shard"] else None
        for end in ("oldest", "newest")
    )
    return Reconciled(oldest, newest, found["never"], found["shards"], found["breaks"])
