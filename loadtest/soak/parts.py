"""What every process of a system takes right now, read from /proc."""

import os
import re
from pathlib import Path
from typing import NamedTuple

from loadtest.soak.levels import Sample
from loadtest.system import descendants

UNKNOWN = -1
POSTGRES = "postgres"


class Process(NamedTuple):
    """A running process of the system: which part it is, its id and its parent's."""

    part: str
    pid: int
    parent: int


def processes_below(root: int) -> list[Process]:
    """*root* and what it started, each with the part it is. Those of PostgreSQL are one process: its first."""
    found = []
    for pid in descendants(root):
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # ended since it was listed
            continue
        found.append(Process(part_of(line), pid, parent))
    return found


def part_of(command: str) -> str:
    """Which part runs *command*: ``gateway 0`` is worker 0."""
    ours = re.search(r"gateway\.cli (\w+)(?:.* --slot (\d+))?", command)
    if ours:
        return {"worker": f"gateway {ours[2]}", "reconcile": "reconciler", "up": "supervisor"}.get(ours[1], ours[1])
    words = (("valkey-server", "redis"), ("redis-server", "redis"), ("postgres", POSTGRES))
    return next((part for word, part in words if word in command), "supervisor")


def sample(root: int, at_s: float) -> dict[tuple[str, int], Sample]:
    """
    What each part below *root* takes now, by its name and process id.

    Shape: the processes of PostgreSQL are summed under the first of them, but for what they share.
    Units: bytes, open files.
    """
    found: dict[tuple[str, int], Sample] = {}
    processes = processes_below(root)
    first = min((each.pid for each in processes if each.part == POSTGRES), default=0)
    for part, pid, _ in processes:
        taken = taken_by(pid, at_s)
        if taken is None:
            continue
        key = (part, first if part == POSTGRES else pid)
        before = found.get(key)
        found[key] = taken if before is None else _sum(before, taken)
    return found


def _sum(one: Sample, other: Sample) -> Sample:
    files = UNKNOWN if UNKNOWN in (one.files, other.files) else one.files + other.files
    return Sample(one.at_s, one.memory + other.memory, one.resident + other.resident, files)


def taken_by(pid: int, at_s: float) -> Sample | None:
    """
    What one process takes: *memory* is the anonymous part of its proportional set size, *resident* all of its pages.

    Where the kernel does not let us see that (another user's process), *memory* is the resident size and *files* are
    UNKNOWN. None: it has ended.
    """
    folder = Path(f"/proc/{pid}")
    try:
        resident = int((folder / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None
    if not resident:  # ended, and nobody has asked for its exit code yet
        return None
    memory, files = resident, UNKNOWN
    try:
        anonymous = re.search(r"^Pss_Anon:\s+(\d+) kB", (folder / "smaps_rollup").read_text(), re.MULTILINE)
        memory = int(anonymous[1]) * 1024 if anonymous else resident
        files = len(os.listdir(folder / "fd"))
    except PermissionError:
        return Sample(at_s, resident, resident, UNKNOWN)
    except OSError:
        return None
    return Sample(at_s, memory, resident, files)
