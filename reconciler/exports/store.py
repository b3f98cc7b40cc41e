"""Exports as rows: ask for one, see it, end it. Every function takes a connection, and opens its own transaction."""

from datetime import datetime
from operator import attrgetter
from secrets import token_hex
from typing import Any, Literal, get_args

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from reconciler.audit import audit
from reconciler.ordering import Instant, Key, Number, Order, Orders, Place, Text
from reconciler.queries import load_queries, rows_of
from reconciler.reports.shape import Asked
from reconciler.reports.writing import Format

EXPORTS = load_queries("exports")
"""The statements of exports.sql by name."""

State = Literal["waiting", "running", "done", "failed", "cancelled", "removed"]
"""removed: it was done or failed, and its file is gone."""

ID = "ex_[0-9a-f]{16}"


class Part(msgspec.Struct, frozen=True):
    """A file with *rows* rows; *sha256* is of its bytes, in hex."""

    file: str
    rows: int
    sha256: str


class Chain(msgspec.Struct, frozen=True):
    """A chain of journals: the seqs of those in the time that was asked for, and the hash that the chain ends in."""

    shard: str
    first_seq: int | None
    last_seq: int | None
    head: str


class Books(msgspec.Struct, frozen=True):
    """What books the rows are of. *closed*: nothing can be posted in the time that was asked for."""

    closed: bool
    chains: tuple[Chain, ...]


class Spool(msgspec.Struct, frozen=True, omit_defaults=True):
    """The files that count. *complete*: there are no further rows; *file* is what was made of them."""

    parts: tuple[Part, ...] = ()
    books: Books | None = None
    complete: bool = False
    file: str = ""

    @property
    def rows(self) -> int:
        """Rows of all parts."""
        return sum(part.rows for part in self.parts)


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """An export as last written down."""

    id: str
    key: str
    report: str
    format: Format
    asked: Asked
    state: State
    parts: int
    rows: int
    rows_about: int | None
    written: int
    spool: Spool
    bytes: int | None
    manifest: dict[str, Any] | None
    failed: str | None
    asked_by: str
    asked_at: datetime
    worker: str | None
    tries: int
    leased_until: datetime | None
    finished_at: datetime | None

    @property
    def percent(self) -> int | None:
        """How much of it is done, reading and writing; None where nobody knows yet how much there is."""
        if self.state == "done":
            return 100
        about = self.rows if self.spool.complete else max(self.rows_about or 0, self.rows)
        return min(99, 50 * (self.rows + self.written) // about) if about else None


ORDERS: Orders[Export] = Orders(
    Key("id", attrgetter("id"), Text),
    {
        "asked": Key("asked_at", attrgetter("asked_at"), Instant),
        "report": Key("report", attrgetter("report"), Text),
        "state": Key(
            f"array_position(ARRAY{list(get_args(State))}, state)",
            lambda one: get_args(State).index(one.state) + 1,
            Number,
        ),
        "bytes": Key("coalesce(bytes, 0)", lambda one: one.bytes or 0, Number),
    },
)
"""How exports may be sorted: by state in the order of their life."""


class KeyReused(Exception):
    """This key came with another request before."""


class TooMany(Exception):
    """As many exports as may be are waiting or being made."""


def export_of(row: dict[str, Any]) -> Export:
    """An export from its row."""
    return msgspec.convert(row, Export)


async def _one(connection: AsyncConnection[Any], query: str, **values: Any) -> Export | None:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(EXPORTS[query], values)
        row = await cursor.fetchone()
    return None if row is None else export_of(row)


async def ask(
    connection: AsyncConnection[Any],
    *,
    key: str,
    report: str,
    format: Format,
    asked: Asked,
    asked_by: str,
    open_max: int,
) -> tuple[Export, bool]:
    """
    Ask for an export, once a *key*; the export, and whether it was asked for before.

    Errors: KeyReused; TooMany when *open_max* are open already.
    """
    async with connection.transaction():
        earlier = await _one(connection, "export_by_key", asked_by=asked_by, key=key)
        if earlier is None:
            async with connection.cursor(row_factory=dict_row) as cursor:
                await cursor.execute(EXPORTS["count_open"])
                counted = await cursor.fetchone()
            if counted is not None and counted["count"] >= open_max:
                raise TooMany
            values = {"id": f"ex_{token_hex(8)}", "key": key, "report": report, "format": format, "asked_by": asked_by}
            told = msgspec.json.encode(asked).decode()
            added = await _one(connection, "add_export", **values, asked=told)
            if added is not None:
                await _audit(connection, added, "export.asked", asked_by)
                return added, False
            earlier = await _one(connection, "export_by_key", asked_by=asked_by, key=key)
        assert earlier is not None, "it was there, and exports are never deleted"
    if (earlier.report, earlier.format, earlier.asked) != (report, format, asked):
        raise KeyReused
    return earlier, True


async def see(connection: AsyncConnection[Any], export: str) -> Export | None:
    """The export; None where there is none."""
    return await _one(connection, "export", id=export)


async def listed(
    connection: AsyncConnection[Any],
    limit: int,
    *,
    report: str | None = None,
    state: str | None = None,
    order: Order | None = None,
    after: Place | None = None,
) -> list[Export]:
    """At most *limit* exports in one of ORDERS, from behind the place *after*."""
    statement, place = ORDERS.statement(EXPORTS["list_exports"], order, after)
    values = {"report": report, "state": state, "limit": limit, **place}
    found = await rows_of(connection, statement, values)
    return [export_of(row) for row in found]


async def end(connection: AsyncConnection[Any], export: str, actor: str) -> Export | None:
    """
    Give up what is not done, or the file of what is; the export after that. None where there is none.

    One that is over already stays as it is.
    """
    async with connection.transaction():
        ended = await _one(connection, "end_export", id=export)
        if ended is None:
            return await see(connection, export)
        await _audit(connection, ended, f"export.{ended.state}", actor)
    return ended


async def fetched(connection: AsyncConnection[Any], export: Export, actor: str) -> None:
    """Note that somebody got the file."""
    await _audit(connection, export, "export.fetched", actor)


async def _audit(connection: AsyncConnection[Any], export: Export, action: str, actor: str) -> None:
    told = {"report": export.report, "format": export.format, "asked": export.asked}
    await audit(connection, actor, action, f"export:{export.id}", told)
