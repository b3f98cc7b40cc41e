"""
Reports as files over HTTP: `fairclaim report` in a process of its own writes them, and the worker passes them on.

So making a file takes nothing from the claims that the worker decides, and it holds no more of it than a piece.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence

from gateway.errors import Refusal
from gateway.finance.beside import Running, begin
from gateway.services import Services

log = logging.getLogger("fairclaim.finance")

PIECE_BYTES = 64 * 1024
FILE_S_MAX = 900.0


class CutOff(Exception):
    """What makes the file ended before it was whole; the connection ends, so that nobody takes it for all."""


class ReportFile:
    """One report on its way, one at a time a worker. *first* is the first piece of it."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self.first = b""
        # Whoever asked may be gone before the first piece is sent: then nobody else ends it.
        self._last = asyncio.get_running_loop().call_later(FILE_S_MAX, self._end)

    @classmethod
    async def open(cls, here: Services, arguments: Sequence[str]) -> "ReportFile":
        """
        Begin to write what `fairclaim report` does with *arguments*.

        Errors: Refusal overloaded while there is another one; not_ready where it failed at once.
        """
        file = cls(await begin(here, "report", ("gateway.cli", "report", *arguments), wait_s=0))
        try:
            file.first = await file._piece()
            if not file.first:
                log.error("a report could not be written", extra={"code": await file._running.process.wait()})
                raise Refusal("not_ready", "The books can't be reached at the moment, or the report failed.")
        except BaseException:
            file._end()
            raise
        return file

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """All of it. Errors: CutOff."""
        try:
            piece = self.first
            while piece:
                yield piece
                piece = await self._piece()
            code = await self._running.process.wait()
            if code != 0:
                raise CutOff(f"the report ended with {code}")
        finally:
            self._end()

    async def _piece(self) -> bytes:
        assert self._running.process.stdout is not None
        return await self._running.process.stdout.read(PIECE_BYTES)

    def _end(self) -> None:
        self._last.cancel()
        self._running.end()
