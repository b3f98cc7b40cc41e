"""
What a file is: whoever has both can tell that nothing was added, lost or changed, and of what books it is.

Nothing in it depends on when or by whom the file was made, so that of a closed time it is the same, byte for byte,
whenever it is made again by the same version.
"""

from datetime import date
from importlib.metadata import version
from typing import Any

import msgspec
import psycopg

from reconciler.exports.store import EXPORTS, Books, Chain
from reconciler.reports.rows import Sums
from reconciler.reports.shape import Asked, Report
from reconciler.reports.writing import Format, file_name

LAYOUT = 1


def read_books(connection: psycopg.Connection[Any], report: Report, asked: Asked) -> Books:
    """What the books are that *report* is read of, in the transaction that is open on *connection*."""
    dated = asked.basis == "effective"
    until = asked.as_of or (asked.until if dated else None)
    values = {
        "entity": asked.entity,
        "campaign": asked.campaign,
        "since": asked.since if dated and not report.forecast else None,
        "until": until,
    }
    found = connection.execute(EXPORTS["closed_through"], values).fetchone()
    closed_through: date | None = found[0] if found else None
    closed = until is not None and closed_through is not None and until <= closed_through
    chains = connection.execute(EXPORTS["chains"], values).fetchall()
    return Books(closed, tuple(Chain(*chain) for chain in chains))


def manifest_of(
    report: Report, asked: Asked, format: Format, books: Books, sums: Sums, *, bytes_: int, sha256: str
) -> dict[str, Any]:
    """
    The manifest of a file of *bytes_* bytes whose SHA-256 is *sha256*, in hex.

    Sums are by currency and column; of amounts they are minor units.
    """
    return {
        "layout": LAYOUT,
        "file": file_name(report, asked, format),
        "bytes": bytes_,
        "sha256": sha256,
        "report": report.name,
        "title": report.title,
        "asked": msgspec.to_builtins(asked),
        "columns": [{"name": column.name, "kind": column.kind} for column in report.columns(asked)],
        "rows": sums.rows,
        "sums": [{"currency": currency or None, "sums": totals} for currency, totals in sums.totals.items()],
        "closed": books.closed,
        "chains": msgspec.to_builtins(books.chains),
        "software": f"fairclaim {version('fairclaim')}",
    }


def manifest_bytes(manifest: dict[str, Any]) -> bytes:
    """A manifest as it is handed out: its members in the order of their names."""
    return msgspec.json.format(msgspec.json.encode(manifest, order="sorted"), indent=2) + b"\n"
