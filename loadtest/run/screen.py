"""What a run came to, for whoever sits at the terminal: the same as in the report, as far as it fits."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from loadtest.report.result import Campaign, Result


def screen(result: Result, folder: Path, unwritten: str) -> str:
    """*result* in lines of text; its files are in *folder*, unless *unwritten* says why not."""
    return "\n".join(
        line
        for part in (
            _head(result),
            _outcomes(result),
            _verdict(result),
            _gates(result),
            _end(result, folder, unwritten),
        )
        for line in (*part, "")
    ).rstrip()


def show(text: str, *, piped: bool) -> None:
    """Print it; where standard output is *piped* to a program, as with Locust's --json, to standard error."""
    print(f"\n{text}", file=sys.stderr if piped else sys.stdout, flush=True)


def _head(result: Result) -> Iterator[str]:
    generator = result.generator
    processes = "1 process" if generator.processes == 1 else f"{generator.processes} processes"
    yield (
        f"Run {result.run}: {result.shape}, {result.mode} loop, {result.duration_s:.0f} s on {result.host},"
        f" {processes}, busiest {generator.cpu_percent_max} % of a core"
    )
    for campaign in result.campaigns:
        yield f"  {campaign.id}: {campaign.granted:,} granted{_stock(campaign)}"


def _stock(campaign: Campaign) -> str:
    """What there was to be had: what came later was restocked, or given back."""
    left = "what is left is not known" if campaign.left is None else f"{campaign.left:,} left"
    if campaign.stock is None:
        return f", {left}"
    came = 0 if campaign.left is None else campaign.granted + campaign.left - campaign.stock
    later = f" and {came:,} that came later" if came > 0 else ""
    return f" of a stock of {campaign.stock:,}{later}, {left}"


def _outcomes(result: Result) -> Iterator[str]:
    claims = sum(result.outcomes.values())
    yield "Claims"
    for outcome, count in result.outcomes.items():
        yield f"  {outcome:<24}{count:>12,}{count / claims:>9.1%}"
    yield (
        f"  {'p50 · p95 · p99':<24}{' · '.join(_ms(each) for each in (result.p50_ms, result.p95_ms, result.p99_ms))}"
        f"    goodput {result.goodput_per_s:,.1f}/s    failures {result.error_ratio:.3%} of all requests"
    )
    for failure in result.failures[:5]:
        yield f"  failed: {failure.name}: {failure.says} ({failure.count:,} times)"


def _verdict(result: Result) -> Iterator[str]:
    if result.verdict is None:
        yield f"No verdict: {result.unjudged}"
    else:
        checks = result.verdict.checks
        broken = [check for check in checks if not check.holds]
        found = "holds" if result.verdict.holds else f"does not hold: {len(broken)} of {len(checks)} checks"
        yield f"The verdict {found} ({len(checks)} checks, {result.verdict.took_s:.1f} s)"
        for check in broken:
            yield f"  {check.name}: {check.violated:,} of {check.checked:,} violate: {check.says}"
            yield f"    first: {_row(check.first)}"
    if result.product_verdict is None:
        yield "The gateway's own verdict could not be asked for in time"
    else:
        yield f"The gateway's own verdict {'holds' if result.product_verdict.holds else 'does not hold'}"


def _gates(result: Result) -> Iterator[str]:
    yield "Gates"
    for gate in result.gates:
        yield f"  {'ok' if gate.holds else 'NO':<4}{gate.name:<20}{gate.asked:<26}{gate.found}"


def _end(result: Result, folder: Path, unwritten: str) -> Iterator[str]:
    yield f"No report: {unwritten}" if unwritten else f"Report: {folder / 'report.html'}"
    broken = ", ".join(gate.name for gate in result.gates if not gate.holds)
    yield f"Exit code {result.exit_code}{': ' + broken if broken else ', clean'}"


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:,.3g} ms" if value < 1000 else f"{value:,.0f} ms"


def _row(row: dict[str, Any] | None) -> str:
    return ", ".join(f"{name} {value}" for name, value in row.items()) if row else "–"
