"""What happens when, by the seconds since the run began: pure, so that every process knows it from the clock alone."""

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple, Protocol

CLAIMING = ("Claimer", "Bot", "Wallet")
TILLS = ("Till",)
LOOKING = ("Wallet", "Marketer", "Finance")
"""Who is there before the crowd: however fast the machine, nothing is sold out before the doors open."""
OVER = "over"
"""The name of what comes after the last stage."""
FEW = 2
"""So many users, or fewer, claim: those who work here are one each and come first, and nobody would be left for it."""
FIXED_SHARE_MAX = 0.1
"""A stage of so many seconds takes no more of a short run than this."""


class Size(Protocol):
    """How large and how long a run is, as Locust was told: --users, --spawn-rate, --run-time (None: no end)."""

    @property
    def users(self) -> int: ...  # noqa: D102 - said above

    @property
    def spawn_rate(self) -> float: ...  # noqa: D102 - said above

    @property
    def run_time_s(self) -> float | None: ...  # noqa: D102 - said above


class Stage(NamedTuple):
    """
    What holds until *until_s* seconds into the run.

    *users* is how many there are in all, reached by *spawn_rate* a second; the ones that are added are of *classes*,
    empty for all. *drop_replies* is the share of replies that are lost on the way, in place of --drop-replies where
    there is one; whoever misses one asks again at *retry_at_s* seconds into the run, all in the same instant. *restock*
    is whether the marketer may add to what is sold out.
    """

    name: str
    until_s: float
    users: int
    spawn_rate: float
    classes: tuple[str, ...] = ()
    drop_replies: float | None = None
    retry_at_s: float | None = None
    restock: bool = True


class _Part(NamedTuple):
    """A line of a table: *share* of the run or *lasts_s*, at *users* of the peak, reached in a second or bit by bit."""

    name: str
    users: float
    share: float = 0.0
    lasts_s: float = 0.0
    slowly: bool = False
    classes: tuple[str, ...] = ()
    drop_replies: float | None = None
    restock: bool = True

    @property
    def not_yet(self) -> "_Part":
        """The same, and the marketer waits."""
        return self._replace(restock=False)


class Shape(NamedTuple):
    """A table of stages, how long it takes where nobody says, and at how many sales at once."""

    says: str
    run_time_s: float
    parts: tuple[_Part, ...]
    sales: int = 1


_OVER = Stage(OVER, math.inf, 0, 1.0)
_DOORS = _Part("doors", 0.1, 0.1, classes=LOOKING)
_SILENCE = _Part("silence", 1.0, lasts_s=4.0, classes=CLAIMING, drop_replies=1.0)

SHAPES: dict[str, Shape] = {
    "steady": Shape("Locust's own --users, --spawn-rate and --run-time", math.inf, ()),
    "spike": Shape(
        "from few to all in one second, then few again",
        60.0,
        (_DOORS, _Part("spike", 1.0, 0.6, classes=CLAIMING), _Part("after", 0.2, 0.3)),
    ),
    "soak": Shape(
        "up bit by bit, then the same for as long as you like",
        600.0,
        (_Part("warming up", 1.0, 0.1, slowly=True), _Part("soak", 1.0, 0.9)),
    ),
    "retry-storm": Shape(
        "for four seconds no reply comes through, then everybody asks again in the same instant",
        60.0,
        (
            _DOORS,
            _Part("rush", 1.0, 0.3, classes=CLAIMING),
            _SILENCE,
            _Part("storm", 1.0, 0.4, classes=CLAIMING),
            _Part("after", 0.2, 0.2),
        ),
    ),
    "two-sales": Shape(
        "one rush on two campaigns",
        60.0,
        (_DOORS, _Part("rush", 1.0, 0.7, classes=CLAIMING), _Part("after", 0.2, 0.2)),
        sales=2,
    ),
    "restock": Shape(
        "sold out, few look in, then all come again for what the marketer adds",
        90.0,
        (
            _DOORS.not_yet,
            _Part("rush", 1.0, 0.3, classes=CLAIMING).not_yet,
            _Part("sold out", 0.2, 0.2).not_yet,
            _Part("restock", 1.0, 0.3, classes=CLAIMING),
            _Part("after", 0.2, 0.1),
        ),
    ),
    "sale": Shape(
        "a whole sale: spike, retries, restock, tills",
        120.0,
        (
            _DOORS.not_yet,
            _Part("spike", 1.0, 0.2, classes=CLAIMING).not_yet,
            _SILENCE.not_yet,
            _Part("retries", 1.0, 0.2, classes=CLAIMING).not_yet,
            _Part("sold out", 0.3, 0.1).not_yet,
            _Part("restock", 0.8, 0.15, classes=CLAIMING),
            _Part("leaving", 0.3, 0.05),
            _Part("tills", 0.6, 0.2, classes=TILLS),
        ),
    ),
}


def sales_of(shape: str) -> int:
    """At how many campaigns at once *shape* is aimed."""
    return SHAPES[shape].sales


def length_s(shape: str, size: Size) -> float:
    """How long a run of *shape* takes: --run-time, else what its table says; infinite for steady without one."""
    return size.run_time_s or SHAPES[shape].run_time_s


def stages_of(shape: str, size: Size) -> tuple[Stage, ...]:
    """
    The stages of *shape*, in order, stretched to --run-time; their last one ends with the run.

    Errors: KeyError for a shape there is none of.
    """
    return _stages(shape, size.users, size.spawn_rate, length_s(shape, size))


@lru_cache
def _stages(shape: str, peak: int, spawn_rate: float, length: float) -> tuple[Stage, ...]:
    parts = SHAPES[shape].parts
    if not parts:
        return (Stage(shape, length, peak, spawn_rate, () if peak > FEW else ("Claimer",)),)
    fixed = {part: min(part.lasts_s, length * FIXED_SHARE_MAX) for part in parts if part.lasts_s}
    scale = (length - sum(fixed.values())) / sum(part.share for part in parts)
    lasting = [fixed.get(part, part.share * scale) for part in parts]
    ends = [*list(accumulate(lasting))[:-1], length]
    stages, before = [], 0
    for part, lasts, end in zip(parts, lasting, ends, strict=True):
        users = max(1, round(peak * part.users))
        change = abs(users - before)
        rate = max(0.01, change / lasts) if part.slowly else max(1.0, change)
        retry_at_s = end if part.drop_replies else None
        stages.append(Stage(part.name, end, users, rate, part.classes, part.drop_replies, retry_at_s, part.restock))
        before = users
    return tuple(stages)


def stage_at(shape: str, elapsed_s: float, size: Size) -> Stage:
    """
    The stage of *shape* that holds *elapsed_s* seconds into a run; OVER, without users, behind its end.

    Errors: KeyError for a shape there is none of.
    """
    return next((stage for stage in stages_of(shape, size) if elapsed_s < stage.until_s), _OVER)


def in_turn(shape: str, played: str, due: Stage, size: Size) -> Stage:
    """
    What to play when *due* holds and *played*, by name, was played last; empty: none yet.

    Shape: *due*, or the stage before it that would be left out: one that begins and ends between two looks has people
    come or go all the same, without which those of the next one would not come. Behind the end nothing is made up for.
    """
    if due.name == OVER:
        return due
    stages = stages_of(shape, size)
    names = [stage.name for stage in stages]
    following = names.index(played) + 1 if played else 0
    return stages[min(following, names.index(due.name))] if played != due.name else due


def classes_at(stage: Stage, present: Sequence[str], arrivals: bool) -> tuple[str, ...]:
    """
    Which of the classes that are *present* are added in *stage*; with *arrivals* Arrivals claims in place of others.

    Shape: never empty where *present* is not; who chose classes that have no part in a stage gets those he chose.
    """
    left_out = {"Claimer", "Bot"} if arrivals else {"Arrivals"}
    there = [name for name in present if name not in left_out]
    wanted = {"Arrivals" if arrivals and name == "Claimer" else name for name in stage.classes}
    return tuple(name for name in there if not wanted or name in wanted) or tuple(there or present)
