"""Pure: a run second by second, as it is drawn. A long run is drawn in steps of several seconds."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from loadtest.report.families import Family, piled
from loadtest.report.figures import known
from loadtest.report.result import Seconds

POINTS_MAX = 900
"""A chart is a few hundred pixels wide, and the page stays small: that of a day is no larger than that of an hour."""

Values = list[float | None]


class Course(NamedTuple):
    """
    What is drawn; every list is as long as *at_s*. A point is *step_s* seconds.

    Rates are the mean of their step and so are batches, latencies and lags the worst second, users the most, stock
    the last that was read.
    """

    step_s: int
    at_s: list[float]
    claims_per_s: Values
    users: Values
    pile: list[tuple[Family, str, Values]]
    latency_ms: dict[str, Values]
    stock: dict[str, Values]
    lag_s: Values
    lag_seq: Values
    batch_claims: Values


def claims_each_second(seconds: Seconds) -> list[int]:
    """How many claims were answered in each second."""
    return [sum(values) for values in zip(*seconds.outcomes.values(), strict=True)] or [0] * len(seconds.at_s)


def course_of(seconds: Seconds) -> Course:
    """That of a run. Errors: ValueError if one of its lists has another length than *at_s*."""
    length = len(seconds.at_s)
    lists: list[Sequence[float | None]] = [
        *(seconds.users, seconds.p50_ms, seconds.p95_ms, seconds.p99_ms),
        *(seconds.drain_lag_s, seconds.drain_lag_seq, seconds.batch_claims),
        *seconds.outcomes.values(),
        *seconds.stock.values(),
    ]
    if any(len(values) != length for values in lists):
        raise ValueError(f"every list of seconds has to be as long as at_s: {length}")
    step = max(1, -(-length // POINTS_MAX))

    def drawn(values: Sequence[float | None], of: Callable[[list[float]], float]) -> Values:
        parts = (known(values[at : at + step]) for at in range(0, length, step))
        return [rounded(of(part)) if part else None for part in parts]

    return Course(
        step_s=step,
        at_s=[float(at) for at in seconds.at_s[::step]],
        claims_per_s=drawn(claims_each_second(seconds), _mean),
        users=drawn(seconds.users, max),
        pile=[(family, name, drawn(sums, _mean)) for family, name, sums in piled(seconds.outcomes, length)],
        latency_ms={
            "p50": drawn(seconds.p50_ms, max),
            "p95": drawn(seconds.p95_ms, max),
            "p99": drawn(seconds.p99_ms, max),
        },
        stock={campaign: drawn(values, _last) for campaign, values in seconds.stock.items()},
        lag_s=drawn(seconds.drain_lag_s, max),
        lag_seq=drawn(seconds.drain_lag_seq, max),
        batch_claims=drawn(seconds.batch_claims, _mean),
    )


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _last(values: list[float]) -> float:
    return values[-1]


def rounded(value: float) -> float:
    """Four digits that count: more is not seen, and takes room."""
    return int(value) if value == int(value) else float(f"{value:.4g}")
