"""The measures of scripts.py and drain.py as parts of a whole run."""

from loadtest.bench import drain, scripts
from loadtest.bench.plan import Plan, Say
from loadtest.bench.report import Section
from loadtest.bench.script_server import installed_redis, packaged_valkey
from loadtest.bench.stand import Stand
from loadtest.bench.targets import not_measured


def script_costs(stand: Stand, plan: Plan, say: Say) -> Section:
    """What the claim script costs, on servers of its own; the stack is idle meanwhile."""
    found = {"valkey": packaged_valkey(), "redis": installed_redis()}
    with stand.unpinned():
        reports = [
            scripts.server_costs(binary, stand.folder / f"script-{name}", quick=plan.quick, layouts=False, say=say)
            for name, binary in found.items()
            if binary
        ]
    missing = {
        f"memory_{name}": not_measured(f"memory_{name}", f"no {name}-server here")
        for name, binary in found.items()
        if not binary
    }
    return Section(
        title="Claim script",
        sheets=[scripts.table(report) for report in reports],
        notes=[],
        faults=[],
        targets={**missing, **scripts.targets(reports)},
        figures=reports,
    )


def drain_rate(stand: Stand, plan: Plan, say: Say) -> Section:
    """How fast the books follow, against COPY of the same rows."""
    claims, rounds = (drain.CLAIMS_QUICK, drain.ROUNDS_QUICK) if plan.quick else (drain.CLAIMS, drain.ROUNDS)
    with stand.unpinned():
        costs = drain.drain_costs(stand.system, claims=claims, rounds=rounds, say=say)
    return Section("Drain", [drain.table(costs)], [], [], drain.targets(costs), costs)
