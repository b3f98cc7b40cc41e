"""Runs as `make loadtest` and a person start them, against a whole system: a sale, an open loop, and being stopped."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from gateway.stack.processes import await_until
from loadtest import crowd
from loadtest.crowd import Crowd
from loadtest.report.result import Result, read_result
from loadtest.run.schedule import dues_s
from loadtest.soak.parts import sample
from loadtest.told import read_told
from tests.integration.crowds import PATIENT as PATIENT_CROWD
from tests.integration.stacks import Stack, environment, lives
from tests.patience import PATIENT

ROOT = Path(__file__).parents[2]
SALES_MAX = 3
RATE, STALLED_S = 60.0, 1.5
BEFORE, MEANWHILE, AFTER = 60, 45, 180
"""Claims that are answered before the gateway stands still, sent while it does, and answered after it."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A system that runs as long as this module."""
    folder = tmp_path_factory.mktemp("system")
    with Stack(folder / "data", "--no-demo", "--workers", "2", stocktake_s=3600, settings=PATIENT) as running:
        yield running


@pytest.fixture
def ready_file(stack: Stack) -> Path:
    """Where it says how to get in."""
    return stack.data_dir.parent / "data.ready.json"


def test_a_sale_goes_from_its_doors_to_its_tills(ready_file: Path, tmp_path: Path) -> None:
    """
    `python -m loadtest` on the system that FAIRCLAIM_READY_FILE names: every stage in order, the one too that
    is over between two looks, a restock when it is due, everybody's replies lost at once, coupons spent, exit code 0.
    Of stages that the machine slept through nothing can be told: where it did, another sale is played.
    """
    result, sales = None, 0
    while result is None or (_slept(result) and sales < SALES_MAX):
        sales += 1
        result = _a_sale(ready_file, tmp_path / str(sales))
    marks = [mark.says for mark in result.marks]

    assert (result.shape, result.mode, result.clean) == ("sale", "closed", True)
    stages = ["doors", "spike", "silence", "retries", "sold out", "restock", "leaving", "tills"]
    assert [says for says in marks if says in stages] == stages
    assert marks.index("restock of 50") > marks.index("sold out")  # a stage is marked within a second
    assert result.campaigns[0].granted == 250
    assert {"claim: sold_out", "claim: dropped", "redeem: done"} <= {each.name for each in result.requests}


def _a_sale(ready_file: Path, results: Path) -> Result:
    """What a short sale came to, which ended well."""
    arguments = ["--run-time", "16s", "--users", "16", "--stock", "200", "--restock", "50", "--fail-on", "errors<=5%"]
    ended = subprocess.run(
        [sys.executable, "-m", "loadtest", *arguments, *PATIENT_CROWD, "--results", str(results)],
        env=environment(FAIRCLAIM_READY_FILE=str(ready_file), PYTHONPATH=str(ROOT)),
        cwd=results.parent,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    output = ended.stdout + ended.stderr
    assert ended.returncode == 0, output
    assert "starting a system" not in output
    assert str(results / "report.html") in output
    return read_result(results / "result.json")


def _slept(result: Result) -> bool:
    """Whether there are two seconds on end in which the load did not come to count its users."""
    return any(first is second is None for first, second in pairwise(result.seconds.users))


def test_claims_of_an_open_loop_leave_while_the_gateway_stands_still(
    stack: Stack, ready_file: Path, tmp_path: Path
) -> None:
    """
    They leave at the times that the seed says, and those that are due while nobody answers too: their latency counts
    from then, so the 99th percentile knows of the standstill.
    """
    results, output = tmp_path / "results", tmp_path / "output"
    arguments = ["--arrivals", f"{RATE:g}", "-u", "150", "--retry-rate", "0", "--seed", "7", *PATIENT_CROWD]
    with output.open("wb") as out:
        locust = subprocess.Popen(
            [*crowd.locust(arguments), "--results", str(results), "Arrivals"],
            env=environment(FAIRCLAIM_READY_FILE=str(ready_file), PYTHONPATH=str(ROOT)),
            stdout=out,
            stderr=out,
        )
    workers = stack.parts("gateway.cli worker")
    try:
        _until_answered(stack, BEFORE)
        for worker in workers:
            os.kill(worker, signal.SIGSTOP)
        began_s, lasted, before = time.time(), _after(STALLED_S), _unheard(stack)
        assert await_until(lambda: lasted() and _unheard(stack) > before + MEANWHILE, 60), output.read_text()
        ended_s = time.time()
        for worker in workers:
            os.kill(worker, signal.SIGCONT)
        late = round(RATE * (ended_s - began_s))  # all that were due meanwhile, however long it took to see enough
        _until_answered(stack, 2 * late + AFTER)
        locust.send_signal(signal.SIGINT)
        code = locust.wait(120)
    finally:
        for worker in workers:
            os.kill(worker, signal.SIGCONT)
        locust.kill()
        locust.wait()
    result = read_result(results / "result.json")
    told = sorted(read_told(results / "told.csv.gz"), key=lambda row: row.sent_s)
    sent_s = {row.key: row.sent_s for row in reversed(told)}  # each for the first time
    keys = sorted(sent_s, key=lambda key: sent_s[key])
    due_s = dict(zip(keys, dues_s(RATE, 7, 0), strict=False))
    began = min(sent_s[key] - due_s[key] for key in keys)  # nobody left before he was due, and somebody just then
    took_ms = [(row.answered_s - due_s[row.key] - began) * 1000 for row in told if row.outcome == "claimed"]
    meanwhile = [key for key in keys if began_s < sent_s[key] < ended_s]
    [claims] = [each for each in result.requests if each.name == "claim: claimed"]

    assert result.mode == "open"
    assert code == 0, output.read_text()
    assert len(sent_s) >= BEFORE + AFTER
    on_time = [key for key in meanwhile if sent_s[key] - due_s[key] - began < 0.3]
    assert len(on_time) >= MEANWHILE, "they did not leave when they were due"
    assert claims.p99_ms is not None
    assert claims.p99_ms > 500
    for share, found_ms in ((0.5, claims.p50_ms), (0.99, claims.p99_ms)):
        assert found_ms is not None
        below = sum(each <= found_ms * 1.05 + 20 for each in took_ms) / len(took_ms)
        above = sum(each >= found_ms * 0.95 - 20 for each in took_ms) / len(took_ms)
        assert (below >= share - 0.01, above >= 1 - share - 0.005) == (True, True), (share, found_ms, below, above)
    assert any(mark.says.startswith("open loop: ") for mark in result.marks)


def _until_answered(stack: Stack, claims: int) -> None:
    """Wait until so many more claims have been answered than now."""

    def answered() -> int:
        page = stack.http.get("/metrics").text
        return sum(int(count) for count in re.findall(r"^fairclaim_claims_total\{.*\} (\d+)$", page, re.MULTILINE))

    before = answered()
    assert await_until(lambda: answered() >= before + claims, 90)


def _unheard(stack: Stack) -> int:
    """Connections to the gateway with something on them that no worker has read."""
    port = int(stack.ready["gateway_url"].rpartition(":")[2])
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    here = [row for row in rows if row[3] == "01" and int(row[1].partition(":")[2], 16) == port]
    return sum(int(row[4].partition(":")[2], 16) > 0 for row in here)


def _after(seconds: float) -> Callable[[], bool]:
    """Whether so many seconds have passed since now."""
    until_s = time.monotonic() + seconds
    return lambda: time.monotonic() >= until_s


def test_every_part_of_a_system_is_seen_from_outside(stack: Stack) -> None:
    """What a soak watches: each worker by its slot, everything else once, each with memory and open files."""
    taken = sample(stack.process.pid, 0.0)

    assert sorted(part for part, _ in taken) == [
        "clerk", "gateway 0", "gateway 1", "postgres", "reconciler", "redis", "supervisor"
    ]  # fmt: skip
    assert all(each.memory > 2**20 and each.files > 3 for each in taken.values())


STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN), signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = os.fork()
print(os.getpid(), flush=True) if child else None
while True: time.sleep(1)
"""


def test_nothing_of_a_crowd_outlives_its_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """However stubborn: processes that ignore Ctrl-C and SIGTERM, and those they started, are gone with the block."""
    monkeypatch.setattr(crowd, "locust", lambda arguments: [sys.executable, "-c", STUBBORN])
    monkeypatch.setattr(crowd, "LEAVING_S_MAX", 0.5)
    with Crowd([], tmp_path / "ready.json") as stubborn:
        assert await_until(lambda: bool(_group(stubborn)[1:]), 60)
        pids = _group(stubborn)
        stubborn.call_off()
        assert stubborn.wait(0.2) is None

    assert len(pids) == 2
    assert await_until(lambda: not any(lives(pid) for pid in pids), 60)
    assert "it is killed" in capfd.readouterr().err


def _group(of: Crowd) -> list[int]:
    """The processes of its session."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == of.pid and fields[0] != "Z":
            found.append(int(folder.name))
    return found
