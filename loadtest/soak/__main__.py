"""
A long run: mixed traffic on a system of its own, whose gateway workers and reconciler are ended again and again.

    python -m loadtest.soak                       ten minutes
    python -m loadtest.soak --minutes 720 --users 200 --arrivals 500

Exit codes: 0 memory and open files are level and the run is clean · 1 something grows, or the verdict or a gate does
not hold · 2 wrong arguments · 130 Ctrl-C.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from loadtest.crowd import INTERRUPTED, Crowd, ended_like_ctrl_c
from loadtest.marks import MARKS
from loadtest.soak.levels import LIFE_SHARE_MIN, Rest, at_rest, unjudged
from loadtest.soak.restarts import Restart, restarts
from loadtest.soak.table import data, screen
from loadtest.soak.watch import Watch
from loadtest.system import System

SAMPLES = 300
"""About so many samples are taken of a run, at most two a second."""
HOLDERS_MAX = 200_000
"""Whoever comes later than so many comes again: Redis and the generator stay within bounds in a run of any length."""
STARTING_S = 3.0
"""What Locust needs until the crowd is there."""
REST_S_MAX = 20.0


def crowd_arguments(chosen: argparse.Namespace, run_s: float, campaign: str, results: Path) -> list[str]:
    """
    What Locust is told. The claims come in an open loop, so that they come while a part is down too.

    Who asks a part that is ended waits for it, so slowness is no failure here; what is lost with a process is asked
    again, and a fiftieth of all is more than twelve of them lose.
    """
    holders = min(HOLDERS_MAX, round(1.2 * chosen.arrivals * run_s) + 1000)
    return [
        "--shape=soak", f"--users={chosen.users}", f"--run-time={round(run_s)}s", "--stop-timeout=10",
        f"--arrivals={chosen.arrivals:g}", f"--holders={holders}", f"--stock={holders + round(20 * run_s)}",
        f"--campaign={campaign}", f"--seed={chosen.seed}", f"--results={results}",
        "--reconnects=0.02", "--drop-replies=0.01", "--duplicate-sends=0.01", "--slow-links=0.01", "--slow-ms=15000",
        f"--fail-on=errors<=2%,goodput>={chosen.arrivals / 2:g}",
        *chosen.locust,
    ]  # fmt: skip


class Soak:
    """One run on *system*, from the first sample to the last."""

    def __init__(self, system: System, chosen: argparse.Namespace, folder: Path) -> None:
        self._chosen, self._run_s = chosen, chosen.minutes * 60
        name = f"soak-{datetime.now(UTC):%Y%m%d-%H%M%S}"
        self.results = chosen.results or Path("results") / name
        self._system, self._marks = system, folder / "marks"
        self._campaign = name
        self._watch = Watch(system, name)
        self._planned = restarts(self._run_s, chosen.workers, chosen.seed)
        self._played: list[Restart] = []
        self.interrupted = False

    def run(self) -> int:
        """Play it and print what came of it; the exit code."""
        before = self._watch.files()
        arguments = crowd_arguments(self._chosen, self._run_s, self._campaign, self.results)
        os.environ[MARKS] = str(self._marks)
        with Crowd(arguments, self._system.ready_file) as crowd:
            code = self._accompany(crowd)
        rests = self._at_rest(before)
        life_s_min = self._run_s * LIFE_SHARE_MIN
        levels = self._watch.levels(life_s_min)
        missing = unjudged(levels, [part for part, _ in before])
        level = not missing and all(each.holds for each in levels) and all(each.holds for each in rests)
        print(f"\n{screen(levels, rests, missing, life_s_min)}")
        self.results.mkdir(parents=True, exist_ok=True)
        report = self.results / "soak.json"
        report.write_text(json.dumps(data(levels, rests, self._played, level), indent=1))
        self._watch.close()
        if self.interrupted:
            print("stopped before its time: nothing is judged")
            return INTERRUPTED
        print(f"{'level' if level else 'NOT LEVEL'} after {len(self._played)} restarts; all of it is in {report}")
        return code or (0 if level else 1)

    def _accompany(self, crowd: Crowd) -> int:
        """Take samples and end parts while the crowd is there; its exit code."""
        began_s, waiting = time.monotonic() + STARTING_S, list(self._planned)
        every_s = max(0.5, self._run_s / SAMPLES)
        try:
            while (code := crowd.wait(every_s)) is None:
                at_s = time.monotonic() - began_s
                if 0 <= at_s <= self._run_s:
                    self._watch.look(at_s)
                while waiting and waiting[0].at_s <= at_s:
                    self._end(waiting.pop(0))
        except KeyboardInterrupt:
            self.interrupted = True
            crowd.call_off()
            return crowd.see_out()
        return code

    def _end(self, restart: Restart) -> None:
        pid = self._watch.running().get(restart.part)
        if pid is None:  # it has not come back yet
            print(f"{restart.part} is not there to be ended", file=sys.stderr)
            return
        os.kill(pid, restart.number)
        self._played.append(restart)
        with self._marks.open("a") as marks:
            marks.write(f"{restart}\n")

    def _at_rest(self, before: list[tuple[str, int]]) -> list[Rest]:
        """What is open when the crowd has gone: as soon as it is little enough, else after a while."""
        give_up_s = time.monotonic() + REST_S_MAX
        while True:
            rests = at_rest(before, self._watch.files())
            if all(rest.holds for rest in rests) or time.monotonic() > give_up_s:
                return rests
            time.sleep(0.5)


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line. Errors: SystemExit."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.soak",
        description=(__doc__ or "").partition("\n\n")[0].strip(),
        epilog="Everything else is handed on to Locust, after what the soak tells it.",
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="how long the crowd stays (default: 10)")
    parser.add_argument("--users", type=int, default=60, help="connections of the crowd (default: 60)")
    parser.add_argument("--arrivals", type=float, default=100.0, help="claims a second (default: 100)")
    parser.add_argument("--workers", type=int, default=2, help="gateway workers of the system (default: 2)")
    parser.add_argument("--seed", type=int, default=1, help="who comes when, and what is ended when (default: 1)")
    parser.add_argument("--results", type=Path, help="folder for what comes out (default: results/soak-<time>)")
    chosen, chosen_locust = parser.parse_known_args(arguments)
    chosen.locust = chosen_locust
    if not 0.25 <= chosen.minutes <= 100_000:
        parser.error("--minutes has to be from 0.25 to 100000")
    if min(chosen.users, chosen.workers) < 1 or chosen.arrivals <= 0:
        parser.error("--users, --workers and --arrivals have to be more than 0")
    return chosen


def main(arguments: Sequence[str]) -> int:
    """Soak a system of its own; the exit code."""
    chosen = parsed(arguments)
    if not Path("/proc/self/smaps_rollup").exists():
        print("a soak reads /proc, which Linux has", file=sys.stderr)
        return 2
    try:
        with ended_like_ctrl_c(), tempfile.TemporaryDirectory(prefix="fairclaim-soak-") as folder:
            print("starting a system for it", file=sys.stderr, flush=True)
            with System(Path(folder), workers=chosen.workers, no_demo="true") as system:
                return Soak(system, chosen, Path(folder)).run()
    except KeyboardInterrupt:
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
