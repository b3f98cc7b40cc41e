"""
Pure: a statement of the coupons there ever were, a row each, with when it was first redeemed: what conversion and the
lag of redemptions are reckoned from. A redemption that was wholly given back is none.

Of one campaign it reads the state changes of its shards, which lie beside each other in the sub-ledger and have an
index; coupons and redemptions have none that would tell, because every claim would pay for it.
"""

from reconciler.reports.clauses import conditions, equal, fill
from reconciler.reports.shape import Asked

_OF_CAMPAIGN = """SELECT %(campaign)s::text AS campaign, channel, at AS claimed_at, first_at
    FROM changes
    LEFT JOIN (
        SELECT code, min(at) AS first_at
        FROM (
            SELECT code, min(at) FILTER (WHERE kind = 'redeemed') AS at
            FROM changes
            WHERE kind IN ('redeemed', 'rolled_back')
            GROUP BY code, ref
            HAVING sum(CASE kind WHEN 'redeemed' THEN minor ELSE -minor END) > 0
        ) AS standing
        GROUP BY code
    ) AS firsts USING (code)
    WHERE kind IN ('claimed', 'issued'){places}"""

_CHANGES = """changes AS MATERIALIZED (
    SELECT of_shard.*
    FROM (SELECT shard FROM checkpoints WHERE campaign = %(campaign)s) AS shards
    CROSS JOIN LATERAL (
        SELECT kind, code, coalesce(channel, '') AS channel, ref, at, minor
        FROM coupon_entries
        WHERE coupon_entries.shard = shards.shard AND kind IN ('claimed', 'issued', 'redeemed', 'rolled_back')
        OFFSET 0
    ) AS of_shard
), """
# OFFSET 0 keeps it a look-up for each shard. Joined, the planner reads all 30 million rows: it can't know how few these
# are, nor that they lie together.

_OF_ALL = """SELECT campaign, channel, claimed_at, first_at
    FROM coupons
    LEFT JOIN (
        SELECT code, min(redeemed_at) AS first_at FROM redemptions WHERE rolled_back_minor < minor GROUP BY code
    ) AS firsts USING (code)
    WHERE true{places}"""


def changes(asked: Asked) -> str:
    """What first_used() needs in the WITH of its statement: a member and a comma, or nothing."""
    return "" if asked.campaign is None else _CHANGES


def first_used(asked: Asked) -> str:
    """The statement: campaign, channel and claimed_at of each coupon, and first_at, null where there is none."""
    places = conditions(asked, {"channel": equal("channel", "channel")})
    return fill(_OF_ALL if asked.campaign is None else _OF_CAMPAIGN, places=places)
