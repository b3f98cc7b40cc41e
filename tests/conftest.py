"""
Real servers for every test: Valkey and PostgreSQL from their wheels, Redis too where redis-server is installed.

Started once a session; each test gets an emptied Redis and a database of its own, cloned from a migrated template.
All that tests write is in memory where there is room for it: see pytest_configure.
"""

import asyncio
import fcntl
import gc
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from psycopg import sql

from gateway.stack.postgres import Postgres
from gateway.stack.valkey import Valkey
from lua.door import Door, connect
from reconciler.migrations import migrate

Eventually = Callable[..., Coroutine[Any, Any, Any]]
LEAVES_TRIES = 12

# A busy machine stands still in the middle of an example, or while one is drawn, which says nothing of what it is of.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
IN_MEMORY = "fairclaim-tests-"
LONGEST = ("acceptance", "simulation")
IN_MEMORY_BYTES_MIN = 6 * 1024**3
"""The whole suite leaves 1 GB behind, four processes together."""


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """
    Everybody's tmp_path is in memory, and gone at the end; files to look at afterwards: --basetemp=FOLDER.

    Hundreds of tests have a database of their own, of 434 relations: a disk takes longer to make the files than the
    tests. No test loses the machine's power, so that none is about what a disk has kept.
    """
    if hasattr(config, "workerinput") or config.option.basetemp or not MEMORY.is_dir():
        return
    for left in MEMORY.glob(f"{IN_MEMORY}*"):  # of runs that were killed: those that live hold a lock
        with suppress(OSError), _locked(left):
            shutil.rmtree(left)
    if shutil.disk_usage(MEMORY).free >= IN_MEMORY_BYTES_MIN:
        folder = Path(tempfile.mkdtemp(prefix=IN_MEMORY, dir=MEMORY))
        config.option.basetemp = folder / "tests"
        while_it_runs = ExitStack()
        while_it_runs.enter_context(_locked(folder))
        while_it_runs.callback(shutil.rmtree, folder, ignore_errors=True)
        config.add_cleanup(while_it_runs.close)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes minutes comes first, so that no core waits for one of them at the end."""
    items.sort(key=lambda item: item.path.parent.name not in LONGEST)


def pytest_collection_finish() -> None:
    """What 5,700 tests are made of stays until the end: the collector of garbage need not look through it each time."""
    gc.collect()
    gc.freeze()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Errors: BlockingIOError where another process has locked it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def redis_binaries() -> dict[str, Path | None]:
    """The servers the scripts are tested on: Valkey always; a redis-server named or found besides."""
    named = os.environ.get("FAIRCLAIM_TEST_REDIS") or shutil.which("redis-server")
    return {"valkey": None} | ({"redis": Path(named)} if named else {})


ON_VALKEY = pytest.mark.parametrize("redis_server", list(redis_binaries().items())[:1], ids=["valkey"], indirect=True)
"""The mark of tests of what is beyond the scripts and the protocol, which have their turn on Redis 7 elsewhere."""


@pytest.fixture(scope="session", params=redis_binaries().items(), ids=lambda item: item[0])
def redis_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """One server of each kind, for the whole session."""
    name, binary = request.param
    server = Valkey(tmp_path_factory.mktemp(name), memory_mb=1024, fsync="everysec", password="test", binary=binary)
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def door(redis_server: Valkey) -> AsyncIterator[Door]:
    """A door to an emptied server."""
    door = Door(connect(redis_server.url, connections_max=16, call_ms_max=30_000, connect_ms_max=30_000))
    await _emptied(door)
    yield door
    await _emptied(door)  # a module whose workers are on the server without this fixture may be the next one here
    await door.close()


async def _emptied(door: Door) -> None:
    """Nothing in it, nor in its memory, and room for anything: Valkey gives memory back later unless it is told."""
    redis: Any = door.redis
    await redis.execute_command("FLUSHALL", "SYNC")
    await redis.config_set("maxmemory", 1024 * 1024 * 1024)


@pytest.fixture
async def redis_url(redis_server: Valkey, door: Door) -> str:
    """The URL of an emptied server."""
    return redis_server.url


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """One PostgreSQL with a migrated database ``template_fairclaim``."""
    server = Postgres(tmp_path_factory.mktemp("postgres"), password="test")
    server.start()
    with psycopg.connect(server.url, autocommit=True) as connection:
        # No test loses the machine's power, and a database a test is made ten times faster without.
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            connection.execute(sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(setting)))
        connection.execute("SELECT pg_reload_conf()")
        # A test connects some twenty times, and every time its password was hashed 4096 times on both sides.
        connection.execute("SET scram_iterations = 1")
        connection.execute("ALTER ROLE fairclaim PASSWORD 'test'")
        connection.execute("CREATE DATABASE template_fairclaim")
    migrate(_with_database(server.url, "template_fairclaim"))
    yield server
    server.stop()


@contextmanager
def fresh_database(server: Postgres) -> Iterator[str]:
    """The URL of a fresh, migrated database of *server*, which is gone afterwards."""
    name = f"test_{os.urandom(6).hex()}"
    when_nobody_is_in_it(server.url, "CREATE DATABASE {} TEMPLATE template_fairclaim STRATEGY file_copy", name)
    try:
        yield _with_database(server.url, name)
    finally:
        when_nobody_is_in_it(server.url, "DROP DATABASE {} WITH (FORCE)", name)


def when_nobody_is_in_it(url: str, statement: str, name: str) -> None:
    """PostgreSQL waits five seconds for whoever is on his way out of a database, who may take longer here."""
    with psycopg.connect(url, autocommit=True) as connection:
        for _ in range(LEAVES_TRIES):
            with suppress(psycopg.errors.ObjectInUse):
                connection.execute(sql.SQL(statement).format(sql.Identifier(name)))
                return
        raise AssertionError(f"somebody stays in {name}, or in what it is made of")


@pytest.fixture
def postgres_url(postgres_server: Postgres) -> Iterator[str]:
    """The URL of a fresh, migrated database."""
    with fresh_database(postgres_server) as url:
        yield url


def _with_database(url: str, name: str) -> str:
    return url.rpartition("/")[0] + "/" + name


@pytest.fixture
def eventually() -> Eventually:
    """
    Await a condition: call *check* (plain or async) until it gives something true or a deadline passes.

    The last value, or what *check* raised as AssertionError last, is in the failure. The deadline is one for a busy
    machine: where being in time is the promise, a test says *within_s*.
    """

    async def wait(check: Callable[[], Any], within_s: float = 60.0) -> Any:
        deadline = monotonic() + within_s
        while True:
            try:
                found = check()
                found = await found if asyncio.iscoroutine(found) else found
            except AssertionError:
                if monotonic() > deadline:
                    raise
                found = None
            if found:
                return found
            assert monotonic() < deadline, f"not within {within_s} s; last seen: {found!r}"
            await asyncio.sleep(0.02)

    return wait
