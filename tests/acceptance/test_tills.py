"""Fifty tills at once, through HTTP, on the whole system as a stranger starts it."""

import json
import os
from pathlib import Path

import pytest

from loadtest.system import System
from loadtest.tills import main as tills
from tests.patience import PATIENT

PROCESSOR_S_MAX = 90
"""Some eighteen of all processes of the system and of the tills, whatever else the machine does meanwhile."""


def processor_s() -> float:
    """What this process took so far, and those of its children that have ended."""
    return sum(os.times()[:4])


def test_20_000_redemptions_of_10_000_coupons_by_50_tills(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two tills ask for each coupon with keys and orders of their own: one has it, and the drained books agree."""
    size = ["--coupons", "10000", "--tills", "50", "--json"]
    before_s = processor_s()
    with System(tmp_path, no_demo="true", **PATIENT) as system:
        code = tills(["--ready-file", str(system.ready_file), *size])
    took_s = processor_s() - before_s

    report = json.loads(capsys.readouterr().out)
    assert (code, report["clean"]) == (0, True), report
    assert report["outcomes"] == {"redeemed": 10_000, "invalid_state redeemed": 10_000}
    assert took_s < PROCESSOR_S_MAX
