"""The stocktakes of a close: shards that nobody has compared since the period are compared for it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from psycopg import AsyncConnection

from lua.door import Door
from lua.keys import Shard
from reconciler.periods.calendar import Period
from reconciler.periods.statements import rows
from reconciler.stocktake import Stocktake, take
from reconciler.stocktake.keeping import ask

SAMPLES = 100
"""Coupons and holders of each shard, from either side, that are compared field by field."""


class StockTaken(NamedTuple):
    """
    What was compared for this close: *taken* by shard. *gone* are shards of archived campaigns that have left Redis, so
    there is nothing to compare.
    """

    taken: Mapping[str, Stocktake]
    gone: frozenset[str]

    def in_the_way(self, untaken: Sequence[Mapping[str, Any]]) -> list[str]:
        """What keeps each of *untaken*, rows of the statement of that name, from being taken as compared."""
        reasons = []
        for one in untaken:
            name, found = one["shard"], self.taken.get(one["shard"])
            if name in self.gone or (found is not None and found.is_clean):
                continue
            if found is not None:
                differing = ", ".join(dict.fromkeys(each.name for each in found.found))
                reasons.append(f"{name}: {found.unfinished or f'differs in {differing}'}")
            elif one["breaks"]:
                reasons.append(f"{name}: {one['breaks']} differences when last compared")
            else:
                reasons.append(f"{name}: not compared since seq {one['booked']}")
        return reasons


async def take_stock(
    connection: AsyncConnection[Any], door: Door, period: Period, actor: str, *, dry_run: bool
) -> StockTaken:
    """
    Compare every shard that needs it before *period* closes; unless it is a dry run, it is written down.

    Shape: *connection* is in autocommit. Errors: psycopg.Error, DoorError, RedisError.
    """
    taken: dict[str, Stocktake] = {}
    gone = set()
    for one in await rows(connection, "untaken", period._asdict()):
        shard = Shard.parse(one["shard"])
        if one["archived"] and not await door.redis.exists(shard.key("rules")):
            gone.add(str(shard))
        elif dry_run:
            [taken[str(shard)]] = await take(door, connection, [shard], SAMPLES)
        else:
            [taken[str(shard)]] = await ask(door, connection, [shard], SAMPLES, actor)
    return StockTaken(taken, frozenset(gone))
