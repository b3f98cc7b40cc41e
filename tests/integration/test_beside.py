"""Programs that run beside end with whoever started them."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

from reconciler.beside import start
from tests.conftest import Eventually
from tests.integration.stacks import lives

STARTER = """
import asyncio
from reconciler.beside import start

async def main():
    beside = await start(("endless",))
    print(beside.process.pid, flush=True)
    await beside.process.wait()

asyncio.run(main())
"""


def _module(folder: Path, name: str, text: str) -> dict[str, str]:
    (folder / f"{name}.py").write_text(text)
    return {**os.environ, "PYTHONPATH": f"{folder}:{os.getcwd()}"}


async def test_a_program_beside_is_what_it_would_be_alone(tmp_path: Path) -> None:
    """It is told its arguments and stdin, and its answer and exit code are its own; end() may come again and again."""
    environment = _module(
        tmp_path, "echo", "import sys\nif __name__ == '__main__':\n    print(sys.argv[1:], input())\n    sys.exit(3)\n"
    )
    beside = await start(("echo", "a", "b c"), environment=environment, stdin=PIPE)
    out, _ = await beside.process.communicate(b"given\n")
    assert (out, beside.process.returncode) == (b"['a', 'b c'] given\n", 3)
    beside.end()
    beside.end()


async def test_end_kills_it(tmp_path: Path) -> None:
    """What still runs is killed."""
    environment = _module(tmp_path, "endless", "import threading\nthreading.Event().wait()\n")
    beside = await start(("endless",), environment=environment)
    beside.end()
    assert await asyncio.wait_for(beside.process.wait(), 20) == -signal.SIGKILL


async def test_nothing_is_left_of_it_once_it_is_gone(tmp_path: Path) -> None:
    """Killed while somebody wrote to it and read from it: gone() ends with the process and with every pipe to it."""
    environment = _module(tmp_path, "endless", "import threading\nthreading.Event().wait()\n")
    beside = await start(("endless",), environment=environment, stdin=PIPE, stderr=PIPE)
    talking = asyncio.create_task(beside.process.communicate(b"x" * 1_000_000))
    assert not (await asyncio.wait({talking}, timeout=0))[0]
    talking.cancel()
    beside.end()
    await asyncio.wait_for(beside.gone(), 20)
    assert beside.process.returncode == -signal.SIGKILL
    assert beside.process.stdout is not None
    assert beside.process.stdout.at_eof()


async def test_it_does_not_outlive_a_starter_that_was_killed(tmp_path: Path, eventually: Eventually) -> None:
    """SIGKILL of the starter leaves it no time to clear up, and the program ends all the same."""
    environment = _module(tmp_path, "endless", "import threading\nthreading.Event().wait()\n")
    starter = await asyncio.create_subprocess_exec(sys.executable, "-c", STARTER, env=environment, stdout=PIPE)
    assert starter.stdout is not None
    pid = int(await starter.stdout.readline())
    starter.kill()
    await starter.wait()

    await eventually(lambda: not lives(pid), within_s=20)
