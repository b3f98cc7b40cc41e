"""Which part is ended when, and how: fixed before the run by a seed."""

import random
import signal
from typing import NamedTuple

FIRST_SHARE, LAST_SHARE = 0.1, 0.6
"""Restarts happen in this part of a run; what started last is then watched for the rest of it."""
EVERY_S = 30.0
WAYS = tuple((part, number) for part in ("gateway", "reconciler") for number in (signal.SIGTERM, signal.SIGKILL))


class Restart(NamedTuple):
    """At *at_s* seconds into the run, *part* (``gateway 1``, ``reconciler``) is sent *number*."""

    at_s: float
    part: str
    number: signal.Signals

    def __str__(self) -> str:
        return f"{self.number.name} to {self.part}"


def restarts(run_s: float, workers: int, seed: int) -> list[Restart]:
    """
    The restarts of a run of *run_s* seconds with so many gateway workers, in order.

    A gateway worker and the reconciler are each ended by SIGTERM and by SIGKILL at least once, and about every half
    minute something is.
    """
    draw = random.Random(f"restarts {seed}")  # noqa: S311 - reproducible, not secret
    window_s = run_s * (LAST_SHARE - FIRST_SHARE)
    rounds = max(1, round(window_s / EVERY_S / len(WAYS)))
    ways = [way for _ in range(rounds) for way in draw.sample(WAYS, len(WAYS))]
    every_s = window_s / len(ways)
    planned = []
    for number, (kind, how) in enumerate(ways):
        part = f"gateway {draw.randrange(workers)}" if kind == "gateway" else kind
        at_s = run_s * FIRST_SHARE + every_s * (number + 0.5 * draw.random())
        planned.append(Restart(round(at_s, 1), part, how))
    return planned
