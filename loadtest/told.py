"""
What a crowd was told: one row an attempt, answered or not. A generator writes it, the verdict reads it.

Nothing here knows the product. The file is a CSV in UTF-8, gzipped where its name ends in ``.gz``, whose first line
names the fields of Attempt.
"""

import csv
import gzip
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, NamedTuple, cast

CLAIM, REDEEM, ROLLBACK, ADJUST, RESERVE, RELEASE = "claim", "redeem", "rollback", "adjust", "reserve", "release"
KINDS = (CLAIM, REDEEM, ROLLBACK, ADJUST, RESERVE, RELEASE)
UNANSWERED = 0
"""In the place of a status: the connection broke, or whoever asked gave up before there was an answer."""


class Attempt(NamedTuple):
    """
    One request that may change something, as whoever sent it saw it. Attempts with one *key* are one ask.

    *outcome* is ``claimed``, ``replayed``, ``done``, a problem code, ``unanswered``, or ``wrong`` for an answer that is
    none of these. *ref* is the id of a redemption; *minor* its discount, what was rolled back, or the units of an
    adjustment. *sent_s* and *answered_s* are seconds since the epoch by the clock of the generator.
    """

    kind: str
    campaign: str
    holder: str
    key: str
    status: int
    outcome: str
    code: str = ""
    seq: int = 0
    ref: str = ""
    minor: int = 0
    sent_s: float = 0.0
    answered_s: float = 0.0

    @property
    def granted(self) -> bool:
        """Whether it was told that what it asked for is done."""
        return 200 <= self.status < 300

    @property
    def uncertain(self) -> bool:
        """Whether it may have been done all the same: there was no answer, or one that does not know."""
        return self.status == UNANSWERED or self.status >= 500


def write_told(file: Path, attempts: Iterable[Attempt]) -> int:
    """Write *attempts*; how many there were. Errors: OSError."""
    count = 0
    with _opened(file, "wt") as out:
        rows = csv.writer(out)
        rows.writerow(Attempt._fields)
        for count, attempt in enumerate(attempts, 1):  # noqa: B007 - it is given back
            rows.writerow(attempt)
    return count


def read_told(file: Path) -> Iterator[Attempt]:
    """The attempts in *file*, one by one. Errors: OSError; ValueError naming the line that is none."""
    with _opened(file, "rt") as lines:
        rows = csv.reader(lines)
        if tuple(next(rows, ())) != Attempt._fields:
            raise ValueError(f"{file}: the first line has to be {','.join(Attempt._fields)}")
        for number, row in enumerate(rows, 2):
            try:
                kind, campaign, holder, key, status, outcome, code, seq, ref, minor, sent_s, answered_s = row
                if kind not in KINDS:
                    raise ValueError(f"kind is one of {', '.join(KINDS)}")
                yield Attempt(
                    kind, campaign, holder, key, int(status), outcome, code, int(seq), ref, int(minor),
                    float(sent_s), float(answered_s),
                )  # fmt: skip
            except ValueError as error:
                raise ValueError(f"{file}: line {number} is no attempt: {error}") from error


def _opened(file: Path, mode: str) -> AbstractContextManager[IO[str]]:
    if file.suffix == ".gz":
        return cast(AbstractContextManager[IO[str]], gzip.open(file, mode, encoding="utf-8", newline=""))
    return file.open(mode, encoding="utf-8", newline="")
