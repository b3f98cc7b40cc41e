"""
The targets of a run, in one list: every measure fills in what it found, and what nobody measured is shown as such.

    found = {"fsync": judge("fsync", 0.91, low=0.88, high=0.93)}
    for target in target_list(found): ...
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple


class Bound(NamedTuple):
    """What has to hold of one figure."""

    name: str
    sense: Literal["≤", "≥"]
    limit: float
    unit: str


BOUNDS: dict[str, Bound] = {
    "cpu_lane_to_go": Bound("CPU a claim, gateway and Redis: the lane to Go", "≤", 0.40, "×"),
    "cpu_lane_to_plain": Bound("CPU a claim, gateway and Redis: the lane to plain Starlette", "≤", 0.10, "×"),
    "script_batch": Bound("claims/s of one Redis core: 128 claims a call to one a call", "≥", 6.0, "×"),
    "script_size": Bound("script cost a claim: 10^7 coupons out to 10^4", "≤", 1.15, "×"),
    "memory_valkey": Bound("memory of an outstanding coupon, Valkey", "≤", 160, "bytes"),
    "memory_redis": Bound("memory of an outstanding coupon, Redis 7", "≤", 200, "bytes"),
    "drain": Bound("drained rows/s to COPY of the same rows", "≥", 0.6, "×"),
    "drain_lag": Bound("drain lag at half of the saturating rate, the most", "≤", 1.0, "s"),
    "drain_lag_growth": Bound("growth of that lag", "≤", 0.02, "s a second"),
    "fsync": Bound("claims/s: fsync before every answer to everysec", "≥", 0.7, "×"),
    "overload_goodput": Bound("claims/s decided in time, at 2 to 10 times saturation to the peak", "≥", 0.9, "×"),
    "overload_recovery": Bound("after a burst of 10 times saturation, p99 as before within", "≤", 5.0, "s"),
}
"""Every target, by the key a measure fills it under, in the order they are shown."""


class Verdict(NamedTuple):
    """What a run says to one target: *found* in words, and whether it *holds*; None where it was not measured."""

    name: str
    bound: str
    found: str
    holds: bool | None


def judge(key: str, found: float, *, low: float | None = None, high: float | None = None) -> Verdict:
    """The target *key* with what was *found* (of several runs the median, *low* and *high* its spread)."""
    bound = BOUNDS[key]
    holds = found <= bound.limit if bound.sense == "≤" else found >= bound.limit
    words = _figure(found, bound.unit)
    if low is not None and high is not None and low != high:
        words += f" ({_figure(low, '')} to {_figure(high, '')})"
    return Verdict(bound.name, _words(bound), words, holds)


def not_measured(key: str, why: str) -> Verdict:
    """The target *key* when nothing was found."""
    return Verdict(BOUNDS[key].name, _words(BOUNDS[key]), f"not measured: {why}", None)


def target_list(found: Mapping[str, Verdict], why_not: str = "not part of this run") -> list[Verdict]:
    """All targets in order; those nobody *found* say *why_not*."""
    return [found.get(key) or not_measured(key, why_not) for key in BOUNDS]


def _words(bound: Bound) -> str:
    return f"{bound.sense} {_figure(bound.limit, bound.unit)}"


def _figure(value: float, unit: str) -> str:
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:.{digits}f} {unit}".rstrip()
