"""A build with a planted bug is caught: a whole system of it, a short load, and the verdict names what is wrong."""

import asyncio
import signal
import urllib.request
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from loadtest.rush import create_campaign
from loadtest.system import System, send_signal
from loadtest.verdict import Expected, Verdict, judge, waiting
from loadtest.verdict.found import row_text
from tests.conftest import Eventually
from tests.crowds import Crowd
from tests.patience import PATIENT
from tests.planting import BUGS, CAUGHT, Bug, build, plant

STOCK, LIMIT, HOLDERS = 150, 2, 100
"""100 holders want three coupons each; so some are told that they have enough, others that nothing is left."""

ANEW_S_MAX = 60.0
STOPPED_S = 1.0
"""For how long a drain that has stopped is watched: none of these bugs goes away by itself."""


class Bench:
    """
    A whole system of a copy of the source, whose scripts are edited from one sale to the next.

    Bugs that are in scripts come in with a gateway that is started anew; the servers and the books go on.
    """

    def __init__(self, system: System, source: Path) -> None:
        self._system, self._source = system, source
        self._bug: Bug | None = None
        self._sales = count(1)

    def put_under_load(self, bug: Bug | None, eventually: Eventually) -> Verdict:
        """The verdict on a sale of the build with *bug* in it."""
        if bug != self._bug:
            assert bug is None or bug.file.endswith(".lua"), "other processes than the gateway would have to start anew"
            plant(self._source, bug, instead_of=self._bug)
            self._bug = bug
            self._start_gateway_anew(eventually)
        campaign, target = f"sale-{next(self._sales)}", self._system.target
        create_campaign(target, campaign, STOCK, LIMIT, 1)
        crowd = Crowd(target, campaign, HOLDERS)
        told = crowd.ask()
        assert {"claimed", "sold_out"} <= told.keys()
        return judge(target, [Expected(campaign, STOCK, LIMIT)], crowd.attempts, wait_s=60)

    def _start_gateway_anew(self, eventually: Eventually) -> None:
        before = set(self._system.parts()["gateway"])
        send_signal([*before], signal.SIGKILL)

        def is_another_one() -> bool:
            return not before & set(self._system.parts().get("gateway", [])) and self._answers()

        asyncio.run(eventually(is_another_one, ANEW_S_MAX))

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self._system.target.gateway_url}/readyz", timeout=5) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except OSError:
            return False


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One for all bugs: to start a system costs many times what a sale does."""
    source, at = tmp_path_factory.mktemp("build") / "source", tmp_path_factory.mktemp("system")
    with System(at, workers=1, source=build(source, None), no_demo="true", **PATIENT) as system:
        yield Bench(system, source)


def test_a_build_without_a_bug_is_clean(bench: Bench, eventually: Eventually) -> None:
    """The same load on an unedited copy: every check holds, and none has looked at nothing that it could look at."""
    verdict = bench.put_under_load(None, eventually)

    assert [check.name for check in verdict.checks if check.violated] == []
    assert verdict.holds
    assert {check.name for check in verdict.checks if not check.checked} == {"redeemed", "rolled_back"}


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_caught(
    name: str, bench: Bench, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check it is the business of does not hold, and prints the first row that shows it."""
    monkeypatch.setattr(waiting, "STOPPED_S", STOPPED_S)
    verdict = bench.put_under_load(BUGS[name], eventually)
    expected, fields, says = CAUGHT[name]
    [found] = [check for check in verdict.checks if check.name == expected]

    assert not verdict.holds
    assert found.violated > 0, verdict.screen()
    assert found.first is not None
    assert fields <= found.first.keys(), verdict.screen()
    assert says.items() <= found.first.items(), verdict.screen()
    assert f"first: {row_text(found.first)}" in verdict.screen()


def test_every_bug_is_tried() -> None:
    """No planted bug is without a check that has to name it."""
    assert CAUGHT.keys() == BUGS.keys()
