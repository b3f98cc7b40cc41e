"""
Replay a trace against the running system that FAIRCLAIM_READY_FILE names, else one that is started for it and stopped.

    python -m loadtest.trace claims.csv.gz --stock 20000
"""

import os
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
    """Ctrl-C reaches the command by itself, from the terminal; what it has to say is waited for."""
    command = [program(), "replay", *arguments]
    with subprocess.Popen(command, env={**os.environ, READY: ready_file}) as replaying:  # noqa: S603 - our own command
        while True:
            try:
                return replaying.wait()
            except KeyboardInterrupt:
                continue


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
