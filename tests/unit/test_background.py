"""The works of the background: none waits for another, and each goes on after a failure."""

import asyncio
from contextlib import suppress

import pytest

from gateway import background
from gateway.background import Background
from gateway.errors import Refusal


class Endless:
    """A work whose first piece takes for ever."""

    async def once(self, worker: str) -> bool:
        """Never comes back."""
        await asyncio.Event().wait()
        return True


class Failing:
    """A work that fails first in one way, then in the other, and is then done."""

    def __init__(self) -> None:
        self.done = asyncio.Event()
        self._failures = [Refusal("not_ready"), ValueError("of ours")]

    async def once(self, worker: str) -> bool:
        """One more try."""
        if self._failures:
            raise self._failures.pop()
        self.done.set()
        return False


async def test_no_work_waits_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a batch of millions is made, a revocation is taken on; and a failure ends no loop."""
    monkeypatch.setattr(background, "LOOK_EVERY_S", 0.01)
    failing = Failing()
    tasks = [asyncio.create_task(loop) for loop in Background([Endless(), failing]).loops()]
    try:
        await asyncio.wait_for(failing.done.wait(), 60)
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
