"""
The paced generator: every claim has a due time, fixed before the run, and leaves at it whatever became of the others.

    python -m loadtest.bench.paced pace.json answers.msgpack

A generator that waits for an answer before it asks again (wrk does) asks less when the gateway is slow, and so leaves
out just the waits that matter. Here a claim's latency counts from its due time: what it waited for a free connection,
and what the generator itself was late, is part of it. How late it was is told as well.
"""

import gc
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate, islice, pairwise
from math import ceil, inf
from pathlib import Path
from typing import NamedTuple

import msgspec
import uvloop

from loadtest.bench.contest import SHARE_FOREIGN, SHARE_FULL
from loadtest.bench.cpu import kept_to, machine_busy_s, spent_s
from loadtest.client import local_address
from loadtest.pacer import GAVE_UP, LOST, UNSENT, Paced, Pacer
from loadtest.target import claim_request

SAMPLE_S = 0.1
LAG_P99_MS_MAX = 2.0
"""The generator may be this late; beyond it the latencies are its own as well, and the report says so."""
WINDOW_S = 0.5
CALM_WINDOWS = 3
"""So many windows in a row have to be as before, so that one lucky window is no recovery."""
P99_AS_BEFORE = 1.5
"""A window's p99 is as before up to this much of the worst window before the burst."""
WORDS = {UNSENT: "never sent", GAVE_UP: "given up", LOST: "connection lost"}


class Step(NamedTuple):
    """A constant rate of claims for some seconds."""

    rate_per_s: float
    seconds: float

    @property
    def claims(self) -> int:
        """How many it has."""
        return round(self.rate_per_s * self.seconds)


class Pace(msgspec.Struct, frozen=True):
    """
    What to send where, and when: the lines of *asks* ("<token> <key>") in turn, over *connections*, *steps* in turn.

    Whoever asks gives up *give_up_s* after the due time, and drops the connection his claim is on.
    """

    url: str
    campaign: str
    asks: str
    steps: list[Step]
    connections: int
    give_up_s: float


def due_times(steps: Sequence[Step]) -> list[float]:
    """When each claim is due, in seconds from the start; a step begins when the one before it is over."""
    begins_s = [0.0, *accumulate(step.seconds for step in steps)]
    return [
        begin_s + number / step.rate_per_s
        for begin_s, step in zip(begins_s, steps, strict=False)
        for number in range(step.claims)
    ]


def slices(steps: Sequence[Step]) -> list[slice]:
    """Which claims belong to each step."""
    return [slice(first, last) for first, last in pairwise([0, *accumulate(step.claims for step in steps)])]


def percentile_ms(seconds: Sequence[float], percent: float) -> float:
    """The nearest rank: the least of *seconds*, in ms, that *percent* of them are no greater than; 0 for none."""
    ordered = sorted(seconds)
    return ordered[max(0, ceil(len(ordered) * percent / 100) - 1)] * 1000 if ordered else 0.0


def outcomes(statuses: Iterable[int]) -> dict[str, int]:
    """How many claims ended each way, in words where there was no status."""
    return {WORDS.get(status, str(status)): count for status, count in sorted(Counter(statuses).items())}


def faults_of(statuses: Sequence[int], sold: int, where: str) -> list[str]:
    """What can't be right: broken connections, answers of another kind, coupons that nobody was told of."""
    counts = Counter(statuses)
    told, unheard = counts[201], counts[GAVE_UP] + counts[LOST]
    faults = [
        f"{count} × {WORDS.get(status, status)}"
        for status, count in sorted(counts.items())
        if status not in (201, 503, UNSENT, GAVE_UP)
    ]
    if not told <= sold <= told + unheard:
        faults.append(f"{sold} coupons are gone from stock, {told} were told, {unheard} may not have been heard")
    return [f"{where}: {fault}" for fault in faults]


def window_p99s_ms(found: Paced, claims: slice) -> list[float]:
    """p99 of each WINDOW_S of due times; a claim that was not granted took for ever."""
    windows: dict[int, list[float]] = {}
    begin_s = found.dues_s[claims.start]
    for due_s, status, latency_s in zip(
        found.dues_s[claims], found.statuses[claims], found.latencies_s[claims], strict=True
    ):
        windows.setdefault(int((due_s - begin_s) / WINDOW_S), []).append(latency_s if status == 201 else inf)
    return [percentile_ms(windows[number], 99) for number in sorted(windows)]


def recovered_s(p99s_ms: Sequence[float], baseline_p99_ms: float) -> float | None:
    """When the first of CALM_WINDOWS windows in a row that were as before was over, after the burst; None for never."""
    calm = [p99_ms <= P99_AS_BEFORE * baseline_p99_ms for p99_ms in p99s_ms]
    for number in range(len(calm) - CALM_WINDOWS + 1):
        if all(calm[number : number + CALM_WINDOWS]):
            return (number + 1) * WINDOW_S
    return None


def generator_notes(lags_p99_ms: Mapping[str, float], cores: Mapping[str, float]) -> list[str]:
    """Whether the generator was the limit, out of CPU or too late in some step, and who else used the machine."""
    found, late = [], {step: lag_ms for step, lag_ms in lags_p99_ms.items() if lag_ms > LAG_P99_MS_MAX}
    if cores["generator"] >= SHARE_FULL:
        found.append(f"the generator was the limit: it used {cores['generator']:.2f} of its core")
    if late:
        found.append(
            f"the generator was the limit at {', '.join(late)}: late by up to {max(late.values()):.1f} ms at p99,"
            " and latencies are that much too high"
        )
    if cores["others"] > SHARE_FOREIGN:
        found.append(
            f"other processes used {cores['others']:.2f} cores meanwhile: quiet the machine for steady figures"
        )
    return found


def run(pace: Pace, folder: Path, cores: frozenset[int], meanwhile: Callable[[], object]) -> Paced:
    """
    Let a process of its own, kept to *cores*, send *pace*; call *meanwhile* every SAMPLE_S until it is over.

    Errors: RuntimeError with the generator's words when it did not come to its end.
    """
    asked, told, log = (folder / name for name in ("pace.json", "answers.msgpack", "paced.log"))
    asked.write_bytes(msgspec.json.encode(pace))
    with log.open("wb") as output, kept_to(cores):
        process = subprocess.Popen(  # noqa: S603 - this module
            [sys.executable, "-m", "loadtest.bench.paced", str(asked), str(told)], stderr=output
        )
    try:
        meanwhile()  # at least once, however late we are
        while process.poll() is None:
            time.sleep(SAMPLE_S)
            meanwhile()
    finally:
        process.kill()
        process.wait()
    if process.returncode != 0:
        words = " ".join(log.read_text().split()) or f"exit code {process.returncode}"
        raise RuntimeError(f"the paced generator failed: {words}")
    return msgspec.msgpack.decode(told.read_bytes(), type=Paced)


class CoresUsed:
    """How many cores each part, given by its processes, keeps busy from now on."""

    def __init__(self, pids: Mapping[str, Iterable[int]]) -> None:
        self._began = {(part, pid): _spent_s(pid) for part, its in pids.items() for pid in its}
        self._busy_s = machine_busy_s() - _own_s()

    def until_now(self, found: Paced) -> dict[str, float]:
        """Cores of each part, by how long *found* took; what is left over of all that was used is of others."""
        used_s: dict[str, float] = {}
        for (part, pid), before_s in self._began.items():
            used_s[part] = used_s.get(part, 0.0) + max(0.0, _spent_s(pid) - before_s)
        used_s["others"] = max(0.0, machine_busy_s() - _own_s() - self._busy_s - sum(used_s.values()))
        used_s["generator"] = found.generator_s
        return {part: each_s / found.elapsed_s for part, each_s in used_s.items()}


def resident_mib(pid: int) -> float:
    """Resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def _own_s() -> float:
    """CPU seconds of this process and of those it started that have ended, the generator's preparations among them."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _spent_s(pid: int) -> float:
    try:
        return spent_s(pid)
    except FileNotFoundError:  # it ended
        return 0.0


def send(pace: Pace) -> Paced:
    """Send *pace* from this process. Errors: OSError; ValueError when *asks* has too few lines."""
    dues_s = due_times(pace.steps)
    with Path(pace.asks).open() as file:
        asks = (line.rstrip("\n").partition(" ") for line in islice(file, len(dues_s)))
        requests = [claim_request(pace.campaign, token, key) for token, _, key in asks]
    if len(requests) < len(dues_s):
        raise ValueError(f"{len(dues_s)} claims are due, {pace.asks} has {len(requests)}")
    gc.collect()
    gc.disable()  # a collection would be late for dozens of claims
    address = local_address(pace.url)
    return uvloop.run(Pacer(address, requests, dues_s, pace.connections, pace.give_up_s).run())


def main(arguments: Sequence[str]) -> int:
    """The generator's process: a Pace read from the first file, a Paced written to the second."""
    asked, told = map(Path, arguments)
    try:
        found = send(msgspec.json.decode(asked.read_bytes(), type=Pace))
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    told.write_bytes(msgspec.msgpack.encode(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
