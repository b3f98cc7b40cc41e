"""Which process runs on which core, and the CPU time each one has used."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class Cores(NamedTuple):
    """The cores of each part. On two cores Redis, the generator and the rest share the second one."""

    gateway: frozenset[int]
    redis: frozenset[int]
    generator: frozenset[int]
    rest: frozenset[int]

    @property
    def apart(self) -> bool:
        """Whether the gateway has its core to itself."""
        return bool(self.gateway) and not self.gateway & (self.redis | self.generator | self.rest)


def share_out(cores: frozenset[int]) -> Cores:
    """Give the gateway the first of *cores*, and Redis, the generator and the rest the others, as far as they go."""
    if not cores:
        return Cores(cores, cores, cores, cores)
    each = [frozenset({core}) for core in sorted(cores)]
    gateway, *others = each if len(each) > 1 else each * 2
    redis, *others = others
    generator, *others = others or [redis]
    return Cores(gateway, redis, generator, frozenset().union(*others) if others else generator)


def allowed_cores() -> frozenset[int]:
    """The cores this process may run on; none where a process can't be pinned."""
    return frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else frozenset()


def pin(pids: Iterable[int], cores: frozenset[int]) -> None:
    """Keep each process, with all its threads, to *cores*; no cores: leave it alone."""
    for pid in pids if cores else ():
        with suppress(FileNotFoundError):  # a process that has ended needs no core
            for thread in _threads(pid):
                with suppress(ProcessLookupError):  # nor does a thread
                    os.sched_setaffinity(int(thread.name), cores)


@contextmanager
def kept_to(cores: frozenset[int]) -> Iterator[None]:
    """Keep this process, and what it starts, to *cores* for the length of the block; no cores: leave it alone."""
    if not cores:
        yield
        return
    before = os.sched_getaffinity(0)
    pin([os.getpid()], cores)
    try:
        yield
    finally:
        pin([os.getpid()], frozenset(before))


def spent_s(pid: int) -> float:
    """CPU seconds *pid* has used: of its living threads to the nanosecond, or in ticks where nothing finer is kept."""
    if not Path(f"/proc/{pid}/schedstat").exists():
        times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(times[11]) + int(times[12])) * _TICK_S
    spent_ns = 0
    for thread in _threads(pid):
        try:
            spent_ns += int((thread / "schedstat").read_text().split()[0])
        except (FileNotFoundError, ProcessLookupError):  # it ended since it was listed
            continue
    return spent_ns / 1e9


def machine_busy_s() -> float:
    """CPU seconds all processes of this machine have used together."""
    words = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, _idle, _iowait, *others = (int(word) for word in words[:8])
    return (user + nice + system + sum(others)) * _TICK_S


def _threads(pid: int) -> list[Path]:
    return list(Path(f"/proc/{pid}/task").iterdir())
