"""
Finds what is asked for and not done, in every gateway worker, and does it: code batches, revocations, stacks
that a crash left half done.

What is open is in Postgres, so a worker that starts finds what another one left. Each piece of work is one worker's
at a time, by a lease in its row.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from secrets import token_hex
from typing import Protocol

from gateway.errors import Refusal

log = logging.getLogger("fairclaim.background")

LOOK_EVERY_S = 1.0
"""How soon what another worker was asked for, or left, is found."""


class Work(Protocol):
    """A kind of work."""

    async def once(self, worker: str) -> bool:
        """Do some of it, as *worker*; False when there is none. Errors: Refusal when a server is away."""
        ...


class Background:
    """The loop of one worker."""

    def __init__(self, works: Sequence[Work]) -> None:
        self._works = works
        self._due = asyncio.Event()

    def wake(self) -> None:
        """There is something to do now."""
        self._due.set()

    async def run(self) -> None:
        """For ever. Whatever fails is logged, and tried again."""
        away = False
        while True:
            self._due.clear()
            found = False
            for work in self._works:
                try:
                    # A name of its own for each piece of work: what an earlier one left half done is not taken for it.
                    found |= await work.once(token_hex(8))
                    away = False
                except Refusal as refusal:
                    if not away:
                        log.warning("background work waits", extra={"reason": refusal.detail})
                    away = True
                except Exception:
                    log.exception("background work failed")
            if not found:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._due.wait(), LOOK_EVERY_S)
