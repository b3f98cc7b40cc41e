"""Fifty tills at once, through HTTP, on the whole system as a stranger starts it."""

import json
import time
from pathlib import Path

import pytest

from loadtest.system import System
from loadtest.tills import main as tills
from tests.patience import PATIENT

SECONDS_MAX = 180
"""Some fifteen on an idle machine of two cores; it shares the machine with the other tests."""


def test_20_000_redemptions_of_10_000_coupons_by_50_tills(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two tills ask for each coupon with keys and orders of their own: one has it, and the drained books agree."""
    size = ["--coupons", "10000", "--tills", "50", "--json"]
    with System(tmp_path, no_demo="true", **PATIENT) as system:
        began = time.monotonic()
        code = tills(["--ready-file", str(system.ready_file), *size])
        took_s = time.monotonic() - began

    report = json.loads(capsys.readouterr().out)
    assert (code, report["clean"]) == (0, True), report
    assert report["outcomes"] == {"redeemed": 10_000, "invalid_state redeemed": 10_000}
    assert took_s < SECONDS_MAX
