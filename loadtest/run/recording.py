"""What one process of the crowd saw: every attempt, and what was done to the sale and when."""

import time
from typing import NamedTuple

from loadtest.told import Attempt


class Mark(NamedTuple):
    """Something that was done to the sale: a restock, a pause, a kill. *at_s* is seconds since the epoch."""

    at_s: float
    says: str


class Recorder:
    """Keeps what users saw until it is taken."""

    def __init__(self) -> None:
        self._attempts: list[Attempt] = []
        self._marks: list[Mark] = []

    def attempt(self, attempt: Attempt) -> None:
        """Keep what an attempt came to."""
        self._attempts.append(attempt)

    def mark(self, says: str) -> None:
        """Keep that something was done, now."""
        self._marks.append(Mark(time.time(), says))

    def take(self) -> tuple[list[Attempt], list[Mark]]:
        """What was kept since the last time."""
        taken = self._attempts, self._marks
        self._attempts, self._marks = [], []
        return taken


recorder = Recorder()
"""That of this process: Locust makes the users, so they find it here."""
