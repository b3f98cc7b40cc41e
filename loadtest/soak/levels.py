"""
Does a part stay as large as it is? Judged on samples alone: nothing here knows a process.

A process is judged by the second half of its life, because the first fills what a server fills once: pools, caches,
compiled code. The slope over that half is the median of the slopes between all pairs of samples (Theil and Sen), which
a moment of garbage does not bend. It is level if at that slope it grew by no more than a bound, and if at rest, when
the crowd has gone, it has no more files open than before the crowd came.
"""

from collections.abc import Iterable, Sequence
from itertools import combinations
from statistics import median
from typing import NamedTuple

LIFE_SHARE_MIN = 0.3
"""Of a run: whatever is started again last lives longer than this (restarts.py)."""
SAMPLES_MIN = 5
PAIRED_MAX = 200
"""So many samples of a long life are compared in pairs: 20,000 pairs, evenly chosen."""
GROWTH_SHARE_MAX, GROWTH_BYTES_MAX = 0.05, 4 * 2**20
"""
A process may grow by a twentieth, or by 4 MiB where that is more: allocators take memory in pieces of a mebibyte, and
a process of 60 MB that is level wavers by one or two of them. At 200 requests a second the last two minutes of ten find
whatever keeps 200 bytes a request; those of two hours find 15 bytes.
"""
ENTRY_BYTES = 320
"""
What a state change may take in Redis: 142 to 190 bytes a coupon and 44 while on the stream, and half as much again for
the tables of a hash that grows.
"""
FILES_MAX = 48
"""
Beyond what was open before the first request: pools of connections to Redis and PostgreSQL that were not full yet. Ten
minutes at 200 requests a second find what keeps one file in 2,500 requests.
"""
POSTGRES_BYTES_MAX = 64 * 2**20
"""
PostgreSQL instead of GROWTH_BYTES_MAX: two dozen processes keep caches, and what queries sort in grows with the books.
Ten minutes of 100 claims a second took 28 MiB of it.
"""


class Sample(NamedTuple):
    """One process at one moment: *memory* is what it has for itself, in bytes; *files* may be unknown (-1)."""

    at_s: float
    memory: int
    resident: int
    files: int


class Life(NamedTuple):
    """One generation of *part*: the samples of a process from its first to its last; *seqs* beside those of Redis."""

    part: str
    pid: int
    samples: list[Sample]
    seqs: list[int]


class Level(NamedTuple):
    """
    How a generation was judged. *grown* is what it gained over the second half at its slope, *may_grow* the bound;
    *memory_middle* is what it took when that half began.

    *judged* is False for one that did not live long enough. Units: seconds, bytes, open files.
    """

    part: str
    pid: int
    life_s: float
    memory_middle: int
    memory_last: int
    resident_max: int
    grown: int
    may_grow: int
    files_max: int
    files_last: int
    judged: bool

    @property
    def holds(self) -> bool:
        """Whether it is level, or too young to say."""
        return not self.judged or self.grown <= self.may_grow


def slope(points: Sequence[tuple[float, float]]) -> float:
    """The median slope between pairs of *points*; 0 where there are no two moments."""
    step = -(-len(points) // PAIRED_MAX) or 1
    chosen = points[::step]
    return median([(b - a) / (t - s) for (s, a), (t, b) in combinations(chosen, 2) if t > s] or [0.0])


def judge(life: Life, life_s_min: float) -> Level:
    """Whether the memory of one generation is level. Errors: ValueError without a sample."""
    if not life.samples:
        raise ValueError(f"{life.part}: there is no sample")
    first, last = life.samples[0], life.samples[-1]
    lived_s = last.at_s - first.at_s
    late = [at for at, sample in enumerate(life.samples) if sample.at_s >= first.at_s + lived_s / 2]
    half = [life.samples[at] for at in late]
    half_s = last.at_s - half[0].at_s
    grown = slope([(sample.at_s, sample.memory) for sample in half]) * half_s
    least = POSTGRES_BYTES_MAX if life.part == "postgres" else GROWTH_BYTES_MAX
    may_grow = max(least, GROWTH_SHARE_MAX * median(sample.memory for sample in half))
    if life.seqs:
        may_grow += ENTRY_BYTES * (life.seqs[-1] - life.seqs[late[0]])
    return Level(
        life.part, life.pid, round(lived_s, 1), half[0].memory, last.memory,
        max(sample.resident for sample in life.samples), round(grown), round(may_grow),
        max(sample.files for sample in life.samples), last.files, lived_s >= life_s_min and len(half) >= SAMPLES_MIN,
    )  # fmt: skip


class Rest(NamedTuple):
    """How many files a kind of part has open when nobody asks for anything: before the crowd came, and after."""

    part: str
    before: int
    after: int

    @property
    def holds(self) -> bool:
        """Whether it gave back what it opened."""
        return self.after <= self.before + FILES_MAX


def kind_of(part: str) -> str:
    """The kind of a part: the workers of a gateway are one."""
    return "gateway" if part.startswith("gateway") else part


def at_rest(before: Iterable[tuple[str, int]], after: Iterable[tuple[str, int]]) -> list[Rest]:
    """
    Compare the open files of parts before and after, by the kind: the most of each, because all of a kind are alike.

    PostgreSQL is left out: each of its processes keeps the files it has read open, up to a setting. So is what can't
    be read (-1).
    """
    had, have = _most(before), _most(after)
    return [Rest(kind, had[kind], have[kind]) for kind in sorted(had) if kind in have]


def _most(files: Iterable[tuple[str, int]]) -> dict[str, int]:
    most: dict[str, int] = {}
    for part, count in files:
        if part != "postgres" and count >= 0:
            most[kind_of(part)] = max(count, most.get(kind_of(part), 0))
    return most


def unjudged(levels: Sequence[Level], parts: Iterable[str]) -> list[str]:
    """Those of *parts* of which no generation lived long enough: nothing is known about them."""
    return sorted({*parts} - {level.part for level in levels if level.judged})
