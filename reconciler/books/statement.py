"""An account between two times: what it stood at, every movement with what it then stood at, and what it came to."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, NamedTuple

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import DictRow

from reconciler.books.asked import Bounds, Instant, Scope, told
from reconciler.books.balances import Wanted, fetch, totals
from reconciler.books.statements import BOOKS


class Line(msgspec.Struct, frozen=True):
    """
    An account in one commodity over the time asked for: *closing* is *opening* and *debit* less *credit*.

    Units: minor units of a currency, or coupons.
    """

    commodity: str
    opening: int
    debit: int
    credit: int
    closing: int


class Movement(msgspec.Struct, frozen=True):
    """
    One side of a posting of the account. *counter* is the account on the other side, *balance* what it came to.

    *original_date* is that of a late journal, *about* the shard that a manual one is about, *ref* its id.
    """

    journal: int
    line: int
    entity: str
    shard: str
    about: str | None
    verb: str
    effective_date: date
    original_date: date | None
    occurred_at: Instant
    posted_at: Instant
    commodity: str
    counter: str
    debit: int
    credit: int
    balance: int
    ref: str | None
    reason: str | None


class Place(NamedTuple):
    """Where a page begins: after this movement."""

    at: Annotated[datetime, msgspec.Meta(tz=True)]
    journal: Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
    line: Annotated[int, msgspec.Meta(ge=0, le=(1 << 31) - 1)]


class Statement(NamedTuple):
    """*lines* a commodity, *movements* of one page, and the *place* of the last of them where there are more."""

    lines: list[Line]
    movements: list[Movement]
    place: Place | None


async def statement(
    connection: AsyncConnection[Any], account: str, bounds: Bounds, scope: Scope, limit: int, after: Place | None = None
) -> Statement:
    """
    The statement of *account* in *bounds*, with at most *limit* movements after the place *after*.

    *connection* has to be in a transaction that is one snapshot. Errors: psycopg.Error.
    """
    lines = await _lines(connection, account, bounds, scope)
    values = {
        "account": account,
        "basis": bounds.basis,
        "since": bounds.since,
        "before": bounds.before,
        "entity": scope.entity,
        "campaign": scope.campaign,
        "after": after and after.at,
        "after_journal": after and after.journal,
        "after_line": after and after.line,
    }
    standing = {line.commodity: line.opening for line in lines}
    if after is not None:
        for row in await fetch(connection, BOOKS["moved"] + b"\n" + BOOKS["moved_up_to"], **values):
            standing[row["commodity"]] += int(row["debit"]) - int(row["credit"])
    found = await fetch(connection, BOOKS["moved"] + b"\n" + BOOKS["movements"], **values, limit=limit + 1)
    movements = []
    for row in found[:limit]:
        standing[row["commodity"]] += int(row["debit"]) - int(row["credit"])
        movements.append(_movement(row, standing))
    place = None
    if len(found) > limit:
        last = found[limit - 1]
        place = Place(last["at"], last["journal"], last["line"])
    return Statement(lines, movements, place)


async def _lines(connection: AsyncConnection[Any], account: str, bounds: Bounds, scope: Scope) -> list[Line]:
    """What the account stood at before *bounds* and after them, a commodity that it ever had by then."""
    closing = Wanted(bounds=bounds, scope=scope, account=account)
    after = await totals(connection, closing)
    before = []
    if bounds.since is not None:
        before = await totals(connection, closing._replace(bounds=bounds._replace(before=bounds.since)))
    opened = {total.commodity: total for total in before}
    lines = []
    for total in after:
        opening = opened.get(total.commodity)
        debit, credit, balance = (opening.debit, opening.credit, opening.balance) if opening else (0, 0, 0)
        lines.append(Line(total.commodity, balance, total.debit - debit, total.credit - credit, total.balance))
    return lines


def _movement(row: DictRow, standing: Mapping[str, int]) -> Movement:
    return Movement(
        journal=row["journal"],
        line=row["line"],
        entity=row["entity"],
        shard=row["shard"],
        about=row["about"],
        verb=row["verb"],
        effective_date=row["effective_date"],
        original_date=row["original_date"],
        occurred_at=told(row["occurred_at"]),
        posted_at=told(row["posted_at"]),
        commodity=row["commodity"],
        counter=row["counter"],
        debit=int(row["debit"]),
        credit=int(row["credit"]),
        balance=standing[row["commodity"]],
        ref=row["ref"],
        reason=row["reason"],
    )
