"""
Finds what is asked for and not done, in every gateway worker, and does it: code batches, revocations, stacks
that a crash left half done.

What is open is in Postgres, so a worker that starts finds what another one left. Each piece of work is one worker's
at a time, by a lease in its row.
"""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from secrets import token_hex
from typing import Any, Protocol

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
    """The works of one worker. None of them waits for another: each is a task of its own."""

    def __init__(self, works: Sequence[Work]) -> None:
        self._works = [(work, asyncio.Event()) for work in works]

    def wake(self) -> None:
        """There is something to do now."""
        for _, due in self._works:
            due.set()

    def loops(self) -> list[Coroutine[Any, Any, None]]:
        """One for each work, to be run beside each other; none ends. Whatever fails is logged, and tried again."""
        return [_loop(work, due) for work, due in self._works]


async def _loop(work: Work, due: asyncio.Event) -> None:
    away = False
    while True:
        due.clear()
        found = False
        try:
            # A name of its own for each piece of work: what an earlier one left half done is not taken for it.
            found = await work.once(token_hex(8))
            away = False
        except Refusal as refusal:
            if not away:
                log.warning("background work waits", extra={"work": type(work).__name__, "reason": refusal.detail})
            away = True
        except Exception:
            log.exception("background work failed", extra={"work": type(work).__name__})
        if not found:
            with suppress(TimeoutError):
                await asyncio.wait_for(due.wait(), LOOK_EVERY_S)
