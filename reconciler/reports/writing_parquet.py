"""Reports as Parquet: typed columns, amounts as decimals of the currency, in row groups."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, BinaryIO

import msgspec
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from reconciler.currencies import PLACES_MAX, major
from reconciler.reports.rows import Row, batches, currency_place
from reconciler.reports.shape import Asked, Column, Kind, Report
from reconciler.reports.writing_text import money_name

GROUP_ROWS = 100_000
"""Rows of a group: what a reader takes into memory at once."""
DIGITS = 38
SHARE_PLACES = 12

_TYPES: dict[Kind, pa.DataType] = {
    "text": pa.string(),
    "count": pa.int64(),
    "minor": pa.decimal128(DIGITS, PLACES_MAX),
    "date": pa.date32(),
    "instant": pa.timestamp("ms", tz="UTC"),
    "share": pa.decimal128(DIGITS, SHARE_PLACES),
}
_SHARE = Decimal(1).scaleb(-SHARE_PLACES)


def write_parquet(report: Report, columns: Sequence[Column], asked: Asked, rows: Iterable[Row], out: BinaryIO) -> None:
    """Write *rows* into *out*; what was asked is in the metadata of the schema."""
    schema = pa.schema(
        [pa.field(money_name(column), _TYPES[column.kind], metadata={"about": column.about}) for column in columns],
        metadata={"report": report.name, "asked": msgspec.json.encode(asked, order="sorted")},
    )
    currency = currency_place(columns)
    with pq.ParquetWriter(out, schema, compression="zstd") as writer:
        for batch in batches(rows, GROUP_ROWS):
            arrays = [
                pa.array(_values(column, at, currency, batch), type=_TYPES[column.kind])
                for at, column in enumerate(columns)
            ]
            writer.write_batch(pa.record_batch(arrays, schema=schema), row_group_size=GROUP_ROWS)


def _values(column: Column, at: int, currency: int | None, rows: Sequence[Row]) -> list[Any]:
    if column.kind == "minor" and currency is not None:
        return [None if row[at] is None else major(row[at], row[currency]) for row in rows]
    if column.kind == "share":
        return [None if row[at] is None else row[at].quantize(_SHARE) for row in rows]
    return [row[at] for row in rows]
