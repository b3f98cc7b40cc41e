"""
Does what is approved, through crashes, and ends what nobody decided in time: whoever approves, and every worker beside.

Two may do one at the same time: what is done is done once, and of what they note the first counts, but for this: done
counts more than failed.
"""

import logging
from collections.abc import Mapping
from typing import Any

from psycopg_pool import AsyncConnectionPool

from gateway.errors import Refusal
from gateway.proposals import store
from gateway.proposals.kinds import Acts
from gateway.proposals.store import QUERIES, Connection, Proposal
from gateway.sql import postgres, rows
from lua.door import Door

log = logging.getLogger("fairclaim.proposals")

REST_S = 5.0
"""How long whoever approved one is left to do it, before another worker does."""

LATER = 429
"""Statuses from here on say that the same may succeed later."""


class Applying:
    """The work of approved proposals, one of those of background.py."""

    def __init__(self, pool: AsyncConnectionPool[Any], door: Door, rest_s: float = REST_S) -> None:
        self._pool, self._rest_s, self._acts = pool, rest_s, Acts(pool, door)

    async def once(self, worker: str) -> bool:
        """Expire what is overdue, and do what a crash left approved. Errors: Refusal("not_ready")."""
        async with postgres(self._pool) as connection:
            await store.expire(connection)
            left = await rows(connection, QUERIES["approved_proposals"], rest_s=self._rest_s)
        for found in left:
            here = store.read(found)
            assert here is not None
            try:
                await self.apply(here)
            except Refusal as refusal:
                log.warning("an approved proposal waits", extra={"proposal": here.id, "reason": refusal.detail})
            except Exception:  # the others are not to wait for it
                log.exception("an approved proposal could not be done", extra={"proposal": here.id})
        return False

    async def apply(self, here: Proposal) -> Proposal:
        """
        Do an approved one, and give it as it is then: applied, or failed and nothing changed.

        Errors: Refusal for what may be done later; it stays approved.
        """

        async def note(connection: Connection, outcome: Mapping[str, Any]) -> Proposal | None:
            return await store.settle(connection, here, outcome, applied=True)

        try:
            done = await self._acts.do(here, note)
        except Refusal as refusal:
            if refusal.status >= LATER:
                raise
            async with postgres(self._pool) as connection, connection.transaction():
                done = await store.settle(connection, here, why(refusal), applied=False)
        if done is None:
            async with postgres(self._pool) as connection:
                done = await store.see(connection, here.id)
            assert done is not None, "no proposal is ever removed"
        return done


def why(refusal: Refusal) -> dict[str, str]:
    """The outcome of a proposal that could not be done."""
    return {"code": refusal.code, "detail": refusal.detail or str(refusal)}
