"""
The end of a run, in Locust's hooks: everything is gathered, judged, held to the gates, written and printed.

`install` hooks it in. It is done once a run, by the process that leads, as soon as the users have stopped: because the
time is up, somebody pressed stop or Ctrl-C, or the last worker is gone.
"""

import logging
import sys
import time
from pathlib import Path
from typing import Any

import gevent  # type: ignore[import-untyped]
from locust.env import Environment
from locust.event import Events
from locust.exception import StopUser
from locust.runners import MasterRunner, WorkerRunner

from loadtest.report.files import REPORT, TOLD
from loadtest.run.concluding import Means, Run, conclude
from loadtest.run.gates import read_gates
from loadtest.run.gathering import Gathered, ToldFile
from loadtest.run.linking import link_report
from loadtest.run.plan import part_of, parts
from loadtest.run.sampling import Sampler
from loadtest.run.screen import show
from loadtest.run.shipping import Leader, WorkerEnd
from loadtest.run.summing import INTERRUPTED, UNJUDGED, USAGE

log = logging.getLogger("loadtest")


def install(events: Events, means: Means | None = None) -> None:
    """Hook it into Locust's *events*, after those that make the plan. *means* are what a run is judged and shown by."""

    def on_init(environment: Environment, **_more: Any) -> None:
        runner = environment.runner
        # Timers count from when the loop last looked at the clock, which was before Locust was imported: a run of
        # eight seconds was over after four.
        gevent.get_hub().loop.update_now()
        _check_gates(environment)
        if isinstance(runner, WorkerRunner):
            worker = WorkerEnd(environment, runner)
            _listen(events, worker)
            _add(events.request, worker.telling.on_request)
        else:
            ending = Ending(environment, means or Means.of_the_project())
            _listen(events, ending)
            _add(events.request, ending.leader.telling.on_request)
            _add(events.worker_connect, ending.leader.on_worker_connect)

    _add(events.init, on_init)


def _check_gates(environment: Environment) -> None:
    """
    End the program where its gates can't be read.

    Those that were forked off by --processes read the same, and end by themselves: nobody would tell them to.
    """
    parsed = environment.parsed_options
    assert parsed is not None
    try:
        read_gates(parsed.fail_on)
    except ValueError as error:
        if not isinstance(environment.runner, WorkerRunner):
            print(f"locust: error: {error}", file=sys.stderr, flush=True)
        sys.exit(USAGE)


def _listen(events: Events, to: "Ending | WorkerEnd") -> None:
    """
    Hook in each on_… of *to*, now that the runner has its own in.

    Locust calls those of quitting from the last to the first: ours before the runner's, which ends the connections.
    """
    for name in ("test_start", "test_stopping", "test_stop", "quitting", "quit"):
        if hasattr(to, f"on_{name}"):
            _add(getattr(events, name), getattr(to, f"on_{name}"))


def _add(hook: Any, listener: Any) -> None:
    hook.add_listener(listener)


class Ending:
    """The hooks of the process that leads."""

    def __init__(self, environment: Environment, means: Means) -> None:
        self._environment, self._means = environment, means
        runner = environment.runner
        self.leader = Leader(runner if isinstance(runner, MasterRunner) else None)
        self._run: Run | None = None
        self._concluding: gevent.Greenlet | None = None
        self._code = 0
        self._screens: list[str] = []
        self._newest: Path | None = None
        if environment.web_ui is not None:
            link_report(environment.web_ui, self._parsed.web_base_path or "", lambda: self._newest)

    @property
    def _parsed(self) -> Any:
        return self._environment.parsed_options

    def on_test_start(self, **_more: Any) -> None:
        """Gather and sample from now on."""
        try:
            part = part_of(self._environment)
        except StopUser:  # there is no run, and it was said why
            return
        plan, runner = part.plan, self._environment.runner
        assert plan is not None
        assert part.target is not None
        assert runner is not None
        folder = Path(part.options.results or f"results/{plan.run}")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            told = ToldFile(folder / TOLD)
            asks = read_gates(part.options.fail_on)
        except (OSError, ValueError) as error:
            wrong = f"results can't be kept: {error}" if isinstance(error, OSError) else str(error)
            log.error("there is no run: %s", wrong)
            self._exit(USAGE)
            part.fail(wrong)
            gevent.spawn(runner.quit if self._parsed.headless else runner.stop)
            raise gevent.GreenletExit from None  # whoever starts users does so no further
        gathered = Gathered(plan.run, told)
        sampler = Sampler(part.host, part.target.admin_key, plan.campaigns, plan.started_s, lambda: runner.user_count)
        self._run = Run(part, plan, folder, asks, gathered, sampler, sampler.standings())
        self.leader.begin(gathered)
        sampler.start()

    def on_test_stopping(self, **_more: Any) -> None:
        """What is asked from now on is not the run's any more."""
        if self._run is not None:
            self._run.stopped_s = self._run.stopped_s or time.time()

    def on_test_stop(self, **_more: Any) -> None:
        """Conclude the run."""
        self._finish()

    def on_quitting(self, **_more: Any) -> None:
        """However this program ends: stop the users first, and wait for the conclusion."""
        runner = self._environment.runner
        if self._run is not None and runner is not None:
            # Workers are asked to stop when they are asked for their last chunk.
            runner.stop(**({"send_stop_to_client": False} if isinstance(runner, MasterRunner) else {}))
        self._finish()

    def on_quit(self, **_more: Any) -> None:
        """Say what it came to, or why to nothing, below Locust's own tables."""
        failed = parts[self._environment].failed
        if failed and self._parsed.headless:
            self._screens.append(f"No run: {failed}\nExit code {self._environment.process_exit_code}")
        for text in self._screens:
            show(text, piped=self._parsed.json)
        self._screens = []

    def _finish(self) -> None:
        """Conclude what runs, and wait for it, once; a Ctrl-C that comes meanwhile leaves."""
        run, self._run = self._run, None
        if run is not None:
            run.stopped_s = run.stopped_s or time.time()
            self._concluding = gevent.spawn(self._conclude, run)
        if self._concluding is None:
            return
        try:
            self._concluding.join()
        except KeyboardInterrupt:
            print("Left before there was a verdict.", file=sys.stderr, flush=True)
            raise SystemExit(INTERRUPTED) from None

    def _conclude(self, run: Run) -> None:
        code = UNJUDGED
        try:
            concluded = conclude(run, self._environment, self.leader, self._means)
            code = concluded.code
            self._screens.append(concluded.text)
            if concluded.written:
                self._newest = run.folder / REPORT
        except Exception:
            log.exception("the end of the run failed")
        self._exit(code)
        if not self._parsed.headless:
            self.on_quit()

    def _exit(self, code: int) -> None:
        """The exit code of the program: the worst of its runs."""
        self._code = max(self._code, code)
        self._environment.process_exit_code = self._code
