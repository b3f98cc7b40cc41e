"""Files of other systems as they are kept: add one as it comes in, list them, see one."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, date, datetime
from secrets import token_hex
from typing import Any, Literal, NamedTuple

import msgspec
from psycopg import AsyncConnection

from reconciler.audit import audit
from reconciler.outside.reading import FaultyFile, FaultyLine, Reader
from reconciler.periods.entities import ZONES
from reconciler.queries import load_queries, rows_of

QUERIES = load_queries("outside")
"""Name → statement of sql/outside.sql."""

Measure = Literal["discount", "net", "order"]
"""
What a line's amount is: the discount given on the order; net, what of it did not come back; what the order was worth.
"""
FOREVER = datetime(9999, 12, 31, tzinfo=UTC)


class AskedFile(NamedTuple):
    """
    What a file is to be compared with: the redemptions of *entity* from *since* to *until*, both days of *zone*.

    It takes the place of *corrects*, where one is named.
    """

    name: str
    currency: str
    since: date
    until: date
    entity: str = "main"
    zone: str = "UTC"
    merchant: str | None = None
    store: str | None = None
    measure: Measure = "net"
    corrects: str | None = None

    def check(self) -> None:
        """All but the currency. Errors: ValueError, whose text begins with the name of the field that is wrong."""
        if self.until < self.since:
            raise ValueError("until: not before since.")
        if self.zone not in ZONES:
            raise ValueError("zone: a time zone of IANA, such as Asia/Shanghai.")
        if self.measure not in ("discount", "net", "order"):
            raise ValueError("measure: discount, net or order.")
        for name in ("name", "entity", "merchant", "store"):
            text = getattr(self, name)
            if text is not None and not (1 <= len(text) <= 255 and text.isprintable()):
                raise ValueError(f"{name}: 1 to 255 printable characters.")


class OutsideFile(msgspec.Struct):
    """A file that is kept. *corrects* is the first of those whose place it takes: a break bears that one's name."""

    id: str
    name: str
    entity: str
    currency: str
    since: date
    until: date
    zone: str
    merchant: str | None
    store: str | None
    measure: Measure
    rows: int
    sha256: str
    uploaded_by: str
    uploaded_at: datetime
    corrects: str | None

    @property
    def first(self) -> str:
        """The file that the others of the same matter correct; itself, where it corrects none."""
        return self.corrects or self.id


class NotThere(ValueError):
    """There is no such file to correct; the text names the field."""


class _Same(Exception):
    """The file is there already."""

    def __init__(self, file: OutsideFile) -> None:
        super().__init__(file.id)
        self.file = file


async def add_file(
    connection: AsyncConnection[Any], asked: AskedFile, pieces: AsyncIterator[bytes], actor: str, *, patience_s: int = 0
) -> tuple[OutsideFile, bool]:
    """
    Keep the CSV that comes in *pieces*; whether it was there already comes along: the same bytes asked to be compared
    with the same are one file.

    Shape: *connection* is in autocommit mode. Units: a statement may take *patience_s* seconds, 0 for any time. Errors:
    FaultyFile, LookupError for an entity that is not there, NotThere for the file that it corrects, and then nothing is
    kept; psycopg.Error.
    """
    identity = f"of_{token_hex(8)}"
    reader = Reader(identity, asked.currency)
    try:
        async with connection.transaction():
            await be_patient(connection, patience_s)
            if not await _rows(connection, "see_entity", {"entity": asked.entity}):
                raise LookupError(asked.entity)
            corrects = await _first_of(connection, asked.corrects)
            async with connection.cursor() as cursor, cursor.copy(QUERIES["copy_rows"]) as copy:
                async for piece in pieces:
                    await copy.write(reader.feed(piece))
                await copy.write(reader.finish())
            if not reader.rows:
                raise FaultyFile([FaultyLine(1, "it has no row")])
            told = {"id": identity, "rows": reader.rows, "sha256": reader.digest, "actor": actor, "corrects": corrects}
            values = {**asked._asdict(), **told}
            if same := await _rows(connection, "same_file", values):
                raise _Same(_file(same[0]))
            [row] = await _rows(connection, "add_file", values)
            detail = {"name": asked.name, "rows": reader.rows, "sha256": reader.digest, "corrects": corrects}
            await audit(connection, actor, "outside.uploaded", f"outside:{identity}", detail)
            return _file(row), False
    except _Same as same_file:
        return same_file.file, True


async def list_files(
    connection: AsyncConnection[Any], before: tuple[datetime, str] | None, rows_max: int
) -> list[tuple[OutsideFile, dict[str, Any] | None]]:
    """Files, newest first, after the place *before*, each with the summary of its last run. Errors: psycopg.Error."""
    at, identity = before or (FOREVER, "")
    values = {"before": at, "before_id": identity, "rows_max": rows_max}
    return [(_file(row), row["summary"]) for row in await _rows(connection, "list_files", values)]


async def see_file(connection: AsyncConnection[Any], identity: str) -> OutsideFile:
    """The file *identity*. Errors: LookupError, psycopg.Error."""
    found = await _rows(connection, "see_file", {"id": identity})
    if not found:
        raise LookupError(identity)
    return _file(found[0])


async def current_file(connection: AsyncConnection[Any], identity: str) -> OutsideFile:
    """What counts in the place of the file *identity*: the last one that corrects it, or itself. Errors: as above."""
    found = await _rows(connection, "current_file", {"id": identity})
    return await see_file(connection, found[0]["id"] if found else identity)


async def be_patient(connection: AsyncConnection[Any], patience_s: int) -> None:
    """Let each statement of this transaction take *patience_s* seconds, 0 for any time."""
    await connection.execute(b"SELECT set_config('statement_timeout', %s, true)", (f"{patience_s}s",))


async def _first_of(connection: AsyncConnection[Any], corrects: str | None) -> str | None:
    """The first file of the matter that *corrects* is of. Errors: NotThere."""
    if corrects is None:
        return None
    try:
        return (await see_file(connection, corrects)).first
    except LookupError:
        raise NotThere("corrects: a file that there is.") from None


async def _rows(connection: AsyncConnection[Any], name: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return await rows_of(connection, QUERIES[name], values)


def _file(row: Mapping[str, Any]) -> OutsideFile:
    return OutsideFile(**{name: row[name] for name in OutsideFile.__struct_fields__})
