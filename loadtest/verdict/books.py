"""The books of one campaign, by statements of our own on one snapshot: its terms, its state changes, its totals."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any, LiteralString, NamedTuple

import psycopg
from psycopg.rows import namedtuple_row

ROWS_AT_ONCE = 20_000
_names = count()


class NoSuchCampaign(ValueError):
    """The books know no campaign of this id."""


class Terms(NamedTuple):
    """
    What a campaign says of itself now. *frees*: kinds of state changes that may give a holder's place back;
    *costs_minor*: what every coupon that is out commits, where that is one number.
    """

    limit: int
    shards: list[str]
    is_balance: bool
    frees: frozenset[str]
    costs_minor: int | None


class Changed(NamedTuple):
    """One state change, in the order of its shard; *at_s* is seconds since the epoch by the clock of Redis."""

    shard: str
    seq: int
    kind: str
    at_s: float
    code: str
    holder: str
    delta: int
    key: str
    ref: str
    minor: int
    state: str
    source: str
    destination: str
    units: int


@contextmanager
def snapshot(url: str) -> Iterator[psycopg.Connection[Any]]:
    """The books at one instant, to be read only. Errors: psycopg.Error."""
    with psycopg.connect(url) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        # Right after a rush PostgreSQL does not know how many rows there are, and loops over all of them in a loop.
        connection.execute("SET LOCAL enable_nestloop = off")
        yield connection
        connection.rollback()


def terms_of(books: psycopg.Connection[Any], campaign: str) -> Terms:
    """Errors: NoSuchCampaign."""
    row = books.execute(
        "SELECT definition, ARRAY(SELECT shard FROM checkpoints WHERE campaign = id ORDER BY shard)"
        " FROM campaigns WHERE id = %s",
        [campaign],
    ).fetchone()
    if row is None:
        raise NoSuchCampaign(f"the books know no campaign {campaign}")
    definition, shards = row
    policies = {"rolled_back": "on_rollback", "expired": "on_expiry", "revoked": "on_revoke"}
    frees = {kind for kind, name in policies.items() if (definition.get(name) or {}).get("holder_slot") == "restore"}
    value = definition["value"]
    costs_minor = value["minor"] if value["type"] == "amount_off" and not value.get("every") else None
    is_balance = value["type"] == "balance"
    return Terms(definition["limits"]["per_holder"], list(shards), is_balance, frozenset(frees), costs_minor)


def changes(books: psycopg.Connection[Any], shards: list[str]) -> Iterator[Changed]:
    """Every state change of *shards*, each in its order, a few thousand in memory at a time."""
    for shard in shards:
        yield from map(
            Changed._make,
            stream(
                books,
                "SELECT shard, seq, kind, extract(epoch FROM at)::float8, coalesce(code, ''), coalesce(holder, ''),"
                " coalesce(delta, 0), coalesce(detail ->> 'key', ''), coalesce(ref, ''), coalesce(minor, 0),"
                " coalesce(state, ''), coalesce(source, ''), coalesce(destination, ''), coalesce(units, 1)"
                " FROM coupon_entries WHERE shard = %s ORDER BY seq",
                [shard],
            ),
        )


def stream(books: psycopg.Connection[Any], query: LiteralString, given: list[Any]) -> Iterator[tuple[Any, ...]]:
    """The rows of *query*, with a cursor on the server."""
    with books.cursor(f"verdict_{next(_names)}") as cursor:
        cursor.itersize = ROWS_AT_ONCE
        cursor.execute(query, given)
        yield from cursor


def named(books: psycopg.Connection[Any], query: LiteralString, given: Sequence[Any] | Mapping[str, Any]) -> list[Any]:
    """The few rows of *query*, by name."""
    with books.cursor(row_factory=namedtuple_row) as cursor:
        return cursor.execute(query, given).fetchall()
