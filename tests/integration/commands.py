"""Command lines in the tests' own process: how each ended, what it answered, what it complained of."""

import json
import os
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest

from gateway.cli import run
from gateway.cli.output import FAILURE, OK

PATIENT = {
    f"FAIRCLAIM_{name}_MS_MAX": "15000" for name in ("REDIS_CALL", "REDIS_CONNECT", "POSTGRES")
}  # fmt: skip
"""Variables of a command for which a machine that is busy with other tests is no server that is away."""


class Ran(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """What it answered, in JSON."""
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, str]:
        """What it complained of, in JSON: one line."""
        [line] = self.err.splitlines()
        error: dict[str, str] = json.loads(line)["error"]
        assert error.keys() == {"code", "message", "hint"}
        return error


class Cli:
    """Runs commands against one data directory."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture

    def __call__(self, *arguments: str) -> Ran:
        """One command line, in this process."""
        self._capture.readouterr()
        with patch.dict(os.environ, PATIENT):
            code = run(list(arguments))
        captured = self._capture.readouterr()
        return Ran(code, captured.out, captured.err)

    def json(self, *arguments: str, code: int = OK) -> Any:
        """The data of a command with --json; the complaint where *code* is not OK."""
        ran = self(*arguments, "--json")
        assert ran.code == code, ran
        assert bool(ran.out) is (code in (OK, FAILURE)), ran
        return ran.data if code in (OK, FAILURE) else ran.error
