"""
Replay a trace against the running system that FAIRCLAIM_READY_FILE names, else one that is started for it and stopped.

    python -m loadtest.trace claims.csv.gz --stock 20000
"""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from loadtest.system import System, program

READY = "FAIRCLAIM_READY_FILE"
SHARDS_MAX = "10000"
"""A trace may have more coupons than one reconciler drains by default."""


def main(arguments: list[str]) -> int:
    """Run `fairclaim replay` with *arguments*; its exit code."""
    if not arguments:
        print("which trace? make replay TRACE=claims.csv.gz", file=sys.stderr)
        return 2
    if os.environ.get(READY):
        return _replay(arguments, os.environ[READY])
    with tempfile.TemporaryDirectory(prefix="fairclaim-replay-") as folder:
        print("starting a system for it", file=sys.stderr, flush=True)
        with System(Path(folder), no_demo="true", drain_shards_max=SHARDS_MAX):
            return _replay(arguments, str(Path(folder) / "ready.json"))


def _replay(arguments: list[str], ready_file: str) -> int:
    """Ctrl-C is handed on, once, and what the command has to say to it is waited for."""
    command, environment = [program(), "replay", *arguments], {**os.environ, READY: ready_file}
    # In a session of its own, so that the terminal does not tell it too.
    replaying = subprocess.Popen(command, env=environment, start_new_session=True)  # noqa: S603 - our own command
    while True:
        try:
            return replaying.wait()
        except KeyboardInterrupt:
            replaying.send_signal(signal.SIGINT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
