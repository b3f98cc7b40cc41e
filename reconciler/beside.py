"""
Programs of ours that run beside: seconds of Python are no work for a process that has claims or clerks waiting.

    python -m reconciler.beside FD MODULE ARGUMENT…

Such a program ends with whoever started it, however that one ended: it watches FD, a pipe whose other end only the
starter has.
"""

import asyncio
import os
import runpy
import sys
import threading
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress

STARTER_GONE = 5
"""The exit code that nobody is left to read."""


class Beside:
    """A program that runs beside: *process* is it, and end() has to be called."""

    def __init__(self, process: Process, life: int) -> None:
        self.process = process
        self._life: int | None = life

    def end(self) -> None:
        """Kill it where it still runs; again is harmless."""
        if self.process.returncode is None:
            with suppress(ProcessLookupError):
                self.process.kill()
        if self._life is not None:  # only now: what sees the end of the pipe first ends by itself, as if we were gone
            os.close(self._life)
            self._life = None

    async def gone(self) -> None:
        """Wait until it has ended and its pipes are read to their ends: what it still had to say is for nobody."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        await self.process.communicate()


async def start(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    stdin: int = DEVNULL,
    stdout: int = PIPE,
    stderr: int | None = None,
) -> Beside:
    """
    Start *arguments*, a module and what it is told, as `python -m` would.

    *environment* is all of its environment, else it has this process's. Errors: OSError.
    """
    watched, life = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "reconciler.beside", str(watched), *arguments),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=environment,
            pass_fds=(watched,),
        )
    except BaseException:
        os.close(life)
        raise
    finally:
        os.close(watched)
    return Beside(process, life)


def main(watched: int, module: str, *arguments: str) -> None:
    """Be *module*, until whoever started this is gone."""
    threading.Thread(target=_end_with_the_starter, args=(watched,), daemon=True).start()
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _end_with_the_starter(watched: int) -> None:
    while os.read(watched, 1024):
        continue
    os._exit(STARTER_GONE)


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
