"""
Claims through HTTP on this machine: claims/s, latency, CPU a claim, and whether the run was clean.

    make bench                        every number of connections, about two minutes
    make bench ARGS="--quick"         one, half a minute

The generator runs on the same cores, so compare figures of one run, not of two machines. Exit code 1
when a run was not clean.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

import uvloop

from loadtest.books import await_drained, findings
from loadtest.rush import Rush, create_campaign, run
from loadtest.system import System

CONNECTIONS = (16, 64, 256)


def measure(system: System, name: str, connections: int, claims: int) -> dict[str, Any]:
    """One rush in which every claim is granted; CPU in microseconds a claim, by part."""
    create_campaign(system.target, name, stock=claims, per_holder=1, shards=1)
    rush = Rush(system.target, name, claims, claims, seed=1)
    before = system.cpu_seconds()
    tally = uvloop.run(run(system.target, rush, connections))
    drained_s = await_drained(system.target.redis_url, system.target.postgres_url, name, 1, within_s=60)
    after = system.cpu_seconds()
    urls = system.target.redis_url, system.target.postgres_url
    checks = findings(*urls, name, shards=1, stock=claims, per_holder=1, told=rush.told)
    return {
        "connections": connections,
        "claims": claims,
        "claims_per_s": round(claims / tally.elapsed_s),
        "p50_ms": round(tally.percentile_ms(50), 2),
        "p99_ms": round(tally.percentile_ms(99), 2),
        "drained_after_s": round(drained_s, 2),
        "cpu_us_per_claim": {part: round((after[part] - before.get(part, 0)) * 1e6 / claims) for part in sorted(after)},
        "clean": all(check.holds for check in checks) and not tally.unanswered,
    }


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.bench", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="64 connections only, fewer claims")
    parser.add_argument("--claims", type=int, default=0, help="claims a run (default: 40000; 10000 with --quick)")
    parser.add_argument("--workers", type=int, default=1, help="gateway workers")
    parser.add_argument("--fsync", choices=("everysec", "always"), default="everysec")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    chosen = parser.parse_args(arguments)
    claims = chosen.claims or (10_000 if chosen.quick else 40_000)
    counts = (64,) if chosen.quick else CONNECTIONS
    with (
        tempfile.TemporaryDirectory(prefix="fairclaim-bench-") as folder,
        System(Path(folder), workers=chosen.workers, fsync=chosen.fsync) as system,
    ):
        measure(system, "warm-up", 64, 2000)
        runs = [measure(system, f"bench-{count}", count, claims) for count in counts]
    machine = {"python": platform.python_version(), "cores": os.cpu_count(), "system": platform.platform()}
    report = {"machine": machine, "workers": chosen.workers, "fsync": chosen.fsync, "runs": runs}
    print(json.dumps(report, indent=2) if chosen.json else _screen(report))
    return 0 if all(one["clean"] for one in runs) else 1


def _screen(report: dict[str, Any]) -> str:
    lines = [f"{report['workers']} worker(s), fsync {report['fsync']}, {report['machine']}"]
    lines.append(f"{'conns':>6}{'claims/s':>10}{'p50 ms':>9}{'p99 ms':>9}{'drained s':>11}  CPU µs a claim")
    for one in report["runs"]:
        cpu = ", ".join(f"{part} {figure}" for part, figure in one["cpu_us_per_claim"].items())
        lines.append(
            f"{one['connections']:>6}{one['claims_per_s']:>10}{one['p50_ms']:>9}{one['p99_ms']:>9}"
            f"{one['drained_after_s']:>11}  {cpu}{'' if one['clean'] else '   NOT CLEAN'}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
