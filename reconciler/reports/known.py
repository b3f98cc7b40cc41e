"""
Whether the books know the names that are asked for.

Of a name that was misspelt a report would be zeros, and look like an answer. Known is what the books ever had, and what
a campaign names though nothing has moved there yet. Where something may have none, an empty name is that of it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from psycopg import AsyncConnection, Connection
from psycopg.rows import tuple_row

from reconciler.accounts import EXPENSE, MONEY_ACCOUNTS, PAYABLE
from reconciler.books.chart import look_up
from reconciler.reports.clauses import fill
from reconciler.reports.shape import Asked, Query


class Shown(NamedTuple):
    """What shows every name of a kind: a report, asked *by* it where it has to be, or a list *of* the ledger."""

    name: str
    by: str = ""
    of: Literal["report", "ledger"] = "report"


class Unknown(LookupError):
    """The books know no *name*, which is asked for as *field*; *shown* are what shows those there are."""

    def __init__(self, field: str, name: str) -> None:
        super().__init__(f"{field}: the books know no {name!r}")
        self.field, self.name, self.shown = field, name, _SHOWN[field]


_SHOWN = {
    "entity": (Shown("trial-balance", "entity"),),
    "campaign": (Shown("trial-balance", "campaign"),),
    "channel": (Shown("roll-forward", "channel"),),
    "store": (Shown("performance", "store"),),
    "merchant": (Shown("merchant-settlement"),),
    "funder": (Shown("funder-settlement"),),
    "account": (Shown("trial-balance"), Shown("unit-balance")),
    "chain": (Shown("journals", of="ledger"),),
    "shard": (Shown("journals", of="ledger"),),
}

_PLACES = {
    "entity": ("legal_entities WHERE id = {}",),
    "campaign": ("campaigns WHERE id = {}",),
    "channel": ("movement_days WHERE channel = {}", "campaigns WHERE definition -> 'channels' ? {}"),
    "store": (
        "movement_days WHERE store = {}",
        "campaigns WHERE definition -> 'scope' -> 'stores' ? {}",
        "campaigns WHERE definition -> 'scope' -> 'stores_excluded' ? {}",
    ),
    "merchant": (f"account_days WHERE account = '{PAYABLE}:' || {{}}",),
    "funder": (
        f"account_days WHERE account = '{EXPENSE}:' || {{}}",
        "campaigns WHERE definition -> 'funders' @> jsonb_build_array(jsonb_build_object('account', {}))",
    ),
    "chain": ("checkpoints WHERE shard = {}", "legal_entities WHERE 'manual:' || id = {}"),
    "shard": ("checkpoints WHERE shard = {}", "legal_entities WHERE id = {}"),
}
"""Where a name {} is looked for: a table, and a condition."""

_EMPTY = frozenset({"channel", "store", "merchant", "funder"})
"""What something may have none of, so that an empty name asks for that."""


def check_known(connection: Connection[Any], asked: Asked) -> None:
    """Errors: Unknown for the first name in *asked* that the books don't know; psycopg.Error."""
    told = _told(asked)
    query = _query(told)
    with connection.cursor(row_factory=tuple_row) as cursor:
        _refuse(told, cursor.execute(query.statement.encode(), query.values).fetchall())


async def check_known_async(connection: AsyncConnection[Any], asked: Asked, **further: str | None) -> None:
    """The same, for whoever awaits; *further* is asked of lists: a chain of journals, a shard."""
    told = _told(asked) | {field: name for field, name in further.items() if name is not None}
    query = _query(told)
    async with connection.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(query.statement.encode(), query.values)
        _refuse(told, await cursor.fetchall())


def _told(asked: Asked) -> dict[str, str]:
    """Field → name, of those that are asked for."""
    told = {field: getattr(asked, field, None) for field in _SHOWN}
    return {field: name for field, name in told.items() if name or (name == "" and field not in _EMPTY)}


def _query(told: Mapping[str, str]) -> Query:
    """The statement of the fields of *told* whose names are not known."""
    values, rows = {}, ["('', true)"]
    for field, name in told.items():
        known, values[field] = _account(name) if field == "account" else (_is_in(field), name)
        rows.append(f"('{field}', {known.replace('{}', f'%({field})s::text')})")
    statement = "SELECT field FROM (VALUES {rows}) AS told (field, known) WHERE NOT known"
    return Query(fill(statement, rows=", ".join(rows)), values)


def _is_in(kind: str) -> str:
    return " OR ".join(f"EXISTS (SELECT FROM {place})" for place in _PLACES[kind])


def _account(name: str) -> tuple[str, str]:
    """When an account is known: whom it is named after is, or it is a stem in the chart, such as clearing."""
    entry = look_up(name)
    if entry is not None and entry.name:
        return _is_in(entry.of), entry.name
    is_stem = entry is not None or any(kind.startswith(f"{name}:") for kind in MONEY_ACCOUNTS)
    return str(is_stem).lower(), name


def _refuse(told: Mapping[str, str], found: Sequence[Sequence[str]]) -> None:
    for (field,) in found:
        raise Unknown(field, told[field])
