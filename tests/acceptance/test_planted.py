"""A build with a planted bug is caught: a whole system of it, a short load, and the verdict names what is wrong."""

from pathlib import Path

import pytest

from loadtest.rush import create_campaign
from loadtest.system import System
from loadtest.verdict import Expected, Verdict, judge, waiting
from loadtest.verdict.found import row_text
from tests.crowds import Crowd
from tests.planting import BUGS, CAUGHT, Bug, build

STOCK, LIMIT, HOLDERS = 150, 2, 100
"""100 holders want three coupons each; so some are told that they have enough, others that nothing is left."""

STOPPED_S = 1.0
"""For how long a drain that has stopped is watched: none of these bugs goes away by itself."""


def put_under_load(folder: Path, bug: Bug | None) -> Verdict:
    """The verdict on a sale of the build."""
    source, at = folder / "source", folder / "system"
    at.mkdir()
    with System(at, workers=1, source=build(source, bug), no_demo="true") as system:
        create_campaign(system.target, "sale", STOCK, LIMIT, 1)
        crowd = Crowd(system.target, "sale", HOLDERS)
        told = crowd.ask()
        assert {"claimed", "sold_out"} <= told.keys()
        return judge(system.target, [Expected("sale", STOCK, LIMIT)], crowd.attempts, wait_s=60)


def test_a_build_without_a_bug_is_clean(tmp_path: Path) -> None:
    """The same load on an unedited copy: every check holds, and none has looked at nothing that it could look at."""
    verdict = put_under_load(tmp_path, None)

    assert [check.name for check in verdict.checks if check.violated] == []
    assert verdict.holds
    assert {check.name for check in verdict.checks if not check.checked} == {"redeemed", "rolled_back"}


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_caught(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check it is the business of does not hold, and prints the first row that shows it."""
    monkeypatch.setattr(waiting, "STOPPED_S", STOPPED_S)
    verdict = put_under_load(tmp_path, BUGS[name])
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
