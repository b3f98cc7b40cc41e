"""`fairclaim up` while it runs: crashes are repaired, roles hold, a second one keeps away."""

import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from gateway.stack.demo import publish_demo
from gateway.stack.processes import await_until
from tests.integration.stacks import Stack, fairclaim
from tests.patience import PATIENT


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One stack with one worker, for all tests here; at the end every invariant holds, and it has to stop well."""
    with Stack(tmp_path_factory.mktemp("running") / "data", "--workers", "1", settings=PATIENT) as stack:
        yield stack
        stack.prove_clean()
        assert stack.stop() == 0, stack.output


@pytest.mark.parametrize("word", ["worker --fd", "cli reconcile", "valkey-server", "bin/postgres"])
def test_killed_part_comes_back(stack: Stack, word: str) -> None:
    """A worker, the reconciler or a server killed with SIGKILL is back soon, and claims go on and are booked."""
    holder = f"after {word}".replace(" ", "-")
    backs = stack.output.count("is back")
    victim = stack.parts(word)[0]
    os.kill(victim, signal.SIGKILL)
    assert await_until(lambda: stack.output.count("is back") > backs, 90), stack.output
    assert victim not in stack.parts(word)
    assert "ended (signal SIGKILL); it starts again in 0.25 s" in stack.output
    assert await_until(lambda: _status(stack, holder) in (200, 201), 90), stack.output
    assert await_until(lambda: _wallet(stack, holder) == 1, 90)


def test_every_role_has_its_key(stack: Stack) -> None:
    """The keys in the ready file work, and only for what their roles may."""
    statuses = {role: stack.move_demo("paused", role) for role in ("store", "finance", "admin")}
    assert statuses == {"store": 403, "finance": 403, "admin": 200}
    assert stack.move_demo("active") == 200


def test_demo_that_is_over_or_sold_out_gets_a_successor(stack: Stack) -> None:
    """A paused demo is kept; an ended one is followed by demo-2, and that, sold out, by demo-3, each to claim from."""
    url, key = stack.ready["gateway_url"], stack.ready["admin_key"]
    assert [stack.move_demo("paused"), publish_demo(url, key), stack.move_demo("active")] == [200, "demo", 200]
    assert stack.move_demo("ended") == 200
    assert [publish_demo(url, key), publish_demo(url, key)] == ["demo-2", "demo-2"]
    path, reason = "/v1/campaigns/demo-2/stock-adjustments", {"delta": -1000, "reason": "gone"}
    headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": "gone"}
    assert stack.http.post(path, json=reason, headers=headers).status_code in (200, 201)
    assert publish_demo(url, key) == "demo-3"
    claimed = stack.http.post(
        "/v1/campaigns/demo-3/claims", json={}, headers=stack.holder("late") | {"Idempotency-Key": "late-1"}
    )
    assert claimed.status_code == 201


def test_second_up_on_the_same_directory_names_the_first(stack: Stack) -> None:
    """Two supervisors never share a data directory: the second one says whose it is, exits 4, and harms nothing."""
    second = fairclaim("up", "--data-dir", str(stack.data_dir), "--port", "0")
    assert (second.returncode, second.stdout) == (4, "")
    lines = [line for line in second.stderr.splitlines() if line.startswith("fairclaim:")]
    assert lines == [
        f"fairclaim: fairclaim already runs on {stack.data_dir} (pid {stack.process.pid}); stop it or use --data-dir"
    ]
    assert (stack.data_dir / "ready.json").exists()


def test_doctor_finds_the_running_stack_in_order(stack: Stack) -> None:
    """Without URLs doctor examines the servers of the `up` on the data directory, and finds nothing amiss."""
    found = fairclaim("doctor", "--json", FAIRCLAIM_DATA_DIR=str(stack.data_dir))
    assert found.returncode == 0, found.stdout
    levels = {finding["name"]: finding["level"] for finding in json.loads(found.stdout)["findings"]}
    assert {"redis.eviction", "redis.persistence", "postgres.schema", "postgres.privileges", "disk"} <= levels.keys()
    assert set(levels.values()) == {"ok"}


def test_servers_listen_on_loopback_alone(stack: Stack) -> None:
    """Neither embedded server can be reached from another machine."""
    ports = {int(stack.ready[name].rpartition("@")[2].partition("/")[0].partition(":")[2]) for name in _URLS}
    for table, anywhere in (("tcp", "00000000"), ("tcp6", "0" * 32)):
        lines = Path(f"/proc/net/{table}").read_text().splitlines()[1:] if Path(f"/proc/net/{table}").exists() else []
        for line in lines:
            address, _, port = line.split()[1].partition(":")
            assert not (address == anywhere and int(port, 16) in ports)
    for number in ports:
        socket.create_connection(("127.0.0.1", number), 60).close()


def test_servers_want_their_passwords(stack: Stack) -> None:
    """Another user of this machine, without the ready file, gets in nowhere."""
    naked = {name: stack.ready[name].partition("@")[2] for name in _URLS}
    found = fairclaim(
        "doctor", "--json",
        "--redis-url", f"redis://{naked['redis_url']}",
        "--postgres-url", f"postgresql://fairclaim@{naked['postgres_url']}",
    )  # fmt: skip
    assert found.returncode == 1
    said = {finding["name"]: finding["found"] for finding in json.loads(found.stdout)["findings"]}
    assert "uthentication" in said["redis"]
    assert "no password supplied" in said["postgres"]


_URLS = ("redis_url", "postgres_url")


def _status(stack: Stack, holder: str) -> int:
    try:
        return stack.claim(holder).status_code
    except httpx2.TransportError:
        return 0


def _wallet(stack: Stack, holder: str) -> int:
    try:
        return len(stack.wallet(holder))
    except AssertionError:  # 503 while PostgreSQL recovers
        return 0
