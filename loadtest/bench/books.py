"""
How fast the reports are at ten million coupons, and what a spreadsheet of a million rows takes.

    python -m loadtest.bulk --postgres-url URL --coupons 10200000 --campaigns 40 --shards 4 --workers 2
    python -m loadtest.bench.books --postgres-url URL --json run.json

The statements of the reports run as the product runs them, all rows fetched, in rounds, of which the slowest has to be
in time. A file is written by a process of its own, whose memory is told; its time is from the start of that process,
with the statement. Exit codes: 0 no target missed · 1 one was · 2 wrong arguments.
"""

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import psycopg

from loadtest.bench.figures import Spread, spread
from reconciler.reports.catalog import REPORTS
from reconciler.reports.reading import rows_of
from reconciler.reports.shape import Asked
from reconciler.reports.writing import Format, write

ONE_S_MAX, ALL_S_MAX = 1.0, 5.0
XLSX_S_MAX, XLSX_MB_MAX = 60.0, 500.0
DETAIL = "entries"
SIGNED = ("trial-balance", "unit-balance", "roll-forward", "roll-forward-money")
"""What finance signs: these have targets. The others are beside them."""


class Timed(NamedTuple):
    """One report as it was asked for: *seconds_max* is None where there is no target."""

    report: str
    asked: str
    rows: int
    seconds: Spread
    seconds_max: float | None

    @property
    def missed(self) -> bool:
        """Whether the slowest round took longer than it may."""
        return self.seconds_max is not None and self.seconds.high > self.seconds_max


class Written(NamedTuple):
    """A file of a report: how long it took by the clock, of one core, and how much memory; megabytes of 10^6 bytes."""

    format: str
    rows: int
    seconds: float
    cpu_s: float
    rss_mb: float
    file_mb: float

    @property
    def missed(self) -> bool:
        """Whether a spreadsheet took more than it may."""
        return self.format == "xlsx" and (self.seconds > XLSX_S_MAX or self.rss_mb > XLSX_MB_MAX)


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.bench.books", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--postgres-url", required=True, help="books that loadtest.bulk has made")
    parser.add_argument("--campaign", help="the one campaign (the first with the most state changes)")
    parser.add_argument("--rounds", type=int, default=3, help="of each report (%(default)s)")
    parser.add_argument("--only", help="one report alone, and no file")
    parser.add_argument("--rows", type=int, default=1_000_000, help="of each file (%(default)s)")
    parser.add_argument("--formats", default="xlsx,csv,parquet", help="of files, with commas (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure to FILE")
    parser.add_argument("--write", type=Path, metavar="FILE", help=argparse.SUPPRESS)  # what the child is told
    chosen = parser.parse_args(arguments)
    if chosen.write:
        _write(chosen.postgres_url, chosen.formats, chosen.rows, chosen.write)
        return 0
    timed = time_reports(chosen.postgres_url, chosen.campaign, chosen.rounds, chosen.only)
    formats = [] if chosen.only else [name for name in chosen.formats.split(",") if name]
    written = [write_file(chosen.postgres_url, name, chosen.rows) for name in formats]
    print("\n".join(["", *map(_told, timed), "", *map(_told_file, written)]))
    if chosen.json:
        figures = {"reports": [one._asdict() for one in timed], "files": [one._asdict() for one in written]}
        chosen.json.write_bytes(msgspec.json.format(msgspec.json.encode(figures)) + b"\n")
    return 1 if any(one.missed for one in timed) or any(one.missed for one in written) else 0


def time_reports(url: str, campaign: str | None, rounds: int, only: str | None) -> list[Timed]:
    """Each report of one campaign and of everything; those with a row a coupon or an order are left out."""
    names = [name for name, report in REPORTS.items() if not report.detail and only in (None, name)]
    with psycopg.connect(url) as books:
        books.execute("SET ROLE fairclaim_reader")
        campaign = campaign or _largest(books)
        found = []
        for name in names:
            for seconds_max, asked in _asked(name, campaign):
                found.append(_time(books, name, asked, rounds, seconds_max))
                print(f"books: {_told(found[-1])}", file=sys.stderr, flush=True)
    return found


def _largest(books: psycopg.Connection[Any]) -> str:
    row = books.execute(
        "SELECT campaign FROM checkpoints GROUP BY campaign ORDER BY sum(seq) DESC, 1 LIMIT 1"
    ).fetchone()
    assert row is not None, "there is no campaign"
    return str(row[0])


def _asked(name: str, campaign: str) -> list[tuple[float | None, Asked]]:
    """What is asked of the report *name*, and how long each may take."""
    report, signed = REPORTS[name], name in SIGNED
    asked = [(ONE_S_MAX, Asked(campaign=campaign))] if "campaign" in report.takes else []
    if "campaign" in report.takes and "day" in report.groups:
        asked.append((ONE_S_MAX, Asked(campaign=campaign, by=("day",))))
    asked.append((ALL_S_MAX, Asked()))
    if {"campaign", "month"} <= set(report.groups):
        asked.append((ALL_S_MAX, Asked(by=("campaign", "month"))))
    return [(seconds_max if signed else None, one) for seconds_max, one in asked]


def _time(books: psycopg.Connection[Any], name: str, asked: Asked, rounds: int, seconds_max: float | None) -> Timed:
    taken, rows = [], 0
    for _ in range(rounds):
        began = time.monotonic()
        with books.transaction():
            rows = sum(1 for _ in rows_of(books, REPORTS[name], asked))
        taken.append(time.monotonic() - began)
    words = msgspec.to_builtins(asked)
    told = ", ".join(f"{key} {value if isinstance(value, str) else '+'.join(value)}" for key, value in words.items())
    return Timed(name, told or "everything", rows, spread(taken), seconds_max)


def write_file(url: str, format: str, rows: int) -> Written:
    """Write *rows* state changes by a process of its own. Errors: RuntimeError where it fails."""
    with tempfile.TemporaryDirectory(prefix="fairclaim-books-") as folder:
        file = Path(folder) / f"entries.{format}"
        began = time.monotonic()
        child = subprocess.Popen(  # noqa: S603 - this very module
            [sys.executable, "-m", "loadtest.bench.books", f"--postgres-url={url}", f"--formats={format}",
             f"--rows={rows}", f"--write={file}"]
        )  # fmt: skip
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise RuntimeError(f"writing {format} ended with {child.returncode}")
        taken = time.monotonic() - began
        cpu_s, rss_mb = usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6
        found = Written(format, rows, round(taken, 2), round(cpu_s, 2), rss_mb, file.stat().st_size / 1e6)
    print(f"books: {_told_file(found)}", file=sys.stderr, flush=True)
    return found


def _write(url: str, format: Format, rows: int, to: Path) -> None:
    report, asked = REPORTS[DETAIL], Asked()
    with psycopg.connect(url) as books, to.open("wb") as out:
        books.execute("SET ROLE fairclaim_reader")
        write(report, asked, itertools.islice(rows_of(books, report, asked), rows), format, out)


def _told(one: Timed) -> str:
    target = "" if one.seconds_max is None else f"  {'✗' if one.missed else '✓'} at most {one.seconds_max:.0f} s"
    return f"{one.report:22} {one.asked:34} {one.rows:>8,} rows  {one.seconds.shown(2)} s{target}"


def _told_file(one: Written) -> str:
    target = (
        ""
        if one.format != "xlsx"
        else f"  {'✗' if one.missed else '✓'} at most {XLSX_S_MAX:.0f} s, {XLSX_MB_MAX:.0f} MB"
    )
    figures = f"{one.seconds:.1f} s ({one.cpu_s:.1f} s of a core), {one.rss_mb:.0f} MB of memory, {one.file_mb:.0f} MB"
    return f"{one.format:8} {one.rows:>10,} rows  {figures}{target}"


if __name__ == "__main__":
    sys.exit(main())
