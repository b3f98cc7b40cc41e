"""One instant: the counters of all workers, each open sale as Redis has it, and how far the books are behind."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import psycopg
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout, TooManyRequests
from redis.exceptions import RedisError

from gateway.campaigns.life import Stored, state_at
from gateway.campaigns.store import Campaign
from gateway.sql import load_queries, rows
from gateway.status.books import Position, read_positions
from gateway.status.sight import Sight, each_shard, see
from gateway.telemetry import Telemetry
from lua.door import Door, DoorError

_QUERIES = load_queries("live")

SALES_MAX = 100
"""Sales that are looked at; a worker has other things to do."""
LOOK_S_MAX = 2.0
"""How long one look at Redis, or at PostgreSQL, may take."""


class SaleReading(NamedTuple):
    """
    One sale: *stock* and *claimed* over all shards, *now_ms* by the clock of Redis; its lag where books answer.

    *budget_minor* is what it may spend, None without a limit; *budget_used* what of it is spent or promised.
    """

    id: str
    name: str
    state: str
    now_ms: int
    stock: int
    claimed: int
    ready: bool
    lag_seq: int | None
    lag_s: float | None
    budget_minor: int | None = None
    budget_used: int = 0


class Reading(NamedTuple):
    """
    Everything at about one instant; *cells* as Telemetry.cells().

    *sales* is None where Redis does not answer; *has_books* says whether PostgreSQL did, *breaks* and *stopped* (shards
    whose drain has stopped) are None where it did not. *has_more*: there are more sales than are looked at.
    """

    at_ms: int
    cells: Mapping[str, tuple[int, ...]]
    sales: list[SaleReading] | None
    has_books: bool
    breaks: int | None = None
    stopped: int | None = None
    has_more: bool = False


class Eyes:
    """Takes readings. What PostgreSQL said last is kept: without it the sales go on, and so do their figures."""

    def __init__(
        self, door: Door, pool: AsyncConnectionPool[Any], telemetry: Telemetry, sales_max: int = SALES_MAX
    ) -> None:
        self._door, self._pool, self._telemetry, self._sales_max = door, pool, telemetry, sales_max
        self._campaigns: list[Campaign] = []
        self._positions: list[Position] = []

    async def look(self) -> Reading:
        """One reading. A server that is away is part of it."""
        troubles = await self._books()
        sights = await self._redis()
        sales = None if sights is None else self._sales(sights, troubles is not None)
        found = troubles or {"breaks": None, "stopped": None}
        return Reading(
            at_ms=round(time.time() * 1000),
            cells=self._telemetry.cells(),
            sales=sales,
            has_books=troubles is not None,
            breaks=found["breaks"],
            stopped=found["stopped"],
            has_more=len(self._campaigns) > self._sales_max,
        )

    async def _books(self) -> dict[str, Any] | None:
        """Which sales are open, and where their drains are; None where PostgreSQL does not answer."""
        try:
            async with asyncio.timeout(LOOK_S_MAX), self._pool.connection() as connection:
                found = await rows(connection, _QUERIES["open_campaigns"], limit=self._sales_max + 1)
                shown = [each["id"] for each in found[: self._sales_max]]
                async with connection.cursor(row_factory=dict_row) as cursor:
                    positions = await read_positions(cursor, shown)
                troubles = await rows(connection, _QUERIES["troubles"])
        except (psycopg.Error, PoolTimeout, TooManyRequests, OSError, TimeoutError):
            return None
        self._campaigns = msgspec.convert(found, list[Campaign])
        self._positions = positions
        return troubles[0]

    async def _redis(self) -> list[tuple[Position, Sight]] | None:
        try:
            async with asyncio.timeout(LOOK_S_MAX):
                sights = await each_shard(self._positions, lambda position: see(self._door, position))
                if not sights:
                    await self._door.redis.ping()
        except (RedisError, DoorError, OSError, TimeoutError):
            return None
        return list(zip(self._positions, sights, strict=True))

    def _sales(self, seen: Sequence[tuple[Position, Sight]], has_books: bool) -> list[SaleReading]:
        by_sale: dict[str, list[tuple[Position, Sight]]] = {}
        for position, sight in seen:
            by_sale.setdefault(position.shard.campaign, []).append((position, sight))
        shown = [each for each in self._campaigns[: self._sales_max] if each.id in by_sale]
        return [_sale(each, by_sale[each.id], has_books) for each in shown]


def _sale(campaign: Campaign, seen: Sequence[tuple[Position, Sight]], has_books: bool) -> SaleReading:
    definition, sights = campaign.definition, [sight for _, sight in seen]
    now_ms = max(sight.now_ms for sight in sights)
    state = state_at(Stored(campaign.state), definition.starts_ms, definition.ends_ms, now_ms)
    return SaleReading(
        id=campaign.id,
        name=definition.name,
        state=state.value,
        now_ms=now_ms,
        stock=sum(max(0, sight.stock) for sight in sights),
        claimed=sum(sight.claimed for sight in sights),
        ready=all(sight.ready for sight in sights),
        lag_seq=sum(max(0, sight.seq - at.seq) for at, sight in seen) if has_books else None,
        lag_s=max(sight.lag_s for sight in sights) if has_books else None,
        budget_minor=_sum_or_none([sight.budget_minor for sight in sights]),
        budget_used=sum(sight.budget_used for sight in sights),
    )


def _sum_or_none(parts: Sequence[int | None]) -> int | None:
    known = [part for part in parts if part is not None]
    return sum(known) if known else None
