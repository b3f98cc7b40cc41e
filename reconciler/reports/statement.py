"""
The statement of a merchant or a funder: each order that was given a discount or took one back, with what is owed then.

It ends where the settlement of the same party does: every row of it is of the same postings.
"""

from reconciler.reports.clauses import MANUAL_SHARDS, conditions, equal, fill, of_books, query_of
from reconciler.reports.settlement import SIDES
from reconciler.reports.shape import Asked, Column, Query, Report

_SHARES = {
    "merchant": """SELECT coalesce(redemptions.merchant, '') AS party, {rows}.minor AS minor""",
    "funder": """SELECT share ->> 'account' AS party, sum((share ->> 'minor')::bigint) AS minor
        FROM jsonb_array_elements({rows}.funders) AS shares (share)
        WHERE definition #>> ARRAY['value', 'type'] IS DISTINCT FROM 'balance'
        GROUP BY share ->> 'account'""",
}
"""Who has a part of a redemption or a rollback, and how much. What is spent of a balance no funder bears."""

_STATEMENT = """
WITH lines AS (
    SELECT shares.party, coalesce(redemptions.currency, definition ->> 'currency') AS currency, entries.effective_date,
        'redeemed' AS act, redemptions.shard, redemptions.seq, redemptions.campaign, redemptions.store,
        redemptions.order_id, redemptions.id AS redemption, shares.minor AS given, 0 AS taken_back, 0 AS settled
    FROM redemptions
    JOIN coupon_entries AS entries ON entries.shard = redemptions.shard AND entries.seq = redemptions.seq
    JOIN campaigns ON campaigns.id = redemptions.campaign
    CROSS JOIN LATERAL ({of_redemptions}) AS shares
    WHERE shares.minor > 0{entries}
    UNION ALL
    SELECT shares.party, coalesce(redemptions.currency, definition ->> 'currency'), entries.effective_date,
        'rolled_back', rollbacks.shard, rollbacks.seq, redemptions.campaign, redemptions.store,
        redemptions.order_id, redemptions.id, 0, shares.minor, 0
    FROM rollbacks
    JOIN redemptions ON redemptions.id = rollbacks.redemption
    JOIN coupon_entries AS entries ON entries.shard = rollbacks.shard AND entries.seq = rollbacks.seq
    JOIN campaigns ON campaigns.id = redemptions.campaign
    CROSS JOIN LATERAL ({of_rollbacks}) AS shares
    WHERE shares.minor > 0{entries}
    UNION ALL
    SELECT substr(account, length('{kind}:') + 1), commodity, days.effective_date, 'manual', days.shard, days.id,
        coalesce(split_part(about, '/', 1), ''), NULL, NULL, ref, 0, 0, sum({other} - {normal})
    FROM journals AS days JOIN postings ON journal = id
    CROSS JOIN LATERAL (VALUES (destination, amount, 0), (source, 0, amount)) AS side (account, debit, credit)
    WHERE days.shard = ANY {manual_shards} AND (account = '{kind}' OR starts_with(account, '{kind}:')){manual}
    GROUP BY days.id, account, commodity
), whole AS (
    SELECT *, sum(given - taken_back - settled) OVER (
        PARTITION BY party, currency ORDER BY effective_date, shard, seq ROWS UNBOUNDED PRECEDING) AS balance
    FROM lines
    WHERE currency IS NOT NULL{party}
), opened AS (
    SELECT party, currency, sum(given - taken_back - settled) AS balance
    FROM whole
    WHERE effective_date < %(since)s::date
    GROUP BY party, currency
)
SELECT party AS {name}, currency, effective_date, act, shard, seq, campaign, coalesce(store, '') AS store,
    coalesce(order_id, '') AS order_id, coalesce(redemption, '') AS redemption, given AS given_minor,
    taken_back AS taken_back_minor, settled AS settled_minor, balance AS balance_minor
FROM (
    SELECT party, currency, effective_date, act, shard, seq, campaign, store, order_id, redemption, given, taken_back,
        settled, balance
    FROM whole
    WHERE %(since)s::date IS NULL OR effective_date >= %(since)s::date
    UNION ALL
    SELECT party, currency, %(since)s::date, 'opening', '', 0, '', NULL, NULL, NULL, 0, 0, 0, balance
    FROM opened
) AS rows
ORDER BY party, currency, effective_date, shard, seq
"""


def _query(asked: Asked, party: str) -> Query:
    kind, normal, other, _ = SIDES[party]
    entries = {
        "entity": "coalesce(definition ->> 'legal_entity', 'main') = %(entity)s",
        "campaign": equal("redemptions.campaign", "campaign"),
        "until": "entries.effective_date <= %(until)s::date",
    }
    if party == "merchant" and asked.merchant:  # his own, by their index; who has none is in no index
        entries["merchant"] = equal("redemptions.merchant", "merchant")
    manual = {**of_books("days"), "campaign": "split_part(about, '/', 1) = %(campaign)s"}
    return query_of(
        asked,
        fill(
            _STATEMENT,
            of_redemptions=fill(_SHARES[party], rows="redemptions"),
            of_rollbacks=fill(_SHARES[party], rows="rollbacks"),
            entries=conditions(asked, entries),
            kind=kind,
            normal=normal,
            other=other,
            manual_shards=MANUAL_SHARDS,
            manual=conditions(asked, manual),
            party=conditions(asked, {party: f"party = %({party})s"}),
            name=party,
        ),
    )


def _columns(party: str) -> tuple[Column, ...]:
    return (
        SIDES[party][3],
        Column("currency", "text", "ISO 4217"),
        Column("effective_date", "date", "the date it is booked on"),
        Column("act", "text", "opening, redeemed, rolled_back or manual"),
        Column("shard", "text", "the shard; of a manual journal its chain"),
        Column("seq", "count", "the number of the state change in the shard; of a manual journal that of the journal"),
        Column("campaign", "text", "the campaign"),
        Column("store", "text", "the store of the redemption"),
        Column("order_id", "text", "the order"),
        Column("redemption", "text", "the redemption, or the id of the manual journal"),
        Column("given_minor", "minor", "the discount, or the share of it", total=True),
        Column("taken_back_minor", "minor", "what a rollback took back of it", total=True),
        Column("settled_minor", "minor", "what a manual journal paid, or corrected", total=True),
        Column("balance_minor", "minor", "owed to the merchant, or borne by the funder, after it"),
    )


def _statement(party: str, about: str) -> Report:
    return Report(
        name=f"{party}-statement",
        title=f"Statement of a {party}",
        about=about,
        columns=lambda _: _columns(party),
        query=lambda asked: _query(asked, party),
        takes=frozenset({"entity", "campaign", party, "since", "until"}),
        detail=True,
        key=(party, "currency", "effective_date", "shard", "seq"),
    )


MERCHANT_STATEMENT = _statement(
    "merchant",
    "Each redemption and rollback at a merchant, and what manual journals settled, with what the merchant is owed "
    "after each; it ends where the settlement does.",
)
FUNDER_STATEMENT = _statement(
    "funder",
    "A funder's share of each redemption and rollback, and what manual journals settled, with what the funder bears "
    "after each; it ends where the settlement does.",
)
