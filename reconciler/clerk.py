"""
The clerk: does the paperwork beside the drain, so that neither a claim nor a drain ever waits for it.

A work is what is to be done again and again: an export, a stocktake. What is open is in PostgreSQL, so that a clerk
that starts finds what another one left. None of the works waits for another: each is a task of its own.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from secrets import token_hex
from typing import Protocol

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from redis.exceptions import RedisError

from lua.door import DoorError
from reconciler.outages import Outage
from reconciler.streams import StreamsAway
from reconciler.tasks import end

log = logging.getLogger("fairclaim.clerk")

ROLE = "fairclaim_clerk"
APPLICATION = "fairclaim-clerk"
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


def clerk_conninfo(url: str, *, connect_ms_max: int, statement_ms_max: int, role: str = ROLE) -> str:
    """
    How the clerk connects to the books at *url*: in its own role, every wait bounded.

    Units: milliseconds; *statement_ms_max* 0 lets a statement take as long as it takes.
    """
    told = f"-c role={role} -c statement_timeout={statement_ms_max}"
    options = f"{conninfo_to_dict(url).get('options') or ''} {told}".strip()
    seconds = max(2, -(-connect_ms_max // 1000))
    return make_conninfo(url, options=options, application_name=APPLICATION, connect_timeout=seconds)


class Desk:
    """One connection of the clerk, opened when it is first needed, and anew after an error."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._connection: AsyncConnection | None = None

    async def connection(self) -> AsyncConnection:
        """The connection, in autocommit. Errors: psycopg.OperationalError when there is none."""
        if self._connection is None or self._connection.closed:
            self._connection = await AsyncConnection.connect(self._conninfo, autocommit=True)
        return self._connection

    async def close(self) -> None:
        """Drop the connection; what it had open is rolled back by the server."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                await connection.close()
