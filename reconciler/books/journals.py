"""Journals as they were sealed: a list of them, or one with its postings and what reverses it."""

from datetime import date
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import DictRow

from reconciler.books.asked import Bounds, Instant, Scope, told
from reconciler.books.balances import fetch
from reconciler.books.statements import BOOKS
from reconciler.manual import VERB as MANUAL
from reconciler.ordering import Key, Number, Order, Orders, Place
from reconciler.postings import STEP_VERBS, VERBS
from reconciler.reports.asking import BadAsk

JOURNAL_VERBS = (*VERBS, *STEP_VERBS.values(), MANUAL)


class Journal(msgspec.Struct, frozen=True):
    """
    A journal. *chain* is whose hash chain it is in: a shard, or ``manual:`` and an entity.

    *about* is the shard that a manual one is about, *ref* its id; *reverses* the journal that it is the opposite of.
    Hashes are in hex.
    """

    id: int
    chain: str
    entity: str
    verb: str
    first_seq: int
    last_seq: int
    occurred_at: Instant
    effective_date: date
    original_date: date | None
    posted_at: Instant
    about: str | None
    ref: str | None
    reason: str | None
    reverses: int | None
    previous_hash: str
    hash: str


class Posted(msgspec.Struct, frozen=True):
    """A line of a journal: *amount* minor units of a currency, or coupons, to *debit* and from *credit*."""

    line: int
    debit: str
    credit: str
    commodity: str
    amount: int


class WholeJournal(Journal, frozen=True):
    """A journal with its lines, and the journals that reverse it."""

    lines: list[Posted]
    reversed_by: list[int]


ORDERS: Orders[Journal] = Orders(Key("id", attrgetter("id"), Number), {"posted": Key("id", attrgetter("id"), Number)})
"""Journals are numbered in the order in which they were posted."""


class Wanted(NamedTuple):
    """Which journals; None is all."""

    bounds: Bounds = Bounds()
    scope: Scope = Scope()
    chain: str | None = None
    verb: str | None = None
    account: str | None = None


def verb_of(text: str | None) -> str | None:
    """*text*, which is a verb of journals. Errors: BadAsk."""
    if text is not None and text not in JOURNAL_VERBS:
        raise BadAsk("verb", f"one of {', '.join(JOURNAL_VERBS)}")
    return text


async def journals(
    connection: AsyncConnection[Any],
    wanted: Wanted,
    limit: int,
    *,
    order: Order | None = None,
    after: Place | None = None,
) -> list[Journal]:
    """At most *limit* journals in one of ORDERS, from behind the place *after*. Errors: psycopg.Error."""
    found = await _rows(connection, wanted, limit, order, after)
    return [Journal(**_told(row)) for row in found]


async def journal(connection: AsyncConnection[Any], number: int) -> WholeJournal | None:
    """The journal of this id; None where there is none. Errors: psycopg.Error."""
    # The first behind the next one: of "id is null or id = …" the plan that PostgreSQL keeps may read all of them.
    found = await _rows(connection, Wanted(), 1, None, Place(number + 1, number + 1))
    if not found or found[0]["id"] != number:
        return None
    lines = [
        Posted(row["line"], row["destination"], row["source"], row["commodity"], int(row["amount"]))
        for row in await fetch(connection, BOOKS["postings"], journal=number)
    ]
    reversed_by = [row["id"] for row in await fetch(connection, BOOKS["reversed_by"], journal=number)]
    return WholeJournal(**_told(found[0]), lines=lines, reversed_by=reversed_by)


async def _rows(
    connection: AsyncConnection[Any], wanted: Wanted, limit: int, order: Order | None, after: Place | None
) -> list[DictRow]:
    statement, place = ORDERS.statement(BOOKS["journals"], order, after)
    return await fetch(
        connection,
        statement,
        **place,
        basis=wanted.bounds.basis,
        since=wanted.bounds.since,
        before=wanted.bounds.before,
        entity=wanted.scope.entity,
        campaign=wanted.scope.campaign,
        shard=wanted.chain,
        verb=wanted.verb,
        account=wanted.account,
        limit=limit,
    )


def _told(row: DictRow) -> DictRow:
    """A row in words that a program outside of PostgreSQL reads."""
    kept = {name: value for name, value in row.items() if name != "shard"}
    times = {name: told(row[name]) for name in ("occurred_at", "posted_at")}
    hashes = {name: bytes(row[name]).hex() for name in ("previous_hash", "hash")}
    return kept | times | hashes | {"chain": row["shard"]}
