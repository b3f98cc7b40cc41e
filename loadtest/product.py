"""What a load ends with besides the verdict of our own: that of the product, `fairclaim verdict`, on its campaign."""

import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from loadtest.system import bare_environment, program

JUDGED_S_MAX = 1800.0
PATIENCE = {
    "FAIRCLAIM_REDIS_CALL_MS_MAX": "15000",
    "FAIRCLAIM_REDIS_CONNECT_MS_MAX": "15000",
    "FAIRCLAIM_POSTGRES_MS_MAX": "30000",
}
"""It has time: the machine may still be busy with what the load has left behind, and nobody waits for the answer."""


class Ended(NamedTuple):
    """The exit code of `fairclaim verdict`, and what it printed: its table, or as JSON where that was asked for."""

    code: int
    printed: str

    @property
    def data(self) -> Any:
        """The verdict that was asked for as JSON; None where there is none."""
        return json.loads(self.printed) if self.code in (0, 1) else None


def product_verdict(ready_file: Path, campaign: str, told: Path | None = None, *, as_json: bool = False) -> Ended:
    """
    The verdict on *campaign*, held to the answers in the CSV *told*; what it complains of goes to stderr.

    Errors: subprocess.TimeoutExpired.
    """
    flags = ["--ready-file", str(ready_file), "--campaign", campaign, "--drain-wait", "60"]
    flags += ["--told", str(told)] if told else []
    flags += ["--json"] if as_json else []
    done = subprocess.run(  # noqa: S603 - the project's own command
        [program(), "verdict", *flags],
        env={**bare_environment(), **PATIENCE},
        stdout=subprocess.PIPE,
        text=True,
        timeout=JUDGED_S_MAX,
        check=False,
    )
    return Ended(done.returncode, done.stdout)


@contextmanager
def told_file(wanted: Path | None) -> Iterator[Path]:
    """Where to write what the crowd was told: *wanted*, or a file for as long as the block lasts."""
    if wanted is not None:
        yield wanted
        return
    with tempfile.TemporaryDirectory(prefix="fairclaim-told-") as folder:
        yield Path(folder) / "told.csv"


def end(report: dict[str, Any], ended: Ended, screen: Callable[[dict[str, Any]], str], *, as_json: bool) -> int:
    """Print a *report* and the verdict it *ended* with; the exit code of both."""
    if as_json:
        print(json.dumps({**report, "verdict": ended.data}, indent=2))
    else:
        print(f"{screen(report)}\n\n{ended.printed}".rstrip())
    return ended.code or (0 if report["clean"] else 1)
