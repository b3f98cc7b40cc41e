"""
What a report is: named columns, and rows that come one after the other.

Whoever writes a report (xlsx, csv, a page) knows it by this and by nothing else.
"""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Literal, NamedTuple

import msgspec

Kind = Literal["text", "count", "minor", "date", "instant", "share"]
"""
What a column holds: text; a whole number; whole minor units of the row's `currency` (a text column of that name comes
before); a date; an instant (UTC); a share of 1, a Decimal. Each but `text` may be None where there is none.
"""

Basis = Literal["effective", "occurred", "posted"]
"""By which of its three dates a journal counts."""


class Column(NamedTuple):
    """One column. *total* says that its sum over all rows of a currency means something."""

    name: str
    kind: Kind
    about: str
    total: bool = False


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """
    What of a report is wanted. *since* and *until* are its first and last day, both in it; None is without an end.

    *as_of* is the day at whose end things stand; None: that of until, and without it now. *by* names what the rows are
    of, such as campaign, day, month; *zone* is where instants are cut into days and shown.
    """

    entity: str | None = None
    campaign: str | None = None
    channel: str | None = None
    store: str | None = None
    merchant: str | None = None
    funder: str | None = None
    account: str | None = None
    since: date | None = None
    until: date | None = None
    as_of: date | None = None
    basis: Basis = "effective"
    by: tuple[str, ...] = ()
    zone: str = "UTC"


class Query(NamedTuple):
    """A statement of PostgreSQL, whose rows are those of the report in the report's order, and its parameters."""

    statement: str
    values: Mapping[str, Any]


class Report(NamedTuple):
    """
    A report: *columns* and *query* of what is asked. *takes* are the members of Asked that it knows, *groups* what
    *by* may name.

    The order of its rows is a total one, so that the same books give the same rows in the same order. *detail* says
    that it has a row for each coupon, state change or order, so it may have millions; *key* then names the columns it
    is in the order of, which no two rows share and none of which is None: whoever reads it in parts goes on after them.
    *forecast* says that since and until are days to come, and no days of the books.
    """

    name: str
    title: str
    about: str
    columns: Callable[[Asked], tuple[Column, ...]]
    query: Callable[[Asked], Query]
    takes: frozenset[str]
    groups: tuple[str, ...] = ()
    detail: bool = False
    key: tuple[str, ...] = ()
    forecast: bool = False
