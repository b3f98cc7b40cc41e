"""
Work that takes seconds of Python, in a program of its own: a worker's loop decides claims meanwhile.

One of a kind at a time a worker, and never for longer than so long.
"""

import asyncio
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from psycopg_pool import AsyncConnectionPool

from gateway.errors import Refusal
from gateway.services import Services

log = logging.getLogger("fairclaim.finance")

TURN_S_MAX = 10.0

_turns: WeakKeyDictionary[AsyncConnectionPool[Any], dict[str, asyncio.Lock]] = WeakKeyDictionary()


async def run_beside(
    here: Services,
    arguments: Sequence[str],
    *,
    s_max: float,
    given: bytes = b"",
    environment: Mapping[str, str] | None = None,
    good: frozenset[int] = frozenset({0}),
) -> bytes:
    """
    What `python -m …` with *arguments* writes on stdout, given *given* on stdin.

    Units: *s_max* seconds. *good* are the exit codes of an answer. Errors: Refusal overloaded (another one takes long),
    not_ready (it took too long, or failed).
    """
    turn = _turns.setdefault(here.pool, {}).setdefault(arguments[0], asyncio.Lock())
    try:
        async with asyncio.timeout(TURN_S_MAX):
            await turn.acquire()
    except TimeoutError:
        raise Refusal("overloaded", "This worker is busy with another one of these.") from None
    try:
        return await _run(arguments, s_max, given, environment or {}, good)
    finally:
        turn.release()


async def _run(
    arguments: Sequence[str], s_max: float, given: bytes, environment: Mapping[str, str], good: frozenset[int]
) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
    )
    try:
        async with asyncio.timeout(s_max):
            out, complaint = await process.communicate(given)
    except TimeoutError:
        raise Refusal("not_ready", f"It took longer than {s_max:.0f} s.") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode not in good:
        told = {"program": arguments[0], "code": process.returncode, "complaint": complaint.decode(errors="replace")}
        log.error("work beside the gateway failed", extra=told)
        raise Refusal("not_ready", "The work for this failed; see the gateway's log.")
    return out
