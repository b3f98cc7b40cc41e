"""The folder of a run: result.json, junit.xml, report.html, each there as a whole or not at all."""

import os
from collections.abc import Callable
from pathlib import Path

from loadtest.report.junit import junit
from loadtest.report.result import Result

RESULT, JUNIT, REPORT, TOLD = "result.json", "junit.xml", "report.html", "told.csv.gz"


def write_results(folder: Path, result: Result, render: Callable[[Result], str]) -> None:
    """
    Write what is made of *result* into *folder*; *render* makes the page, which comes last.

    Errors: OSError; what *render* raises, the other files being there then.
    """
    _write(folder / RESULT, result.encode())
    _write(folder / JUNIT, junit(result))
    _write(folder / REPORT, render(result).encode())


def _write(file: Path, data: bytes) -> None:
    """Under another name first, so that nobody reads half of it; what can't be written whole is not left there."""
    part = file.with_name(f".{file.name}.part")
    try:
        with part.open("wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        part.replace(file)
    except OSError:
        part.unlink(missing_ok=True)
        raise
