"""
Pure: lists that may be read in several orders, each a page at a time from behind a place.

Rows that are equal in an order are in that of their ids, the same way, so each row has one place: what comes in
meanwhile neither repeats a row nor leaves one out. A statement has {behind} where its conditions are and {order} where
that is; what they become is ours, and what somebody asked for is in parameters.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, Generic, NamedTuple, TypeVar

import msgspec

Row = TypeVar("Row")
Number = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Text = Annotated[str, msgspec.Meta(max_length=300, pattern=r"^[^\0]*$")]
Instant = Annotated[datetime, msgspec.Meta(tz=True)]
"""What a place may be made of, as it comes back from whoever keeps it."""


class Order(NamedTuple):
    """By which of a list's keys, and whether the largest comes first."""

    by: str
    is_down: bool = True


class Place(NamedTuple):
    """Where a page ends: what its last row is sorted by, and its id."""

    key: Any
    id: Any


class Key(NamedTuple, Generic[Row]):
    """What a list may be sorted by: in SQL, of a row, and what it may be in a place."""

    sql: str
    of: Callable[[Row], Any]
    kind: Any


class Orders(NamedTuple, Generic[Row]):
    """The *keys* of a list by name, and the *id* that parts what is equal in one of them. None is the first, down."""

    id: Key[Row]
    keys: Mapping[str, Key[Row]]

    def place(self, row: Row, by: str) -> Place:
        """Where *row* is in the order *by*."""
        return Place(self.keys[by].of(row), self.id.of(row))

    def kind(self, by: str) -> Any:
        """The type of a place in the order *by*, for whoever reads one."""
        return tuple.__class_getitem__((self.keys[by].kind, self.id.kind))

    def statement(self, query: bytes, order: Order | None, after: Place | None) -> tuple[bytes, dict[str, Any]]:
        """*query* in *order*, from behind *after*, with its further parameters."""
        order = order or Order(next(iter(self.keys)))
        way, than = ("DESC", "<") if order.is_down else ("ASC", ">")
        parts = list(dict.fromkeys((self.keys[order.by].sql, self.id.sql)))  # the id may be the key
        values = {} if after is None else dict(zip(("after_key", "after_id"), after, strict=True))
        named = ["%(after_key)s", "%(after_id)s"][-len(parts) :]
        behind = "true" if after is None else f"({', '.join(parts)}) {than} ({', '.join(named)})"
        sorted_by = ", ".join(f"{part} {way}" for part in parts)
        return query.replace(b"{behind}", behind.encode()).replace(b"{order}", sorted_by.encode()), values
