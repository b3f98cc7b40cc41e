"""What the books say is over: the sweeper's reading of PostgreSQL, by index and in batches, however much is out."""

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import Any, NamedTuple

from psycopg import AsyncConnection

from lua.keys import CouponCode, Shard
from reconciler.ledger import connect_options
from reconciler.queries import QUERIES


class Due(Enum):
    """What may be over; the value begins the names of its queries."""

    HOLDS = "holds"
    COUPONS = "coupons"


class Place(NamedTuple):
    """A place in the list of a shard's deadlines: the last one read, and the seq of its coupon's claim."""

    at: datetime
    seq: int


START = Place(datetime(1970, 1, 1, tzinfo=UTC), 0)


class Deadlines:
    """One connection that only reads, opened when it is first needed. Errors: psycopg.Error from every method."""

    def __init__(self, url: str, *, postgres_ms_max: int, connect_ms_max: int) -> None:
        self._conninfo = connect_options(
            url, postgres_ms_max=postgres_ms_max, connect_ms_max=connect_ms_max, session={}
        )
        self._connection: AsyncConnection | None = None

    async def shards_due(self, shards: Sequence[Shard], now: datetime) -> dict[Shard, list[Due]]:
        """Those of *shards* that have something due at *now*, and what."""
        found: dict[Shard, list[Due]] = {}
        for due in Due:
            values = {"shards": [str(shard) for shard in shards], "now": now}
            for (name,) in await self._rows(f"{due.value}_due_shards", values):
                found.setdefault(Shard.parse(name), []).append(due)
        return found

    async def codes_due(
        self, shard: Shard, due: Due, now: datetime, after: Place, codes_max: int
    ) -> tuple[list[CouponCode], Place]:
        """The next codes of a shard that are due at *now*, and the place after them."""
        values = {"shard": str(shard), "now": now, "after": after.at, "after_seq": after.seq, "codes_max": codes_max}
        rows = await self._rows(f"{due.value}_due", values)
        return [code for code, _, _ in rows], Place(*rows[-1][1:]) if rows else after

    async def close(self) -> None:
        """Drop the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _rows(self, query: str, values: dict[str, object]) -> list[tuple[Any, ...]]:
        """The rows of a query; the connection does not outlive an error."""
        if self._connection is None:
            self._connection = await AsyncConnection.connect(self._conninfo, autocommit=True)
        try:
            cursor = await self._connection.execute(QUERIES[query], values)
            return await cursor.fetchall()
        except BaseException:
            await self.close()
            raise
