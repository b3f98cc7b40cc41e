"""What the lists of this room share: read in an order of theirs, a page at a time, or all of it into a file."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Generic, TypeVar

from gateway.console.locales import N_
from gateway.console.page import Visit
from gateway.console.tables import Cell, Shown, Table, every_page
from gateway.errors import Refusal
from reconciler.ordering import Order, Orders, Place

Row = TypeVar("Row")
Fetch = Callable[[Order, Place | None, int], Awaitable[list[Row]]]
"""Rows in an order, from behind a place, and so many at most."""

UNKNOWN = N_("The books know no such name.")


class Listing(Generic[Row]):
    """What *table* asks for of a list, which has *orders* under the names of the table's sorts."""

    def __init__(self, table: Table, orders: Orders[Row], fetch: Fetch[Row]) -> None:
        self.table, self._orders, self._fetch = table, orders, fetch

    async def page(self, rows_max: int) -> Shown[Row]:
        """The page that is asked for. Errors: Refusal, that of *fetch* too."""
        return await self.table.page(self._read, self._place, self._orders.kind(self.table.by), rows_max)

    async def lines(self, of: Callable[[Row], Iterable[Sequence[Cell]]]) -> AsyncIterator[list[Sequence[Cell]]]:
        """The lines of all rows, a page of rows at a time. Errors: those of *fetch*."""
        async for page in every_page(self._read, self._place):
            yield [cells for row in page for cells in of(row)]

    async def _read(self, after: Place | None, limit: int) -> list[Row]:
        return await self._fetch(Order(self.table.by, self.table.down), after, limit)

    def _place(self, row: Row) -> Place:
        return self._orders.place(row, self.table.by)


async def shown_or_wrong(visit: Visit, shown: Awaitable[Shown[Row]]) -> tuple[Shown[Row], dict[str, str]]:
    """The page, or what is wrong by field: a name that the books don't know. Errors: Refusal."""
    try:
        return await shown, {}
    except Refusal as refusal:
        if refusal.code != "not_found":
            raise
        return Shown([], "", ""), {str(refusal.context.get("field")): visit.words.say(UNKNOWN)}
