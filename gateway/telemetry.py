"""
Counters of all workers, without a lock and without a call.

Each worker owns one small memory-mapped file of 64-bit integers; adding is one store into it, and
whoever is asked for /metrics adds the files up. The layout follows from METRICS alone, so every worker
agrees on it. Files outlive a crashed worker, so counters never run backwards.
"""

import mmap
from bisect import bisect_left
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from gateway.errors import PROBLEMS

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 96, 128)


class Metric(NamedTuple):
    """One metric: kind is counter, gauge or histogram; a counter may have one label with known values."""

    name: str
    kind: str
    text: str
    label: str = ""
    values: tuple[str, ...] = ("",)
    buckets: tuple[float, ...] = ()
    scale: float = 1.0  # what one step of the stored sum is worth


OUTCOMES = ("claimed", "replayed", *PROBLEMS)
CLAIMS = Metric("fairclaim_claims_total", "counter", "Claims answered, by outcome.", "outcome", OUTCOMES)
CLAIM_SECONDS = Metric(
    "fairclaim_claim_seconds", "histogram", "From the claim's body to its answer.", buckets=SECONDS, scale=1e-6
)
BATCH_CLAIMS = Metric("fairclaim_batch_claims", "histogram", "Claims a script call carried.", buckets=SIZES)
SCRIPT_SECONDS = Metric(
    "fairclaim_script_seconds", "histogram", "One script call, there and back.", buckets=SECONDS, scale=1e-6
)
QUEUE_CLAIMS = Metric("fairclaim_queue_claims", "gauge", "Claims waiting to be sent.")
ADMISSION_CLOSED = Metric("fairclaim_admission_closed", "gauge", "Workers that refuse claims to protect Redis memory.")
RESPONSES = Metric(
    "fairclaim_http_responses_total", "counter", "Answers, by class of status.", "class", ("2xx", "3xx", "4xx", "5xx")
)
FAILURE_KINDS = ("holder", "key", "holder_limited", "address_limited", "key_limited", "key_refused")
CODE_FAILURES = Metric(
    "fairclaim_code_failures_total", "counter", "Codes asked for that are not there, by kind.", "kind", FAILURE_KINDS
)
LIMITER_AWAY = Metric(
    "fairclaim_code_limiter_away_total", "counter", "Requests about codes that went on without the limiter's answer."
)
ANSWERED = ("done", "replayed", *PROBLEMS)
QUOTES = Metric("fairclaim_quotes_total", "counter", "Quotes answered, by outcome.", "outcome", ANSWERED)
RESERVATIONS = Metric(
    "fairclaim_reservations_total", "counter", "Reservations answered, by outcome.", "outcome", ANSWERED
)
REDEMPTIONS = Metric("fairclaim_redemptions_total", "counter", "Redemptions answered, by outcome.", "outcome", ANSWERED)
ROLLBACKS = Metric("fairclaim_rollbacks_total", "counter", "Rollbacks answered, by outcome.", "outcome", ANSWERED)
SIGN_INS = Metric(
    "fairclaim_sign_ins_total",
    "counter",
    "Sign-ins to the console, by outcome.",
    "outcome",
    ("done", "wrong", "limited"),
)
ALERT_DELIVERIES = Metric(
    "fairclaim_alert_deliveries_total",
    "counter",
    "Tries to tell a receiver of an alert, by outcome.",
    "outcome",
    ("sent", "again", "failed"),
)
METRICS = (
    *(CLAIMS, CLAIM_SECONDS, BATCH_CLAIMS, SCRIPT_SECONDS, QUEUE_CLAIMS, ADMISSION_CLOSED, RESPONSES),
    *(CODE_FAILURES, LIMITER_AWAY),
    *(QUOTES, RESERVATIONS, REDEMPTIONS, ROLLBACKS, SIGN_INS, ALERT_DELIVERIES),
)
"""Everything a worker counts. /metrics adds what only Redis and Postgres know (routes/ops.py)."""


def _width(metric: Metric) -> int:
    return len(metric.buckets) + 2 if metric.kind == "histogram" else len(metric.values)


_OFFSETS: dict[str, int] = {}
_SIZE = 0
for _metric in METRICS:
    _OFFSETS[_metric.name] = _SIZE
    _SIZE += _width(_metric)
_LAYOUT = sha256(repr(METRICS).encode()).hexdigest()[:12]


_CLAIM_SUM = len(SECONDS) + 1


class Telemetry:
    """One worker's counters in *folder*; its file is named by the layout and *slot*."""

    def __init__(self, folder: Path, slot: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        path = folder / f"{_LAYOUT}-{slot}.counters"
        with path.open("a+b") as file:
            file.truncate(_SIZE * 8)
            self._map = mmap.mmap(file.fileno(), _SIZE * 8)
        self._cells = memoryview(self._map).cast("q")
        self._outcomes = {outcome: _OFFSETS[CLAIMS.name] + at for at, outcome in enumerate(OUTCOMES)}
        self._claimed_at = self._outcomes["claimed"]
        self._claim_at, self._batch_at = _OFFSETS[CLAIM_SECONDS.name], _OFFSETS[BATCH_CLAIMS.name]
        self._script_at, self._queue_at = _OFFSETS[SCRIPT_SECONDS.name], _OFFSETS[QUEUE_CLAIMS.name]
        self._closed_at, self._responses_at = _OFFSETS[ADMISSION_CLOSED.name], _OFFSETS[RESPONSES.name]
        self._cells[self._queue_at] = self._cells[self._closed_at] = 0

    def claim(self, outcome: str, seconds: float) -> None:
        """One claim answered with *outcome* after *seconds*."""
        cells, at = self._cells, self._claim_at
        cells[self._outcomes[outcome]] += 1
        cells[at + bisect_left(SECONDS, seconds)] += 1  # as _observe, without the call
        cells[at + _CLAIM_SUM] += int(seconds * 1e6)

    def granted(self, seconds: float) -> None:
        """One claim answered with 201 after *seconds*: claim("claimed", seconds) and response(201) in one step."""
        cells, at = self._cells, self._claim_at
        cells[self._claimed_at] += 1
        cells[at + bisect_left(SECONDS, seconds)] += 1
        cells[at + _CLAIM_SUM] += int(seconds * 1e6)
        cells[self._responses_at] += 1

    def call(self, claims: int, seconds: float) -> None:
        """One script call with *claims* asks that took *seconds*."""
        self._observe(self._batch_at, SIZES, claims, claims)
        self._observe(self._script_at, SECONDS, seconds, round(seconds * 1e6))

    def waiting(self, change: int) -> None:
        """So many more (or fewer) claims wait to be sent."""
        self._cells[self._queue_at] += change

    def admission(self, closed: bool) -> None:
        """Whether this worker refuses claims for want of Redis memory."""
        self._cells[self._closed_at] = int(closed)

    def response(self, status: int) -> None:
        """One answer with *status*."""
        self._cells[self._responses_at + status // 100 - 2] += 1

    def code_failure(self, kind: str, codes: int = 1) -> None:
        """So many codes that are not there; *kind* is one of FAILURE_KINDS."""
        self._cells[_OFFSETS[CODE_FAILURES.name] + FAILURE_KINDS.index(kind)] += codes

    def answered(self, metric: Metric, outcome: str) -> None:
        """One more of *metric*, whose label has *outcome* among its values."""
        self._cells[_OFFSETS[metric.name] + metric.values.index(outcome)] += 1

    def limiter_away(self) -> None:
        """A request went on without the limiter's answer."""
        self._cells[_OFFSETS[LIMITER_AWAY.name]] += 1

    def _observe(self, at: int, buckets: tuple[float, ...], value: float, stored: int) -> None:
        self._cells[at + bisect_left(buckets, value)] += 1
        self._cells[at + len(buckets) + 1] += stored

    def render(self) -> str:
        """All workers' counters in the Prometheus text format."""
        totals = self._totals()
        return "\n".join(line for metric in METRICS for line in _lines(metric, totals)) + "\n"

    def count(self, metric: Metric) -> int:
        """What all workers have counted of a counter, whatever its label."""
        at = _OFFSETS[metric.name]
        return sum(self._totals()[at : at + _width(metric)])

    def cells(self) -> dict[str, tuple[int, ...]]:
        """
        All workers' counters by the name of the metric, read at one go.

        Shape: a number for each value of the label; of a histogram one for each bucket (not heaped up), one for what is
        above them, and the stored sum.
        """
        totals = self._totals()
        return {each.name: tuple(totals[_OFFSETS[each.name] : _OFFSETS[each.name] + _width(each)]) for each in METRICS}

    def _totals(self) -> list[int]:
        totals = [0] * _SIZE
        for path in sorted(self._folder.glob(f"{_LAYOUT}-*.counters")):
            data = path.read_bytes()
            if len(data) == _SIZE * 8:
                totals = [total + cell for total, cell in zip(totals, memoryview(data).cast("q"), strict=True)]
        return totals

    def close(self) -> None:
        """Let go of the file; what was counted stays in it, what was so at the moment does not."""
        self._cells[self._queue_at] = self._cells[self._closed_at] = 0
        self._cells.release()
        self._map.close()


def _lines(metric: Metric, totals: list[int]) -> Iterator[str]:
    yield f"# HELP {metric.name} {metric.text}"
    yield f"# TYPE {metric.name} {metric.kind}"
    at = _OFFSETS[metric.name]
    if metric.kind != "histogram":
        for place, value in enumerate(metric.values):
            label = f'{{{metric.label}="{value}"}}' if metric.label else ""
            yield f"{metric.name}{label} {totals[at + place]}"
        return
    below = 0
    for place, bound in enumerate(metric.buckets):
        below += totals[at + place]
        yield f'{metric.name}_bucket{{le="{bound:g}"}} {below}'
    below += totals[at + len(metric.buckets)]
    yield f'{metric.name}_bucket{{le="+Inf"}} {below}'
    yield f"{metric.name}_sum {totals[at + len(metric.buckets) + 1] * metric.scale:.10g}"
    yield f"{metric.name}_count {below}"
