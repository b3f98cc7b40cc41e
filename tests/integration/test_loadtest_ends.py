"""How a load test ends: Locust in processes of its own against a whole system, judged by the real verdict."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.crowding import a_port
from tests.integration.crowds import Crowd
from tests.integration.stacks import Stack
from tests.patience import PATIENT

PORT = a_port()
TWO = ("--processes", "2", "--master-bind-port", PORT, "--master-port", PORT)
ENOUGH_BYTES = 5_000
"""Of attempts, for somebody to have been told of a coupon: that is after a moment, however slow the machine."""
EVERYTHING = {"junit.xml", "report.html", "result.json", "told.csv.gz"}


@pytest.fixture(scope="module")
def ready_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The ready file of a system that runs as long as this module."""
    folder = tmp_path_factory.mktemp("system")
    with Stack(folder / "data", "--no-demo", "--workers", "1", stocktake_s=3600, settings=PATIENT):
        yield folder / "data.ready.json"


def test_ctrl_c_ends_a_run_of_two_processes_with_everything_told(ready_file: Path, tmp_path: Path) -> None:
    """
    The terminal interrupts workers and master at once, and yet no attempt is missing: the verdict, which misses one
    that was granted, holds. Both workers' are there, the figures agree with the file, and the files are whole.
    """
    with Crowd(tmp_path, ready_file, "-u", "6", "-r", "6", *TWO, "--fail-on", "errors<=5%") as crowd:
        crowd.until_asked(processes=2)
        crowd.interrupt()
        code = crowd.ended()
        result, told = crowd.result, crowd.told

        assert (code, result.exit_code, result.clean) == (0, 0, True), crowd.output
        assert result.generator.processes == 2
        assert {row.holder.split("-")[1] for row in told} >= {"0", "1"}
        assert sum(result.outcomes.values()) <= len(told)
        assert result.outcomes["claimed"] == sum(row.outcome == "claimed" for row in told)
        assert sum(result.seconds.outcomes["claimed"]) == result.outcomes["claimed"]
        assert result.campaigns[0].granted >= result.outcomes["claimed"]  # one may be granted too late to be told
        assert [stock for stock in result.seconds.stock[result.campaigns[0].id] if stock is not None][-1] == (
            300 - result.campaigns[0].granted
        )
        assert any(each is not None for each in result.seconds.drain_lag_seq)
        assert any(each is not None for each in result.seconds.users)
        assert crowd.gates() == {"errors": True, "workers": True, "verdict": True, "product verdict": True}
        assert {path.name for path in crowd.results.iterdir()} == EVERYTHING
        assert "The verdict holds" in crowd.output
        assert "Exit code 0, clean" in crowd.output


def test_gates_that_fail_are_exit_code_1_and_named_everywhere(ready_file: Path, tmp_path: Path) -> None:
    """Clean books are not enough: on the screen, in result.json and junit.xml the gate says what was found."""
    gates = "p99<=0.01,goodput>=1000000,errors<=5%"
    with Crowd(tmp_path, ready_file, "-u", "2", "-r", "2", "--fail-on", gates) as crowd:
        crowd.until_asked(ENOUGH_BYTES)  # for each gate to find something
        crowd.interrupt()
        assert crowd.ended() == 1, crowd.output
        assert crowd.gates() == {
            "p99": False, "goodput": False, "errors": True, "verdict": True, "product verdict": True
        }  # fmt: skip
        assert crowd.failures().keys() == {"p99", "goodput"}
        assert crowd.result.verdict is not None
        assert crowd.result.verdict.holds
        assert "Exit code 1: p99, goodput" in crowd.output


def test_a_verdict_that_fails_is_exit_code_1_without_any_gate(ready_file: Path, tmp_path: Path) -> None:
    """Nobody asked for gates, and a coupon that was told and is in no book fails the run, its row printed."""
    with Crowd(tmp_path, ready_file, "-u", "2", "-r", "2", FAIRCLAIM_TEST_JUDGE="forged") as crowd:
        crowd.until_asked(ENOUGH_BYTES)  # a coupon was told
        crowd.interrupt()
        assert crowd.ended() == 1, crowd.output
        assert {name for name, holds in crowd.gates().items() if not holds} == {"verdict"}
        assert "told" in crowd.failures()
        assert "FORGED" in crowd.failures()["told"]
        assert "first: " in crowd.output
        assert "FORGED" in crowd.output


def test_a_worker_that_is_killed_is_named_and_the_run_is_not_clean(ready_file: Path, tmp_path: Path) -> None:
    """What a dead worker asked is known to nobody, so whatever else holds, the run does not pass."""
    with Crowd(tmp_path, ready_file, "-u", "4", "-r", "4", *TWO, "--fail-on", "errors<=5%") as crowd:
        crowd.until_asked(10_000, processes=2)
        os.kill(crowd.workers()[0], signal.SIGKILL)
        crowd.process.send_signal(signal.SIGINT)
        assert crowd.ended() == 1, crowd.output
        [lost] = crowd.result.generator.lost

        assert crowd.gates()["workers"] is False
        assert lost in crowd.failures()["workers"]
        assert f"worker {lost} is gone" in crowd.output


def test_what_can_t_be_judged_is_exit_code_6(ready_file: Path, tmp_path: Path) -> None:
    """Without PostgreSQL nobody knows: no verdict, the reason in every place, and a code of its own."""
    away = "postgresql://nobody@127.0.0.1:1/none"
    with Crowd(tmp_path, ready_file, "-u", "2", "-r", "2", "-t", "2s", FAIRCLAIM_POSTGRES_URL=away) as crowd:
        assert crowd.ended() == 6, crowd.output
        assert crowd.result.verdict is None
        assert "OperationalError" in crowd.result.unjudged
        assert crowd.gates()["verdict"] is False
        assert crowd.failures().keys() == {"judged", "verdict"}
        assert "No verdict: " in crowd.output


def test_a_second_ctrl_c_leaves(ready_file: Path, tmp_path: Path) -> None:
    """A verdict that takes too long for somebody is left alone: 130, no results but what was told."""
    with Crowd(tmp_path, ready_file, "-u", "2", "-r", "2", FAIRCLAIM_TEST_JUDGE="endless") as crowd:
        crowd.until_asked(ENOUGH_BYTES)
        crowd.interrupt()
        crowd.until("still judging")
        crowd.interrupt()

        assert crowd.ended() == 130, crowd.output
        assert "Left before there was a verdict." in crowd.output
        assert {path.name for path in crowd.results.iterdir()} == {"told.csv.gz"}
        assert crowd.told


def test_a_wrong_gate_is_exit_code_2_before_anything_is_asked(ready_file: Path, tmp_path: Path) -> None:
    """Nobody waits for a run to learn that its gates can't be read."""
    with Crowd(tmp_path, ready_file, "-t", "60s", "--fail-on", "p98<=250") as crowd:
        assert crowd.ended() == 2
        assert "--fail-on: 'p98<=250': there is no 'p98'; there are p50" in crowd.output
        assert not crowd.results.exists()
