"""
What one process has seen since it last told: a chunk. Workers send them to the master, which a local run is itself.

A chunk is bytes of MessagePack on the way. Chunks of a process are numbered from 1 in each run, so that none is missed
and none counted twice.
"""

import time
from collections import deque
from typing import Any

import msgspec

from loadtest.run.recording import Mark, Recorder
from loadtest.run.timeline import Timeline
from loadtest.told import Attempt

ATTEMPTS_MAX = 5000
"""In one chunk: half a megabyte, some fifty milliseconds of work for the master."""


class Chunk(msgspec.Struct, frozen=True, array_like=True):
    """
    What a process saw. *last* says that it has no more of this run.

    *timeline* is what Timeline.to_wire made. *cpu_percent* is of one core, over the time the chunk is of.
    """

    run: str
    number: int
    attempts: list[Attempt]
    marks: list[Mark]
    timeline: dict[str, Any]
    cpu_percent: float
    last: bool

    def encode(self) -> bytes:
        """Its bytes."""
        return msgspec.msgpack.encode(self)


_decoder = msgspec.msgpack.Decoder(Chunk)


def decode(data: bytes) -> Chunk:
    """The chunk that *data* is. Errors: msgspec.MsgspecError."""
    return _decoder.decode(data)


class Busy:
    """How busy this process is."""

    def __init__(self) -> None:
        self._cpu_s, self._at_s = time.process_time(), time.perf_counter()

    def percent(self) -> float:
        """Of one core, since the last time."""
        cpu_s, at_s = time.process_time(), time.perf_counter()
        share = (cpu_s - self._cpu_s) / max(at_s - self._at_s, 1e-3)
        self._cpu_s, self._at_s = cpu_s, at_s
        return 100 * share


class Teller:
    """
    Cuts what a process sees into chunks, and keeps each until it is known to have arrived.

    *recorder* has the attempts and marks; the timeline is here. A chunk has at most *attempts_max*.
    """

    def __init__(self, recorder: Recorder, attempts_max: int = ATTEMPTS_MAX) -> None:
        self._recorder, self._attempts_max = recorder, attempts_max
        self._busy = Busy()
        self._number = 0
        self._unheard: deque[Chunk] = deque()
        self.timeline = Timeline()

    def begin(self) -> None:
        """A run starts: what is left of an earlier one is none of it."""
        self._recorder.take()
        self._busy.percent()
        self._number, self.timeline = 0, Timeline()
        self._unheard.clear()

    def take(self, run: str, *, last: bool = False) -> list[Chunk]:
        """
        What was seen since the last time, in chunks that count as on their way now.

        There is one without attempts too: it says how busy the process is, and that it lives.
        """
        attempts, marks = self._recorder.take()
        timeline, self.timeline = self.timeline, Timeline()
        busy = self._busy.percent()
        starts = range(0, max(len(attempts), 1), self._attempts_max)
        made = [
            Chunk(
                run=run,
                number=self._number + place,
                attempts=attempts[start : start + self._attempts_max],
                marks=marks if place == 1 else [],
                timeline=timeline.to_wire() if place == 1 else Timeline().to_wire(),
                cpu_percent=busy,
                last=last and place == len(starts),
            )
            for place, start in enumerate(starts, 1)
        ]
        self._number += len(made)
        self._unheard.extend(made)
        return made

    def heard(self, number: int) -> None:
        """Everything up to *number* has arrived."""
        while self._unheard and self._unheard[0].number <= number:
            self._unheard.popleft()

    @property
    def unheard(self) -> list[Chunk]:
        """What is not known to have arrived, in order."""
        return list(self._unheard)
