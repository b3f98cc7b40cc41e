"""
What a run came to, as the one document that everything is made of: the figures that were gathered, put together.

Second 0 is the second of the clock in which the run started. What came before it or long after its end, by a clock
that goes wrong on another machine, is counted in the first or the last second.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from loadtest.report.result import (
    Campaign,
    Failure,
    Gate,
    Generator,
    Mark,
    ProductVerdict,
    Request,
    Result,
    Seconds,
    Setting,
    Verdict,
)
from loadtest.run.gathering import Gathered
from loadtest.run.latencies import Latencies
from loadtest.run.plan import Plan
from loadtest.run.sampling import Sampler, Standing
from loadtest.run.timeline import Second, Timeline

TAIL_S_MAX = 60
"""How long after the end an answer may still come in a second of its own."""
CLEAN, UNCLEAN, USAGE, UNJUDGED, INTERRUPTED = 0, 1, 2, 6, 130
"""Exit codes: every gate holds; one does not; an argument is wrong; nobody can tell, or tell it to anybody; left."""

Figure = TypeVar("Figure", int, float)


def summed(
    plan: Plan,
    gathered: Gathered,
    sampler: Sampler,
    *,
    host: str,
    mode: str,
    stopped_s: float,
    settings: dict[str, Setting],
    generator: Generator,
    before: Mapping[str, Standing | None],
    after: Mapping[str, Standing | None],
    verdict: Verdict | None,
    unjudged: str,
    product_verdict: bool | None,
    gates: Sequence[Gate],
) -> Result:
    """
    The result of the run of *plan*, whose users were told to stop at *stopped_s*, seconds since the epoch.

    *before* and *after* say how the campaigns stood then, *unjudged* why there is no *verdict*.
    """
    timeline, duration_s = gathered.timeline, max(stopped_s - plan.started_s, 0.001)
    clean = all(gate.holds for gate in gates)
    p50_ms, p95_ms, p99_ms = _percentiles(timeline.claims)
    left = {campaign: last.left if (last := after.get(campaign)) else None for campaign in plan.campaigns}
    return Result(
        run=plan.run,
        shape=plan.shape,
        mode=mode,
        started_at=datetime.fromtimestamp(plan.started_s, UTC),
        duration_s=round(duration_s, 3),
        host=host,
        seed=plan.seed,
        settings=settings,
        generator=generator,
        campaigns=[
            Campaign(
                id=campaign,
                stock=stands.left if (stands := before.get(campaign)) else plan.stock if plan.created else None,
                limit=plan.limit,
                granted=_granted(campaign, before, after, told=len(gathered.codes[campaign])),
                left=left[campaign],
            )
            for campaign in plan.campaigns
        ],
        clean=clean,
        exit_code=UNJUDGED if verdict is None else CLEAN if clean else UNCLEAN,
        verdict=verdict,
        unjudged=unjudged,
        product_verdict=None if product_verdict is None else ProductVerdict(holds=product_verdict),
        gates=list(gates),
        outcomes=dict(timeline.outcomes.most_common()),
        goodput_per_s=round(timeline.good / duration_s, 2),
        error_ratio=round(timeline.failed / timeline.count, 6) if timeline.count else 0.0,
        p50_ms=p50_ms,
        p95_ms=p95_ms,
        p99_ms=p99_ms,
        requests=_requests(timeline, duration_s),
        failures=[
            Failure(name=name, says=says, count=count) for (name, says), count in timeline.failures.most_common()
        ],
        seconds=_seconds(plan, timeline, sampler, duration_s, left),
        marks=sorted(
            (Mark(at_s=round(each.at_s - int(plan.started_s), 3), says=each.says) for each in gathered.marks),
            key=lambda mark: mark.at_s,
        ),
    )


def _granted(
    campaign: str, before: Mapping[str, Standing | None], after: Mapping[str, Standing | None], told: int
) -> int:
    """What the campaign counted itself, with those whose answer got lost; where it can't be read, what was *told*."""
    first, last = before.get(campaign), after.get(campaign)
    return told if first is None or last is None else last.claimed - first.claimed


def _requests(timeline: Timeline, duration_s: float) -> list[Request]:
    rows = []
    for name, named in sorted(timeline.names.items()):
        p50_ms, p95_ms, p99_ms = _percentiles(named.latencies)
        rows.append(
            Request(
                name=name,
                count=named.count,
                failures=named.failures,
                per_s=round(named.count / duration_s, 3),
                p50_ms=p50_ms,
                p95_ms=p95_ms,
                p99_ms=p99_ms,
                max_ms=rounded(named.latencies.longest_ms),
            )
        )
    return rows


def _seconds(
    plan: Plan, timeline: Timeline, sampler: Sampler, duration_s: float, left: Mapping[str, int | None]
) -> Seconds:
    start_s = int(plan.started_s)
    length = math.ceil(plan.started_s + duration_s) - start_s
    latest = max((at_s - start_s + 1 for at_s in timeline.seconds), default=0)
    length = max(length, min(latest, length + TAIL_S_MAX))
    course = Timeline()
    for at_s, second in timeline.seconds.items():
        course.merge(_at(min(max(at_s - start_s, 0), length - 1), second))
    seconds = [course.seconds[at_s] for at_s in range(length)]
    percentiles = [_percentiles(second.latencies) for second in seconds]
    outcomes = sorted({name for second in seconds for name in second.outcomes})
    return Seconds(
        at_s=list(range(length)),
        users=_series(sampler.users, length),
        outcomes={name: [second.outcomes[name] for second in seconds] for name in outcomes},
        p50_ms=[each[0] for each in percentiles],
        p95_ms=[each[1] for each in percentiles],
        p99_ms=[each[2] for each in percentiles],
        stock={
            campaign: [*_series(stock, length - 1), left.get(campaign, stock.get(length - 1))]
            for campaign, stock in sampler.stock.items()
        },
        drain_lag_s=[rounded(each) for each in _series(sampler.lag_s, length)],
        drain_lag_seq=_series(sampler.lag_seq, length),
        batch_claims=[rounded(each) for each in _series(sampler.batch_claims, length)],
    )


def _at(at_s: int, second: Second) -> Timeline:
    timeline = Timeline()
    timeline.seconds[at_s] = second
    return timeline


def _series(figures: Mapping[int, Figure], length: int) -> list[Figure | None]:
    return [figures.get(at_s) for at_s in range(length)]


def _percentiles(latencies: Latencies) -> list[float | None]:
    return [rounded(each) for each in latencies.percentiles_ms(50, 95, 99)]


def rounded(value: float | None, digits: int = 3) -> float | None:
    """*value* with so many digits that count, as figures are told; None stays None."""
    if not value:
        return value
    return round(value, max(0, digits - 1 - math.floor(math.log10(abs(value)))))
