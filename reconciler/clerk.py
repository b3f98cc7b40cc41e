"""
The clerk: does the paperwork beside the drain, so that neither a claim nor a drain ever waits for it.

A work is what is to be done again and again: an export, a stocktake. What is open is in PostgreSQL, so that a clerk
that starts finds what another one left. None of the works waits for another: each is a task of its own.
"""

import asyncio
import logging
from collections.abc import Sequence
from secrets import token_hex
from typing import Protocol

import psycopg
from redis.exceptions import RedisError

from lua.door import DoorError
from reconciler.outages import Outage
from reconciler.streams import StreamsAway
from reconciler.tasks import end

log = logging.getLogger("fairclaim.clerk")

LOOK_EVERY_S = 1.0
"""How soon what was asked for is found."""

AWAY = (psycopg.OperationalError, psycopg.InterfaceError, RedisError, DoorError, StreamsAway, OSError)
"""What a server that is away looks like."""


class Work(Protocol):
    """A kind of work."""

    async def once(self, worker: str) -> bool:
        """Do some of it, as *worker*; False when there is nothing to do now. Errors: any; it is tried again."""
        ...


async def run(works: Sequence[Work], stop: asyncio.Event, *, retry_ms_max: int) -> None:
    """
    Do *works* until *stop* is set; what is under way then is given up, and whoever comes next goes on with it.

    Errors: none; what fails is logged and tried again, after *retry_ms_max* at most.
    """
    tasks = [asyncio.create_task(_loop(work, retry_ms_max)) for work in works]
    try:
        await stop.wait()
    finally:
        await asyncio.gather(*(end(task) for task in tasks))


async def _loop(work: Work, retry_ms_max: int) -> None:
    name = type(work).__name__
    outage = Outage(f"what {name.lower()} needs", retry_ms_max)
    while True:
        pause_s = 0.0
        try:
            # A name of its own for each piece of work: what an earlier one left half done is not taken for it.
            if not await work.once(token_hex(8)):
                pause_s = LOOK_EVERY_S
            outage.answered()
        except AWAY as error:
            pause_s = outage.failed(" ".join(str(error).split()) or type(error).__name__)
        except Exception:
            log.exception("a work of the clerk failed", extra={"work": name})
            pause_s = LOOK_EVERY_S
        await asyncio.sleep(pause_s)
