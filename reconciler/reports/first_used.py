"""
Pure: the coupons there ever were, with the date each was given out on, and which of them were redeemed: what conversion
and the lag of redemptions are reckoned from. A redemption that was wholly given back is none.

Of one campaign it reads the state changes of its shards, which lie beside each other in the sub-ledger and have an
index; coupons and redemptions have none that would tell, because every claim would pay for it.
"""

from reconciler.reports.clauses import conditions, equal, fill
from reconciler.reports.shape import Asked
from reconciler.reports.standing import BOOKED, later, unchanged

_REDEEMING = ("redeemed", "rolled_back")

_STANDING = """SELECT code, min(at) AS first_at
        FROM (
            SELECT code, min(at) FILTER (WHERE kind = 'redeemed') AS at
            FROM {changes}
            GROUP BY code, ref
            HAVING sum(CASE kind WHEN 'redeemed' THEN minor ELSE -minor END) > 0
        ) AS standing
        GROUP BY code"""

_OF_CAMPAIGN = """changes AS MATERIALIZED (
    SELECT of_shard.*
    FROM (SELECT shard FROM checkpoints WHERE campaign = %(campaign)s) AS shards
    CROSS JOIN LATERAL (
        SELECT kind, code, coalesce(channel, '') AS channel, ref, at, minor, effective_date
        FROM coupon_entries
        WHERE coupon_entries.shard = shards.shard
            AND kind IN ('claimed', 'issued', 'redeemed', 'rolled_back'){booked}
        OFFSET 0
    ) AS of_shard
), given AS (
    SELECT %(campaign)s::text AS campaign, code, channel, at AS claimed_at, effective_date AS claimed_on
    FROM changes
    WHERE kind IN ('claimed', 'issued'){places}
), used AS ({standing}), """
# OFFSET 0 keeps it a look-up for each shard. Joined, the planner reads all 30 million rows: it can't know how few these
# are, nor that they lie together.

_OF_ALL = """{later}{then}zones AS MATERIALIZED (
    SELECT campaign, version, coalesce(definition ->> 'timezone', 'UTC') AS zone FROM campaign_versions
), late AS MATERIALIZED (
    SELECT DISTINCT shard, original_date FROM journals WHERE original_date IS NOT NULL
), given AS NOT MATERIALIZED (
    SELECT coupons.campaign, code, channel, claimed_at, CASE WHEN late.shard IS NULL THEN clock.day ELSE (
            SELECT effective_date FROM coupon_entries AS firsts
            WHERE firsts.shard = coupons.shard AND firsts.seq = coupons.seq
        ) END AS claimed_on
    FROM coupons
    JOIN zones ON zones.campaign = coupons.campaign AND zones.version = coupons.version
    CROSS JOIN LATERAL (SELECT (claimed_at AT TIME ZONE zone)::date AS day) AS clock
    LEFT JOIN late ON late.shard = coupons.shard AND late.original_date = clock.day
    WHERE true{places}
), used AS (
    SELECT code{first}
    FROM redemptions
    WHERE rolled_back_minor < minor{unchanged}{grouped}
), """
# The sub-ledger alone has the date that a claim is booked on; but that is the clock's wherever nothing came late.

_LATER = """later JOIN coupon_entries AS steps USING (code)
            WHERE steps.state IS NOT NULL AND kind IN ('redeemed', 'rolled_back') AND {booked}"""


def given_and_used(asked: Asked, *, first: bool = True) -> str:
    """
    What a WITH begins with: `given`, campaign, code, channel, claimed_at and claimed_on of each coupon; and each of
    used(), the code of each that is redeemed at the end of as_of, or now, and first_at, when it first was. Without
    *first* a code may be there more than once, and has no first_at: to find it takes three times as long.

    Of `given`, those that are booked after as_of are for the caller to leave out, by claimed_on.
    """
    places, then = conditions(asked, {"channel": equal("channel", "channel")}), asked.as_of is not None
    if asked.campaign is not None:
        standing = fill(_STANDING, changes="changes WHERE kind IN ('redeemed', 'rolled_back')")
        return fill(_OF_CAMPAIGN, booked=f" AND {BOOKED}" if then else "", places=places, standing=standing)
    standing = fill(_STANDING, changes=fill(_LATER, booked=BOOKED))
    return fill(
        _OF_ALL,
        later=later(asked, _REDEEMING),
        then=f"changed AS ({standing}), " if then else "",
        places=places,
        first=", min(redeemed_at) AS first_at" if first else "",
        unchanged=unchanged(asked, "redemptions"),
        grouped=" GROUP BY code" if first else "",
    )


def used(asked: Asked) -> tuple[str, ...]:
    """The names of what has the codes that are redeemed; no code is in two of them."""
    return ("used",) if asked.campaign is not None or asked.as_of is None else ("used", "changed")


def claimed_in_time(asked: Asked) -> str:
    """The condition that a coupon of `given` is given out from since to until."""
    days = {"since": "claimed_on >= %(since)s::date", "until": "claimed_on <= %(until)s::date"}
    return "true" + conditions(asked, days)
