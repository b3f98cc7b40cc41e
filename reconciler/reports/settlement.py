"""
What merchants are owed and what funders bear, in sums; statement.py has the orders it comes from.

The days that account_days has tell debits and credits; what of them a person booked comes from his journals.
"""

from reconciler.reports.clauses import (
    MANUAL_SHARDS,
    SLOTS,
    conditions,
    equal,
    fill,
    listed,
    of_books,
    order,
    query_of,
    shown,
    slot_expression,
    slot_of,
    slots_between,
    zeros,
)
from reconciler.reports.shape import Asked, Column, Query, Report

SIDES = {
    "merchant": ("payable", "credit", "debit", Column("merchant", "text", "the merchant; empty: none was named")),
    "funder": ("expense:promotion", "debit", "credit", Column("funder", "text", "the funder")),
}
"""Whose account it is → its kind, its normal side, the other side, its column."""

_KEYS = {
    "entity": Column("entity", "text", "the legal entity"),
    "campaign": Column("campaign", "text", "the campaign; empty for what is of none"),
    **SLOTS,
}

_MEASURES = ("given", "taken_back", "settled")

_STATEMENT = """
WITH sides AS (
    SELECT effective_date, entity, CASE WHEN starts_with(shard, 'manual:') THEN '' ELSE split_part(shard, '/', 1) END
            AS campaign,
        account, commodity AS currency, {normal} AS given, {other} AS taken_back, 0 AS settled
    FROM account_days AS days
    WHERE (account = '{kind}' OR starts_with(account, '{kind}:')) AND NOT starts_with(commodity, 'coupon:'){of_days}
    UNION ALL
    SELECT effective_date, entity, coalesce(split_part(about, '/', 1), ''), account, commodity, -{normal}, -{other},
        {other} - {normal}
    FROM journals AS days JOIN postings ON journal = id
    CROSS JOIN LATERAL (VALUES (destination, amount, 0), (source, 0, amount)) AS side (account, debit, credit)
    WHERE days.shard = ANY {manual_shards} AND (account = '{kind}' OR starts_with(account, '{kind}:')){of_manual}
), found AS (
    SELECT {keys}CASE WHEN effective_date < %(since)s::date THEN '-infinity' ELSE {slot} END AS slot, {sums}
    FROM (SELECT *, substr(account, length('{kind}:') + 1) AS {party} FROM sides) AS named
    WHERE true{of_party}
    GROUP BY {keys}slot
), others AS (SELECT DISTINCT {keys}true AS one FROM found),
slots AS (SELECT '-infinity'::date AS slot UNION ALL {slots}),
whole AS (
    SELECT {keys}slot, {zeros}
    FROM others CROSS JOIN slots LEFT JOIN found USING ({keys}slot)
), run AS (
    SELECT *, coalesce(sum(given - taken_back - settled) OVER (
        PARTITION BY {keys}true ORDER BY slot ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS opening
    FROM whole
)
SELECT {shown}opening AS opening_minor, given AS given_minor, taken_back AS taken_back_minor, settled AS settled_minor,
    opening + given - taken_back - settled AS closing_minor
FROM run
WHERE slot > '-infinity'
ORDER BY {order}
"""


def _names(asked: Asked, party: str) -> list[str]:
    """The columns before the figures."""
    return [party, *asked.by, "currency"]


def _query(asked: Asked, party: str) -> Query:
    slot, names = slot_of(asked.by), _names(asked, party)
    kind, normal, other, _ = SIDES[party]
    books = of_books("days")
    statement = fill(
        _STATEMENT,
        kind=kind,
        normal=normal,
        other=other,
        party=party,
        of_days=conditions(asked, books),
        of_manual=conditions(asked, {**books, "campaign": "split_part(about, '/', 1) = %(campaign)s"}),
        of_party=conditions(asked, {party: equal(party, party)}),
        manual_shards=MANUAL_SHARDS,
        keys=listed([name for name in names if name not in SLOTS]),
        slot=slot_expression(slot, "effective_date"),
        sums=", ".join(f"sum({name}) AS {name}" for name in _MEASURES),
        slots=slots_between(slot, "found"),
        zeros=zeros(_MEASURES),
        shown=shown(names),
        order=order(names),
    )
    return query_of(asked, statement)


def _columns(asked: Asked, party: str) -> tuple[Column, ...]:
    known = {**_KEYS, party: SIDES[party][3], "currency": Column("currency", "text", "ISO 4217")}
    stands = slot_of(asked.by) is None  # what stands at the end of several days is not to be added up
    has = "the merchant is owed" if party == "merchant" else "the funder bears"
    return (
        *(known[name] for name in _names(asked, party)),
        Column("opening_minor", "minor", f"what {has} before since", total=stands),
        Column("given_minor", "minor", "discounts given in the time", total=True),
        Column("taken_back_minor", "minor", "discounts that rollbacks took back", total=True),
        Column("settled_minor", "minor", "what manual journals paid, or corrected", total=True),
        Column("closing_minor", "minor", f"what {has} at the end of until", total=stands),
    )


def _settlement(party: str, about: str) -> Report:
    return Report(
        name=f"{party}-settlement",
        title=f"Settlement by {party}",
        about=about,
        columns=lambda asked: _columns(asked, party),
        query=lambda asked: _query(asked, party),
        takes=frozenset({"entity", "campaign", party, "since", "until", "by"}),
        groups=tuple(_KEYS),
    )


MERCHANT_SETTLEMENT = _settlement("merchant", "What each merchant is owed: before, given, taken back, settled, after.")
FUNDER_SETTLEMENT = _settlement("funder", "What each funder bears: before, given, taken back, settled, after.")
