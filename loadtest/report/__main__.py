"""
Make the page of a run again from its result.json.

    python -m loadtest.report results/x/result.json -o report.html

Without -o it is report.html beside the result. Exit codes: 0 made, 2 wrong usage or no result, 1 it cannot be written.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from loadtest.report.html import render
from loadtest.report.result import read_result

NOT_WRITTEN, USAGE = 1, 2


def main(arguments: Sequence[str]) -> int:
    """Do what *arguments* ask for; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.report", description="The report of a run as a page.")
    parser.add_argument("result", type=Path, help="the result.json of a run")
    parser.add_argument("-o", "--output", type=Path, help="where to; default: report.html beside it")
    asked = parser.parse_args(arguments)
    output = asked.output or asked.result.parent / "report.html"
    try:
        page = render(read_result(asked.result))
    except (OSError, msgspec.DecodeError, ValueError) as error:
        print(f"{asked.result} is no result of a run: {error}", file=sys.stderr)
        return USAGE
    try:
        output.write_text(page, encoding="utf-8")
    except OSError as error:
        print(f"{output} cannot be written: {error}", file=sys.stderr)
        return NOT_WRITTEN
    print(output)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
