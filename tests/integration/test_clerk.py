"""The clerk: none of its works waits for another, each goes on after a failure, and all end when it is stopped."""

import asyncio
import signal
import sys
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from reconciler import clerk
from tests.conftest import Eventually
from tests.integration.bookkeeping import add_journals
from tests.integration.exporting import Exports


class Endless:
    """A work whose first piece takes for ever."""

    def __init__(self) -> None:
        self.ended = False

    async def once(self, worker: str) -> bool:
        """Never comes back."""
        try:
            await asyncio.Event().wait()
        finally:
            self.ended = True
        return True


class Failing:
    """A work that fails in every way there is, and is then done."""

    def __init__(self) -> None:
        self.workers: list[str] = []
        self.done = asyncio.Event()
        self._failures = [psycopg.OperationalError("away"), OSError("no room"), ValueError("of ours")]

    async def once(self, worker: str) -> bool:
        """One more try."""
        self.workers.append(worker)
        if self._failures:
            raise self._failures.pop(0)
        self.done.set()
        return False


async def test_no_work_waits_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """One takes for ever, another one fails and fails: it is done all the same, each try by a name of its own."""
    monkeypatch.setattr(clerk, "LOOK_EVERY_S", 0.01)
    endless, failing, stop = Endless(), Failing(), asyncio.Event()
    running = asyncio.create_task(clerk.run([endless, failing], stop, retry_ms_max=10))
    await asyncio.wait_for(failing.done.wait(), 30)
    stop.set()
    await asyncio.wait_for(running, 30)

    assert endless.ended
    assert len(set(failing.workers)) == len(failing.workers) >= 4


async def test_the_command_makes_exports_and_ends_at_once(
    postgres_url: str, tmp_path: Path, eventually: Eventually
) -> None:
    """`fairclaim clerk` is a process that does what was asked for; a SIGTERM ends it, and what it was at can go on."""
    add_journals(postgres_url, 5)
    site = Exports(postgres_url, tmp_path / "exports")
    export = await site.ask("xlsx")
    urls = ["--redis-url", "redis://127.0.0.1:1", "--postgres-url", postgres_url]
    command = [sys.executable, "-m", "gateway.cli", "clerk", *urls, "--exports-dir", str(site.folder)]
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
    try:
        await eventually(lambda: site.row(export).state == "done", within_s=60)
        with psycopg.connect(postgres_url) as blocker:
            blocker.execute("LOCK TABLE journals IN ACCESS EXCLUSIVE MODE")
            stuck = await site.ask("csv")
            await eventually(lambda: site.row(stuck).state == "running", within_s=60)
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 60) == 0
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()

    assert site.file(export) == site.expected("xlsx")
    site.make(stuck)
    assert site.file(stuck) == site.expected("csv")
