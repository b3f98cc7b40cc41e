"""What a check of a server or a disk found, and the checks that need no server."""

import time
from pathlib import Path
from typing import Literal

import msgspec

from gateway.stack.preflight import DISK_FREE_MIB_MIN, free_mib, open_files_allowed
from gateway.stack.processes import StackError

Level = Literal["ok", "warn", "fail"]

SKEW_MS_WARN = 500
SKEW_MS_FAIL = 30_000
DISK_FREE_MIB_WARN = 2048


class Finding(msgspec.Struct, frozen=True):
    """One check: *found* is what is there, *advice* what to do about it (empty where all is well)."""

    name: str
    level: Level
    found: str
    advice: str = ""


def raise_fatal(findings: list[Finding]) -> None:
    """Errors: StackError with the first finding that fails; the others wait in `fairclaim doctor`."""
    for finding in findings:
        if finding.level == "fail":
            raise StackError(f"{finding.name}: {finding.found}; {finding.advice}")


def skew(name: str, server_ms: int, asked_ms: int, answered_ms: int) -> Finding:
    """
    How far *server_ms* is from our clock, which showed *asked_ms* and *answered_ms* around the question.

    Units: milliseconds since 1970.
    """
    behind, ahead = asked_ms - server_ms, server_ms - answered_ms
    off = max(behind, ahead, 0)
    found = f"{off} ms {'behind' if behind > 0 else 'ahead of'} this machine" if off else "the same as this machine's"
    level: Level = "fail" if off > SKEW_MS_FAIL else "warn" if off > SKEW_MS_WARN else "ok"
    return Finding(name, level, found, "let both machines follow the same time server" if level != "ok" else "")


def now_ms() -> int:
    """Our clock, milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def check_disk(directory: Path) -> Finding:
    """Room on the disk of *directory*, or of what will be its parent."""
    there = next(path for path in (directory, *directory.parents) if path.exists())
    left = free_mib(there)
    level: Level = "fail" if left < DISK_FREE_MIB_MIN else "warn" if left < DISK_FREE_MIB_WARN else "ok"
    advice = "free some space, or choose another --data-dir" if level != "ok" else ""
    return Finding("disk", level, f"{left} MiB left for {directory}", advice)


def check_open_files(needed: int) -> Finding:
    """Whether a worker may have as many connections as it is set to."""
    most = open_files_allowed()
    if most is None or most >= needed:
        return Finding("open_files", "ok", f"{'no limit' if most is None else most}, {needed} are needed")
    advice = "raise the hard limit (ulimit -Hn, LimitNOFILE), or lower FAIRCLAIM_CONNECTIONS_MAX"
    return Finding("open_files", "warn", f"{most} at most, a worker needs {needed}", advice)
