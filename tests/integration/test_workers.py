"""Several workers on one port: connections are shared out, nobody waits for a worker that is away, files suffice."""

import asyncio
import gc
import os
import resource
import signal
import socket
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from time import monotonic

import pytest
import uvicorn

from gateway.environment import load_settings
from gateway.serving import Serving
from gateway.settings import Settings
from gateway.stack.preflight import InTheWay, listen, listen_each, open_files_needed
from gateway.stack.processes import await_until
from gateway.stack.programs import worker_programs
from tests.conftest import Eventually
from tests.integration.stacks import Stack, environment
from tests.patience import PATIENT

ASK = b"GET /healthz HTTP/1.1\r\nHost: gateway\r\n\r\n"
ANSWER_S_MAX = 60.0
CONNECTIONS = 128
BUSIEST_MAX = 0.7
"""Of two workers. Were each connection as likely to come to one as to the other, 5 in a million rounds were above."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One stack with two workers, for all tests here; it has to stop well at the end."""
    with Stack(tmp_path_factory.mktemp("workers") / "data", "--workers", "2", "--no-demo", settings=PATIENT) as stack:
        yield stack
        assert stack.stop() == 0, stack.output


def _port(stack: Stack) -> int:
    return int(stack.ready["gateway_url"].rpartition(":")[2])


def _connect(stack: Stack) -> socket.socket:
    """A new connection that has got an answer."""
    connection = socket.create_connection(("127.0.0.1", _port(stack)), ANSWER_S_MAX)
    connection.sendall(ASK)
    assert connection.recv(4096).startswith(b"HTTP/1.1 200")
    return connection


def _sockets(port: int, state: str) -> set[str]:
    """The sockets of this machine on *port* that are in *state*, as a link of /proc/<pid>/fd names them."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {f"socket:[{row[9]}]" for row in rows if row[3] == state and int(row[1].partition(":")[2], 16) == port}


def _open_files(pid: int) -> set[str]:
    """What the links of /proc/<pid>/fd name, but for what was closed since they were listed."""
    found = set()
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found.add(os.readlink(file))
    return found


def _busiest_share(stack: Stack) -> float:
    """Open connections at once, and see how many of them the worker has that got most."""
    with ExitStack() as opened:
        for _ in range(CONNECTIONS):
            opened.enter_context(closing(_connect(stack)))
        established = _sockets(_port(stack), "01")
        counts = [len(established & _open_files(worker)) for worker in stack.parts("worker --fd")]
    assert sum(counts) >= CONNECTIONS
    return max(counts) / sum(counts)


def test_connections_are_shared_out(stack: Stack) -> None:
    """Each of two workers has a listening socket of its own, and about half of the connections."""
    assert len(_sockets(_port(stack), "0A")) == 2
    assert await_until(lambda: _busiest_share(stack) <= BUSIEST_MAX, 90), "one of them has not started"
    assert statistics.median(_busiest_share(stack) for _ in range(5)) <= BUSIEST_MAX


def test_a_worker_that_does_not_accept_keeps_nobody_waiting(stack: Stack) -> None:
    """While one worker stands still, every new connection is answered: the other one accepts for it."""
    victim = stack.parts("worker --fd")[0]
    os.kill(victim, signal.SIGSTOP)
    try:
        for _ in range(24):
            _connect(stack).close()
    finally:
        os.kill(victim, signal.SIGCONT)


def test_a_killed_worker_comes_back_to_its_socket(stack: Stack) -> None:
    """From the kill until the worker is back no new connection fails; then it gets its share again."""
    backs, victim = stack.output.count("is back"), stack.parts("worker --fd")[0]
    os.kill(victim, signal.SIGKILL)
    answered, give_up = 0, monotonic() + 120
    while stack.output.count("is back") == backs:
        assert monotonic() < give_up, stack.output
        _connect(stack).close()
        answered += 1
    assert answered
    assert await_until(lambda: _busiest_share(stack) <= BUSIEST_MAX, 90)
    assert len(_sockets(_port(stack), "0A")) == 2


def test_a_second_gateway_does_not_get_in_beside_the_first() -> None:
    """A port that workers share is busy for everybody else, for another gateway of this user too; then free again."""
    first = listen_each("127.0.0.1", 0, 3)
    port = first[0].getsockname()[1]
    assert {each.getsockname()[1] for each in first} == {port}
    with pytest.raises(InTheWay, match=f"port {port} of 127.0.0.1 is busy"):
        listen_each("127.0.0.1", port, 2)
    for each in first:
        each.close()
    for each in listen_each("127.0.0.1", port, 2):
        each.close()


def test_where_the_kernel_does_not_share_out_all_workers_have_one_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere than on Linux a second socket would get everything or nothing, so there is one, and no sibling's."""
    monkeypatch.setattr(sys, "platform", "darwin")
    [only] = listen_each("127.0.0.1", 0, 2)
    with only:
        programs = worker_programs(load_settings({}, workers=2), [only], None)
        asked = [program._arguments for program in programs]
        assert asked == [["worker", "--fd", str(only.fileno()), "--slot", slot] for slot in ("0", "1")]


async def test_what_lives_as_long_as_the_worker_is_frozen(eventually: Eventually) -> None:
    """Once a worker is up, no garbage collection walks through its modules, routes and settings again."""

    async def app(scope: object, receive: object, send: object) -> None:
        """Never called."""

    server = Serving(uvicorn.Config(app, interface="asgi3", lifespan="off", log_config=None))
    before = gc.get_freeze_count()
    serving = asyncio.create_task(server.serve([listen("127.0.0.1", 0)]))
    try:
        await eventually(lambda: server.started)
        assert gc.get_freeze_count() > before
    finally:
        server.should_exit = True
        await serving
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().remove_signal_handler(number)
        gc.unfreeze()


RAISE = """
import resource
from gateway.stack.preflight import raise_open_files
resource.setrlimit(resource.RLIMIT_NOFILE, (256, {hard}))
print(raise_open_files({needed}), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("hard", "needed", "found"), [(512, 300, [300, 300, 512]), (512, 9999, [512, 512, 512]), (512, 99, [99, 256, 512])]
)
def test_open_files_are_raised_as_far_as_needed_and_allowed(hard: int, needed: int, found: list[int]) -> None:
    """A low soft limit is raised to what is needed, at most to the hard limit, and never lowered."""
    ended = subprocess.run(
        [sys.executable, "-c", RAISE.format(hard=hard, needed=needed)],
        check=True,
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert [int(word) for word in ended.stdout.split()] == found


def test_auto_on_one_core_with_few_files(tmp_path: Path) -> None:
    """--workers auto on one core is one worker; where the hard limit is too low it takes all, and one line says so."""

    def confine() -> None:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 4096))

    with Stack(tmp_path / "data", "--workers", "auto", "--no-demo", settings=PATIENT, preexec_fn=confine) as stack:
        assert "is up: 1 gateway worker" in stack.output
        [worker] = stack.parts("worker --fd")
        assert resource.prlimit(worker, resource.RLIMIT_NOFILE) == (4096, 4096)
        lines = (tmp_path / "data" / "logs" / "worker-0.log").read_text().splitlines()
        [warning] = [line for line in lines if "files may be open" in line]
        assert '"level":"warning"' in warning
        assert f"4096 files may be open, FAIRCLAIM_CONNECTIONS_MAX needs {open_files_needed(_one_worker())}" in warning
        assert stack.stop() == 0, stack.output


def _one_worker() -> Settings:
    return load_settings({}, workers=1)
