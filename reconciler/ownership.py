"""
Which shards this reconciler drains: those whose advisory lock it holds.

The locks live on one dedicated session. They only spread the work; what keeps two reconcilers from
writing the same batch is the compare-and-set in the ledger. The server ends the session when it is
silent for LEASE_MS, so a reconciler that is stopped loses its shards to the others.
"""

import asyncio
import contextlib
import logging
from typing import Any

import psycopg
from psycopg import AsyncConnection

from reconciler.ledger import connect_options
from reconciler.outages import Outage
from reconciler.queries import QUERIES

log = logging.getLogger("fairclaim.reconciler")

CHANNEL = "fairclaim_campaigns"
REFRESH_S = 1.0
LEASE_MS = 5000
assert REFRESH_S * 1000 * 3 <= LEASE_MS, "a late refresh or two must not cost the shards"
LET_GO_S_MAX = 2.0


class Ownership:
    """
    The shards held. *changed* is set whenever *owned* differs from before; run() keeps both up to date.

    *looked* is set once the shards there are have been tried for the first time, and not while a lost session is made
    anew: what is held then is nothing, and says nothing of what there is to drain.
    """

    def __init__(
        self, url: str, *, shards_max: int, postgres_ms_max: int, connect_ms_max: int, retry_ms_max: int
    ) -> None:
        self._conninfo = connect_options(
            url,
            postgres_ms_max=postgres_ms_max,
            connect_ms_max=connect_ms_max,
            session={"idle_session_timeout": str(LEASE_MS)},
        )
        self._answer_s_max = (postgres_ms_max + connect_ms_max) / 1000
        self._shards_max = shards_max
        self._outage = Outage("PostgreSQL (locks)", retry_ms_max)
        self.owned: frozenset[str] = frozenset()
        self.changed = asyncio.Event()
        self.looked = asyncio.Event()

    async def run(self) -> None:
        """Take and share shards until cancelled; then every lock is given back, and the session ends."""
        try:
            while True:
                try:
                    await self._hold()
                except (psycopg.Error, OSError, TimeoutError) as error:
                    self.looked.clear()
                    self._set(frozenset())
                    await asyncio.sleep(self._outage.failed(" ".join(str(error).split()) or type(error).__name__))
        finally:
            self._set(frozenset())

    async def _hold(self) -> None:
        """One session: take shards, and look again on every notification and every REFRESH_S."""
        async with await AsyncConnection.connect(self._conninfo, autocommit=True) as connection:
            try:
                await connection.execute(f"LISTEN {CHANNEL}".encode())
                await connection.execute(QUERIES["count_me"])
                while True:
                    async with asyncio.timeout(self._answer_s_max):
                        await self._share(connection)
                    self.looked.set()
                    self._outage.answered()
                    async for _ in connection.notifies(timeout=REFRESH_S, stop_after=1):
                        pass
            except asyncio.CancelledError:
                await _let_go(connection)
                raise

    async def _share(self, connection: AsyncConnection) -> None:
        """Hold an even share of all shards: give away what is above it, take what is free below it."""
        known = [row[0] for row in await _rows(connection, "list_shards")]
        reconcilers = max(1, (await _rows(connection, "count_reconcilers"))[0][0])
        share = min(self._shards_max, -(-len(known) // reconcilers))
        keep = sorted(self.owned & set(known))[:share]
        given = sorted(self.owned - set(keep))
        if given:
            self._set(frozenset(keep))
            await _rows(connection, "unlock_shards", shards=given)
        wanted = [shard for shard in known if shard not in keep]
        free = share - len(keep)
        if wanted and free > 0:
            taken = [row[0] for row in await _rows(connection, "lock_shards", shards=wanted)]
            surplus = taken[free:]
            if surplus:
                await _rows(connection, "unlock_shards", shards=surplus)
            self._set(frozenset([*keep, *taken[:free]]))

    def _set(self, owned: frozenset[str]) -> None:
        if owned != self.owned:
            taken, left = sorted(owned - self.owned), sorted(self.owned - owned)
            log.info("draining %d shards", len(owned), extra={"taken": taken, "left": left})
            self.owned = owned
            self.changed.set()


async def _let_go(connection: AsyncConnection) -> None:
    """
    Give back every lock, and hear that it is done.

    The server takes note of the end of a session when it gets round to it, and whoever comes in between would find the
    shards taken, and count one reconciler too many.
    """
    letting_go = asyncio.create_task(_unlock_all(connection))
    while not letting_go.done():
        with contextlib.suppress(asyncio.CancelledError):  # whoever ends a task cancels it until it has ended
            await asyncio.wait({letting_go})


async def _unlock_all(connection: AsyncConnection) -> None:
    with contextlib.suppress(psycopg.Error, OSError, TimeoutError):  # the end of the session does it too
        async with asyncio.timeout(LET_GO_S_MAX):
            await connection.execute(QUERIES["unlock_all"])


async def _rows(connection: AsyncConnection, query: str, **values: object) -> list[tuple[Any, ...]]:
    cursor = await connection.execute(QUERIES[query], values or None)
    return await cursor.fetchall()
