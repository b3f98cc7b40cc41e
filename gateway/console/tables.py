"""
What every table does: it is sorted and paged as its address says, and is taken along as a CSV file.

``sort`` is a way to sort it, ``down`` is 1 where the largest comes first, ``cursor`` is the place that a page begins
after. A wrong ``sort`` is the one that nobody asked for. What is read by a place stays whole while rows come in.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import urlencode

from starlette.responses import Response, StreamingResponse

from gateway.console.page import Visit
from gateway.console.render import HEADERS
from gateway.errors import Refusal
from gateway.issuing.csv_lines import cell as csv_cell
from gateway.issuing.csv_lines import row as csv_row
from gateway.issuing.store import audit
from gateway.routes.paging import make_cursor, read_cursor
from gateway.sql import postgres
from gateway.wire import rfc3339, time_ms

FILE_ROWS = 250
"""How many rows of a file are read and written at once: some 10 ms, in which the worker answers nobody else."""

Row = TypeVar("Row")
Place = TypeVar("Place")
Read = Callable[[Place | None, int], Awaitable[list[Row]]]
"""Rows from after a place, None is the beginning, and so many at most."""
Cell = str | int | float | datetime | None


class Sort(NamedTuple):
    """A way to sort: what it is *called*, a message, and whether it *falls* where nobody says how."""

    called: str
    falls: bool = False


class Shown(NamedTuple, Generic[Row]):
    """A page of a table, and the addresses of the next and of the *first* one; empty where there is none."""

    rows: list[Row]
    more: str
    first: str


class Table:
    """What the address of *visit* asks of the table at *at*. The first of *sorts* is taken where none is asked for."""

    def __init__(
        self, visit: Visit, at: str, sorts: Mapping[str, Sort], filters: Mapping[str, str], file: str = ""
    ) -> None:
        self._visit, self.at, self.sorts = visit, at, sorts
        self.filters = {name: value for name, value in filters.items() if value}
        by, down = visit.asked("sort"), visit.asked("down")
        self.by = by if by in sorts else next(iter(sorts))
        self.down = down == "1" if down in ("0", "1") else sorts[self.by].falls
        self.file = self.address(file) if file else ""

    def given(self, name: str) -> str:
        """A filter as it stands in its field; empty where nothing is asked for."""
        return self.filters.get(name, "")

    def address(self, at: str = "", **more: str) -> str:
        """The same filters in the same order, *at* another path or this one."""
        return self._at(at or self.at, self.by, self.down, more)

    def turned(self, by: str) -> str:
        """The same sorted *by* this; the other way round where it is so already."""
        return self._at(self.at, by, not self.down if by == self.by else self.sorts[by].falls, {})

    def _at(self, at: str, by: str, down: bool, more: Mapping[str, str]) -> str:
        asked = dict(self.filters)
        if by != next(iter(self.sorts)) or down != self.sorts[by].falls:
            asked |= {"sort": by, "down": "1" if down else "0"}
        query = urlencode(asked | dict(more))
        return f"{at}?{query}" if query else at

    def after(self, kind: type[Place]) -> Place | None:
        """The place that the page begins after. Errors: Refusal("bad_request") for a cursor that is none."""
        found = read_cursor(self._visit.request, kind, self.address())
        for part in found if isinstance(found, tuple) else ():
            if isinstance(part, str) and "\0" in part:  # PostgreSQL has no such text, and no row ends with one
                raise Refusal("bad_request", "cursor: take it from the page before.", field="cursor")
        return found

    def following(self, place: Any) -> str:
        """The address of the page that begins after *place*."""
        return self.address(cursor=make_cursor(place, self.address()))

    async def page(
        self, read: Read[Place, Row], place: Callable[[Row], Place], kind: type[Place], rows_max: int
    ) -> Shown[Row]:
        """The page that is asked for; *place* tells that of a row. Errors: Refusal("bad_request") as after()."""
        after = self.after(kind)
        found = await read(after, rows_max + 1)
        more = self.following(place(found[rows_max - 1])) if len(found) > rows_max else ""
        return Shown(found[:rows_max], more, self.address() if after is not None else "")


def read_few(rows: Iterable[Row], key: Callable[[Row], Any], *, down: bool) -> Read[Any, Row]:
    """How *rows* that are all here are read; *key* tells each from all others, and is its place."""
    kept = sorted(rows, key=key, reverse=down)

    async def read(after: Any, limit: int) -> list[Row]:
        left = kept if after is None else [each for each in kept if (key(each) < after if down else key(each) > after)]
        return left[:limit]

    return read


class Noted(NamedTuple):
    """What the audit log says of a file that holds what is somebody's own."""

    action: str
    subject: str
    detail: dict[str, Any]


async def every_page(
    read: Read[Place, Row], place: Callable[[Row], Place], rows: int = FILE_ROWS
) -> AsyncIterator[list[Row]]:
    """All there is, *rows* at a time, as read() of a page reads it."""
    page = await read(None, rows)
    while page:
        yield page
        page = await read(place(page[-1]), rows) if len(page) == rows else []


async def csv_file(
    visit: Visit,
    name: str,
    heads: Sequence[str],
    pages: AsyncIterator[Iterable[Sequence[Cell]]],
    noted: Noted | None = None,
) -> Response:
    """
    *pages* of rows as ``<name>.csv``, sent as they are read: UTF-8, times in UTC, no formula.

    The first is read before anything is sent: what refuses that is a page. Then it is *noted* who took the file.
    """
    first = await anext(pages, None)
    if noted is not None:
        async with postgres(visit.here.pool) as connection:
            await audit(connection, visit.who.actor, *noted)

    async def lines() -> AsyncIterator[str]:
        yield csv_row(*heads)
        page = first
        while page is not None:
            yield "".join(",".join(map(_told, cells)) + "\r\n" for cells in page)
            page = await anext(pages, None)

    headers = {**HEADERS, "content-disposition": f'attachment; filename="{name}.csv"'}
    return StreamingResponse(lines(), headers=headers, media_type="text/csv; charset=utf-8")


def _told(value: Cell) -> str:
    """A cell; a number is never taken for a formula, and is written in full."""
    if isinstance(value, datetime):
        return rfc3339(time_ms(value))
    if isinstance(value, int | float):
        return str(value) if isinstance(value, int) else f"{value:.15g}"
    return csv_cell(value or "")
