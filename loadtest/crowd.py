"""Locust without its web UI as a child of ours, and a system for it: what `make loadtest` and `make soak` share."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

LOCUSTFILE = Path(__file__).with_name("locustfile.py")
LEAVING_S_MAX = 15.0
INTERRUPTED = 130


def locust(arguments: Sequence[str]) -> list[str]:
    """The command line of a run without the web UI, with *arguments* of Locust and of ours."""
    return [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--only-summary", *arguments]


class Crowd:
    """
    One run of Locust, in a session of its own, so that the terminal does not tell it of Ctrl-C: we do, once.

    Started by ``with``; whatever is left of it is ended with the block.
    """

    def __init__(self, arguments: Sequence[str], ready_file: Path) -> None:
        self._command = locust(arguments)
        self._environment = {**os.environ, "FAIRCLAIM_READY_FILE": str(ready_file)}

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            self._command, env=self._environment, stdin=subprocess.DEVNULL, start_new_session=True
        )
        return self

    def __exit__(self, *failure: object) -> None:
        if self._process.poll() is None:
            self._tell(signal.SIGTERM)
            try:
                self._process.wait(LEAVING_S_MAX)
            except subprocess.TimeoutExpired:
                print("the crowd does not leave; it is killed", file=sys.stderr)
        self._tell(signal.SIGKILL)  # its processes, where it ran in several
        self._process.wait()

    @property
    def pid(self) -> int:
        """Its process id, and that of its group."""
        return self._process.pid

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Its exit code; None where it still runs after *timeout_s*."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def call_off(self) -> None:
        """Tell it, as Ctrl-C does, to stop asking and to say what it came to."""
        self._process.send_signal(signal.SIGINT)

    def see_out(self) -> int:
        """Wait for its end; a first Ctrl-C calls it off, the next one is the caller's. Errors: KeyboardInterrupt."""
        try:
            return self._process.wait()
        except KeyboardInterrupt:
            self.call_off()
            return self._process.wait()

    def _tell(self, number: signal.Signals) -> None:
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return  # all of them have ended


@contextmanager
def ended_like_ctrl_c() -> Iterator[None]:
    """Within the block, SIGTERM and SIGHUP do what Ctrl-C does, so that nothing is left behind by them either."""

    def interrupt(number: int, _frame: object) -> None:
        raise KeyboardInterrupt(signal.Signals(number).name)

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
