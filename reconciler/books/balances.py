"""Balances as of any time: of accounts, and of what accounts are named after: campaigns, funders, merchants."""

from datetime import UTC, date, timedelta
from typing import Any, Literal, NamedTuple, get_args

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row

from reconciler.accounts import EXPENSE, PAYABLE
from reconciler.books.asked import Bounds, Scope
from reconciler.books.statements import BOOKS

By = Literal["account", "campaign", "funder", "merchant"]
BYS: tuple[By, ...] = get_args(By)

_ZONES_BEHIND = timedelta(hours=12)  # of UTC, at most
_KINDS = {"funder": EXPENSE, "merchant": PAYABLE}


class Balance(msgspec.Struct, frozen=True):
    """
    An account in one commodity, and the name that was asked by: a campaign, a funder, a merchant, empty for nobody's.

    Units: minor units of a currency, or coupons. *balance* is *debit* less *credit*.
    """

    name: str
    account: str
    commodity: str
    debit: int
    credit: int
    balance: int


class Total(msgspec.Struct, frozen=True):
    """All of one commodity. Units: minor units of a currency, or coupons."""

    commodity: str
    debit: int
    credit: int
    balance: int


class Wanted(NamedTuple):
    """
    Which balances. *account* is one account, *units* the unit book or the money book; None is all.

    Shape: of *bounds* only the end counts.
    """

    by: By = "account"
    bounds: Bounds = Bounds()
    scope: Scope = Scope()
    account: str | None = None
    units: bool | None = None


Place = tuple[str, str, str]
"""Where a page begins: after this name, account and commodity."""

START: Place = ("", "", "")


async def balances(connection: AsyncConnection[Any], wanted: Wanted, limit: int, after: Place = START) -> list[Balance]:
    """At most *limit* balances after the place *after*, by name, account and commodity. Errors: psycopg.Error."""
    name, account, commodity = after
    more = {"after": name, "after_account": account, "after_commodity": commodity, "limit": limit}
    return [
        Balance(row["name"], row["account"], row["commodity"], *sides(row))
        for row in await _rows(connection, wanted, "page_of_balances", **more)
    ]


async def totals(connection: AsyncConnection[Any], wanted: Wanted) -> list[Total]:
    """What all of them come to, a commodity. Errors: psycopg.Error."""
    return [Total(row["commodity"], *sides(row)) for row in await _rows(connection, wanted, "totals_of_balances")]


def sides(row: DictRow) -> tuple[int, int, int]:
    """Debit, credit and balance of a row that has the former two."""
    debit, credit = int(row["debit"]), int(row["credit"])
    return debit, credit, debit - credit


async def fetch(connection: AsyncConnection[Any], statement: bytes, **values: Any) -> list[DictRow]:
    """Every row of *statement*. Errors: psycopg.Error."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(statement, values)
        return await cursor.fetchall() if cursor.description else []


async def _rows(connection: AsyncConnection[Any], wanted: Wanted, end: str, **more: Any) -> list[DictRow]:
    return await fetch(
        connection,
        BOOKS["balances"] + b"\n" + BOOKS[end],
        by=wanted.by,
        basis=wanted.bounds.basis,
        before=wanted.bounds.before,
        day=_open_day(wanted.bounds),
        entity=wanted.scope.entity,
        campaign=wanted.scope.campaign,
        account=wanted.account,
        kind=_KINDS.get(wanted.by),
        units=wanted.units,
        **more,
    )


def _open_day(bounds: Bounds) -> date | None:
    """The first day that is not over in every zone when *bounds* end; None where they have no end."""
    if bounds.before is None:
        return None
    behind = timedelta() if bounds.basis == "effective" else _ZONES_BEHIND
    return (bounds.before.astimezone(UTC) - behind).date()
