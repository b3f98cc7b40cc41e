"""A whole system of its own for a load: ``fairclaim up`` on free ports in a folder, and its processes."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from loadtest.target import Target

START_S_MAX = 90.0
STOP_S_MAX = 60.0


def program() -> str:
    """The command line of the project, beside the Python that runs this."""
    return str(Path(sys.executable).with_name("fairclaim"))


def bare_environment() -> dict[str, str]:
    """Our environment without any setting of the project."""
    return {name: value for name, value in os.environ.items() if not name.startswith("FAIRCLAIM_")}


class System:
    """
    Started by ``with``; stopped as Ctrl-C stops it, so leaving the block proves a clean stop.

    *settings* are further ones by name: ``no_demo="true"`` is FAIRCLAIM_NO_DEMO. *source* is a folder with the
    source of the build to run, in place of the one that is installed.
    """

    def __init__(
        self, folder: Path, *, workers: int = 2, fsync: str = "everysec", source: Path | None = None, **settings: str
    ) -> None:
        self.folder, self.ready_file, self._source = folder, folder / "ready.json", source
        self._environment = {
            **bare_environment(),
            "FAIRCLAIM_DATA_DIR": str(folder / "data"),
            "FAIRCLAIM_PORT": "0",
            "FAIRCLAIM_READY_FILE": str(self.ready_file),
            "FAIRCLAIM_WORKERS": str(workers),
            "FAIRCLAIM_FSYNC": fsync,
            **{f"FAIRCLAIM_{name.upper()}": value for name, value in settings.items()},
            **({"PYTHONPATH": str(source)} if source else {}),
        }

    def __enter__(self) -> Self:
        self._log = (self.folder / "up.log").open("wb")
        self._process = subprocess.Popen(  # noqa: S603 - the project's own command
            [program(), "up"],
            env=self._environment,
            cwd=self._source,  # python -m looks there first
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            self._await_ready()
        except BaseException:
            with undisturbed():
                self._end()
            raise
        self.target = Target.read(self.ready_file)
        return self

    def _await_ready(self) -> None:
        deadline = time.monotonic() + START_S_MAX
        while not self.ready_file.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"fairclaim up did not start:\n{(self.folder / 'up.log').read_text()}")
            time.sleep(0.05)

    def __exit__(self, *failure: object) -> None:
        with undisturbed():
            code = self._end()
        if code != 0:
            raise RuntimeError(f"fairclaim up ended with {code}:\n{(self.folder / 'up.log').read_text()}")

    def _end(self) -> int:
        self._process.send_signal(signal.SIGINT)
        try:
            return self._process.wait(STOP_S_MAX)
        finally:
            self._process.kill()
            self._log.close()

    def command(self, *arguments: str, timeout_s: float = 60) -> "subprocess.CompletedProcess[str]":
        """Run ``fairclaim`` against this system."""
        return subprocess.run(  # noqa: S603 - the project's own command
            [program(), *arguments],
            env=self._environment,
            cwd=self._source,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def parts(self) -> dict[str, list[int]]:
        """Process ids of gateway, redis, reconciler, postgres and supervisor; empty where there is no /proc."""
        return parts_below(self.pid)

    @property
    def pid(self) -> int:
        """The process id of ``fairclaim up``."""
        return self._process.pid

    @contextmanager
    def stopped(self, part: str) -> Iterator[None]:
        """Hold the processes of *part* still for the length of the block."""
        pids = self.parts().get(part, [])
        send_signal(pids, signal.SIGSTOP)
        try:
            yield
        finally:
            send_signal(pids, signal.SIGCONT)


def send_signal(pids: list[int], number: signal.Signals) -> None:
    """Send it to each; one that has ended since it was listed, as one of PostgreSQL's may, has no need of it."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Within the block Ctrl-C cuts nothing short: a stop takes a bounded time, and half of one leaves parts behind."""
    if threading.current_thread() is not threading.main_thread():  # no other one is disturbed
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def parts_below(root: int) -> dict[str, list[int]]:
    """The processes started by *root* and itself, by the part each one is."""
    parts: dict[str, list[int]] = {}
    for pid in descendants(root):
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:  # ended since it was listed
            continue
        parts.setdefault(_part(line), []).append(pid)
    return parts


def _part(line: str) -> str:
    for word, part in (
        ("valkey-server", "redis"),
        ("redis-server", "redis"),
        ("postgres", "postgres"),
        (" worker", "gateway"),
    ):
        if word in line:
            return part
    return "reconciler" if "reconcile" in line else "supervisor"


def descendants(root: int) -> list[int]:
    """The process ids of *root* and of what it started, and they; empty where there is no /proc."""
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        parents.setdefault(parent, []).append(int(folder.name))
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += parents.get(pid, [])
    return found
