"""
The clerk's register of heads: each day that is over has a file of its own, written once, as `ledger head --out` does.

A head is of no use where whoever changes the books can change it too. So it is also a line of the log, which goes
elsewhere, and the folder is there to be copied from.
"""

import asyncio
import logging
import os
import re
from datetime import date, timedelta
from pathlib import Path
from time import monotonic

from psycopg import AsyncConnection, IsolationLevel

from reconciler.books.head import DayHead, day_head, last_day_over
from reconciler.ledger import connect_options

log = logging.getLogger("fairclaim.clerk")

ROLE = "fairclaim_clerk"
FOLDER = "heads"
LOOK_EVERY_S = 60.0
STATEMENT_MS_MAX = 300_000

_FILE = re.compile(r"head-(\d{4}-\d\d-\d\d)\.txt")


class Register:
    """A work of the clerk. *folder* is where the heads of the days of UTC are, one file each."""

    def __init__(self, postgres_url: str, folder: Path, *, connect_ms_max: int = 1000) -> None:
        self._conninfo = connect_options(
            postgres_url, postgres_ms_max=STATEMENT_MS_MAX, connect_ms_max=connect_ms_max, session={"role": ROLE}
        )
        self._folder, self._due = folder, 0.0

    async def once(self, worker: str) -> bool:
        """
        Write the heads that are missing: since the last one that is there, or that of the last day that is over.

        Errors: psycopg.Error, OSError.
        """
        now = monotonic()
        if now < self._due:
            return False
        async with await AsyncConnection.connect(self._conninfo, autocommit=True) as connection:
            await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
            last = await last_day_over(connection)
            day = max(await asyncio.to_thread(_days, self._folder), default=last - timedelta(days=1))
            while day < last:
                day += timedelta(days=1)
                async with connection.transaction():
                    head = await day_head(connection, str(day))
                await asyncio.to_thread(_keep, self._folder, head, worker)
        self._due = now + LOOK_EVERY_S
        return False


def _days(folder: Path) -> list[date]:
    """The days whose heads are in *folder*."""
    names = [each.name for each in folder.iterdir()] if folder.is_dir() else []
    return [date.fromisoformat(found[1]) for name in names if (found := _FILE.fullmatch(name))]


def _keep(folder: Path, head: DayHead, worker: str) -> None:
    """Write a head whole or not at all, and never over another one, which a clerk beside this one may have written."""
    for each in (folder.parent, folder):  # the first is that of exports, with holders' names in them
        each.mkdir(mode=0o700, parents=True, exist_ok=True)
    part, path = folder / f"{worker}.part", folder / f"head-{head.day}.txt"
    try:
        with part.open("wb") as file:
            file.write(head.text.encode())
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(part)
    except FileExistsError:
        return
    finally:
        part.unlink(missing_ok=True)
    log.info("the head of a day", extra={"day": str(head.day), "head": head.head, "chains": len(head.chains)})
