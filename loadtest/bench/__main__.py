"""
The benchmark: this gateway beside others that do the same work, on this machine, in one run.

    make bench                                      everything, about a quarter of an hour
    make bench ARGS="--quick"                       the contest alone, within a minute
    make bench ARGS="--only fsync --json run.json"  one measure, its figures in a file

Tables and the list of targets go to stdout, progress to stderr. Compare figures of one run, not of two
machines. Exit codes: 0 clean and no target missed · 1 not clean, or a target missed · 2 wrong arguments,
or something to install first.
"""

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from loadtest.bench import closed_loop
from loadtest.bench.contest import OURS, contest, warm_up
from loadtest.bench.entrants import ENTRANTS
from loadtest.bench.generator import Crowd, Generator, Wrk
from loadtest.bench.open_loop import open_loop
from loadtest.bench.overload import overload
from loadtest.bench.plan import FULL, QUICK, Plan, Say
from loadtest.bench.redis_side import drain_rate, script_costs
from loadtest.bench.report import Section, as_json, shown
from loadtest.bench.stand import Stand, stand
from loadtest.bench.targets import target_list

Measure = Callable[[Stand, Plan, Say], Section]

MEASURES: dict[str, Measure] = {
    "contest": contest,
    "refusals": closed_loop.refusals,
    "connections": closed_loop.connections,
    "workers": closed_loop.workers,
    "fsync": closed_loop.fsync,
    "open_loop": open_loop,
    "overload": overload,
    "scripts": script_costs,
    "drain": drain_rate,
}
"""Every measure by name, in order; all get the same stand."""


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="the contest alone, with fewer claims and rounds")
    parser.add_argument("--only", type=_names(MEASURES), metavar="NAME,…", help=f"of {', '.join(MEASURES)}")
    parser.add_argument(
        "--contenders",
        type=_names(ENTRANTS),
        default=list(ENTRANTS),
        metavar="NAME,…",
        help=f"besides lane; of {', '.join(ENTRANTS)}",
    )
    parser.add_argument("--generator", choices=("wrk", "python"), default="wrk", help="no target is judged with python")
    parser.add_argument("--claims", type=_positive, help=f"of a run (default {FULL.claims}; quick {QUICK.claims})")
    parser.add_argument(
        "--rounds", type=_positive, help=f"of the contest (default {FULL.rounds}; quick {QUICK.rounds})"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure to FILE")
    chosen = parser.parse_args(arguments)
    for lacking in (_no_proc(), Wrk.missing() if chosen.generator == "wrk" else None):
        if lacking:
            return _fail(2, lacking)
    if chosen.json and not chosen.json.parent.is_dir():
        parser.error(f"--json: there is no folder {chosen.json.parent}")
    try:
        return run(chosen)
    except RuntimeError as error:  # something did not start
        return _fail(1, str(error))
    except KeyboardInterrupt:
        return _fail(130, "interrupted")


def run(chosen: argparse.Namespace) -> int:
    """Do what was *chosen*; the exit code. Errors: RuntimeError when something does not start or stop."""
    size = QUICK if chosen.quick else FULL
    plan = size._replace(
        claims=chosen.claims or size.claims, rounds=chosen.rounds or size.rounds, judged=chosen.generator == "wrk"
    )
    generator: Generator = Wrk() if chosen.generator == "wrk" else Crowd()
    names = chosen.only or (["contest"] if chosen.quick else list(MEASURES))
    contenders = [name for name in ENTRANTS if name in chosen.contenders or name == OURS]
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="fairclaim-bench-"))
        here = stack.enter_context(stand(Path(folder), contenders, generator, say))
        machine = _machine(here)
        warm_up(here, plan)
        sections = {name: _measured(name, here, plan) for name in names}
    targets = target_list({key: target for section in sections.values() for key, target in section.targets.items()})
    clean = not any(section.faults for section in sections.values())
    passed = clean and not any(target.holds is False for target in targets)
    print(", ".join(f"{key} {value}" for key, value in machine.items()) + "\n")
    print(shown(list(sections.values()), targets))
    if chosen.json:
        chosen.json.write_bytes(as_json(machine, sections, targets, passed) + b"\n")
    return 0 if passed else 1


def _fail(code: int, why: str) -> int:
    say(why)
    return code


def _measured(name: str, here: Stand, plan: Plan) -> Section:
    """One measure; one that breaks is a fault of its own and leaves the others their figures."""
    try:
        return MEASURES[name](here, plan, say)
    except (RuntimeError, OSError) as error:  # TimeoutError is an OSError
        say(f"{name} broke: {error}")
        return Section(name.capitalize(), [], [], [f"{name}: {error}"], {}, None)


def say(line: str) -> None:
    """Tell how far it is."""
    print(f"bench: {line}", file=sys.stderr, flush=True)


def _names(known: Sequence[str] | dict[str, Any]) -> Callable[[str], list[str]]:
    """A type for argparse: names out of *known*, with commas between; they come back in the order of *known*."""

    def names(text: str) -> list[str]:
        wanted = [name.strip() for name in text.split(",") if name.strip()]
        for name in wanted:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(known)}")
        return [name for name in known if name in wanted]

    return names


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _no_proc() -> str | None:
    return None if Path("/proc/self/stat").exists() else "CPU time is read from /proc: the benchmark runs on Linux"


def _machine(here: Stand) -> dict[str, Any]:
    server = here.redis.info("server")
    return {
        "cores": os.cpu_count(),
        "gateway on": sorted(here.cores.gateway),
        "python": platform.python_version(),
        server.get("server_name", "redis"): server.get("valkey_version", server["redis_version"]),
        "system": platform.platform(),
    }


if __name__ == "__main__":
    sys.exit(main())
