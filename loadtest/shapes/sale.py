"""
The one shape of Locust's: it plays the table that --shape names.

There is one because Locust without its web page silently takes the first of several. It has Locust's own options too,
so that with --shape steady --users, --spawn-rate and --run-time are what they are without a shape.
"""

import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

from locust import LoadTestShape, User

from loadtest.marks import MARKS, Lines
from loadtest.run.arguments import Options
from loadtest.run.plan import known_plan
from loadtest.run.recording import recorder
from loadtest.shapes.stages import OVER, Stage, classes_at, in_turn, stage_at

log = logging.getLogger("loadtest")

PROGRESS_S = 10.0

Tick = tuple[int, float, list[type[User]] | None]


class Sale(LoadTestShape):
    """Asked once a second how many users there have to be; marks each stage it comes to."""

    abstract = False
    use_common_options = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._asked_s = self._told_s = 0.0
        self._stage = ""
        self._marks: Lines | None = None

    def tick(self) -> Tick | None:
        """Users, users a second, and of which classes; None when the run is over."""
        assert self.runner is not None
        environment: Any = self.runner.environment
        if self.runner.shape_last_tick is None:
            self._begin()
        plan = known_plan(environment)
        try:
            options = Options.of(environment.parsed_options)
        except ValueError as error:  # what somebody wrote into the web page
            log.error("%s", error)
            return None
        # A run begins with its plan: what it takes to open the sale is no part of it.
        running = plan is not None and plan.started_s >= self._asked_s
        elapsed_s = time.time() - plan.started_s if plan is not None and running else 0.0
        stage = stage_at(options.shape, elapsed_s, options)
        if running:
            stage = in_turn(options.shape, self._stage, stage, options)
            self._mark(stage)
            self._progress(stage, elapsed_s, environment)
        if stage.name == OVER:
            return None
        classes = {user.__name__: user for user in environment.user_classes}
        added = [classes[name] for name in classes_at(stage, list(classes), options.arrivals > 0)]
        # The pool of an open loop is there when the first claim is due.
        rate = max(stage.spawn_rate, stage.users) if options.arrivals else stage.spawn_rate
        return stage.users, rate, added

    def _begin(self) -> None:
        self._asked_s = self._told_s = time.time()
        self._stage = ""
        file = os.environ.get(MARKS)
        self._marks = Lines(Path(file)) if file else None

    def _mark(self, stage: Stage) -> None:
        if stage.name not in (self._stage, OVER, "steady"):
            recorder.mark(stage.name)
            log.info("%s: %d users", stage.name, stage.users)
        self._stage = stage.name
        for line in self._marks.new() if self._marks else ():
            recorder.mark(line)

    def _progress(self, stage: Stage, elapsed_s: float, environment: Any) -> None:
        """How far it is, where nothing else is printed: a line that is written over, or one every ten seconds."""
        parsed = environment.parsed_options
        if not (parsed.headless and parsed.only_summary):
            return
        total, over = environment.stats.total, sys.stderr.isatty()
        if not over and time.time() - self._told_s < PROGRESS_S and stage.name != OVER:
            return
        self._told_s = time.time()
        line = (
            f"{elapsed_s:5.0f} s  {stage.name:<11} {environment.runner.user_count:5} users"
            f"  {total.num_requests:8,} requests  {total.current_rps:6.0f}/s"
            f"  p99 {total.get_current_response_time_percentile(0.99) or 0:5.0f} ms  {total.num_failures:5,} failed"
        )
        before, after = ("\r" if over else ""), ("" if over and stage.name != OVER else "\n")
        print(f"{before}{line}", end=after, file=sys.stderr, flush=True)
