"""
Starts parts in order, brings back what crashes, and stops them in the opposite order.

Our own because the order matters more than anything else: the gateways stop before the reconciler, so
that it can drain to the end of every stream, and the servers stop last.
"""

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic
from typing import Protocol

from gateway.stack.processes import StackError, tail

RESTART_S_MIN = 0.25
RESTART_S_MAX = 15.0
STEADY_S = 10.0
"""
A part that ran this long has recovered: the next crash begins again with the shortest pause.

A worker starts within two seconds, so one that crashes every ten answers for most of the time, and to wait for it costs
claims; what can't run at all ends sooner and waits longer each time.
"""
READY_S_MAX = 900.0
READY_POLL_S = 0.02
HURRY_S = 2.0
"""What is left of every patience after the second Ctrl-C."""
KILL_S_MAX = 10.0
WORDS_CHARS_MAX = 240


class Part(Protocol):
    """A supervised process: an embedded server (server.py) or a program of ours (programs.py)."""

    @property
    def title(self) -> str:
        """What it is called on the screen."""

    @property
    def stop_signals(self) -> Sequence[tuple[signal.Signals, float]]:
        """Signals to send one after the other, each with the seconds to wait for the end."""

    @property
    def log(self) -> Path | None:
        """Where its output goes; None: to ours."""

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process started last."""

    def spawn(self) -> None:
        """Start the process. Errors: StackError."""

    def ready(self) -> bool:
        """Whether it does its work now. Errors: StackError when it ended instead."""


class Supervisor:
    """
    Parts and their watchers. *say* gets one line for a person whenever something is worth knowing.

    Until settled() is called, a crash is not repaired but raised by check(): what can't start at all
    should not be started again and again.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._groups: list[tuple[Part, ...]] = []
        self._watchers: list[asyncio.Task[None]] = []
        self._hurry = asyncio.Event()
        self._before_stop: list[Callable[[], None]] = []
        self._on_stop: list[Callable[[], None]] = []
        self._settled = False
        self._failure: StackError | None = None

    async def start(self, *parts: Part) -> None:
        """Start *parts* together, and return when all are ready. Errors: StackError of the first that can't."""
        self._groups.append(parts)  # before the start, so that stop() finds the half-started too
        tasks = [asyncio.create_task(self._bring_up(part)) for part in parts]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:  # the first that can't start, or a Ctrl-C, ends the others' wait
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        self._watchers += [asyncio.create_task(self._watch(part)) for part in parts]

    @property
    def is_settled(self) -> bool:
        """Whether settled() was called."""
        return self._settled

    def before_stop(self, act: Callable[[], None]) -> None:
        """Call *act* when stop() begins."""
        self._before_stop.append(act)

    def on_stop(self, act: Callable[[], None]) -> None:
        """Call *act* when stop() has ended every part; the last one given comes first."""
        self._on_stop.append(act)

    def settled(self) -> None:
        """From now on, a part that ends is started again."""
        self._settled = True

    def check(self) -> None:
        """Errors: StackError if a part ended before settled()."""
        if self._failure is not None:
            raise self._failure

    def hurry(self) -> None:
        """Cut every wait of stop() short."""
        self._hurry.set()

    async def stop(self) -> None:
        """End all parts, the last started first; parts started together end together."""
        for act in self._before_stop:
            act()
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        for group in reversed(self._groups):
            await asyncio.gather(*(self._end(part) for part in group))
        for act in reversed(self._on_stop):
            act()

    async def _bring_up(self, part: Part) -> None:
        part.spawn()
        give_up = monotonic() + READY_S_MAX
        while not part.ready():
            if monotonic() > give_up:
                raise StackError(f"{part.title} is not ready after {READY_S_MAX:.0f} s")
            await asyncio.sleep(READY_POLL_S)

    async def _watch(self, part: Part) -> None:
        pause_s = RESTART_S_MIN
        while True:
            began = monotonic()
            code = await exited(part.process)
            if not self._settled:
                self._failure = self._failure or StackError(f"{part.title} ended at once, {ending(code)}{_words(part)}")
                return
            if monotonic() - began > STEADY_S:
                pause_s = RESTART_S_MIN
            self._say(f"{part.title} ended ({ending(code)}); it starts again in {pause_s:g} s")
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, RESTART_S_MAX)
            try:
                await self._bring_up(part)
            except StackError as error:
                self._say(str(error))
            else:
                self._say(f"{part.title} is back")

    async def _end(self, part: Part) -> None:
        try:
            process = part.process
        except StackError:
            return  # it never started
        ended = asyncio.create_task(exited(process))
        hurry = asyncio.create_task(self._hurry.wait())
        try:
            for number, within_s in (*part.stop_signals, (signal.SIGKILL, KILL_S_MAX)):
                if process.poll() is not None:
                    return
                if number is signal.SIGKILL:
                    self._say(f"{part.title} does not stop; killed")
                process.send_signal(number)
                await asyncio.wait({ended, hurry}, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
                if hurry.done():
                    await asyncio.wait({ended}, timeout=HURRY_S)
        finally:
            ended.cancel()
            hurry.cancel()


def _words(part: Part) -> str:
    """The last line in the log of *part*, and where the log is."""
    return f": {(tail(part.log) or ['it said nothing'])[-1][:WORDS_CHARS_MAX]} (log: {part.log})" if part.log else ""


async def exited(process: subprocess.Popen[bytes]) -> int:
    """Wait for the end of *process*; its exit code, or minus the signal that ended it."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except (AttributeError, OSError):  # not Linux, an old kernel, or it is gone already
        while (code := process.poll()) is None:  # noqa: ASYNC110 - nothing tells us
            await asyncio.sleep(0.2)
        return code
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, over.set)
    try:
        await over.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
    return process.wait()


def ending(code: int) -> str:
    """An exit code in words."""
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
