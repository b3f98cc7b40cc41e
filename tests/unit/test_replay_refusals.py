"""What `fairclaim replay` refuses before it asks anything, each with its exit code and what is wrong."""

import json
from pathlib import Path

import pytest

from gateway.cli.output import UNAVAILABLE, USAGE
from tests.integration.commands import Cli
from tests.traces import lines, written

READY = {
    "gateway_url": "http://127.0.0.1:1", "redis_url": "", "postgres_url": "", "admin_key": "k",
    "jwt": {"kid": "k", "secret": "s" * 32, "audience": "a", "issuer": "i"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "ready", "code", "what"),
    [
        (("{trace}",), {}, UNAVAILABLE, "no ready file says where the gateway is"),
        (("nowhere.csv",), READY, USAGE, "nowhere.csv"),
        (("{ready}",), READY, USAGE, "line 1: it needs the column User_id, once"),
        (("{trace}", "--currency", "cny"), READY, USAGE, "--currency: 'cny' is no currency"),
        (("{trace}", "--run", "No-1"), READY, USAGE, "--run: 'No-1' is no id of a run"),
        (("{trace}", "--coupon", "9"), READY, USAGE, "there is no claim in it of 9"),
        (("{trace}", "--report", "/nowhere/rows.csv"), READY, USAGE, "--report: "),
        (("{trace}",), {**READY, "gateway_url": "https://shop.example"}, USAGE, "load goes to this machine only"),
        (("{trace}", "--stock", "0"), READY, USAGE, "--stock"),
        (("{trace}", "--speed", "0"), READY, USAGE, "--speed"),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_asked(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    ready: dict[str, object],
    code: int,
    what: str,
) -> None:
    """Wrong files, flags and targets end with one line and their exit code; nothing listens where they point."""
    trace, path = written(tmp_path, lines("a x 01")), tmp_path / "ready.json"
    path.write_text(json.dumps(ready))
    given = [each.format(trace=trace, ready=path) for each in arguments]

    error = Cli(capsys).json("replay", *given, "--ready-file", str(path), code=code)

    assert what in error["message"]
