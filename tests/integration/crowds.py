"""Locust as a person runs it against a system of ours: a process group of its own, what it prints and leaves behind."""

import csv
import os
import signal
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any, Self
from xml.etree import ElementTree as ET

from gateway.stack.processes import await_until
from loadtest.report.result import Result, read_result
from loadtest.told import Attempt, read_told
from tests.integration.stacks import descendants, environment

ROOT = Path(__file__).parents[2]
START_S_MAX, END_S_MAX = 120.0, 240.0
PATIENT = ["--slow-ms", "60000", "--patience", "60"]
"""A machine that is busy with other tests is no gateway that is slow."""


class Crowd:
    """One run of ``tests/sale_locustfile.py`` without its web page, in *folder*. ``with`` kills what is left of it."""

    def __init__(self, folder: Path, ready_file: Path, *arguments: str, **variables: str) -> None:
        self.results, self._output = folder / "results", folder / "locust.output"
        command = [sys.executable, "-m", "locust", "-f", str(ROOT / "tests" / "sale_locustfile.py"), "--headless"]
        command += [
            "--only-summary",
            "--results",
            str(self.results),
            "--holders",
            "2000",
            "--stock",
            "300",
            *PATIENT,
            *arguments,
        ]
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                command, cwd=folder, stdout=output, stderr=output, start_new_session=True,
                env=environment(FAIRCLAIM_READY_FILE=str(ready_file), PYTHONPATH=str(ROOT), **variables),
            )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self._output.read_text()

    def until(self, words: str) -> None:
        """Wait until it has printed *words*."""
        came = await_until(lambda: words in self.output or self.process.poll() is not None, START_S_MAX)
        assert came, self.output
        assert words in self.output, self.output

    def until_asked(self, bytes_min: int = 20_000, processes: int = 1) -> None:
        """Wait until so many bytes of attempts have been gathered, of so many processes."""
        part = self.results / ".told.csv.gz.part"

        def gathered() -> bool:
            if self.process.poll() is not None:
                return True
            return part.exists() and part.stat().st_size >= bytes_min and len(_asked_by(part)) >= processes

        assert await_until(gathered, START_S_MAX), self.output
        assert self.process.poll() is None, self.output

    def workers(self) -> list[int]:
        """The processes that --processes made."""
        return sorted(descendants(self.process.pid))

    def interrupt(self) -> None:
        """Press Ctrl-C: the terminal tells every process of the group."""
        os.killpg(self.process.pid, signal.SIGINT)

    def ended(self) -> int:
        """Wait for its end; the exit code."""
        return self.process.wait(END_S_MAX)

    @property
    def result(self) -> Result:
        """What is in result.json."""
        return read_result(self.results / "result.json")

    @property
    def told(self) -> list[Attempt]:
        """The attempts it kept."""
        return list(read_told(self.results / "told.csv.gz"))

    def gates(self) -> dict[str, bool]:
        """Whether each gate holds, by name."""
        return {gate.name: gate.holds for gate in self.result.gates}

    def failures(self) -> dict[str, str]:
        """The test cases of junit.xml that failed, and what they say."""
        cases: dict[str, Any] = {}
        for case in ET.parse(self.results / "junit.xml").getroot().iter("testcase"):  # noqa: S314 - our own
            failure = case.find("failure") if case.find("failure") is not None else case.find("error")
            if failure is not None:
                cases[case.get("name", "")] = failure.text
        return cases


def _asked_by(part: Path) -> set[str]:
    """The processes whose attempts are in a file that is still written, as far as it is there."""
    told = zlib.decompressobj(wbits=31).decompress(part.read_bytes()).decode(errors="replace")
    rows = csv.DictReader(told.splitlines()[:-1])  # the last line may be half of one
    return {row["holder"].split("-")[1] for row in rows if row["holder"]}
