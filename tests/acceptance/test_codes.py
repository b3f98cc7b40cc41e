"""The promise of docs/codes.md, kept by the whole system: exactly so many codes, whoever is killed."""

import json

import pytest

from loadtest.codes import main


def test_20_000_codes_through_a_kill(capsys: pytest.CaptureFixture[str]) -> None:
    """Every worker is killed half-way; the next ones finish it: 20,000 distinct codes in Redis and in the books."""
    code = main(["--count", "20000", "--json"])
    report = json.loads(capsys.readouterr().out)

    assert [check for check in report["checks"] if not check["holds"]] == []
    assert (code, report["verdict"]["holds"]) == (0, True)
    assert 10_000 <= report["done_at_kill"] < 20_000
