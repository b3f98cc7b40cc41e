"""The supervisor: order, repair, and patience; on processes as simple as can be."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.stack import supervisor as supervisor_module
from gateway.stack.processes import StackError, base_environment, spawn
from gateway.stack.supervisor import Supervisor
from tests.conftest import Eventually

SLEEP = "import time; time.sleep(600)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
)


class Script:
    """A part that runs one line of Python. It is ready when it has printed something, or at once."""

    def __init__(self, title: str, code: str, folder: Path, patience_s: float = 60.0, prints: bool = False) -> None:
        self.title, self._code, self._prints = title, code, prints
        self.log: Path | None = folder / f"{title}.log"
        self.stop_signals: Sequence[tuple[signal.Signals, float]] = ((signal.SIGTERM, patience_s),)
        self.starts: list[subprocess.Popen[bytes]] = []

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The one started last."""
        if not self.starts:
            raise StackError("not started")
        return self.starts[-1]

    def spawn(self) -> None:
        """Start it."""
        self.starts.append(spawn([sys.executable, "-c", self._code], log=self.log, environment=base_environment()))

    def ready(self) -> bool:
        """Whether it has printed what it prints."""
        assert self.log is not None
        return not self._prints or self.log.stat().st_size > 0


@pytest.fixture
def said() -> list[str]:
    """What the supervisor told the person who watches."""
    return []


@pytest.mark.parametrize(
    ("steady_s", "pauses"),
    [(3600.0, ("0.01", "0.02", "0.04", "0.04")), (0.0, ("0.01",) * 4)],
    ids=["at once", "steady"],
)
async def test_crashed_part_comes_back_after_pauses(
    steady_s: float,
    pauses: tuple[str, ...],
    tmp_path: Path,
    said: list[str],
    monkeypatch: pytest.MonkeyPatch,
    eventually: Eventually,
) -> None:
    """
    A part that dies again and again is started again and again: each time after twice the pause, up to a cap; after the
    shortest one, however often it died before, where it ran long enough in between.
    """
    monkeypatch.setattr(supervisor_module, "RESTART_S_MIN", 0.01)
    monkeypatch.setattr(supervisor_module, "RESTART_S_MAX", 0.04)
    monkeypatch.setattr(supervisor_module, "STEADY_S", steady_s)
    part = Script("part", "raise SystemExit(3)", tmp_path)
    supervisor = Supervisor(said.append)
    supervisor.settled()
    await supervisor.start(part)
    await eventually(lambda: len(part.starts) >= 5)
    await supervisor.stop()
    told = [line for line in said if "starts again" in line]
    assert told[:4] == [f"part ended (exit code 3); it starts again in {pause} s" for pause in pauses]


async def test_part_that_ends_before_all_is_up_is_not_tried_again(
    tmp_path: Path, said: list[str], eventually: Eventually
) -> None:
    """What can't start at all is told at once, with its last words, instead of being started for ever."""
    part = Script("part", "raise SystemExit('no such thing')", tmp_path)
    supervisor = Supervisor(said.append)
    await supervisor.start(part)

    def failed() -> StackError | None:
        try:
            supervisor.check()
        except StackError as error:
            return error
        return None

    error = await eventually(failed)
    await supervisor.stop()
    assert str(error) == f"part ended at once, exit code 1: no such thing (log: {part.log})"
    assert len(part.starts) == 1


async def test_parts_stop_in_the_opposite_order(tmp_path: Path, said: list[str]) -> None:
    """The last group started is gone before the one before it gets its signal."""
    trace = tmp_path / "trace"
    code = (
        "import signal, sys\n"
        "def end(*_):\n    open({trace!r}, 'a').write({name!r} + ' '); sys.exit()\n"
        "signal.signal(signal.SIGTERM, end); print('up', flush=True); signal.pause(); signal.pause()"
    )
    supervisor = Supervisor(said.append)
    calls: list[str] = []
    supervisor.before_stop(lambda: calls.append("before"))
    supervisor.on_stop(lambda: calls.append(f"after {trace.read_text().strip()}"))
    for name in ("servers", "reconciler", "workers"):
        await supervisor.start(Script(name, code.format(trace=str(trace), name=name), tmp_path, prints=True))
    await supervisor.stop()
    assert calls == ["before", "after workers reconciler servers"]
    assert said == []


async def test_deaf_part_is_killed_when_its_time_is_up(tmp_path: Path, said: list[str]) -> None:
    """A part that ignores SIGTERM does not hold up the stop for longer than its patience."""
    part = Script("part", STUBBORN, tmp_path, patience_s=0.1, prints=True)
    supervisor = Supervisor(said.append)
    await supervisor.start(part)
    async with asyncio.timeout(50):
        await supervisor.stop()
    assert part.process.returncode == -signal.SIGKILL
    assert said == ["part does not stop; killed"]


async def test_second_interrupt_cuts_the_wait_short(
    tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """hurry() ends a patience of minutes."""
    monkeypatch.setattr(supervisor_module, "HURRY_S", 0.05)
    part = Script("part", STUBBORN, tmp_path, patience_s=300, prints=True)
    supervisor = Supervisor(said.append)
    await supervisor.start(part)
    stopping = asyncio.create_task(supervisor.stop())
    supervisor.hurry()
    async with asyncio.timeout(50):
        await stopping
    assert part.process.returncode == -signal.SIGKILL


async def test_stop_reaches_a_part_that_is_being_restarted(
    tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    """stop() in the middle of a pause before a restart leaves nothing running and starts nothing more."""
    monkeypatch.setattr(supervisor_module, "RESTART_S_MIN", 3600.0)
    part = Script("part", SLEEP, tmp_path)
    supervisor = Supervisor(said.append)
    supervisor.settled()
    await supervisor.start(part)
    part.process.kill()
    await eventually(lambda: said)
    async with asyncio.timeout(50):
        await supervisor.stop()
    assert len(part.starts) == 1
    assert part.process.poll() is not None


async def test_half_started_parts_are_stopped_too(tmp_path: Path, said: list[str]) -> None:
    """Where one of a group can't start, stop() ends the others of that group."""

    class Impossible(Script):
        def spawn(self) -> None:
            raise StackError("impossible")

    good = Script("good", SLEEP, tmp_path)
    supervisor = Supervisor(said.append)
    with pytest.raises(StackError, match="impossible"):
        await supervisor.start(good, Impossible("bad", "", tmp_path))
    await supervisor.stop()
    assert all(process.poll() is not None for process in good.starts)
