"""
The rows of an export in files of their own, between the books and the file that is asked for.

A part is a list of rows in MessagePack; the kinds of the columns say what is read back. It is on the disk, and not
just in its cache, before anybody says that it is there.
"""

import os
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from reconciler.exports.store import Part
from reconciler.reports.rows import Row
from reconciler.reports.shape import Column, Kind

_KINDS: dict[Kind, Any] = {
    "text": str | None,
    "count": int | None,
    "minor": int | None,
    "date": date | None,
    "instant": datetime | None,
    "share": Decimal | None,
}
_ENCODER = msgspec.msgpack.Encoder(decimal_format="string")


class Lost(Exception):
    """A part is not what was written, or is not there."""


def row_kind(columns: Sequence[Column]) -> Any:
    """The type of a row of *columns*."""
    return tuple[tuple(_KINDS[column.kind] for column in columns)]  # type: ignore[misc]


def encoded(rows: Sequence[Row]) -> bytes:
    """A part of *rows*. Errors: OverflowError for a whole number beyond 64 bits."""
    try:
        return _ENCODER.encode(rows)
    except OverflowError:
        raise OverflowError("a number has more than 64 bits: ask for the report itself, not an export") from None


def keep(folder: Path, name: str, data: bytes, rows: int) -> Part:
    """Write a part so that it stays, whatever happens to the machine. Errors: OSError."""
    with (folder / name).open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    sync(folder)
    return Part(name, rows, sha256(data).hexdigest())


def sync(folder: Path) -> None:
    """Have the names in *folder* on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(folder: Path, parts: Sequence[Part], columns: Sequence[Column]) -> Iterator[Row]:
    """The rows of *parts*, one part in memory at a time. Errors: Lost."""
    decoder = msgspec.msgpack.Decoder(list[row_kind(columns)])  # type: ignore[misc]
    for part in parts:
        try:
            data = (folder / part.file).read_bytes()
        except FileNotFoundError:
            raise Lost(f"{part.file} is gone") from None
        if sha256(data).hexdigest() != part.sha256:
            raise Lost(f"{part.file} is not what was written")
        yield from decoder.decode(data)
