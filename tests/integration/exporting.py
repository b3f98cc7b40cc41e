"""What the tests of exports share: a site that has books, asks for exports and makes them."""

import io
from pathlib import Path
from secrets import token_hex
from typing import Any

import psycopg
from psycopg.rows import dict_row

from reconciler.exports.making import Order, make
from reconciler.exports.store import EXPORTS, Export, ask, export_of
from reconciler.exports.work import Exporting, ExportOptions
from reconciler.reports.journal import JOURNAL
from reconciler.reports.shape import Asked
from reconciler.reports.writing import Format, write

ROWS_PART = 13
"""Few, so that a small book has many parts."""


class Exports:
    """The exports of one database, whose files are in *folder*."""

    def __init__(self, postgres_url: str, folder: Path) -> None:
        self.url, self.folder = postgres_url, folder

    def options(self, **changes: Any) -> ExportOptions:
        """A clerk's options; *changes* override."""
        kept = {"rows_part": ROWS_PART, "keep_days": 30, "connect_ms_max": 30_000, "postgres_ms_max": 30_000}
        return ExportOptions(postgres_url=self.url, folder=self.folder, **{**kept, **changes})

    async def work(self, **changes: Any) -> bool:
        """What a clerk finds to do: whether there was something."""
        exporting = Exporting(self.options(**changes))
        try:
            return await exporting.once(token_hex(8))
        finally:
            await exporting.close()

    async def ask(self, format: Format = "csv", asked: Asked | None = None, key: str = "") -> Export:
        """An export of the journal that is asked for."""
        async with await psycopg.AsyncConnection.connect(
            self.url, autocommit=True, options="-c role=fairclaim_gateway"
        ) as connection:
            found, _ = await ask(
                connection,
                key=key or token_hex(4),
                report=JOURNAL.name,
                format=format,
                asked=asked or Asked(),
                asked_by="test",
                open_max=1000,
            )
        return found

    def row(self, export: Export) -> Export:
        """The export as it is now."""
        with psycopg.connect(self.url, row_factory=dict_row) as connection:
            found = connection.execute(EXPORTS["export"], {"id": export.id}).fetchone()
        assert found is not None
        return export_of(found)

    def set(self, export: Export | str, change: str) -> None:
        """Change the row as its owner can, such as a lease that is over."""
        with psycopg.connect(self.url) as connection:
            connection.execute(f"UPDATE exports SET {change} WHERE id = %s".encode(), (_id(export),))

    def take(self, export: Export | str, worker: str, rows_part: int = ROWS_PART) -> Order:
        """What a clerk that has taken the export tells the process that makes it."""
        self.set(export, f"worker = '{worker}', state = 'running', tries = tries + 1, leased_until = now() + '1 min'")
        return Order(
            postgres_url=self.url,
            connect_ms_max=30_000,
            folder=str(self.folder / _id(export)),
            export=_id(export),
            worker=worker,
            rows_part=rows_part,
        )

    def make(self, export: Export | str, worker: str = "w") -> None:
        """Make the export, or the one of that id, in this process."""
        make(self.take(export, worker))

    def file(self, export: Export) -> bytes:
        """What was made."""
        row = self.row(export)
        assert row.state == "done", row
        return (self.folder / export.id / row.spool.file).read_bytes()

    def expected(self, format: Format = "csv", asked: Asked | None = None) -> bytes:
        """The journal of now, written at once."""
        asked, out = asked or Asked(), io.BytesIO()
        query = JOURNAL.query(asked)
        with psycopg.connect(self.url) as connection:
            write(JOURNAL, asked, connection.execute(query.statement.encode(), query.values), format, out)
        return out.getvalue()


def _id(export: Export | str) -> str:
    return export if isinstance(export, str) else export.id
