"""
Overload: from half to ten times as many claims as can be decided, then a light load again.

No generator on a shared core can offer ten times what the gateway answers at its best, so the gateway is made to decide
less: Redis is moved away (what is sent to it arrives DISTANCE_S later, by a proxy of this process), and calls and queue
are made small. Round trips then carry what saturates it, about a thousand claims/s, and ten times that is really
offered. What saturates it is found first, with twice as much as round trips can carry.

What is overloaded so is admission: the bounded queue, and the refusal of what does not fit. Where the gateway's CPU is
what is short, its sockets fill instead; that is what the closed loop over many connections shows.

One open loop over a bounded number of connections: a light load, each step, the light load again. Whoever has no answer
after GIVE_UP_S drops his connection and opens another; whatever the gateway decides later is no goodput.
"""

from collections.abc import Sequence
from math import inf
from time import perf_counter
from typing import NamedTuple

import msgspec

from loadtest.bench import paced
from loadtest.bench.contest import OURS, SHARE_FULL
from loadtest.bench.cpu import spent_s
from loadtest.bench.distance import distant
from loadtest.bench.entrants import Contender, our_environment
from loadtest.bench.open_loop import CONNECTIONS, run_with_drain
from loadtest.bench.paced import Step, percentile_ms
from loadtest.bench.plan import Plan, Say
from loadtest.bench.report import Section, Sheet
from loadtest.bench.stand import Stand
from loadtest.bench.targets import Verdict, judge
from loadtest.pacer import GAVE_UP, UNSENT, Paced

DISTANCE_S = 0.05
CALLS_MAX, BATCH_MAX, QUEUE_MAX = 2, 32, 256
SETTINGS = {"claim_calls_max": f"{CALLS_MAX}", "claim_batch_max": f"{BATCH_MAX}", "claim_queue_max": f"{QUEUE_MAX}"}
SATURATING_PER_S = 2 * CALLS_MAX * BATCH_MAX / DISTANCE_S
SATURATING_S, FILLING_S = 3, 1
"""What saturates is found in so many seconds of twice what round trips can carry, the first left out."""
GIVE_UP_S = 2.0
LIGHT = 0.25
FACTORS = (0.5, 1.0, 2.0, 4.0, 10.0)
JUDGED_FROM = 2.0
LIGHT_S = 3
RECOVERY_S = 7
"""Of the light load after the burst: the time it may take to recover, and some."""


class Loaded(msgspec.Struct, frozen=True):
    """One step, *factor* times saturation; rates in claims a second, *goodput_per_s* of those decided in time."""

    factor: float
    offered_per_s: float
    goodput_per_s: float
    refused_per_s: float
    decided_p50_ms: float
    decided_p99_ms: float
    refused_p50_ms: float
    refused_p99_ms: float
    outcomes: dict[str, int]
    lag_p99_ms: float
    gateway_mib: float
    gateway_cores: float


class GatewaySample(NamedTuple):
    """The gateway at a moment of perf_counter(): its resident memory, and the CPU it has used so far."""

    at_s: float
    mib: float
    cpu_s: float


class Ran(NamedTuple):
    """One open loop: what became of it, the gateway meanwhile, and how many cores each part used."""

    found: Paced
    samples: list[GatewaySample]
    cores: dict[str, float]
    faults: list[str]


class Overload(msgspec.Struct, frozen=True):
    """
    All steps; *goodput* is the least of those past JUDGED_FROM, to the best of all.

    *recovered_s* is None where the light load after the burst never was as before.
    """

    saturation_per_s: float
    steps: list[Loaded]
    goodput: float
    baseline_p99_ms: float
    recovered_s: float | None
    memory_mib: dict[str, float]
    cores: dict[str, float]


def overload(stand: Stand, plan: Plan, say: Say) -> Section:
    """Offer each multiple of what saturates a gateway with a distant Redis, and see what becomes of it."""
    with distant(stand.system.target.redis_url, DISTANCE_S) as redis_url:
        environment = our_environment(stand.system.target, redis_url=redis_url, **SETTINGS)
        with stand.start(OURS, environment=environment) as contender:
            stand.place([contender])
            filled = _run(stand, contender, [Step(SATURATING_PER_S, SATURATING_S)])
            saturation_per_s = len(answers_s(filled.found, 201, FILLING_S, SATURATING_S)) / (SATURATING_S - FILLING_S)
            say(f"overload: {saturation_per_s:.0f} claims/s saturate it, with Redis {DISTANCE_S * 1e3:.0f} ms away")
            factors = (LIGHT, *FACTORS, LIGHT)
            seconds = (LIGHT_S, *(plan.overload_step_s for _ in FACTORS), RECOVERY_S)
            steps = [Step(factor * saturation_per_s, each_s) for factor, each_s in zip(factors, seconds, strict=True)]
            ran = _run(stand, contender, steps)
    result = summarise(saturation_per_s, factors, steps, ran)
    faults = [*filled.faults, *ran.faults]
    say(f"overload: goodput {result.goodput:.2f} of its peak{'' if not faults else '   NOT CLEAN'}")
    return Section(
        title=f"Overload: of {saturation_per_s:.0f} claims/s, which saturate with Redis {DISTANCE_S * 1e3:.0f} ms away",
        sheets=[sheet(result)],
        notes=notes(result),
        faults=faults,
        targets=targets(result),
        figures=result,
    )


def _run(stand: Stand, contender: Contender, steps: list[Step]) -> Ran:
    claims = sum(step.claims for step in steps)
    campaign = stand.new_campaign(contender, claims)
    pace = paced.Pace(contender.url, campaign, str(stand.new_asks(claims)), steps, CONNECTIONS, GIVE_UP_S)
    samples: list[GatewaySample] = []

    def look() -> None:
        mib, cpu_s = (sum(map(each, contender.pids)) for each in (paced.resident_mib, spent_s))
        samples.append(GatewaySample(perf_counter(), mib, cpu_s))

    found, cores = run_with_drain(stand, contender, pace, look)
    sold = claims - contender.sales.left(campaign)
    stand.settle(contender, campaign)
    return Ran(found, samples, cores, paced.faults_of(found.statuses, sold, f"overload, {campaign}"))


def summarise(saturation_per_s: float, factors: Sequence[float], steps: Sequence[Step], ran: Ran) -> Overload:
    """
    The figures of a run whose first step is the light load before, and whose last is the one after.

    Errors: RuntimeError where the light load was refused before there was a burst.
    """
    loaded, end_s = [], 0.0
    for factor, step, claims in zip(factors, steps, paced.slices(steps), strict=True):
        begin_s, end_s = end_s, end_s + step.seconds
        loaded.append(_loaded(factor, step, claims, ran, begin_s, end_s))
    light_before, *_, light_after = paced.slices(steps)
    baseline_p99_ms = max(paced.window_p99s_ms(ran.found, light_before))
    if baseline_p99_ms == inf:
        raise RuntimeError("the light load was refused before the burst: nothing to compare the recovery with")
    mib = [sample.mib for sample in ran.samples]
    return Overload(
        saturation_per_s=saturation_per_s,
        steps=loaded,
        goodput=goodput(loaded),
        baseline_p99_ms=baseline_p99_ms,
        recovered_s=paced.recovered_s(paced.window_p99s_ms(ran.found, light_after), baseline_p99_ms),
        memory_mib={"before": mib[0], "peak": max(mib), "after": mib[-1]},
        cores=ran.cores,
    )


def answers_s(found: Paced, status: int, begin_s: float, end_s: float) -> list[float]:
    """The latencies of the answers of one *status* that came in that part of the run, and before anybody gave up."""
    every = zip(found.statuses, found.dues_s, found.latencies_s, strict=True)
    return [
        latency_s
        for each, due_s, latency_s in every
        if each == status and latency_s <= GIVE_UP_S and begin_s <= due_s + latency_s < end_s
    ]


def _loaded(factor: float, step: Step, claims: slice, ran: Ran, begin_s: float, end_s: float) -> Loaded:
    found = ran.found
    decided_s, refused_s = (answers_s(found, status, begin_s, end_s) for status in (201, 503))
    during = [sample for sample in ran.samples if begin_s <= sample.at_s - found.began_s < end_s]
    return Loaded(
        factor=factor,
        offered_per_s=step.claims / step.seconds,
        goodput_per_s=len(decided_s) / step.seconds,
        refused_per_s=len(refused_s) / step.seconds,
        decided_p50_ms=percentile_ms(decided_s, 50),
        decided_p99_ms=percentile_ms(decided_s, 99),
        refused_p50_ms=percentile_ms(refused_s, 50),
        refused_p99_ms=percentile_ms(refused_s, 99),
        outcomes=paced.outcomes(found.statuses[claims]),
        lag_p99_ms=percentile_ms(found.lags_s[claims], 99),
        gateway_mib=max(sample.mib for sample in during),
        gateway_cores=(during[-1].cpu_s - during[0].cpu_s) / (during[-1].at_s - during[0].at_s),
    )


def goodput(steps: Sequence[Loaded]) -> float:
    """The least goodput from JUDGED_FROM times saturation on, to the best of any step."""
    peak = max(step.goodput_per_s for step in steps)
    return min(step.goodput_per_s for step in steps if step.factor >= JUDGED_FROM) / peak


def sheet(result: Overload) -> Sheet:
    """One row a step, in the order they came."""
    peak = max(step.goodput_per_s for step in result.steps)
    header = (
        "×", "offered/s", "in time/s", "to peak", "p50 ms", "p99", "| refused/s", "p50 ms", "p99", "| given up",
        "late p99 ms", "gateway", "MiB",
    )  # fmt: skip
    rows = [
        (
            f"{step.factor:g}",
            f"{step.offered_per_s:.0f}",
            f"{step.goodput_per_s:.0f}",
            f"{step.goodput_per_s / peak:.2f}",
            *(f"{ms:.1f}" for ms in (step.decided_p50_ms, step.decided_p99_ms)),
            f"{step.refused_per_s:.0f}",
            *(f"{ms:.1f}" if step.refused_per_s else "" for ms in (step.refused_p50_ms, step.refused_p99_ms)),
            str(sum(step.outcomes.get(paced.WORDS[how], 0) for how in (UNSENT, GAVE_UP))),
            f"{step.lag_p99_ms:.2f}",
            f"{step.gateway_cores:.2f}",
            f"{step.gateway_mib:.0f}",
        )
        for step in result.steps
    ]
    return Sheet(header, rows)


def notes(result: Overload) -> list[str]:
    """What a reader has to know of the run."""
    settings = ", ".join(f"{name} {value}" for name, value in SETTINGS.items())
    memory = ", ".join(f"{mib:.0f} {when}" for when, mib in result.memory_mib.items())
    end_s = result.recovered_s
    found = [
        f"In time: decided within {GIVE_UP_S:.0f} s of the due time; p50 and p99 of those, then of the refused."
        " gateway: cores it kept busy.",
        f"{settings}: small, as the distance is large, so that ten times can be offered; {CONNECTIONS} connections.",
        f"gateway memory in MiB: {memory}; p99 of the light load: {result.baseline_p99_ms:.0f} ms before the burst, "
        + ("never so again" if end_s is None else f"as before within {end_s:g} s of its end"),
        *paced.generator_notes({f"{step.factor:g} ×": step.lag_p99_ms for step in result.steps}, result.cores),
    ]
    full = [f"{step.factor:g}" for step in result.steps if step.gateway_cores >= SHARE_FULL]
    if full:
        found.append(f"at {', '.join(full)} × the gateway's core was full: refusing takes CPU from deciding there")
    return found


def targets(result: Overload) -> dict[str, Verdict]:
    """Goodput and recovery; a gateway that never recovered took for ever."""
    recovery_s = inf if result.recovered_s is None else result.recovered_s
    return {
        "overload_goodput": judge("overload_goodput", result.goodput),
        "overload_recovery": judge("overload_recovery", recovery_s),
    }
