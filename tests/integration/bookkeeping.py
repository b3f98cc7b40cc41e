"""Journals straight in the books, as many as it takes, for tests and measures of what reads them."""

import psycopg

from reconciler.accounts import PAYABLE, account

_CAMPAIGN = b"""
WITH campaign AS (
    INSERT INTO campaigns (id, version, state, definition) VALUES (%(campaign)s, 1, 'scheduled', '{}')
    ON CONFLICT DO NOTHING
)
INSERT INTO checkpoints (shard, campaign) VALUES (%(shard)s, %(campaign)s) ON CONFLICT DO NOTHING
"""

_JOURNALS = """
WITH made AS (
    INSERT INTO journals (shard, verb, first_seq, last_seq, occurred_at, effective_date, previous_hash, hash)
    SELECT %(shard)s, 'redeem', number, number, %(since)s::date + interval '12 hours',
        %(since)s::date + number %% %(days)s,
        sha256(convert_to(%(shard)s || (number - 1), 'UTF8')), sha256(convert_to(%(shard)s || number, 'UTF8'))
    FROM generate_series(%(first)s, %(first)s + %(count)s - 1) AS number
    RETURNING id, shard, effective_date, first_seq
), moved AS (
    INSERT INTO postings (journal, line, source, destination, commodity, amount)
    SELECT id, line, source, destination, commodity, amount
    FROM made
    CROSS JOIN LATERAL (VALUES
        (1, 'outstanding', 'redeemed', 'coupon:' || split_part(shard, '/', 1), 1),
        (2, 'commitment:' || split_part(shard, '/', 1), 'budget:available', %(currency)s, 500),
        (3, %(payable)s, 'expense:promotion:platform', %(currency)s, 300 + first_seq %% 100)
    ) AS move (line, source, destination, commodity, amount)
    RETURNING *
)
INSERT INTO account_days (shard, effective_date, commodity, account, entity, debit, credit)
SELECT shard, effective_date, commodity, account, 'main', sum(debit), sum(credit)
FROM moved
JOIN made ON made.id = moved.journal
CROSS JOIN LATERAL (VALUES (destination, amount, 0::numeric), (source, 0, amount)) AS side (account, debit, credit)
GROUP BY shard, effective_date, commodity, account
ON CONFLICT ON CONSTRAINT account_days_pkey
DO UPDATE SET debit = account_days.debit + excluded.debit, credit = account_days.credit + excluded.credit
"""


def add_journals(
    postgres_url: str,
    count: int,
    *,
    first: int = 1,
    shard: str = "tea/0",
    since: str = "2026-11-01",
    days: int = 30,
    currency: str = "CNY",
    merchant: str = "m-1",
) -> None:
    """
    *count* redemptions, a journal each of two money postings, spread over *days* from *since* on.

    A journal's seq begins with *first*; its date follows from it.
    """
    told = {"count": count, "first": first, "shard": shard, "since": since, "days": days}
    campaign = shard.partition("/")[0]
    with psycopg.connect(postgres_url) as connection:
        connection.execute(_CAMPAIGN, {"shard": shard, "campaign": campaign})
        connection.execute(_JOURNALS.encode(), {**told, "currency": currency, "payable": account(PAYABLE, merchant)})


def close_through(postgres_url: str, day: str) -> None:
    """Close the books up to *day*."""
    with psycopg.connect(postgres_url) as connection:
        connection.execute("UPDATE legal_entities SET closed_through = %s", (day,))
