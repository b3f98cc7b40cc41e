"""
The trial balance of the money book, and what stands on the accounts of the unit book.

Both are sums over account_days, so they take as long however many coupons there are.
"""

from reconciler.reports.clauses import conditions, fill, listed, of_books, order, query_of
from reconciler.reports.shape import Asked, Column, Query, Report

_CAMPAIGN = "CASE WHEN starts_with(shard, 'manual:') THEN '' ELSE split_part(shard, '/', 1) END"

_KEYS = {
    "entity": ("entity", Column("entity", "text", "the legal entity")),
    "campaign": (_CAMPAIGN, Column("campaign", "text", "the campaign; empty for what is of none")),
}

_IN_TIME = "(%(since)s::date IS NULL OR effective_date >= %(since)s::date)"

_MONEY = """
SELECT {keys}currency, account, {opening}debit, credit, greatest(closing, 0) AS closing_debit,
    greatest(-closing, 0) AS closing_credit
FROM (
    SELECT {named}commodity AS currency, account,
        coalesce(sum(debit - credit) FILTER (WHERE NOT {in_time}), 0) AS opening,
        coalesce(sum(debit) FILTER (WHERE {in_time}), 0) AS debit,
        coalesce(sum(credit) FILTER (WHERE {in_time}), 0) AS credit, sum(debit - credit) AS closing
    FROM account_days AS days
    WHERE NOT starts_with(commodity, 'coupon:'){conditions}
    GROUP BY {keys}commodity, account
) AS sums
WHERE opening <> 0 OR debit <> 0 OR credit <> 0
ORDER BY {order}
"""

_OPENING = "greatest(opening, 0) AS opening_debit, greatest(-opening, 0) AS opening_credit, "

_UNITS = """
SELECT {keys}account, opening::bigint AS opening, came_in::bigint AS came_in, went_out::bigint AS went_out,
    (opening + came_in - went_out)::bigint AS closing
FROM (
    SELECT {named}account, coalesce(sum(debit - credit) FILTER (WHERE NOT {in_time}), 0) AS opening,
        coalesce(sum(debit) FILTER (WHERE {in_time}), 0) AS came_in,
        coalesce(sum(credit) FILTER (WHERE {in_time}), 0) AS went_out
    FROM account_days AS days
    WHERE starts_with(commodity, 'coupon:'){conditions}
    GROUP BY {keys}account
) AS sums
ORDER BY {order}
"""


def _key_columns(asked: Asked) -> tuple[Column, ...]:
    return tuple(_KEYS[name][1] for name in asked.by)


def _query(template: str, asked: Asked, *further: str) -> Query:
    clauses = {**of_books("days"), "account": "(account = %(account)s OR starts_with(account, %(account)s || ':'))"}
    return query_of(
        asked,
        fill(
            template,
            opening="" if asked.since is None else _OPENING,
            keys=listed(asked.by),
            named=listed([f"{_KEYS[name][0]} AS {name}" for name in asked.by]),
            in_time=_IN_TIME,
            conditions=conditions(asked, clauses),
            order=order(asked.by, *further),
        ),
    )


def _money_columns(asked: Asked) -> tuple[Column, ...]:
    opening = (
        Column("opening_debit", "minor", "the balance before since, if it is a debit", total=True),
        Column("opening_credit", "minor", "the balance before since, if it is a credit", total=True),
    )
    return (
        *_key_columns(asked),
        Column("currency", "text", "ISO 4217"),
        Column("account", "text", "the account, as in the chart"),
        *(() if asked.since is None else opening),
        Column("debit", "minor", "what was debited in the time", total=True),
        Column("credit", "minor", "what was credited in the time", total=True),
        Column("closing_debit", "minor", "the balance at the end of until, if it is a debit", total=True),
        Column("closing_credit", "minor", "the balance at the end of until, if it is a credit", total=True),
    )


def _unit_columns(asked: Asked) -> tuple[Column, ...]:
    return (
        *_key_columns(asked),
        Column("account", "text", "the account, as in the chart"),
        Column("opening", "count", "coupons on it before since; negative for supply", total=True),
        Column("came_in", "count", "coupons that came onto it in the time", total=True),
        Column("went_out", "count", "coupons that left it in the time", total=True),
        Column("closing", "count", "coupons on it at the end of until; all accounts together are 0", total=True),
    )


_TAKES = frozenset({"entity", "campaign", "account", "since", "until", "by"})

TRIAL_BALANCE = Report(
    name="trial-balance",
    title="Trial balance",
    about="Each account of the money book: its balance before since, what was debited and credited, its balance "
    "after. In each currency debits and credits are equal, in each pair of columns.",
    columns=_money_columns,
    query=lambda asked: _query(_MONEY, asked, "currency", "account"),
    takes=_TAKES,
    groups=("entity", "campaign"),
)

UNIT_BALANCE = Report(
    name="unit-balance",
    title="Unit balance",
    about="Each account of the unit book: how many coupons were on it, came, went, and are on it. They sum to 0.",
    columns=_unit_columns,
    query=lambda asked: _query(_UNITS, asked, "account"),
    takes=_TAKES,
    groups=("entity", "campaign"),
)
