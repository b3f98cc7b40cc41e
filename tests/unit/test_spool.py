"""Parts of an export: rows come back as they were, to the last place, or not at all."""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from reconciler.exports.spool import Lost, encoded, keep, read
from reconciler.reports.rows import clean
from reconciler.reports.shape import Column

COLUMNS = (
    Column("name", "text", ""),
    Column("date", "date", ""),
    Column("at", "instant", ""),
    Column("currency", "text", ""),
    Column("units", "count", ""),
    Column("minor", "minor", ""),
    Column("rate", "share", ""),
)
ROWS: list[tuple[Any, ...]] = [
    ("店 \x00 =1", date(1, 1, 1), datetime(2026, 11, 22, 17, 30, 15, 123_456, UTC), "CNY", -(2**63), 2**63 - 1, None),
    (None, None, None, "KWD", None, 0, Decimal("0.1234567890123456789012345678901234")),
    ("", date(9999, 12, 31), datetime(1970, 1, 1, tzinfo=UTC), "", 0, None, Decimal("-1E+3")),
]


def test_what_was_written_is_read(tmp_path: Path) -> None:
    """Values of every kind, None among them, over several parts, and the same rows are the same bytes."""
    rows = list(clean(COLUMNS, ROWS))
    parts = [keep(tmp_path, f"{number}.part", encoded([row]), 1) for number, row in enumerate(rows)]

    assert list(read(tmp_path, parts, COLUMNS)) == rows
    assert encoded(rows) == encoded(list(read(tmp_path, parts, COLUMNS)))


def test_a_part_that_was_harmed_is_not_read(tmp_path: Path) -> None:
    """One byte that changed, and a file that is gone, are told apart from rows."""
    part = keep(tmp_path, "1.part", encoded(ROWS), len(ROWS))
    path = tmp_path / part.file
    path.write_bytes(path.read_bytes().replace(b"CNY", b"JPY"))
    with pytest.raises(Lost, match="is not what was written"):
        list(read(tmp_path, [part], COLUMNS))
    path.unlink()
    with pytest.raises(Lost, match="is gone"):
        list(read(tmp_path, [part], COLUMNS))


def test_an_amount_that_no_part_can_hold_is_refused() -> None:
    """A whole number of more than 64 bits is an error, never a rounded one."""
    with pytest.raises(OverflowError, match="ask for the report itself"):
        encoded([("a", None, None, "CNY", 0, 10**30, None)])
