"""
A whole sale in two minutes, on the running system that FAIRCLAIM_READY_FILE names, else on one that is started for it.
Whoever names a campaign means one of a running system: without that variable, of the one that was started here.

    python -m loadtest
    python -m loadtest --campaign autumn-flash --restock 0
    python -m loadtest --users 400 --run-time 5m --fail-on 'p99<=300'

Everything after the name is Locust's and comes after the arguments of the sale, so it goes before them. The exit code
is Locust's: 0 only where the verdict and every gate hold.
"""

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from loadtest.crowd import INTERRUPTED, Crowd, ended_like_ctrl_c
from loadtest.system import System
from loadtest.target import ready_file_named

READY = "FAIRCLAIM_READY_FILE"
WORKERS = 2
SALE = (
    "--shape=sale", "--users=80", "--run-time=2m", "--stop-timeout=10",
    "--stock=6000", "--holders=30000", "--restock=2000", "--restocks=1",
    "--retry-rate=0.1", "--drop-replies=0.02", "--slow-links=0.02", "--reconnects=0.02", "--duplicate-sends=0.02",
    "--slow-ms=4000", "--fail-on=p99<=2000,errors<=1%,goodput>=50",
)  # fmt: skip
"""
A sale that two cores can play beside the system they play it on, with some of every fault.

The gates are wide on purpose: generator and system share the machine, with whatever else it does, so a p99 says little
here about the gateway (docs/performance.md has what it can do). They fail where something is broken: with ten times as
much work on two cores as they can do, the p99 was 0.3 to 0.6 s and 200 to 340 claims a second had their answer.
"""


@contextmanager
def a_system(ready_file: str) -> Iterator[Path]:
    """The ready file of the running system, or of one that lasts as long as the block."""
    if ready_file:
        yield Path(ready_file)
        return
    with tempfile.TemporaryDirectory(prefix="fairclaim-loadtest-") as folder:
        print("starting a system for it", file=sys.stderr, flush=True)
        with System(Path(folder), workers=WORKERS, no_demo="true") as system:
            yield system.ready_file


def ready_file_of(arguments: Sequence[str]) -> str:
    """The ready file that *arguments* or the environment name, or of the campaign's system; empty for none."""
    named = _given(arguments, "--ready-file") or os.environ.get(READY, "")
    if named or not _given(arguments, "--campaign"):
        return named
    running = ready_file_named()  # `fairclaim up` removes it when it ends
    return running if Path(running).exists() else ""


def _given(arguments: Sequence[str], wanted: str) -> str:
    """The value of an argument; empty where it is not there."""
    for at, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name == wanted:
            return value if equals else "".join(arguments[at + 1 : at + 2])
    return ""


def main(arguments: Sequence[str]) -> int:
    """Play the sale with *arguments* of Locust in addition; its exit code."""
    if {"-h", "--help"} & {*arguments}:
        print(__doc__)
        return 0
    try:
        with (
            ended_like_ctrl_c(),
            a_system(ready_file_of(arguments)) as ready_file,
            Crowd([*SALE, *arguments], ready_file) as crowd,
        ):
            return crowd.see_out()
    except KeyboardInterrupt:
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
