"""The processes of ours that are supervised: gateway workers, the reconciler and the clerk."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from gateway.settings import PREFIX, Settings
from gateway.stack.processes import StackError, spawn

STOP_SLACK_S = 5.0
"""Beyond stop_s_max, in which a program stops by itself."""


class Program:
    """`fairclaim <arguments>` as a process of its own, with its log."""

    def __init__(
        self, title: str, arguments: Sequence[str], settings: Settings, log: Path | None, pass_fds: Sequence[int] = ()
    ) -> None:
        self.title = title
        self.log = log
        self.stop_signals: Sequence[tuple[signal.Signals, float]] = (
            (signal.SIGTERM, settings.stop_s_max + STOP_SLACK_S),
        )
        self._arguments, self._environment, self._pass_fds = arguments, environment_of(settings), pass_fds
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process started last. Errors: StackError before the first start."""
        if self._process is None:
            raise StackError(f"{self.title} was not started")
        return self._process

    def spawn(self) -> None:
        """Start it. Errors: StackError."""
        command = [sys.executable, "-m", "gateway.cli", *self._arguments]
        self._process = spawn(command, log=self.log, environment=self._environment, pass_fds=self._pass_fds)

    def ready(self) -> bool:
        """True: whether the gateway serves is asked of the gateway (/readyz), and the others need no wait."""
        return True


def worker_programs(settings: Settings, sockets: Sequence[socket.socket], logs: Path | None) -> list[Program]:
    """The gateway's workers on inherited *sockets*: each has its own and its siblings', or all have the only one."""
    descriptors = [listening.fileno() for listening in sockets]
    programs = []
    for slot in range(settings.workers):
        own = descriptors[slot % len(descriptors)]
        siblings = [f"--sibling-fd={other}" for other in descriptors if other != own]
        programs.append(
            Program(
                f"worker {slot}",
                ["worker", "--fd", str(own), "--slot", str(slot), *siblings],
                settings,
                logs / f"worker-{slot}.log" if logs else None,
                pass_fds=descriptors,
            )
        )
    return programs


def environment_of(settings: Settings) -> dict[str, str]:
    """Our environment with exactly *settings* in place of every FAIRCLAIM_ variable."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    for name, value in msgspec.structs.asdict(settings).items():
        kept[PREFIX + name.upper()] = str(value).lower() if isinstance(value, bool) else str(value)
    return kept
