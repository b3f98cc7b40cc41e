"""
The journal: both sides of every posting of the money book, by date.

Where it begins at a date, what the accounts held before it comes first, as an opening of each account. So each of its
days, months and years is a book that balances by itself.
"""

from reconciler.reports.clauses import SHARDS_OF_CAMPAIGN, conditions, equal, fill, query_of
from reconciler.reports.shape import Asked, Column, Query, Report

OPENING = "opening"
"""The verb of the rows that say what was there before."""

COLUMNS = (
    Column("date", "date", "the date it is booked on"),
    Column("journal", "count", "the journal; 0 for what was there before"),
    Column("entity", "text", "the legal entity"),
    Column("shard", "text", "the chain it is in: a shard, or manual:<entity>"),
    Column("verb", "text", "what was done; opening for what was there before"),
    Column("original_date", "date", "the date of what came when that was closed"),
    Column("occurred_at", "instant", "when the last of it was done, by the clock of the sale"),
    Column("reason", "text", "why, of a manual journal"),
    Column("ref", "text", "the id of a manual journal"),
    Column("line", "count", "the posting in it"),
    Column("account", "text", "the account, as in the chart"),
    Column("currency", "text", "ISO 4217"),
    Column("debit", "minor", "what came into the account", total=True),
    Column("credit", "minor", "what went out of it", total=True),
)

_STATEMENT = """
SELECT {columns} FROM (
    SELECT %(since)s::date AS date, 0::bigint AS journal, entity, '' AS shard, 'opening' AS verb,
        NULL::date AS original_date, NULL::timestamptz AS occurred_at, NULL AS reason, NULL AS ref,
        row_number() OVER (ORDER BY entity, account, commodity)::integer AS line, account, commodity AS currency,
        greatest(sum(debit - credit), 0) AS debit, greatest(sum(credit - debit), 0) AS credit
    FROM account_days
    WHERE effective_date < %(since)s::date AND commodity NOT LIKE 'coupon:%%'{days}
    GROUP BY entity, account, commodity
    HAVING sum(debit) <> sum(credit)
    UNION ALL
    SELECT journals.effective_date, journals.id, entity, shard, verb, original_date, occurred_at, reason, ref,
        postings.line, side.account, postings.commodity, side.debit, side.credit
    FROM journals
    JOIN postings ON postings.journal = journals.id
    CROSS JOIN LATERAL (
        VALUES (destination, amount, 0::numeric), (source, 0::numeric, amount)
    ) AS side (account, debit, credit)
    WHERE postings.commodity NOT LIKE 'coupon:%%'{journals}
) AS found
ORDER BY date, journal, line, credit
"""


def _query(asked: Asked) -> Query:
    journals = {
        "entity": equal("entity", "entity"),
        "campaign": f"(shard {SHARDS_OF_CAMPAIGN} OR about {SHARDS_OF_CAMPAIGN})",
        "since": "effective_date >= %(since)s::date",
        "until": "effective_date <= %(until)s::date",
    }
    days = {"entity": equal("entity", "entity"), "campaign": f"shard {SHARDS_OF_CAMPAIGN}"}
    columns = ", ".join(column.name for column in COLUMNS)
    parts = {"columns": columns, "days": conditions(asked, days), "journals": conditions(asked, journals)}
    return query_of(asked, fill(_STATEMENT, **parts))


JOURNAL = Report(
    name="journal",
    title="Journal",
    about="Both sides of every posting of the money book, by date, after what the accounts held before since.",
    columns=lambda _: COLUMNS,
    query=_query,
    takes=frozenset({"entity", "campaign", "since", "until", "zone"}),
    detail=True,
    key=("date", "journal", "line", "credit"),
)
