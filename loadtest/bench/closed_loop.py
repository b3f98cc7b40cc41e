"""More of the closed loop: what a refusal costs, more and fewer connections, two workers, fsync before every answer."""

from collections.abc import Iterable

from loadtest.bench.contest import OURS, contender_sheet, one_line, remarks, spreads
from loadtest.bench.entrants import Contender, our_environment
from loadtest.bench.figures import ratios, spread
from loadtest.bench.generator import Load
from loadtest.bench.plan import Plan, Say
from loadtest.bench.report import Section
from loadtest.bench.stand import Measured, Stand
from loadtest.bench.targets import judge

CONNECTIONS = (16, 64, 256, 1024)
REPEATS = 3

Runs = dict[str, list[Measured]]


def refusals(stand: Stand, plan: Plan, say: Say) -> Section:
    """Sold out, and the limit reached: nothing is written, but the token is checked and Redis asked as for a claim."""
    plan = plan._replace(claims=max(1, plan.claims // 2))  # plain takes long, and nothing grows that would need more
    runs: Runs = {}
    for _ in range(REPEATS):
        for contender in _but(stand, "starlette"):
            for what, measured in (
                ("sold out", _sold_out(stand, plan, contender)),
                ("limit reached", _limit_reached(stand, plan, contender)),
            ):
                _note(runs, f"{contender.name}: {what}", measured, say)
    return _section(f"Refusals: {plan.claims} of each", stand, runs)


def _sold_out(stand: Stand, plan: Plan, contender: Contender) -> Measured:
    campaign = stand.new_campaign(contender, stock=1)
    load = Load(campaign, stand.new_asks(plan.claims), plan.connections)
    with stand.system.stopped("reconciler"):
        measured = stand.measure(contender, load, {201: 1, 409: plan.claims - 1})
    stand.settle(contender, campaign)
    return measured


def _limit_reached(stand: Stand, plan: Plan, contender: Contender) -> Measured:
    campaign = stand.new_campaign(contender, stock=2 * plan.claims)
    with stand.system.stopped("reconciler"):
        first = Load(campaign, stand.new_asks(plan.claims), plan.connections)
        stand.measure(contender, first, {201: plan.claims})
        again = Load(campaign, stand.new_asks(plan.claims), plan.connections, prefix="again-")
        measured = stand.measure(contender, again, {409: plan.claims})
    stand.settle(contender, campaign)
    return measured


def connections(stand: Stand, plan: Plan, say: Say) -> Section:
    """The same claims over few and over many connections."""
    runs: Runs = {}
    for _ in range(REPEATS):
        for count in CONNECTIONS:
            asks = stand.new_asks(plan.claims)
            for contender in _but(stand, "plain", "starlette"):
                measured = stand.claim(contender, plan.claims, asks, count)
                _note(runs, f"{contender.name}: {count} connections", measured, say)
    return _section(f"Connections: {plan.claims} claims each, connecting included", stand, runs)


def workers(stand: Stand, plan: Plan, say: Say) -> Section:
    """
    One worker and two, wherever the kernel puts them: nothing is pinned.

    With two, each worker's share of the gateway's CPU says how evenly the connections went to them.
    """
    runs: Runs = {}
    environment = our_environment(stand.system.target, workers="2")
    with stand.start(OURS, environment=environment) as two, stand.unpinned(two):
        by_count = {"one worker": stand.contenders[OURS], "two workers": two}
        for _ in range(REPEATS):
            for what, contender in by_count.items():
                for count in (plan.connections, 4 * plan.connections):
                    measured = stand.claim(contender, plan.claims, stand.new_asks(plan.claims), count)
                    _note(runs, f"{what}, {count} connections", measured, say)
    section = _section(f"Workers: {plan.claims} claims each, nothing pinned", stand, runs)
    uneven = spread(max(run.gateway_shares) for what, its in runs.items() for run in its if what.startswith("two"))
    return section._replace(notes=[*section.notes, f"the busier of two workers used {uneven.shown(2)} of their CPU"])


def fsync(stand: Stand, plan: Plan, say: Say) -> Section:
    """The append-only file synced before every answer, and once a second."""
    pairs: list[tuple[float, float]] = []
    runs: Runs = {}
    for _ in range(plan.rounds):
        for when in ("always", "everysec"):
            stand.redis.config_set("appendfsync", when)
            asks = stand.new_asks(plan.claims)
            measured = stand.claim(stand.contenders[OURS], plan.claims, asks, plan.connections)
            _note(runs, f"appendfsync {when}", measured, say)
        pairs.append((runs["appendfsync always"][-1].answers_per_s, runs["appendfsync everysec"][-1].answers_per_s))
    ratio = ratios(pairs)
    section = _section(f"fsync: {plan.claims} claims each, {plan.rounds} rounds", stand, runs)
    return section._replace(targets={"fsync": judge("fsync", ratio.median, low=ratio.low, high=ratio.high)})


def _but(stand: Stand, *names: str) -> Iterable[Contender]:
    return [contender for name, contender in stand.contenders.items() if name not in names]


def _note(runs: Runs, what: str, measured: Measured, say: Say) -> None:
    runs.setdefault(what, []).append(measured)
    say(f"{what}: {one_line(measured)}")


def _section(title: str, stand: Stand, runs: Runs) -> Section:
    every = [run for its in runs.values() for run in its]
    figures = {what: spreads(its) for what, its in runs.items()}
    return Section(
        title=title,
        sheets=[contender_sheet(figures)],
        notes=remarks(every, stand.shared_core),
        faults=[fault for run in every for fault in run.faults],
        targets={},
        figures={"medians": figures, "runs": runs},
    )
