"""
Gates: what a run has to keep to. ``--fail-on 'p99<=250,errors<=0.1%,goodput>=500'``, and the verdict always.

A gate that nothing was asked of does not hold: a run without requests has shown nothing.
"""

import operator
import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from loadtest.report.result import Gate
from loadtest.run.latencies import Latencies, merged
from loadtest.run.timeline import Named, Timeline

COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    "<": operator.lt,
    ">=": operator.ge,
    ">": operator.gt,
}
PERCENTILES = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p999": 99.9}
MAX, ERRORS, GOODPUT = "max", "errors", "goodput"
UNITS: dict[str, dict[str, float]] = {
    **{latency: {"": 1.0, "ms": 1.0, "s": 1000.0} for latency in (*PERCENTILES, MAX)},
    ERRORS: {"%": 1.0, "": 100.0},
    GOODPUT: {"": 1.0, "/s": 1.0},
}
"""
What each measure may be given in, and what one of it is: in milliseconds, per cent, or claims a second. Errors without
their % are a share, as in 0.001, and so below 1: nobody shall write 1 and mean a per cent.
"""
EXAMPLES = {
    **{measure: f"{measure}<=250, {measure}<=250ms or {measure}<=0.25s" for measure in (*PERCENTILES, MAX)},
    ERRORS: "errors<=0.1% or errors<=0.001",
    GOODPUT: "goodput>=500",
}
NOTHING = "nothing was asked"

_ASK = re.compile(r"([a-z0-9]+)(?:\[([^\]]+)\])?\s*(<=|>=|<|>)\s*([0-9]+(?:\.[0-9]+)?)\s*([^\s0-9]*)")


class Ask(NamedTuple):
    """
    One gate as it was asked for: *measure* of the requests *of*, compared with *bound*.

    *of* is a name of requests, or what they are about (``redeem`` for all its outcomes); empty: claims for a latency
    and for goodput, every request for errors. *bound* is milliseconds, per cent, or claims a second.
    """

    measure: str
    of: str
    comparison: str
    bound: float

    @property
    def name(self) -> str:
        """As it is written."""
        return f"{self.measure}[{self.of}]" if self.of else self.measure

    @property
    def asked(self) -> str:
        """The bound, for people."""
        return f"{self.comparison} {shown(self.measure, self.bound)}"

    def judge(self, timeline: Timeline, duration_s: float) -> Gate:
        """What *timeline* has of it."""
        found = self._found(timeline, duration_s)
        if found is None:
            return Gate(name=self.name, asked=self.asked, found=NOTHING, holds=False)
        holds = COMPARISONS[self.comparison](found, self.bound)
        return Gate(name=self.name, asked=self.asked, found=shown(self.measure, found), holds=holds)

    def _found(self, timeline: Timeline, duration_s: float) -> float | None:
        named = [each for name, each in timeline.names.items() if self._means(name)]
        if self.measure == ERRORS:
            count = sum(each.count for each in named)
            return 100 * sum(each.failures for each in named) / count if count else None
        if self.measure == GOODPUT:
            return timeline.good / duration_s if timeline.outcomes and duration_s > 0 else None
        latencies = self._latencies(named, timeline)
        if self.measure == MAX:
            return latencies.longest_ms
        return latencies.percentiles_ms(PERCENTILES[self.measure])[0]

    def _latencies(self, named: Iterable[Named], timeline: Timeline) -> Latencies:
        return merged(each.latencies for each in named) if self.of else timeline.claims

    def _means(self, name: str) -> bool:
        return not self.of or name == self.of or name.partition(":")[0] == self.of


def shown(measure: str, value: float) -> str:
    """A *value* of a *measure* with its unit."""
    if measure == ERRORS:
        return f"{value:.3g} %"
    if measure == GOODPUT:
        return f"{value:,.1f}/s" if value < 100 else f"{value:,.0f}/s"
    return f"{value:.3g} ms" if value < 1000 else f"{value:,.0f} ms"


def read_gates(text: str) -> list[Ask]:
    """
    The gates of ``--fail-on``, separated by commas; none for an empty text.

    Errors: ValueError naming what is wrong and what is allowed.
    """
    return [_read(part.strip()) for part in text.split(",") if part.strip()]


def _read(part: str) -> Ask:
    read = _ASK.fullmatch(part)
    if not read:
        raise ValueError(f"--fail-on: {part!r} is no gate: write a measure, <= or >=, and a bound, as in p99<=250")
    measure, of, comparison, number, unit = read.groups()
    if measure not in UNITS:
        raise ValueError(f"--fail-on: {part!r}: there is no {measure!r}; there are {', '.join(UNITS)}")
    if of and measure == GOODPUT:
        raise ValueError(f"--fail-on: {part!r}: goodput is of claims, and of no other requests")
    if (comparison[0] == ">") != (measure == GOODPUT):
        allowed = "> and >=" if measure == GOODPUT else "< and <="
        raise ValueError(f"--fail-on: {part!r}: {measure} is compared by {allowed}")
    if unit not in UNITS[measure] or (measure == ERRORS and not unit and float(number) >= 1):
        raise ValueError(f"--fail-on: {part!r}: write a bound of {measure} as in {EXAMPLES[measure]}")
    return Ask(measure, of or "", comparison, float(number) * UNITS[measure][unit])


def judge_gates(asks: Sequence[Ask], timeline: Timeline, duration_s: float, *, errors_count: bool = True) -> list[Gate]:
    """
    The row of each of *asks*. Where none is about errors, and *errors_count*, one row more: no request fails.

    That is what Locust itself ends with 1 for, unless it is told otherwise by ``--exit-code-on-error 0``.
    """
    rows = [ask.judge(timeline, duration_s) for ask in asks]
    if errors_count and not any(ask.measure == ERRORS for ask in asks):
        found = f"{timeline.failed:,} of {timeline.count:,}" if timeline.count else NOTHING
        holds = timeline.count > 0 and timeline.failed == 0
        rows.append(Gate(name=ERRORS, asked="none", found=found, holds=holds))
    return rows
