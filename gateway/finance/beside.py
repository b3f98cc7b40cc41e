"""
Work that takes seconds of Python, in a program of its own: a worker's loop decides claims meanwhile.

One of a kind at a time a worker, never for longer than so long, and not for longer than the worker lives.
"""

import asyncio
import logging
import os
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from psycopg_pool import AsyncConnectionPool

from gateway.errors import Refusal
from gateway.services import Services
from gateway.settings import PREFIX, Settings
from reconciler.beside import Beside, start

log = logging.getLogger("fairclaim.finance")

TURN_S_MAX = 10.0
RETRY_AFTER_S = 10

SERVERS = ("redis_url", "postgres_url", "redis_call_ms_max", "redis_connect_ms_max", "postgres_ms_max")
"""The settings that a program beside is told."""

_turns: WeakKeyDictionary[AsyncConnectionPool[Any], dict[str, asyncio.Lock]] = WeakKeyDictionary()


Heard = Callable[[str], None]
CHUNK_BYTES = 1 << 16


class Running:
    """A program that has its turn: *process* is it, and end() has to be called."""

    def __init__(self, beside: Beside, turn: asyncio.Lock) -> None:
        self.process: Process = beside.process
        self._beside = beside
        self._turn: asyncio.Lock | None = turn

    async def ended(self) -> None:
        """end(), and nothing is left of it: neither the process nor a pipe to it, also where this is cancelled."""
        self.end()
        await asyncio.shield(self._beside.gone())

    def end(self) -> None:
        """Kill it where it still runs, and let the next one have its turn; again is harmless."""
        self._beside.end()
        if self._turn is not None:
            self._turn.release()
            self._turn = None


async def begin(
    here: Services,
    kind: str,
    arguments: Sequence[str],
    *,
    wait_s: float,
    stdin: int = DEVNULL,
    stderr: int | None = None,
) -> Running:
    """
    Start `python -m` with *arguments*, a *kind* of work; its stdout is a pipe.

    Units: *wait_s* seconds, for another one of the kind to be over. Errors: Refusal overloaded (it is not).
    """
    turn = _turns.setdefault(here.pool, {}).setdefault(kind, asyncio.Lock())
    busy = Refusal("overloaded", f"This worker makes another {kind} at the moment.", retry_after_s=RETRY_AFTER_S)
    if turn.locked() and not wait_s:
        raise busy
    try:
        async with asyncio.timeout(wait_s or None):
            await turn.acquire()
    except TimeoutError:
        raise busy from None
    try:
        beside = await start(arguments, environment=_environment(here.settings), stdin=stdin, stderr=stderr)
    except BaseException:
        turn.release()
        raise
    return Running(beside, turn)


class Answer(NamedTuple):
    """What a program wrote on stdout, and its exit code."""

    code: int
    out: bytes


async def run_beside(
    here: Services,
    kind: str,
    arguments: Sequence[str],
    *,
    s_max: float,
    given: bytes = b"",
    good: frozenset[int] = frozenset({0}),
    heard: Heard | None = None,
) -> Answer:
    """
    What `python -m` with *arguments* answers, given *given* on stdin.

    Units: *s_max* seconds. *good* are the exit codes of an answer. *heard* is called with each line that it writes on
    stderr, as it comes. Errors: Refusal overloaded (another one takes long, or it does itself), not_ready (it failed).
    """
    running = await begin(here, kind, arguments, wait_s=TURN_S_MAX, stdin=PIPE, stderr=PIPE)
    try:
        async with asyncio.timeout(s_max):
            out, complaint = await _talk(running.process, given, heard)
    except TimeoutError:
        detail = f"It takes longer than {s_max:.0f} s here; `fairclaim` on the command line has the time."
        raise Refusal("overloaded", detail) from None
    finally:
        await running.ended()
    code = running.process.returncode
    assert code is not None, "it has ended"
    if code not in good:
        told = {"work": kind, "code": code, "complaint": complaint.decode(errors="replace")}
        log.error("work beside the gateway failed", extra=told)
        raise Refusal("not_ready", "The work for this failed, or a server is away; see the gateway's log.")
    return Answer(code, out)


async def _talk(process: Process, given: bytes, heard: Heard | None) -> tuple[bytes, bytes]:
    """Give it *given*, and take what it writes on stdout and on stderr until it ends."""
    if heard is None:
        return await process.communicate(given)
    assert process.stdin is not None, "it is a pipe, and so are the others"
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdin.write(given)
    process.stdin.close()
    out, complaint, _ = await asyncio.gather(process.stdout.read(), _listen(process.stderr, heard), process.wait())
    return out, complaint


async def _listen(stream: asyncio.StreamReader, heard: Heard) -> bytes:
    """All that comes, each line of it told as it comes."""
    kept, told = b"", 0
    while chunk := await stream.read(CHUNK_BYTES):
        kept += chunk
        *lines, _ = kept[told:].split(b"\n")
        for line in lines:
            heard(line.decode(errors="replace"))
            told += len(line) + 1
    return kept


def _environment(settings: Settings) -> dict[str, str]:
    """
    That of this process, but of our variables only where the servers are: the others are flags of what is run.

    By variable, because other users of the machine can read a command line.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return {**kept, **{PREFIX + name.upper(): str(getattr(settings, name)) for name in SERVERS}}
