"""The accounts that ever moved, each with what the chart says of it."""

from datetime import date
from typing import Any, Literal

import msgspec
from psycopg import AsyncConnection

from reconciler.books.asked import Scope
from reconciler.books.balances import fetch
from reconciler.books.chart import look_up
from reconciler.books.statements import BOOKS


class Account(msgspec.Struct, frozen=True):
    """
    An account of *kind* for *name*, empty for nobody in particular; *normal* is the side that its balance is on.

    *control* says that it is the total of a sub-ledger, *commodities* what was ever on it.
    """

    account: str
    kind: str
    name: str
    book: Literal["units", "money"]
    normal: Literal["debit", "credit"]
    holds: str
    control: bool
    commodities: list[str]
    first_date: date
    last_date: date


async def accounts(connection: AsyncConnection[Any], scope: Scope, limit: int, after: str = "") -> list[Account]:
    """At most *limit* accounts after the account *after*, by name. Errors: psycopg.Error."""
    found = []
    for row in await fetch(
        connection, BOOKS["accounts"], entity=scope.entity, campaign=scope.campaign, after=after, limit=limit
    ):
        entry = look_up(row["account"])
        assert entry is not None, f"{row['account']} is posted to and not in the chart"
        found.append(
            Account(
                row["account"],
                entry.kind,
                entry.name,
                entry.book,
                entry.normal,
                entry.holds,
                entry.control,
                sorted(row["commodities"]),
                row["first_date"],
                row["last_date"],
            )
        )
    return found
