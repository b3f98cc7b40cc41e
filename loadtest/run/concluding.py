"""
From the moment the users stop to the files and the exit code: wait for the workers, judge, hold to the gates, write.

Nothing that goes wrong on the way is taken for a clean run: what can't be judged or written has an exit code too.
"""

import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from locust import __version__ as locust_version
from locust.env import Environment

from loadtest.report.files import write_results
from loadtest.report.result import Gate, Generator, Result, Setting
from loadtest.run.arguments import Options
from loadtest.run.gates import Ask, judge_gates
from loadtest.run.gathering import Gathered
from loadtest.run.judging import Judge, Judged, judged, product_verdict
from loadtest.run.plan import Part, Plan
from loadtest.run.sampling import Sampler, Standing
from loadtest.run.screen import screen
from loadtest.run.shipping import LOCAL, MASTER, Leader
from loadtest.run.standing import product_gate, users_gate, verdict_gate, workers_gate
from loadtest.run.summing import UNJUDGED, summed

log = logging.getLogger("loadtest")

SECRETS = frozenset({"api_key", "ready_file"})


class Means(NamedTuple):
    """What a run is judged by (*judge* on campaigns as *expected* makes them), and what makes its page."""

    judge: Judge
    expected: Callable[..., Any]
    render: Callable[[Result], str]

    @classmethod
    def of_the_project(cls) -> "Means":
        """loadtest.verdict and loadtest.report."""
        from loadtest.report.html import render
        from loadtest.verdict import Expected, judge

        return cls(judge, Expected, render)


@dataclasses.dataclass
class Run:
    """A run that goes on: what it is about, where its results go, and what is gathered. Times since the epoch."""

    part: Part
    plan: Plan
    folder: Path
    asks: list[Ask]
    gathered: Gathered
    sampler: Sampler
    before: dict[str, Standing | None]
    """How the campaigns stood when it began."""
    stopped_s: float = 0.0


class Concluded(NamedTuple):
    """The exit code, what to print, and whether there is a report."""

    code: int
    text: str
    written: bool


def conclude(run: Run, environment: Environment, leader: Leader, means: Means) -> Concluded:
    """Do all of it; the users have stopped, or stop as their worker is asked to."""
    lost = leader.finish(environment.stop_timeout)
    run.sampler.stop()
    target = run.part.target
    assert target is not None
    log.info("The users have stopped; judging what %s requests were told", f"{run.gathered.timeline.count:,}")
    judgement = _judgement(run, means)
    own = product_verdict(run.part.host, target.admin_key, run.plan.campaigns)
    result = summed(
        run.plan,
        run.gathered,
        run.sampler,
        host=run.part.host,
        mode="open" if run.part.options.arrivals else "closed",
        stopped_s=run.stopped_s,
        settings=shown(run.part.options),
        generator=_generator(run.gathered, lost),
        before=run.before,
        after=run.sampler.standings(),
        verdict=judgement.verdict,
        unjudged=judgement.unjudged,
        product_verdict=own,
        gates=_gates(run, environment, judgement, own, lost),
    )
    return _written(run.folder, result, means)


def _judgement(run: Run, means: Means) -> Judged:
    target = run.part.target
    assert target is not None
    try:
        file = run.gathered.told.keep()
    except OSError as error:
        return Judged(None, f"what was told can't be written: {error}")
    if run.gathered.broken:
        return Judged(None, run.gathered.broken)
    if not target.postgres_url:
        return Judged(None, "nothing says where PostgreSQL is: name the ready file, or set FAIRCLAIM_POSTGRES_URL")
    return judged(means.judge, means.expected, target, run.part.host, run.plan, file)


def _gates(run: Run, environment: Environment, judgement: Judged, own: bool | None, lost: list[str]) -> list[Gate]:
    """The gates that were asked for, and those that nobody can switch off."""
    timeline, parsed = run.gathered.timeline, environment.parsed_options
    assert parsed is not None
    duration_s = run.stopped_s - run.plan.started_s
    workers = len(run.gathered.sources.keys() - {LOCAL, MASTER})
    exceptions = environment.runner.exceptions.values() if environment.runner else []
    return [
        *judge_gates(run.asks, timeline, duration_s, errors_count=parsed.exit_code_on_error != 0),
        *workers_gate(workers, lost),
        *users_gate({each["msg"]: each["count"] for each in exceptions}),
        verdict_gate(judgement.verdict, judgement.unjudged, timeline.count),
        *product_gate(own),
    ]


def _generator(gathered: Gathered, lost: list[str]) -> Generator:
    return Generator(
        locust=locust_version,
        processes=len(gathered.sources.keys() - {MASTER}),
        cpu_percent_max=round(gathered.cpu_percent_max),
        lost=lost,
    )


def shown(options: Options) -> dict[str, Setting]:
    """What a run was told, without what nobody else should know."""
    return {name: value for name, value in dataclasses.asdict(options).items() if name not in SECRETS}


def _written(folder: Path, result: Result, means: Means) -> Concluded:
    code, unwritten = result.exit_code, ""
    try:
        write_results(folder, result, means.render)
    except OSError as error:  # the disk is full: nobody needs a traceback for that
        code, unwritten = max(code, UNJUDGED), str(error)
    except Exception as error:
        log.exception("the results can't be written")
        code, unwritten = max(code, UNJUDGED), f"{type(error).__name__}: {error}"
    return Concluded(code, screen(result, folder, unwritten), not unwritten)
