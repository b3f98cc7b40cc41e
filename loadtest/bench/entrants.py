"""Who takes part in the contest, how each one is started, and why one may be missing."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from loadtest.bench.sales import OurSales, RivalSales, Sales
from loadtest.system import bare_environment, parts_below, program
from loadtest.target import Target

HERE = Path(__file__).parent / "contenders"
SCRIPT = HERE / "claim.lua"
START_S_MAX = 30.0
STOP_S_MAX = 30.0

RIVAL_REDIS_CONNECTIONS = 32
"""Of 8, 16, 32, 64 and 128 the size from which on more made it no faster, with one core and 64 clients."""
GO_PACKAGES = ("github.com/gin-gonic/gin", "github.com/gomodule/redigo/redis")
GO_SOURCES = Path("/usr/share/gocode/src")
GO_LINE = "apt-get install golang-go golang-github-gin-gonic-gin-dev golang-github-gomodule-redigo-dev"


@dataclass(frozen=True)
class Contender:
    """A gateway that runs: where it listens, the processes that answer, and where its campaigns are."""

    name: str
    url: str
    pids: tuple[int, ...]
    sales: Sales


@dataclass(frozen=True)
class Entrant:
    """One row of the table of contenders: what it is, what it lacks here, and how it is started."""

    about: str
    missing: Callable[[], str | None]
    command: Callable[[Path], list[str]]
    environment: Callable[[Target], dict[str, str]]
    ours: bool = False


def _go_missing() -> str | None:
    if shutil.which("go") and all((GO_SOURCES / package).is_dir() for package in GO_PACKAGES):
        return None
    return f"Go, gin or redigo is not installed: {GO_LINE}"


def _jwt_missing() -> str | None:
    return None if find_spec("jwt") else "PyJWT is not installed: pip install 'fairclaim[dev]'"


def _nothing_missing() -> str | None:
    return None


def build_go(folder: Path) -> Path:
    """Build the Go contender in *folder* from Debian's packages. Errors: RuntimeError with what the compiler says."""
    binary = folder / "gin"
    build = subprocess.run(  # noqa: S603 - the project's own program
        ["go", "build", "-o", str(binary), "."],  # noqa: S607 - whichever go is on the path
        cwd=HERE / "gin",
        env={**os.environ, "GO111MODULE": "off", "GOPATH": str(GO_SOURCES.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    if build.returncode != 0:
        raise RuntimeError(f"the Go contender does not build: {' '.join(build.stderr.split())}")
    return binary


def _rival_environment(target: Target) -> dict[str, str]:
    jwt = {f"JWT_{name.upper()}": target.jwt[name] for name in ("secret", "audience", "issuer")}
    redis = {"REDIS_URL": target.redis_url, "REDIS_CONNECTIONS": str(RIVAL_REDIS_CONNECTIONS)}
    return {**os.environ, **jwt, **redis}


def _go_environment(target: Target) -> dict[str, str]:
    return {**_rival_environment(target), "SCRIPT": str(SCRIPT), "GOMAXPROCS": "1"}


def our_environment(target: Target, **settings: str) -> dict[str, str]:
    """What another gateway beside the running system needs, and *settings*."""
    return {
        **bare_environment(),
        "FAIRCLAIM_REDIS_URL": target.redis_url,
        "FAIRCLAIM_POSTGRES_URL": target.postgres_url,
        "FAIRCLAIM_JWT_KEYS": f"{target.jwt['kid']}={target.jwt['secret']}",
        "FAIRCLAIM_JWT_AUDIENCE": target.jwt["audience"],
        "FAIRCLAIM_JWT_ISSUER": target.jwt["issuer"],
        "FAIRCLAIM_WORKERS": "1",
        **{f"FAIRCLAIM_{name.upper()}": value for name, value in settings.items()},
    }


def _serve(folder: Path) -> list[str]:
    return [program(), "serve"]


ENTRANTS: dict[str, Entrant] = {
    "plain": Entrant(
        "Starlette, PyJWT, redis.asyncio; one script call a claim",
        _jwt_missing,
        lambda folder: [sys.executable, "-m", "loadtest.bench.contenders.plain"],
        _rival_environment,
    ),
    "starlette": Entrant(
        "this gateway without its lane: the Starlette route",
        _nothing_missing,
        _serve,
        lambda target: our_environment(target, lane="false"),
        ours=True,
    ),
    "lane": Entrant("this gateway as it ships", _nothing_missing, _serve, our_environment, ours=True),
    "go": Entrant(
        "Go, gin, redigo; one script call a claim", _go_missing, lambda folder: [str(build_go(folder))], _go_environment
    ),
}
"""Every contender by name, in the order in which they take turns."""


@contextmanager
def started(
    name: str, target: Target, folder: Path, environment: Mapping[str, str] | None = None
) -> Iterator[Contender]:
    """Start contender *name* beside the system at *target*, with its log in *folder*; it is stopped with the block."""
    entrant, port = ENTRANTS[name], _free_port()
    url, log = f"http://127.0.0.1:{port}", folder / f"{name}.log"
    where = {"PORT": str(port)}
    if entrant.ours:
        where = {"FAIRCLAIM_PORT": str(port), "FAIRCLAIM_DATA_DIR": str(folder / name)}
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - the project's own programs
            entrant.command(folder),
            env={**(environment or entrant.environment(target)), **where},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _await_answer(url + ("/readyz" if entrant.ours else "/healthz"), process, log)
        pids = parts_below(process.pid)["gateway"] if entrant.ours else [process.pid]
        yield Contender(name, url, tuple(pids), OurSales(target) if entrant.ours else RivalSales(target))
    finally:
        process.terminate()
        try:
            process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_answer(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_S_MAX
    while True:
        try:
            with urllib.request.urlopen(url, timeout=1):  # noqa: S310 - http, this machine
                return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                words = " ".join(log.read_text().split()) or "it said nothing"
                raise RuntimeError(f"{log.stem} does not answer: {words}") from None
            time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
