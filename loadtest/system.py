"""A whole system of its own for a load: ``fairclaim up`` on free ports in a folder, and the CPU its processes use."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

from loadtest.target import Target

START_S_MAX = 90.0
STOP_S_MAX = 60.0


class System:
    """Started by ``with``; stopped as Ctrl-C stops it, so leaving the block proves a clean stop."""

    def __init__(self, folder: Path, *, workers: int = 2, fsync: str = "everysec") -> None:
        self.folder, self._ready = folder, folder / "ready.json"
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("FAIRCLAIM_")},
            "FAIRCLAIM_DATA_DIR": str(folder / "data"),
            "FAIRCLAIM_PORT": "0",
            "FAIRCLAIM_READY_FILE": str(self._ready),
            "FAIRCLAIM_WORKERS": str(workers),
            "FAIRCLAIM_FSYNC": fsync,
        }

    def __enter__(self) -> Self:
        self._log = (self.folder / "up.log").open("wb")
        command = [str(Path(sys.executable).with_name("fairclaim")), "up"]
        self._process = subprocess.Popen(  # noqa: S603 - the project's own command
            command, env=self._environment, stdout=self._log, stderr=subprocess.STDOUT, start_new_session=True
        )
        deadline = time.monotonic() + START_S_MAX
        while not self._ready.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._process.kill()
                raise RuntimeError(f"fairclaim up did not start:\n{(self.folder / 'up.log').read_text()}")
            time.sleep(0.05)
        self.target = Target.read(self._ready)
        return self

    def __exit__(self, *failure: object) -> None:
        self._process.send_signal(signal.SIGINT)
        try:
            code = self._process.wait(STOP_S_MAX)
        finally:
            self._process.kill()
            self._log.close()
        if code != 0:
            raise RuntimeError(f"fairclaim up ended with {code}:\n{(self.folder / 'up.log').read_text()}")

    def command(self, *arguments: str, timeout_s: float = 60) -> "subprocess.CompletedProcess[str]":
        """Run ``fairclaim`` against this system."""
        program = str(Path(sys.executable).with_name("fairclaim"))
        return subprocess.run(  # noqa: S603 - the project's own command
            [program, *arguments], env=self._environment, capture_output=True, text=True, timeout=timeout_s, check=False
        )

    def cpu_seconds(self) -> dict[str, float]:
        """CPU used so far by gateway, redis, reconciler and postgres; empty where there is no /proc."""
        used: dict[str, float] = {}
        tick = os.sysconf("SC_CLK_TCK")
        for pid in _descendants(self._process.pid):
            try:
                line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
                times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:  # ended since it was listed
                continue
            part = _part(line)
            used[part] = used.get(part, 0.0) + (int(times[11]) + int(times[12])) / tick
        return used


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


def _descendants(root: int) -> list[int]:
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
