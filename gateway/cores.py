"""How many processor cores this process may use: those it may run on, within the CPU quota of its control groups."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

CONTROL_GROUPS = Path("/sys/fs/cgroup")
OWN_GROUP = Path("/proc/self/cgroup")


def usable_cores(groups: Path = CONTROL_GROUPS, own: Path = OWN_GROUP) -> int:
    """Whole cores, at least one; a part of a core counts as a whole one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([cores, *map(math.ceil, _quotas(groups, own))]))


def _quotas(groups: Path, own: Path) -> Iterator[float]:
    """The quota of our group and of each above it, in cores. A container sees its own group as the topmost one."""
    group = _own_group(own)
    for folder in (group, *group.parents):
        quota, _, period = _text(groups / folder / "cpu.max").partition(" ")  # "150000 100000", or "max 100000"
        if quota.isdecimal():
            yield int(quota) / int(period)


def _own_group(own: Path) -> Path:
    """Our group, as a path below the topmost one that is seen here."""
    for line in _text(own).splitlines():
        if line.startswith("0::"):  # the others are of version 1, which has no cpu.max
            return Path(*(part for part in Path(line[3:]).parts if part not in ("/", "..")))
    return Path()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
