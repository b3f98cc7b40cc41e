"""What both embedded servers share: a free loopback port, a locked directory, start and stop."""

import fcntl
import os
import signal
import socket
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from gateway.stack.processes import StackError, await_until, end, tail

HOST = "127.0.0.1"
PORT_TRIES_MAX = 5
READY_S_MAX = 900.0
"""A large append-only file or a long crash recovery takes minutes; a server that died is noticed at once."""
LOCK_S_MAX = 15.0
"""How long an earlier server of the same directory may take to be gone."""


class Server(ABC):
    """
    One embedded server in *directory*. The port is any free one, chosen at the first start and then kept.

    Started processes hold a lock on the directory for as long as any of them lives, so two servers never
    write the same files, however the first one's parent died.
    """

    title: ClassVar[str]
    stop_signals: ClassVar[Sequence[tuple[signal.Signals, float]]]

    def __init__(self, directory: Path) -> None:
        self.directory = directory.absolute()
        self.log = self.directory / "server.log"
        self.port = 0
        self._log_start = 0  # where in the log the process we started begins to speak
        self._port_tries = 1
        self._settled = False  # the port was bound once and is in somebody's URL
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The running process. Errors: StackError before the first start."""
        if self._process is None:
            raise StackError(f"{self.title} was not started")
        return self._process

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self.process.pid

    @property
    @abstractmethod
    def url(self) -> str:
        """Where clients connect, with the password."""

    @abstractmethod
    def _launch(self, lock: int) -> subprocess.Popen[bytes]:
        """Start the process on self.port, handing it *lock*."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether the server serves clients now; False while it loads or recovers."""

    @abstractmethod
    def _port_taken(self, last_words: Sequence[str]) -> bool:
        """Whether *last_words* of the log say that the port is taken."""

    @abstractmethod
    def prepare(self, lock: int) -> None:
        """Whatever has to be there before the process starts; *lock* is held. Errors: StackError."""

    @abstractmethod
    def settle(self) -> None:
        """Whatever is left to do when the server answers for the first time. Errors: StackError."""

    def start(self) -> None:
        """Start and wait until the server answers. Errors: StackError with one line."""
        try:
            self.spawn()
            if not await_until(self.ready, READY_S_MAX):
                raise StackError(f"{self.title} does not answer after {READY_S_MAX:.0f} s; see {self.log}")
        except BaseException:
            self.stop()
            raise

    def spawn(self) -> None:
        """
        Start the process without waiting for it to answer; ready() tells.

        Errors: StackError, also when an earlier server of this directory is still there after LOCK_S_MAX.
        """
        _make_directory(self.directory)
        with _locked(self.directory / "lock", self.title) as lock:
            self.prepare(lock.fileno())
            if not self._settled:
                self.port = free_port()
            self._log_start = self.log.stat().st_size if self.log.exists() else 0
            self._process = self._launch(lock.fileno())

    def ready(self) -> bool:
        """
        Whether the started process serves clients.

        Errors: StackError with the process's last words if it ended. Where that was for a port that somebody took
        between our choosing it and the server's binding it, it starts again on another one.
        """
        if self.process.poll() is None:
            if not self.answers():
                return False
            if not self._settled:
                self.settle()
                self._settled = True
            return True
        words = tail(self.log, self._log_start)
        if self._port_taken(words) and not self._settled and self._port_tries < PORT_TRIES_MAX:
            self._port_tries += 1
            self.spawn()
            return False
        raise StackError(f"{self.title} did not start: {_complaint(words)} (log: {self.log})")

    def stop(self) -> None:
        """Stop in good order, and harder if that takes too long; does nothing if it is not running."""
        if self._process is not None:
            end(self._process, self.stop_signals)


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StackError(f"can't use {directory}: {error.strerror}; choose another --data-dir") from error


def _locked(path: Path, title: str) -> "_Lock":
    lock = _Lock(path, title)
    if not await_until(lock.take, LOCK_S_MAX):
        lock.close()
        raise StackError(f"{title}: another server still uses {path.parent}; stop it or choose another --data-dir")
    return lock


class _Lock:
    """An exclusive lock on a file, shared with every process that inherits the descriptor."""

    def __init__(self, path: Path, title: str) -> None:
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            reason = f"{title}: can't write to {path.parent}: {error.strerror}"
            raise StackError(f"{reason}; free some space or choose another --data-dir") from error

    def fileno(self) -> int:
        return self._file

    def take(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        os.close(self._file)  # not unlocked: the server holds on through its own copy

    def __enter__(self) -> "_Lock":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _complaint(words: Sequence[str]) -> str:
    """The line of a server's last words that says most: the last one that speaks of an error, else the last."""
    for word in reversed(words):
        if any(mark in word for mark in ("FATAL", "rror", "can't", "annot", "ailed", "PANIC")):
            return word.strip()
    return words[-1].strip() if words else "it said nothing"
