"""The embedded servers: how they are configured, what they survive, and that they die with whoever started them."""

import os
import platform
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from gateway.stack import allocator
from gateway.stack import server as server_module
from gateway.stack.allocator import allocator_environment
from gateway.stack.postgres import Postgres
from gateway.stack.processes import StackError, await_until
from gateway.stack.valkey import Valkey, packaged_binary
from tests.integration.stacks import environment, lives


@pytest.fixture
def valkey(tmp_path: Path, redis_server: Valkey) -> Iterator[Valkey]:
    """A server of our own, of each kind the session has."""
    valkey = Valkey(tmp_path / "v", memory_mb=64, fsync="always", password="pass word#1", binary=redis_server._binary)
    valkey.start()
    yield valkey
    valkey.stop()


def _client(valkey: Valkey) -> "redis.Redis":
    return redis.Redis.from_url(valkey.url, decode_responses=True)


def test_valkey_keeps_what_it_was_told(valkey: Valkey) -> None:
    """Append-only file, fsync, memory limit, no eviction, no snapshots, one address, a password; kept over kill -9."""
    with _client(valkey) as client:
        wanted = {
            "appendonly": "yes", "appendfsync": "always", "maxmemory": str(64 * 1024 * 1024), "save": "",
            "maxmemory-policy": "noeviction", "bind": "127.0.0.1", "requirepass": "pass word#1",
        }  # fmt: skip
        assert {name: client.config_get(name)[name] for name in wanted} == wanted
        client.set("stock", 5)
    url = valkey.url
    valkey.process.kill()
    valkey.process.wait()
    valkey.start()
    assert valkey.url == url, "the URL is in other processes' hands"
    with _client(valkey) as client:
        assert client.get("stock") == "5"


def test_password_is_neither_in_ps_nor_in_a_file(valkey: Valkey) -> None:
    """Other users see no password of Valkey's: not in the process list, not in its directory."""
    assert b"pass word#1" not in Path(f"/proc/{valkey.pid}/cmdline").read_bytes()
    files = [path for path in valkey.directory.rglob("*") if path.is_file()]
    assert not [path for path in files if b"pass word#1" in path.read_bytes()]


def test_port_lost_between_choosing_and_binding_is_chosen_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A port that somebody else takes first costs a try, not the start."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        free_port, offered = server_module.free_port, [taken.getsockname()[1]]
        monkeypatch.setattr(server_module, "free_port", lambda: offered.pop() if offered else free_port())
        valkey = Valkey(tmp_path, memory_mb=64, fsync="everysec", password="p")
        valkey.start()
        try:
            assert not offered
            assert valkey.port != taken.getsockname()[1]
        finally:
            valkey.stop()


def test_two_servers_never_share_a_directory(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two writers would destroy the append-only file: the second waits for the first and gives up with one line."""
    monkeypatch.setattr(server_module, "LOCK_S_MAX", 0.1)
    second = Valkey(valkey.directory, memory_mb=64, fsync="everysec", password="p")
    with pytest.raises(StackError, match=r"another server still uses .*; stop it or choose another --data-dir$"):
        second.start()
    assert await_until(valkey.answers, 60)


def test_last_words_of_a_server_are_in_the_one_line(tmp_path: Path) -> None:
    """A server that can't start is quoted, and the log is named."""
    valkey = Valkey(tmp_path, memory_mb=64, fsync="everysec", password="p")
    (tmp_path / "appendonlydir").write_text("not a directory")
    with pytest.raises(StackError, match=r"^Valkey did not start: .*(log: .*server\.log)") as raised:
        valkey.start()
    assert "\n" not in str(raised.value)


def test_program_that_is_not_there(tmp_path: Path) -> None:
    """A binary that does not exist is one line too."""
    valkey = Valkey(tmp_path, memory_mb=64, fsync="everysec", password="p", binary=Path("/nonexistent/redis-server"))
    with pytest.raises(StackError, match=r"launch redis-server: .*No such file"):
        valkey.start()


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[Postgres]:
    """A PostgreSQL of our own."""
    postgres = Postgres(tmp_path / "p", password="pass/word")
    postgres.start()
    yield postgres
    postgres.stop()


def _one(postgres: Postgres, statement: str) -> object:
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        found = connection.execute(statement.encode()).fetchone()
        assert found is not None
        return found[0]


def test_postgres_is_configured_and_survives_kill(postgres: Postgres) -> None:
    """Loopback, no socket, UTF-8, passwords as SCRAM, commits flushed; after SIGKILL of the postmaster it recovers."""
    wanted = {
        "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "server_encoding": "UTF8",
        "synchronous_commit": "on", "fsync": "on", "TimeZone": "UTC",
    }  # fmt: skip
    assert {name: _one(postgres, f"SELECT current_setting('{name}')") for name in wanted} == wanted
    assert str(_one(postgres, "SELECT rolpassword FROM pg_authid WHERE rolname = 'fairclaim'")).startswith("SCRAM-")
    with psycopg.connect(postgres.url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
    url = postgres.url
    os.kill(postgres.pid, signal.SIGKILL)
    postgres.process.wait()
    assert (postgres.directory / "data" / "postmaster.pid").exists()
    postgres.start()
    assert postgres.url == url
    assert _one(postgres, "SELECT n FROM kept") == 7


def test_pid_of_a_dead_server_that_another_process_has_now(postgres: Postgres) -> None:
    """A postmaster.pid whose number lives on as another process (ours) does not keep PostgreSQL from starting."""
    postgres.stop()
    (postgres.directory / "data" / "postmaster.pid").write_text(f"{os.getpid()}\n{postgres.directory}/data\n1\n5432\n")
    postgres.start()
    assert _one(postgres, "SELECT 1") == 1


def test_half_a_cluster_never_looks_whole(postgres: Postgres) -> None:
    """initdb that was killed half-way is begun anew at the next start."""
    postgres.stop()
    data = postgres.directory / "data"
    data.rename(postgres.directory / "data.partial")
    (postgres.directory / "data.partial" / "PG_VERSION").unlink()
    again = Postgres(postgres.directory, password="pass/word")
    again.start()
    assert _one(again, "SELECT current_database()") == "fairclaim"
    again.stop()
    assert not (postgres.directory / "data.partial").exists()


def test_cluster_of_another_version_is_one_line(postgres: Postgres) -> None:
    """A data directory made by another PostgreSQL is refused with PostgreSQL's own reason."""
    postgres.stop()
    (postgres.directory / "data" / "PG_VERSION").write_text("17\n")
    with pytest.raises(StackError, match=r"^PostgreSQL did not start: .*") as raised:
        postgres.start()
    assert "\n" not in str(raised.value)


PARENT = """
import sys, time
from pathlib import Path
from gateway.stack.postgres import Postgres
from gateway.stack.valkey import Valkey
valkey = Valkey(Path(sys.argv[1], "v"), memory_mb=64, fsync="everysec", password="p")
postgres = Postgres(Path(sys.argv[1], "p"), password="p")
valkey.start()
postgres.start()
print(valkey.pid, postgres.pid, flush=True)
time.sleep(600)
"""


def test_servers_die_with_their_parent(tmp_path: Path) -> None:
    """kill -9 of whoever started them ends both servers and PostgreSQL's children."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=environment()
    )
    assert parent.stdout is not None
    with parent.stdout:
        pids = [int(word) for word in parent.stdout.readline().split()]
    assert len(pids) == 2
    parent.kill()
    parent.wait()
    assert await_until(lambda: not any(lives(pid) for pid in pids), 60)
    again = Postgres(tmp_path / "p", password="p")  # waits until the last of its children has let go of the directory
    again.start()
    again.stop()


def test_wheel_has_a_binary_for_this_machine() -> None:
    """The packaged Valkey is found without importing its package."""
    assert os.access(packaged_binary(), os.X_OK)


def test_valkey_allocates_with_mimalloc(tmp_path: Path) -> None:
    """Where the package has a library for this machine, the server runs with it."""
    here = sys.platform == "linux" and platform.machine() in ("x86_64", "aarch64")
    server = Valkey(tmp_path / "valkey", memory_mb=64, fsync="everysec", password="test")
    server.start()
    mapped = Path(f"/proc/{server.pid}/maps").read_text() if sys.platform == "linux" else ""
    server.stop()

    assert ("libmimalloc" in mapped) is here
    assert bool(allocator_environment()) is here


def test_a_library_that_does_not_run_here_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is no library, or none at all, costs the speed and not the server."""
    junk = tmp_path / "libmimalloc.so"
    junk.write_bytes(b"not a library")

    for found in (junk, tmp_path / "absent.so", None):
        monkeypatch.setattr(allocator, "mimalloc", lambda found=found: found)
        assert allocator.allocator_environment.__wrapped__() == {}
