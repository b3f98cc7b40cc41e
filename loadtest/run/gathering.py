"""
Everything the processes of a run saw, gathered in one place: attempts in a file, the rest added up.

Attempts go to the file as they come, so the size of a run is no matter of memory. What a process said twice counts
once, and a process that did not come to its last chunk is named: nobody knows what it asked.
"""

import csv
import gzip
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from loadtest.run.chunks import Chunk
from loadtest.run.recording import Mark
from loadtest.run.timeline import Timeline
from loadtest.told import CLAIM, Attempt

COMPRESSION = 1
"""A quarter larger than the best, at a fifth of the time, of which the load has a use."""


class ToldFile:
    """
    The attempts of a run, in the form of loadtest.told, which only `keep` gives the name it was made for.

    Errors of all: OSError.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._part = file.with_name(f".{file.name}.part")
        self._out = gzip.open(self._part, "wt", COMPRESSION, encoding="utf-8", newline="")  # noqa: SIM115 - kept
        self._rows = csv.writer(self._out)
        self._rows.writerow(Attempt._fields)

    def add(self, attempts: Iterable[Attempt]) -> None:
        """Write more of them."""
        self._rows.writerows(attempts)

    def keep(self) -> Path:
        """No more of them: the file has its name from now on."""
        self._out.close()
        return self._part.replace(self.file)


@dataclass
class Source:
    """A process that tells: how far it came."""

    heard: int = 0
    done: bool = False
    early: dict[int, Chunk] = field(default_factory=dict)
    """Chunks that came before the ones they follow."""


class Gathered:
    """What was gathered of one run, *run*. Attempts go to *told*."""

    def __init__(self, run: str, told: ToldFile) -> None:
        self.run, self.told = run, told
        self.timeline = Timeline()
        self.marks: list[Mark] = []
        self.codes: defaultdict[str, set[str]] = defaultdict(set)
        """By campaign: the coupons that claims were told of."""
        self.cpu_percent_max = 0.0
        self.sources: dict[str, Source] = {}
        self.broken = ""
        """Why attempts could not be kept, where they could not: then nothing can be judged."""

    def expect(self, source: str) -> None:
        """Something will be told by *source*."""
        self.sources.setdefault(source, Source())

    def add(self, source: str, chunk: Chunk) -> int:
        """
        Count a chunk that *source* told, once and in its order; the number up to which everything of it has arrived.
        """
        if chunk.run != self.run:
            return 0
        teller = self.sources.setdefault(source, Source())
        if chunk.number > teller.heard:
            teller.early[chunk.number] = chunk
        while (following := teller.early.pop(teller.heard + 1, None)) is not None:
            teller.heard += 1
            teller.done = teller.done or following.last
            self._count(following)
        return teller.heard

    def _count(self, chunk: Chunk) -> None:
        try:
            self.told.add(chunk.attempts)
        except (OSError, ValueError) as error:  # the disk is full, or the file was closed
            self.broken = f"what was told can't be written: {error}"
        for each in chunk.attempts:
            if each.kind == CLAIM and each.granted:
                self.codes[each.campaign].add(each.code)
        self.marks.extend(chunk.marks)
        self.timeline.merge(Timeline.of_wire(chunk.timeline))
        self.cpu_percent_max = max(self.cpu_percent_max, chunk.cpu_percent)

    @property
    def untold(self) -> list[str]:
        """Who has not come to its last chunk."""
        return [source for source, teller in self.sources.items() if not teller.done]
