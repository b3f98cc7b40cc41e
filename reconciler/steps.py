"""
The numbered points between which a reconciler can die.

Each is passed to a callback that does nothing in production; the tests kill, stop or cut off a process
exactly there.
"""

from collections.abc import Callable
from enum import IntEnum


class Step(IntEnum):
    """Points of one turn of the drain, in order."""

    BEFORE_READ = 1
    AFTER_READ = 2
    AFTER_FENCE = 3
    AFTER_COPY = 4
    BEFORE_COMMIT = 5
    AFTER_COMMIT = 6
    AFTER_TRIM = 7


Passing = Callable[[Step], None]


def unobserved(_step: Step) -> None:
    """Let every step pass."""
