"""
Reports as files over HTTP: `fairclaim report` in a process of its own writes them, and the worker passes them on.

So making a file takes nothing from the claims that the worker decides, and it holds no more of it than a piece.
"""

import asyncio
import logging
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, Sequence
from typing import Any
from weakref import WeakSet

from psycopg_pool import AsyncConnectionPool

from gateway.errors import Refusal
from gateway.services import Services
from gateway.settings import PREFIX

log = logging.getLogger("fairclaim.finance")

PIECE_BYTES = 64 * 1024
FILE_S_MAX = 900.0

_busy: WeakSet[AsyncConnectionPool[Any]] = WeakSet()


class CutOff(Exception):
    """What makes the file ended before it was whole; the connection ends, so that nobody takes it for all."""


class ReportFile:
    """One report on its way, one at a time a worker. *first* is the first piece of it."""

    def __init__(self, here: Services, process: Process) -> None:
        self._here, self._process = here, process
        self.first = b""
        # Whoever asked may be gone before the first piece is sent: then nobody else ends it.
        self._last = asyncio.get_running_loop().call_later(FILE_S_MAX, self._end)

    @classmethod
    async def open(cls, here: Services, arguments: Sequence[str]) -> "ReportFile":
        """
        Begin to write what `fairclaim report` does with *arguments*.

        Errors: Refusal overloaded while there is another one; not_ready where it failed at once.
        """
        if here.pool in _busy:
            raise Refusal("overloaded", "This worker writes another report at the moment.")
        _busy.add(here.pool)
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "gateway.cli", "report", *arguments),
                stdin=DEVNULL,
                stdout=PIPE,
                stderr=None,
                env=_environment(here.settings.postgres_url),
            )
        except BaseException:
            _busy.discard(here.pool)
            raise
        file = cls(here, process)
        try:
            file.first = await file._piece()
        except BaseException:
            file._end()
            raise
        if not file.first:
            code = await process.wait()
            file._end()
            log.error("a report could not be written", extra={"code": code})
            raise Refusal("not_ready", "The books can't be reached at the moment, or the report failed.")
        return file

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """All of it. Errors: CutOff."""
        try:
            piece = self.first
            while piece:
                yield piece
                piece = await self._piece()
            code = await self._process.wait()
            if code != 0:
                raise CutOff(f"the report ended with {code}")
        finally:
            self._end()

    async def _piece(self) -> bytes:
        assert self._process.stdout is not None
        return await self._process.stdout.read(PIECE_BYTES)

    def _end(self) -> None:
        self._last.cancel()
        _busy.discard(self._here.pool)
        if self._process.returncode is None:
            self._process.kill()


def _environment(postgres_url: str) -> dict[str, str]:
    """That of this process, but of the settings only where the books are: the others are flags of what is run."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return {**kept, f"{PREFIX}POSTGRES_URL": postgres_url}
