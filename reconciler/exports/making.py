"""
One export, made by a process of its own: a spreadsheet of a million rows is half a minute of work, and would hold up
whatever else the clerk does.

    python -m reconciler.exports.making     the Order is one line of JSON on stdin

The rows are read in one snapshot. Whoever goes on where another one died reads in a snapshot of its own, in which they
may be others: so it reads from the start, keeps the parts that are the same, byte for byte, and writes the rest anew.
What comes out is the report of one snapshot, always.
"""

import os
import sys
from collections.abc import Iterator
from hashlib import file_digest, sha256
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import Any

import msgspec
import psycopg
from psycopg.rows import dict_row

from reconciler.desk import clerk_conninfo
from reconciler.exports.manifest import manifest_of, read_books
from reconciler.exports.spool import Lost, encoded, keep, read, sync
from reconciler.exports.store import EXPORTS, Export, Part, Spool, export_of
from reconciler.reports.asking import BadAsk
from reconciler.reports.catalog import REPORTS
from reconciler.reports.reading import rows_of
from reconciler.reports.rows import OddCell, Row
from reconciler.reports.shape import Query, Report
from reconciler.reports.writing import FORMATS, write

NOTE_EVERY_S = 1.0
"""How often it is written down how far the file is."""
NICE = 10
"""Claims and the drain go first."""
NOTE_ROWS = 5_000
GONE = 5
"""The exit code when the export is another worker's, or nobody's any more."""
REFUSED = (BadAsk, OddCell, OverflowError, OSError, psycopg.ProgrammingError, psycopg.DataError)
"""What would be so again, however often it is tried."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What to make, as whom, and where. Units: milliseconds."""

    postgres_url: str
    connect_ms_max: int
    folder: str
    export: str
    worker: str
    rows_part: int


class Gone(Exception):
    """The export is another worker's, or was cancelled."""


def main() -> int:
    """Make what stdin says. The exit code: 0, also where the export failed and says so; GONE."""
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    os.nice(NICE)
    try:
        make(order)
    except Gone:
        return GONE
    return 0


def make(order: Order) -> None:
    """
    Make the export, or write down why it can't be made.

    Errors: Gone; psycopg.OperationalError when PostgreSQL is away, and whoever tries next goes on.
    """
    conninfo = clerk_conninfo(order.postgres_url, connect_ms_max=order.connect_ms_max, statement_ms_max=0)
    with psycopg.connect(conninfo, autocommit=True, row_factory=dict_row) as connection:
        making = _Making(order, conninfo, connection)
        try:
            making.run()
        except REFUSED as error:
            if isinstance(error, psycopg.OperationalError):
                raise
            making.change("fail_export", failed=" ".join(str(error).split())[:500] or type(error).__name__)


class _Making:
    """An export on its way."""

    def __init__(self, order: Order, conninfo: str, connection: psycopg.Connection[dict[str, Any]]) -> None:
        self._order, self._conninfo, self._connection = order, conninfo, connection
        self._folder = Path(order.folder)
        held = connection.execute(EXPORTS["held_export"], {"id": order.export, "worker": order.worker}).fetchone()
        if held is None:
            raise Gone
        self._export: Export = export_of(held)

    def run(self) -> None:
        """Read what is not read yet, and write the file."""
        self._folder.mkdir(parents=True, exist_ok=True)
        export, report = self._export, REPORTS.get(self._export.report)
        if report is None:
            raise BadAsk("report", f"there is no {export.report!r} any more")
        try:
            spool = export.spool if export.spool.complete else self._read(report, export.spool)
            self._write(report, spool)
        except Lost:  # somebody has cleared the folder away
            self._write(report, self._read(report, Spool()))

    def change(self, query: str, **values: Any) -> None:
        """Write something down. Errors: Gone."""
        told = {"id": self._order.export, "worker": self._order.worker, **values}
        if self._connection.execute(EXPORTS[query], told).rowcount != 1:
            raise Gone

    def _read(self, report: Report, before: Spool) -> Spool:
        """Put the rows into parts; those of *before* that are the same are kept."""
        asked = self._export.asked
        with psycopg.connect(self._conninfo) as books:
            books.isolation_level, books.read_only = psycopg.IsolationLevel.REPEATABLE_READ, True
            spool = Spool(books=read_books(books, report, asked))
            about, rows = _rows_about(books, report.query(asked)), rows_of(books, report, asked)
            while part := self._next_part(rows, spool, before):
                spool = msgspec.structs.replace(spool, parts=(*spool.parts, part))
                self._advance(spool, about)
        spool = msgspec.structs.replace(spool, complete=True)
        self._advance(spool, spool.rows)
        return spool

    def _next_part(self, rows: Iterator[Row], spool: Spool, before: Spool) -> Part | None:
        """The next rows as a part, on the disk; None when there are none."""
        number = len(spool.parts)
        # As long as it is what was read before, it is also cut as it was then.
        earlier = before.parts[number] if before.parts[:number] == spool.parts and number < len(before.parts) else None
        found = list(islice(rows, earlier.rows if earlier else self._order.rows_part))
        if not found:
            return None
        data = encoded(found)
        if earlier and earlier.sha256 == sha256(data).hexdigest() and (self._folder / earlier.file).exists():
            return earlier
        return keep(self._folder, f"{number:06d}-{self._order.worker}.part", data, len(found))

    def _advance(self, spool: Spool, about: int) -> None:
        told = msgspec.json.encode(spool).decode()
        self.change("advance_export", spool=told, parts=len(spool.parts), rows=spool.rows, rows_about=about)

    def _write(self, report: Report, spool: Spool) -> None:
        """Make the file of the parts, and a manifest of the file."""
        asked, format = self._export.asked, self._export.format
        assert spool.books is not None, "what is complete was read from books"
        path = self._folder / f"{self._order.worker}.{FORMATS[format].suffix}"
        rows = self._noted(read(self._folder, spool.parts, report.columns(asked)))
        with path.open("wb") as out:
            sums = write(report, asked, rows, format, out)
            out.flush()
            os.fsync(out.fileno())
        sync(self._folder)
        with path.open("rb") as file:
            digest = file_digest(file, "sha256").hexdigest()
        size = path.stat().st_size
        manifest = manifest_of(report, asked, format, spool.books, sums, bytes_=size, sha256=digest)
        self.change(
            "finish_export",
            spool=msgspec.json.encode(msgspec.structs.replace(spool, parts=(), file=path.name)).decode(),
            bytes=size,
            manifest=msgspec.json.encode(manifest).decode(),
        )
        for left in self._folder.iterdir():
            if left != path:
                left.unlink(missing_ok=True)

    def _noted(self, rows: Iterator[Row]) -> Iterator[Row]:
        """*rows*, and every now and then a note of how many went by."""
        due = monotonic() + NOTE_EVERY_S
        for number, row in enumerate(rows):
            if number % NOTE_ROWS == 0 and monotonic() >= due:
                self.change("note_written", written=number)
                due = monotonic() + NOTE_EVERY_S
            yield row


def _rows_about(books: psycopg.Connection[Any], query: Query) -> int:
    """How many rows PostgreSQL expects."""
    found = books.execute(f"EXPLAIN (FORMAT JSON) {query.statement}".encode(), query.values).fetchone()
    assert found is not None, "EXPLAIN says something of every statement"
    return int(found[0][0]["Plan"]["Plan Rows"])


if __name__ == "__main__":
    sys.exit(main())
