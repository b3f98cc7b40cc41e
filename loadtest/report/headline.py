"""Pure: what the page says first: the verdict in a sentence, what was asked of the run, its main figures."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from loadtest.report.course import claims_each_second
from loadtest.report.figures import amount, count, milliseconds, percent, plural, seconds, shortened
from loadtest.report.result import Gate, Result

CPU_PERCENT_MAX = 90
"""A generator that is busier than that sends late, and what it measures is itself."""

TEXT_MAX = 400


class Headline(NamedTuple):
    """*word* and a sentence; *row* is the first row that violates a check, *more* says what else there is to it."""

    clean: bool
    word: str
    sentence: str
    more: list[str]
    row: str = ""


class Figure(NamedTuple):
    """A figure of the run; *note* where it has to be taken with care."""

    name: str
    figure: str
    says: str
    note: str = ""


def headline_of(result: Result) -> Headline:
    """The verdict, with the number that matters."""
    if result.clean:
        return Headline(True, "Clean", _granted(result), _clean_more(result))
    reasons = _reasons(result) or [f"The run ended with exit code {result.exit_code}"]
    checks = result.verdict.checks if result.verdict else []
    first = next((check.first for check in checks if not check.holds), None)
    return Headline(False, "Not clean", reasons[0], reasons[1:], shortened(row(first), TEXT_MAX))


def _granted(result: Result) -> str:
    asked = plural(sum(row.count for row in result.requests), "request")
    if not result.campaigns:
        return f"No campaign was sold, {asked}"
    granted = sum(campaign.granted for campaign in result.campaigns)
    left = [campaign.left for campaign in result.campaigns]
    if None in left:
        return f"{plural(granted, 'coupon')} granted, none twice, {asked}"
    total = granted + sum(filter(None, left))
    return f"{count(granted)} of {plural(total, 'coupon')} granted, none twice, {asked}"


def _clean_more(result: Result) -> list[str]:
    checks = result.verdict.checks if result.verdict else []
    told = [f"{plural(len(checks), 'check')} of {plural(sum(c.checked for c in checks), 'row')} hold"] if checks else []
    asked = [gate for gate in result.gates if not is_verdict(gate)]
    return told + ([f"{plural(len(asked), 'gate')} held"] if asked else [])


def is_verdict(gate: Gate) -> bool:
    """Whether it is one of the verdicts, which are gates that nobody has to ask for."""
    return gate.name.endswith("verdict")


def _reasons(result: Result) -> list[str]:
    """All that is not as it has to be, the gravest first."""
    told = []
    if result.verdict is None:
        told.append(f"There is no verdict: {result.unjudged or 'nothing could be judged'}")
    else:
        violated = [check for check in result.verdict.checks if not check.holds]
        told += [
            f"{check.name} does not hold: {count(check.violated)} of {count(check.checked)} violate it"
            for check in violated
        ]
        if not violated and not result.verdict.holds:
            told.append("The verdict does not hold")
    if result.product_verdict and not result.product_verdict.holds:
        told.append("The gateway's own verdict does not hold")
    told += [
        f"{gate.name}: {gate.found}, asked: {gate.asked}"
        for gate in result.gates
        if not (gate.holds or is_verdict(gate))
    ]
    return [shortened(text, TEXT_MAX) for text in told]


def row(first: Mapping[str, Any] | None) -> str:
    """A violated row in one line."""
    parts = (
        f"{'' if name == 'why' else f'{name} '}{shortened(str(value), 120)}" for name, value in (first or {}).items()
    )
    return re.sub(r"\s+", " ", " · ".join(parts))


def figures_of(result: Result) -> list[Figure]:
    """The main figures."""
    requests = sum(each.count for each in result.requests)
    failures = sum(each.failures for each in result.requests)
    cpu, lost = result.generator.cpu_percent_max, result.generator.lost
    busy = cpu > CPU_PERCENT_MAX
    notes = []
    if busy:
        notes.append("too busy: what it measured is partly itself")
    if lost:
        notes.append(f"{plural(len(lost), 'worker')} lost")
    return [
        Figure("Requests", count(requests), f"in {seconds(result.duration_s)}"),
        Figure("Claims at the peak", f"{count(max(claims_each_second(result.seconds), default=0))}/s", "answered"),
        Figure("Goodput", f"{amount(result.goodput_per_s)}/s", "final answers, in time"),
        Figure(
            "Claim latency p99",
            milliseconds(result.p99_ms),
            f"p95 {milliseconds(result.p95_ms)} · p50 {milliseconds(result.p50_ms)}",
        ),
        Figure("Failures", count(failures), f"{percent(result.error_ratio)} of requests"),
        Figure(
            "Generator",
            f"{cpu} %",
            f"of a core at most, {plural(result.generator.processes, 'process', 'processes')}",
            "; ".join(notes),
        ),
    ]
