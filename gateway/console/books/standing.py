"""When the books were last compared with Redis, which every total says: what was compared longest ago, and last."""

from datetime import datetime
from typing import Any, NamedTuple

from gateway.console.page import Visit
from gateway.sql import postgres
from reconciler.stocktake.keeping import last_of_each


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
        return standing_of(await last_of_each(connection, campaign or None))


def standing_of(found: list[dict[str, Any]]) -> Reconciled:
    """Pure: the same, of the rows of last_of_each()."""
    compared = sorted((row["taken_at"], row["shard"]) for row in found if row["taken_at"] is not None)
    ends = [Compared(shard, at) for at, shard in (compared[:1] + compared[-1:])]
    breaks = sum(row["breaks"] or 0 for row in found)
    oldest, newest = (ends[0], ends[-1]) if ends else (None, None)
    return Reconciled(oldest, newest, len(found) - len(compared), len(found), breaks)
