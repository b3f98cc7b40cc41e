"""`fairclaim up` where it can't run: one clear line, the documented exit code, nothing left behind."""

import json
import socket
from pathlib import Path

import pytest
import redis

from gateway.cli.output import CONFLICT, FAILURE, USAGE
from gateway.stack.valkey import Valkey
from tests.integration.stacks import fairclaim


def _refused(*arguments: str, **environment: str) -> tuple[int, list[str]]:
    """The exit code of `up` and what it printed besides that it starts."""
    ended = fairclaim("up", *arguments, **environment)
    assert ended.stdout == ""
    return ended.returncode, [line for line in ended.stderr.splitlines() if line != "Starting …"]


def test_busy_port_is_named_before_anything_starts(tmp_path: Path) -> None:
    """Somebody has the port: one line names it and --port, exit code 4, and no server was started."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        code, lines = _refused("--port", port, "--data-dir", str(tmp_path / "data"))
    assert code == CONFLICT
    assert len(lines) == 1
    assert f"port {port} of 127.0.0.1 is busy" in lines[0]
    assert "use --port" in lines[0]
    assert not (tmp_path / "data" / "valkey").exists()


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"FAIRCLAIM_WORKERS": "0"}, "FAIRCLAIM_WORKERS"),
        ({"FAIRCLAIM_WORKERS": "many"}, "FAIRCLAIM_WORKERS"),
        ({"FAIRCLAIM_FSYNC": "sometimes"}, "everysec, always"),
        ({"FAIRCLAIM_JWT_KEYS": "k1=short"}, "at least 32 bytes"),
    ],
)
def test_wrong_setting_is_named(tmp_path: Path, environment: dict[str, str], named: str) -> None:
    """A setting out of bounds or malformed ends with exit code 2, its name, and where the table is."""
    code, lines = _refused("--data-dir", str(tmp_path / "data"), **environment)
    assert code == USAGE
    assert named in lines[0]
    assert lines[1:] == ["  docs/settings.md lists every setting and its bounds"]
    assert not (tmp_path / "data").exists()


def test_misspelt_setting_is_named_with_what_it_may_mean(tmp_path: Path) -> None:
    """FAIRCLAIM_WORKRES is no setting: `up` does not start, and asks whether FAIRCLAIM_WORKERS was meant."""
    code, lines = _refused("--data-dir", str(tmp_path / "data"), FAIRCLAIM_WORKRES="2")
    assert code == USAGE
    assert lines[0] == "fairclaim: FAIRCLAIM_WORKRES is not a setting"
    assert lines[1].startswith("  did you mean FAIRCLAIM_WORKERS? docs/settings.md")


@pytest.mark.parametrize("place", ["missing/r.json", "."])
def test_ready_file_that_cannot_be_written_is_told_before_anything_starts(tmp_path: Path, place: str) -> None:
    """A --ready-file in no directory, or that is one: one line, and no server was started."""
    code, lines = _refused("--port", "0", "--data-dir", str(tmp_path / "data"), "--ready-file", str(tmp_path / place))
    assert code == FAILURE
    assert len(lines) == 1
    assert f"can't write {tmp_path / place}" in lines[0]
    assert not (tmp_path / "data" / "valkey").exists()


def test_address_of_another_machine_is_not_a_busy_port(tmp_path: Path) -> None:
    """--host with an address that is not ours: the line blames the address, not the port."""
    code, lines = _refused("--port", "0", "--data-dir", str(tmp_path / "data"), "--host", "192.0.2.1")
    assert (code, len(lines)) == (FAILURE, 1)
    assert "can't listen on --host 192.0.2.1" in lines[0]


def test_wrong_flag_is_named_for_a_program_too() -> None:
    """With --json the error is one JSON object on stderr, whatever is wrong with the rest of the line."""
    ended = fairclaim("up", "--json", "--port", "eighty")
    assert ended.returncode == USAGE
    error = json.loads(ended.stderr)["error"]
    assert error["code"] == "usage"
    assert "--port" in error["message"]


def test_data_directory_that_cannot_be(tmp_path: Path) -> None:
    """A data directory below a file: one line that names it and --data-dir."""
    (tmp_path / "file").touch()
    code, lines = _refused("--data-dir", str(tmp_path / "file" / "data"), "--port", "0")
    assert code == FAILURE
    assert len(lines) == 1
    assert "file/data" in lines[0]
    assert "--data-dir" in lines[0]


def test_redis_that_does_not_answer(tmp_path: Path, postgres_url: str) -> None:
    """A wrong --redis-url: one line that says so, before any worker is started."""
    code, lines = _refused(
        "--redis-url", "redis://127.0.0.1:1/0", "--postgres-url", postgres_url, "--data-dir", str(tmp_path), "-p", "0"
    )  # fmt: skip
    assert code == FAILURE
    assert [line for line in lines if "redis: does not answer" in line and "FAIRCLAIM_REDIS_URL" in line]
    assert not (tmp_path / "logs").exists()


def test_redis_that_evicts_is_refused(tmp_path: Path, redis_server: Valkey, redis_url: str, postgres_url: str) -> None:
    """On a Redis that may evict keys, stock and coupons would vanish: up does not start and says what to set."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            code, lines = _refused(
                "--redis-url", redis_url, "--postgres-url", postgres_url, "--data-dir", str(tmp_path), "--port", "0"
            )  # fmt: skip
        finally:
            client.config_set("maxmemory-policy", "noeviction")
    assert code == FAILURE
    assert "redis.eviction: allkeys-lru; CONFIG SET maxmemory-policy noeviction" in lines[-1]


def test_serve_needs_its_servers() -> None:
    """`serve` starts no servers, so it says which variable it lacks."""
    ended = fairclaim("serve", "--redis-url", "redis://127.0.0.1:1/0")
    assert ended.returncode == USAGE
    assert "FAIRCLAIM_POSTGRES_URL is not set" in ended.stderr
