"""The contest: every contender in turn, several times over, and how the gateway as it ships compares with each."""

import msgspec

from loadtest.bench.figures import Spread, ratios, spread
from loadtest.bench.plan import Plan, Say
from loadtest.bench.report import Section, Sheet
from loadtest.bench.same_work import lapses
from loadtest.bench.stand import Measured, Stand
from loadtest.bench.targets import Verdict, judge, not_measured

SHARE_FULL = 0.90
"""Of a core, from where on what runs on it is taken to be what limits the run."""
SHARE_FOREIGN = 0.10
"""Cores that processes of somebody else may use before the report says so."""
OURS = "lane"
TARGETS = {"go": "cpu_lane_to_go", "plain": "cpu_lane_to_plain"}
"""A contender → the target that compares the lane with it."""

Round = dict[str, Measured]


class Summary(msgspec.Struct, frozen=True):
    """
    The rounds in figures, by contender.

    *ratios* are the lane's CPU a claim (gateway and Redis) to that contender's; *gateway_ratios* leave Redis out.
    """

    contenders: dict[str, dict[str, Spread]]
    ratios: dict[str, Spread]
    gateway_ratios: dict[str, Spread]
    rounds: list[Round]


FIGURES = {
    "gateway_us": 1, "redis_us": 1, "cpu_us": 1, "answers_per_s": 0, "p50_ms": 2, "p99_ms": 2,
    "gateway_share": 2, "redis_share": 2, "generator_share": 2, "others_share": 2,
}  # fmt: skip
"""What is shown of a contender, and with how many digits."""
HEADER = ("", "gateway", "Redis", "sum µs", "answers/s", "p50 ms", "p99 ms", "| gateway", "Redis", "wrk", "others")
LEGEND = "CPU microseconds an answer of gateway and Redis, their sum; right of the bar, the cores each kept busy."


def warm_up(stand: Stand, plan: Plan) -> None:
    """Let every contender answer some claims that nobody counts: connections, caches and scripts are there then."""
    for contender in stand.contenders.values():
        stand.claim(contender, plan.warm_claims, stand.new_asks(plan.warm_claims), plan.connections)


def contest(stand: Stand, plan: Plan, say: Say) -> Section:
    """
    Look at what each contender answers, then run every round.

    In a round all get the same requests, one contender after the other; only the one measured has anything to do.
    """
    faults = [lapse for contender in stand.contenders.values() for lapse in lapses(stand, contender)]
    rounds: list[Round] = []
    for number in range(1, plan.rounds + 1):
        asks, round_ = stand.new_asks(plan.claims), Round()
        for contender in stand.contenders.values():
            measured = round_[contender.name] = stand.claim(contender, plan.claims, asks, plan.connections)
            say(f"contest, round {number} of {plan.rounds}: {one_line(measured)}")
        rounds.append(round_)
    summary = summarise(rounds)
    runs = [measured for round_ in rounds for measured in round_.values()]
    return Section(
        title=f"Contest: {plan.claims} claims each over {plan.connections} connections, {plan.rounds} rounds",
        sheets=[contender_sheet(summary.contenders), *ratio_sheets(summary)],
        notes=[
            LEGEND,
            *alone(stand),
            *(f"without {name}: {why}" for name, why in stand.missing.items()),
            *remarks(runs, stand.shared_core),
        ],
        faults=[*faults, *(fault for measured in runs for fault in measured.faults)],
        targets=judged(summary, stand.missing) if plan.judged else unjudged(),
        figures=summary,
    )


def alone(stand: Stand) -> list[str]:
    """What to say where the gateway has no core of its own."""
    return [] if stand.cores.apart else ["the gateway shares its core: compare CPU only, answers/s say nothing here"]


def one_line(measured: Measured) -> str:
    """One run for the screen."""
    return (
        f"{measured.contender} {measured.gateway_us:.1f} + {measured.redis_us:.1f} µs, "
        f"{measured.answers_per_s:.0f}/s{'' if not measured.faults else '   NOT CLEAN'}"
    )


def spreads(runs: list[Measured]) -> dict[str, Spread]:
    """The figures of several runs of one contender."""
    return {figure: spread(getattr(run, figure) for run in runs) for figure in FIGURES}


def summarise(rounds: list[Round]) -> Summary:
    """The figures of each contender, and the ratios made pair by pair within each round."""
    names = list(rounds[0])
    others = [name for name in names if name != OURS] if OURS in names else []
    return Summary(
        contenders={name: spreads([round_[name] for round_ in rounds]) for name in names},
        ratios={name: ratios((round_[OURS].cpu_us, round_[name].cpu_us) for round_ in rounds) for name in others},
        gateway_ratios={
            name: ratios((round_[OURS].gateway_us, round_[name].gateway_us) for round_ in rounds) for name in others
        },
        rounds=rounds,
    )


def contender_sheet(figures: dict[str, dict[str, Spread]]) -> Sheet:
    """One row of medians a contender (or whatever else the keys are)."""
    rows = [
        (name, *(f"{its[figure].median:.{digits}f}" for figure, digits in FIGURES.items()))
        for name, its in figures.items()
    ]
    return Sheet(HEADER, rows)


def ratio_sheets(summary: Summary) -> list[Sheet]:
    """The lane's CPU to each other contender's; no sheet where there is nobody to compare with."""
    rows = [
        (f"to {name}", ratio.shown(3), summary.gateway_ratios[name].shown(3)) for name, ratio in summary.ratios.items()
    ]
    header = (f"CPU a claim, {OURS}", "gateway + Redis, median (lowest to highest)", "gateway alone")
    return [Sheet(header, rows)] if rows else []


def judged(summary: Summary, missing: dict[str, str]) -> dict[str, Verdict]:
    """The targets that are ratios to another contender."""
    found = {}
    for name, key in TARGETS.items():
        ratio = summary.ratios.get(name)
        if ratio is not None:
            found[key] = judge(key, ratio.median, low=ratio.low, high=ratio.high)
        else:
            found[key] = not_measured(key, missing.get(name, f"{name} or {OURS} did not take part"))
    return found


def unjudged() -> dict[str, Verdict]:
    """The same targets after a run that was not meant for figures."""
    return {key: not_measured(key, "the crowd of --generator python is no measure") for key in TARGETS.values()}


def remarks(runs: list[Measured], shared_core: bool) -> list[str]:
    """What a reader has to know of these runs: whose core was full, and who else was using the machine."""
    notes = []
    for name in dict.fromkeys(run.contender for run in runs):
        its = [run for run in runs if run.contender == name]
        load = spread(run.generator_share + (run.redis_share if shared_core else 0) for run in its).median
        gateway = spread(run.gateway_share for run in its).median
        if load >= SHARE_FULL and gateway < SHARE_FULL:
            who = "the generator, on one core with Redis," if shared_core else "the generator"
            notes.append(f"{name}: {who} was the limit ({load:.2f} of its core): answers/s are a lower bound")
    others = spread(run.others_share for run in runs)
    if others.high > SHARE_FOREIGN:
        notes.append(f"other processes used {others.shown(2)} cores meanwhile: quiet the machine for steady figures")
    return notes
