"""
The open loop: claims at half and at four fifths of the rate that saturates the gateway, and the books following.

What saturates it is found with the closed loop, the reconciler held still. Then claims come at a fixed rate whatever
becomes of them (paced.py), and the drain runs as in life: the reconciler and PostgreSQL go to whichever core has room,
the gateway, Redis and the generator stay where they are. The drain lag is the age of the oldest claim that Redis has
given and the books do not have.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from contextlib import suppress
from statistics import linear_regression, median
from time import perf_counter
from typing import Any, NamedTuple, Self

import msgspec
import psycopg
import redis

from loadtest.bench import paced
from loadtest.bench.contest import OURS
from loadtest.bench.cpu import pin
from loadtest.bench.entrants import Contender
from loadtest.bench.figures import spread
from loadtest.bench.plan import Plan, Say
from loadtest.bench.report import Section, Sheet
from loadtest.bench.stand import Stand
from loadtest.bench.targets import Verdict, judge, not_measured
from loadtest.pacer import LOST, Paced

SHARES = (0.5, 0.8)
JUDGED_SHARE = 0.5
CONNECTIONS = 1000
"""With what else a process has open, these stay within the 1,024 files that many systems allow it."""
SATURATING_CONNECTIONS = 256
SATURATING_RUNS = 3
GIVE_UP_S = 10.0
SETTLING_S = 1.0
"""The drain's first second counts for no lag: it wakes up."""
CORES = ("gateway", "Redis", "generator", "drain", "others")


class DrainSample(NamedTuple):
    """What Redis had given and the books had at one moment of perf_counter(), by seq."""

    at_s: float
    given: int
    drained: int


class DrainLag(msgspec.Struct, frozen=True):
    """The age of the oldest claim that was not in the books yet; *growth* is in seconds a second."""

    median_s: float
    max_s: float
    growth: float


class OpenLoop(msgspec.Struct, frozen=True):
    """One rate, *share* of saturation: claims a second, latencies from the due time, how many cores each part used."""

    share: float
    offered_per_s: float
    answered_per_s: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    p99_9_ms: float
    max_ms: float
    outcomes: dict[str, int]
    waited: int
    lag_p50_ms: float
    lag_p99_ms: float
    drain_lag: DrainLag
    cores: dict[str, float]
    faults: list[str]


class DrainWatch:
    """Looks at the seq of *campaign* on both sides; a context manager."""

    def __init__(self, stand: Stand, campaign: str) -> None:
        self._target, self._campaign = stand.system.target, campaign
        self.samples: list[DrainSample] = []

    def __enter__(self) -> Self:
        self._redis: Any = redis.Redis.from_url(self._target.redis_url)
        self._books = psycopg.connect(self._target.postgres_url, autocommit=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._redis.close()
        self._books.close()

    def look(self) -> None:
        """Take a sample."""
        at_s = perf_counter()
        given = int(self._redis.hget(f"fc:{{{self._campaign}/0}}:counters", "seq") or 0)
        query = "SELECT coalesce(sum(seq), 0) FROM checkpoints WHERE campaign = %s"
        row = self._books.execute(query, [self._campaign]).fetchone()
        self.samples.append(DrainSample(at_s, given, int(row[0]) if row else 0))


def drain_lags_s(samples: Sequence[DrainSample]) -> list[float]:
    """
    How long ago, at each sample, Redis gave the claim after the last one in the books; 0 where they have all.

    Between two samples Redis is taken to have given at a constant rate.
    """
    given, lags_s = [sample.given for sample in samples], []
    for number, sample in enumerate(samples):
        later = bisect_left(given, sample.drained + 1, hi=number + 1)
        if later > number:
            lags_s.append(0.0)
            continue
        after, before = samples[later], samples[max(0, later - 1)]
        part = (sample.drained - before.given) / (after.given - before.given) if after.given > before.given else 0.0
        lags_s.append(sample.at_s - (before.at_s + part * (after.at_s - before.at_s)))
    return lags_s


def drain_lag(samples: Sequence[DrainSample], began_s: float, ended_s: float) -> DrainLag:
    """The lag while claims came in, without the first SETTLING_S. Errors: RuntimeError for fewer than two samples."""
    lags_s = drain_lags_s(samples)
    during = [
        (sample.at_s, lag_s)
        for sample, lag_s in zip(samples, lags_s, strict=True)
        if began_s + SETTLING_S <= sample.at_s <= ended_s
    ]
    if len(during) < 2:
        raise RuntimeError("the drain was looked at too rarely")
    at_s, seen_s = zip(*during, strict=True)
    return DrainLag(median(seen_s), max(seen_s), linear_regression(at_s, seen_s).slope)


def open_loop(stand: Stand, plan: Plan, say: Say) -> Section:
    """Find what saturates the gateway, then ask a share of it, claim by claim, with the drain running."""
    contender = stand.contenders[OURS]
    saturating = [
        stand.claim(contender, plan.claims, stand.new_asks(plan.claims), SATURATING_CONNECTIONS)
        for _ in range(SATURATING_RUNS)
    ]
    saturation = spread(measured.answers_per_s for measured in saturating)
    say(f"open loop: {saturation.shown(0)} claims/s saturate the gateway")
    runs = []
    for share in SHARES:
        run = _run(stand, contender, share, paced.Step(share * saturation.median, plan.open_loop_s))
        say(
            f"open loop, {share:.0%}: {run.offered_per_s:.0f} claims/s, p99 {run.p99_ms:.1f} ms,"
            f" drain lag {run.drain_lag.max_s:.2f} s at most{'' if not run.faults else '   NOT CLEAN'}"
        )
        runs.append(run)
    return Section(
        title=f"Open loop: of {saturation.shown(0)} claims/s, which saturate; {plan.open_loop_s} s each, drain on",
        sheets=sheets(runs),
        notes=notes(runs),
        faults=[
            *(fault for run in saturating for fault in run.faults),
            *(fault for run in runs for fault in run.faults),
        ],
        targets=targets(runs, plan.judged),
        figures={"saturation": saturation, "runs": runs},
    )


def _run(stand: Stand, contender: Contender, share: float, step: paced.Step) -> OpenLoop:
    campaign = stand.new_campaign(contender, step.claims)
    asks = stand.new_asks(step.claims)
    pace = paced.Pace(contender.url, campaign, str(asks), [step], CONNECTIONS, GIVE_UP_S)
    with DrainWatch(stand, campaign) as watch:
        found, cores = run_with_drain(stand, contender, pace, watch.look)
    left = contender.sales.left(campaign)
    stand.settle(contender, campaign)
    lag = drain_lag(watch.samples, found.began_s, found.began_s + step.seconds)
    return result(share, step, found, lag, cores, sold=step.claims - left)


def result(
    share: float, step: paced.Step, found: Paced, lag: DrainLag, cores: dict[str, float], *, sold: int
) -> OpenLoop:
    """The figures of one run; *sold* is what is gone from stock."""
    answered_s = [
        latency_s for latency_s, status in zip(found.latencies_s, found.statuses, strict=True) if status > LOST
    ]
    p50, p90, p99, p99_9, worst = (paced.percentile_ms(answered_s, percent) for percent in (50, 90, 99, 99.9, 100))
    return OpenLoop(
        share=share,
        offered_per_s=step.claims / step.seconds,
        answered_per_s=len(answered_s) / found.elapsed_s,
        p50_ms=p50,
        p90_ms=p90,
        p99_ms=p99,
        p99_9_ms=p99_9,
        max_ms=worst,
        outcomes=paced.outcomes(found.statuses),
        waited=found.waited,
        lag_p50_ms=paced.percentile_ms(found.lags_s, 50),
        lag_p99_ms=paced.percentile_ms(found.lags_s, 99),
        drain_lag=lag,
        cores=cores,
        faults=paced.faults_of(found.statuses, sold, f"open loop at {share:.0%}"),
    )


def run_with_drain(
    stand: Stand, contender: Contender, pace: paced.Pace, meanwhile: Callable[[], object]
) -> tuple[Paced, dict[str, float]]:
    """Send *pace* with the drain on whichever core has room: what became of it, and how many cores each part used."""
    drain_pids, redis_pids = _drain_pids(stand), stand.system.parts()["redis"]
    _pin_drain(stand, frozenset().union(*stand.cores))
    try:
        used = paced.CoresUsed({"gateway": contender.pids, "Redis": redis_pids, "drain": drain_pids})
        found = paced.run(pace, stand.folder, stand.cores.generator, meanwhile)
        return found, used.until_now(found)
    finally:
        _pin_drain(stand, stand.cores.rest)


def _pin_drain(stand: Stand, cores: frozenset[int]) -> None:
    for pid in _drain_pids(stand):
        with suppress(FileNotFoundError):  # a PostgreSQL process that served a connection ends with it
            pin([pid], cores)


def _drain_pids(stand: Stand) -> list[int]:
    parts = stand.system.parts()
    return [*parts.get("reconciler", []), *parts.get("postgres", [])]


def sheets(runs: Sequence[OpenLoop]) -> list[Sheet]:
    """Latencies and outcomes, then the drain and who was busy."""
    latency = Sheet(
        ("", "offered/s", "answered/s", "p50 ms", "p90", "p99", "p99.9", "max", "outcomes"),
        [
            (
                f"{run.share:.0%}",
                f"{run.offered_per_s:.0f}",
                f"{run.answered_per_s:.0f}",
                *(f"{ms:.1f}" for ms in (run.p50_ms, run.p90_ms, run.p99_ms, run.p99_9_ms, run.max_ms)),
                ", ".join(f"{count} × {how}" for how, count in run.outcomes.items()),
            )
            for run in runs
        ],
    )
    drain = Sheet(
        ("", "drain lag s", "max", "growth s/s", "| sent late p50 ms", "p99", f"| {CORES[0]}", *CORES[1:]),
        [
            (
                f"{run.share:.0%}",
                f"{run.drain_lag.median_s:.3f}",
                f"{run.drain_lag.max_s:.3f}",
                f"{run.drain_lag.growth:+.3f}",
                f"{run.lag_p50_ms:.2f}",
                f"{run.lag_p99_ms:.2f}",
                *(f"{run.cores[part]:.2f}" for part in CORES),
            )
            for run in runs
        ],
    )
    return [latency, drain]


def notes(runs: Sequence[OpenLoop]) -> list[str]:
    """What a reader has to know of these runs."""
    return [
        "Latencies count from the due time; drain lag: age of the oldest claim not in the books. Right: cores busy.",
        *(
            f"at {run.share:.0%}, {run.waited} claims waited for one of {CONNECTIONS} connections"
            for run in runs
            if run.waited
        ),
        *paced.generator_notes(
            {f"{run.share:.0%}": run.lag_p99_ms for run in runs},
            {part: max(run.cores[part] for run in runs) for part in CORES},
        ),
    ]


def targets(runs: Sequence[OpenLoop], judged: bool) -> dict[str, Verdict]:
    """What half of saturation says of the drain."""
    if not judged:
        why = "what the crowd of --generator python reaches is no saturation"
        return {key: not_measured(key, why) for key in ("drain_lag", "drain_lag_growth")}
    half = next(run.drain_lag for run in runs if run.share == JUDGED_SHARE)
    return {"drain_lag": judge("drain_lag", half.max_s), "drain_lag_growth": judge("drain_lag_growth", half.growth)}
