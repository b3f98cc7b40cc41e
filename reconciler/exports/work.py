"""
The clerk's work with exports: take one, have a process make it, and look after the folder they are in.

An export is one clerk's for a few seconds at a time, as long as it says that it is there. When its process ends
without having said what came of it, another try begins after a while, and a few in vain are enough.
"""

import asyncio
import logging
import os
import re
import shutil
from asyncio.subprocess import DEVNULL, PIPE
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from reconciler.beside import start
from reconciler.desk import Desk, clerk_conninfo
from reconciler.exports.making import GONE, Order
from reconciler.exports.store import EXPORTS, ID, Export, export_of

log = logging.getLogger("fairclaim.clerk")

LEASE_S = 10.0
BEAT_S = 2.0
REST_S = 2.0
TRIES_MAX = 5
"""How often an export is tried that comes no further."""
TIDY_EVERY_S = 60.0
WORDS_CHARS_MAX = 500
_SECRET = re.compile(r"(?<=://)[^\s/]*(?=@)|(?<=password=)(?:'[^']*'|\S+)")
assert BEAT_S * 3 <= LEASE_S, "a late beat or two must not cost the export"


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """
    Where exports are made of, and where to.

    *rows_part* is how many rows are held in memory, *keep_days* how long a file is kept. Units: milliseconds, days.
    """

    postgres_url: str
    folder: Path
    rows_part: int
    keep_days: int
    connect_ms_max: int
    postgres_ms_max: int


class Exporting:
    """Exports, one after the other."""

    def __init__(self, options: ExportOptions) -> None:
        self._options = options
        conninfo = clerk_conninfo(
            options.postgres_url, connect_ms_max=options.connect_ms_max, statement_ms_max=options.postgres_ms_max
        )
        self._desk = Desk(conninfo)
        self._tidy_at = 0.0

    async def once(self, worker: str) -> bool:
        """Make one, if there is one. Errors: psycopg.OperationalError, OSError."""
        connection = await self._desk.connection()
        if monotonic() >= self._tidy_at:
            await self._tidy(connection)
            self._tidy_at = monotonic() + TIDY_EVERY_S
        async with connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(EXPORTS["take_export"], {"worker": worker, "lease_s": LEASE_S})
            row = await cursor.fetchone()
        if row is None:
            return False
        export = export_of(row)
        if export.tries > TRIES_MAX:
            await self._change(connection, export, "fail_export", failed=_given_up(export.failed))
        else:
            await self._make(connection, export)
        return True

    async def close(self) -> None:
        """Drop the connection."""
        await self._desk.close()

    async def _make(self, connection: AsyncConnection[Any], export: Export) -> None:
        folder = self._options.folder / export.id
        self._options.folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # holders' names may be in what is below
        folder.mkdir(exist_ok=True)
        beside = await start(
            ("reconciler.exports.making",),
            environment={**os.environ, "TMPDIR": str(folder)},  # what a library puts aside is as long as the export
            stdin=PIPE,
            stdout=DEVNULL,
            stderr=PIPE,
        )
        process = beside.process
        assert process.stdin is not None
        assert process.stderr is not None
        words = asyncio.create_task(process.stderr.read())
        ours = True
        try:
            process.stdin.write(msgspec.json.encode(self._order(export, folder)) + b"\n")
            ended = asyncio.create_task(process.wait())
            while ours and not ended.done():
                await asyncio.wait({ended}, timeout=BEAT_S)
                ours = ended.done() or await self._change(connection, export, "keep_export", lease_s=LEASE_S)
            if await self._is_over(connection, export):  # it says so before it has cleared up behind itself
                await asyncio.wait({ended}, timeout=LEASE_S)
        finally:
            # Cancelled, lost, cut off from PostgreSQL: it is somebody else's, and here it ends.
            beside.end()
        code, said = await process.wait(), (await words).decode(errors="replace").strip()
        if ours and code not in (0, GONE):
            told = {"export": export.id, "exit_code": code, "said": said[-WORDS_CHARS_MAX:]}
            log.error("a process that made an export ended; it is tried again", extra=told)
            await self._change(connection, export, "rest_export", rest_s=REST_S, failed=last_words(said, code))

    def _order(self, export: Export, folder: Path) -> Order:
        return Order(
            postgres_url=self._options.postgres_url,
            connect_ms_max=self._options.connect_ms_max,
            folder=str(folder),
            export=export.id,
            worker=str(export.worker),
            rows_part=self._options.rows_part,
        )

    async def _change(self, connection: AsyncConnection[Any], export: Export, query: str, **values: Any) -> bool:
        """Whether it was written down: the export is still ours."""
        told = {"id": export.id, "worker": export.worker, **values}
        return (await connection.execute(EXPORTS[query], told)).rowcount == 1

    async def _is_over(self, connection: AsyncConnection[Any], export: Export) -> bool:
        found = await (await connection.execute(EXPORTS["state_of_export"], {"id": export.id})).fetchone()
        return found is not None and found[0] in ("done", "failed")

    async def _tidy(self, connection: AsyncConnection[Any]) -> None:
        """Give up what was kept long enough, and the folders of what is given up."""
        await connection.execute(EXPORTS["retire_exports"], {"days": self._options.keep_days})
        # What is there is looked at first: the folder of an export that is asked for meanwhile is not among it.
        there = await asyncio.to_thread(_folders, self._options.folder)
        kept = {name for (name,) in await (await connection.execute(EXPORTS["kept_exports"])).fetchall()}
        for folder in there:
            if folder.name not in kept:
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def last_words(said: str, code: int) -> str:
    """
    Pure: why a process ended that *said* something and gave *code*: the last line, without what may be a password.

    A code below 0 is the signal that ended it.
    """
    words = " ".join((said.strip().splitlines() or [""])[-1].split())
    ended = f"its process ended by signal {-code}" if code < 0 else f"its process ended with exit code {code}"
    return _SECRET.sub("…", words)[:WORDS_CHARS_MAX] or ended


def _given_up(last: str | None) -> str:
    return f"given up after {TRIES_MAX} tries" + (f"; the last one: {last}" if last else "")


def _folders(folder: Path) -> list[Path]:
    """The folders of exports, and nothing else that may be there."""
    try:
        return [each for each in folder.iterdir() if re.fullmatch(ID, each.name) and each.is_dir()]
    except FileNotFoundError:
        return []
