"""Finishes or undoes stacks that a crash left half done: one of the works of background.py."""

import logging
from typing import Any

from psycopg_pool import AsyncConnectionPool

from gateway.errors import Refusal
from gateway.redeeming.stack_rows import take_open
from gateway.redeeming.stacks import Stacks
from gateway.sql import postgres

log = logging.getLogger("fairclaim.stacks")

IDLE_S = 10.0
"""A stack that nobody has taken further for so long is left half done: its steps take milliseconds."""
STACKS_MAX = 50
"""Stacks of one turn: then other works have theirs."""


class Recovery:
    """The work of one worker."""

    def __init__(self, pool: AsyncConnectionPool[Any], stacks: Stacks, idle_s: float = IDLE_S) -> None:
        self._pool, self._stacks, self._idle_s = pool, stacks, idle_s

    async def once(self, worker: str) -> bool:
        """
        Take what is left half done to its end; what can't be taken there waits for *idle_s*, and holds up nothing else.

        Errors: Refusal when PostgreSQL is away.
        """
        tried: list[str] = []
        ended = 0
        while len(tried) < STACKS_MAX:
            async with postgres(self._pool) as connection:
                stack = await take_open(connection, self._idle_s, tried)
            if stack is None:
                break
            tried.append(stack)
            try:
                here = await self._stacks.take_further(stack, give_up=True)
            except Refusal as refusal:
                log.warning("stack %s waits", stack, extra={"reason": refusal.detail})
            except Exception:
                log.exception("stack %s can't be taken further", stack)
            else:
                ended += 1
                log.warning("stack %s was left half done and is %s", stack, here.state)
        return ended > 0
