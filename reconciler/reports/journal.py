"""
The journal: both sides of every posting of the money book, by date.

Where it begins at a date, what the accounts held before it comes first, as an opening of each account. So each of its
days, months and years is a book that balances by itself.
"""

from reconciler.reports.shape import Asked, Column, Query, Report

OPENING = "opening"
"""The verb of the rows that say what was there before."""

COLUMNS = (
    Column("date", "date", "The date it is booked on."),
    Column("journal", "count", "The id of the journal; 0 for what was there before."),
    Column("entity", "text", "The legal entity whose book it is."),
    Column("shard", "text", "Whose chain the journal is in: a shard, or manual:<entity>."),
    Column("verb", "text", "What was done; opening for what was there before."),
    Column("original_date", "date", "The date it was of, where that was closed already."),
    Column("occurred_at", "instant", "When the last state change in it was decided."),
    Column("reason", "text", "Why, of a manual journal."),
    Column("ref", "text", "The id of a manual journal."),
    Column("line", "count", "The posting's number in its journal."),
    Column("account", "text", "The account."),
    Column("currency", "text", "The currency of the amounts."),
    Column("debit_minor", "minor", "What came into the account.", total=True),
    Column("credit_minor", "minor", "What went out of it.", total=True),
)

_STATEMENT = """
SELECT * FROM (
    SELECT {since} AS date, 0::bigint AS journal, entity, '' AS shard, 'opening' AS verb, NULL::date AS original_date,
        NULL::timestamptz AS occurred_at, NULL AS reason, NULL AS ref,
        row_number() OVER (ORDER BY entity, account, commodity)::integer AS line, account, commodity AS currency,
        greatest(sum(debit - credit), 0) AS debit_minor, greatest(sum(credit - debit), 0) AS credit_minor, 0 AS side
    FROM account_days
    WHERE effective_date < {since} AND commodity NOT LIKE 'coupon:%%'{days}
    GROUP BY entity, account, commodity
    HAVING sum(debit) <> sum(credit)
    UNION ALL
    SELECT journals.effective_date, journals.id, entity, shard, verb, original_date, occurred_at, reason, ref,
        postings.line, side.account, postings.commodity, side.debit, side.credit, side.number
    FROM journals
    JOIN postings ON postings.journal = journals.id
    CROSS JOIN LATERAL (
        VALUES (0, destination, amount, 0::numeric), (1, source, 0::numeric, amount)
    ) AS side (number, account, debit, credit)
    WHERE postings.commodity NOT LIKE 'coupon:%%'{journals}
) AS found
ORDER BY date, journal, line, side
"""


def _query(asked: Asked) -> Query:
    values: dict[str, object] = {"since": asked.since}
    days, journals = [], []
    if asked.since is not None:
        journals.append("journals.effective_date >= %(since)s")
    if asked.until is not None:
        values["until"] = asked.until
        journals.append("journals.effective_date <= %(until)s")
    if asked.entity is not None:
        values["entity"] = asked.entity
        days.append("entity = %(entity)s")
        journals.append("entity = %(entity)s")
    if asked.campaign is not None:
        values["campaign"] = asked.campaign
        days.append("split_part(shard, '/', 1) = %(campaign)s")
        journals.append("split_part(coalesce(about, shard), '/', 1) = %(campaign)s")
    statement = _STATEMENT.format(
        since="%(since)s::date",
        days="".join(f" AND {each}" for each in days),
        journals="".join(f" AND {each}" for each in journals),
    )
    columns = ", ".join(column.name for column in COLUMNS)
    return Query(statement.replace("SELECT *", f"SELECT {columns}", 1), values)


JOURNAL = Report(
    name="journal",
    title="Journal",
    about="Both sides of every posting of the money book, by date, after what the accounts held before.",
    columns=lambda asked: COLUMNS,
    query=_query,
    takes=frozenset({"entity", "campaign", "since", "until"}),
    detail=True,
)
