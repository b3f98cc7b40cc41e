"""
The clerk's stocktake: every shard of every campaign that is not archived, again and again, by one clerk at a time.

A stocktake without a difference is written down once a minute, so that the list stays one that people read; each
difference is, as soon as it is seen.
"""

import logging
from time import monotonic
from typing import Any

from psycopg import AsyncConnection
from psycopg.conninfo import make_conninfo

from lua.door import Door, connect
from lua.keys import Shard
from reconciler.clerk import AWAY
from reconciler.ledger import connect_options
from reconciler.stocktake.comparing import Stocktake
from reconciler.stocktake.keeping import record
from reconciler.stocktake.reading import STATEMENT_MS_MAX, list_shards
from reconciler.stocktake.taking import take

log = logging.getLogger("fairclaim.clerk")

ROLE = "fairclaim_clerk"
APPLICATION = "fairclaim-clerk"
ASKED_BY = "clerk"
KEPT_EVERY_S = 60.0
CONNECTIONS_MAX = 2

_LOCK = b"SELECT pg_try_advisory_lock(1717659753, 2)"


class Stocktaking:
    """
    A work of the clerk. Units: *every_s* seconds lie between the beginnings of two rounds.

    *samples* coupons and holders of each shard are compared field by field in each round.
    """

    def __init__(
        self,
        redis_url: str,
        postgres_url: str,
        *,
        every_s: float,
        samples: int,
        call_ms_max: int = 2000,
        connect_ms_max: int = 1000,
    ) -> None:
        options = {"call_ms_max": call_ms_max, "connect_ms_max": connect_ms_max}
        self._door = Door(connect(redis_url, connections_max=CONNECTIONS_MAX, **options))
        session = {"role": ROLE}
        conninfo = connect_options(
            postgres_url, postgres_ms_max=STATEMENT_MS_MAX, connect_ms_max=connect_ms_max, session=session
        )
        self._conninfo = make_conninfo(conninfo, application_name=APPLICATION)
        self._every_s, self._samples = every_s, samples
        self._connection: AsyncConnection[Any] | None = None
        self._locked = False
        self._due = 0.0
        self._kept: dict[Shard, tuple[frozenset[tuple[str, str]], float]] = {}

    async def once(self, worker: str) -> bool:
        """
        Take stock of every shard where a round is due.

        Errors: psycopg.Error; DoorError, RedisError and OSError when Redis can't be reached. It is due again then.
        """
        now = monotonic()
        if now < self._due:
            return False
        self._due = now + self._every_s
        try:
            connection = await self._connected()
            if connection is not None:
                await self._round(connection)
        except BaseException:
            self._due = 0.0
            await self._disconnect()
            raise
        return False

    async def close(self) -> None:
        """Close both connections."""
        await self._disconnect()
        await self._door.close()

    async def _connected(self) -> AsyncConnection[Any] | None:
        """The connection that holds the lock; None while another clerk has it."""
        if self._connection is None:
            self._connection = await AsyncConnection.connect(self._conninfo, autocommit=True)
        if not self._locked:
            found = await (await self._connection.execute(_LOCK)).fetchone()
            self._locked = found is not None and bool(found[0])
        return self._connection if self._locked else None

    async def _disconnect(self) -> None:
        connection, self._connection, self._locked = self._connection, None, False
        self._kept.clear()
        if connection is not None:
            await connection.close()

    async def _round(self, connection: AsyncConnection[Any]) -> None:
        shards = await list_shards(connection)
        self._kept = {shard: kept for shard, kept in self._kept.items() if shard in shards}
        for shard in shards:
            try:
                [taken] = await take(self._door, connection, [shard], self._samples)
                await self._keep(connection, taken)
            except AWAY:
                raise
            except Exception:  # a defect, or damage that nobody thought of: of this shard, and no other goes without
                log.exception("%s could not be compared", shard, extra={"shard": str(shard)})

    async def _keep(self, connection: AsyncConnection[Any], taken: Stocktake) -> None:
        """Write it down, unless it says what the last one said, and that was a moment ago."""
        found = frozenset((one.kind, one.name) for one in taken.found)
        before, at = self._kept.get(taken.shard, (frozenset(), -KEPT_EVERY_S))
        told = {"shard": str(taken.shard), "seq": taken.seq}
        if taken.unfinished:
            log.warning("%s could not be compared: %s", taken.shard, taken.unfinished, extra=told)
            return
        if found - before:
            names = sorted(f"{kind} {name}" if kind == "figure" else kind for kind, name in found - before)
            log.error("%s differs from the books: %s", taken.shard, ", ".join(names), extra=told)
        if found != before or monotonic() - at >= KEPT_EVERY_S:
            await record(connection, [taken], ASKED_BY)
            self._kept[taken.shard] = found, monotonic()
