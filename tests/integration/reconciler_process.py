"""A reconciler that signals itself at a numbered point: run as a process by draining.reconciler_process()."""

import asyncio
import os
import signal
import sys

from reconciler.drain import run
from reconciler.steps import Step
from tests.integration.draining import options_for


class SignalAt:
    """Sends this process *how* when it passes *step* for the *nth* time."""

    def __init__(self, step: Step, nth: int, how: int) -> None:
        self._step, self._left, self._how = step, nth, how

    def __call__(self, step: Step) -> None:
        if step is self._step:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), self._how)


async def main(redis_url: str, postgres_url: str, step: str, nth: str, how: str) -> None:
    """Drain in batches of two entries until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    options = options_for(redis_url, postgres_url, entries_max=2)
    await run(options, stop, SignalAt(Step(int(step)), int(nth), int(how)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
