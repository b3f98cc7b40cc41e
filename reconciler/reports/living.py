"""
Pure: a statement of the coupons that are out, a row each, with its worth: what ageing and the forecast begin with.

Without a day it reads the coupons as they are; of the end of a day, standing.py says how.
"""

from reconciler.reports.clauses import LIVE, SHARDS_OF_CAMPAIGN, conditions, equal, fill
from reconciler.reports.shape import Asked
from reconciler.reports.standing import BOOKED, FOLD, unchanged

WORST = """SELECT campaign, version, definition ->> 'currency' AS currency,
        coalesce(definition ->> 'legal_entity', 'main') AS entity, value ->> 'type' = 'balance' AS stored,
        (CASE WHEN value ->> 'type' = 'balance' OR value ->> 'type' = 'amount_off'
            AND value -> 'every' IS DISTINCT FROM 'true'::jsonb
            THEN value ->> 'minor' ELSE value ->> 'cap_minor' END)::numeric AS unit_minor
    FROM campaign_versions CROSS JOIN LATERAL (SELECT definition -> 'value') AS of_value (value)"""
"""The most that a coupon of each version can cost, as reconciler.money.worst_minor() has it."""

_COUPON = "coupons.campaign, coupons.version, coupons.channel, coupons.claimed_at"
_STATES = "('claimed', 'reserved')"

_NOW = """SELECT {coupon}, coupons.expires_at, coupons."left", 1 AS units
    FROM coupons
    WHERE coupons.units = 1 AND coupons.state IN {states}{unchanged}{places}"""

_THEN = """SELECT {coupon}, coalesce(extended.expires_at, firsts.expires_at), last."left", 1
    FROM later JOIN coupons USING (code)
    JOIN coupon_entries AS firsts ON firsts.shard = coupons.shard AND firsts.seq = coupons.seq
    {fold}
    WHERE coupons.units = 1 AND firsts.{booked} AND coalesce(last.state, 'claimed') IN {states}{places}"""

_SHARED = """SELECT {coupon}, {expires_at}, NULL, coupons.units + uses.moved
    FROM coupons
    JOIN coupon_entries AS firsts ON firsts.shard = coupons.shard AND firsts.seq = coupons.seq
    {fold}
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(steps.units * ((destination IN {live})::int - (source IN {live})::int)), 0) AS moved
        FROM coupon_entries AS steps
        WHERE steps.code = coupons.code AND steps.state IS NOT NULL{moved}
    ) AS uses
    WHERE coupons.batch <> '' AND coupons.batch = ANY (ARRAY(SELECT id FROM code_batches WHERE units > 1{batches}))
        AND coupons.units > 1{claimed} AND coupons.units + uses.moved > 0{places}"""
# A use that is on hold is not among those that are left of a code, and outlives the code: only what moved tells it.

_LIVING = """SELECT out.*, worst.currency, worst.entity,
        CASE WHEN stored THEN coalesce("left", unit_minor) ELSE units * coalesce(unit_minor, 0) END AS minor
    FROM ({out}) AS out JOIN ({worst}) AS worst USING (campaign, version)
    WHERE true{entities}"""


def living(asked: Asked) -> str:
    """
    The statement: campaign, version, channel, claimed_at, expires_at, left, units, currency, entity and minor of each
    coupon that is out at the end of as_of, or now. With as_of, its WITH has later().
    """
    places = {"campaign": f"coupons.shard {SHARDS_OF_CAMPAIGN}", "channel": equal("coupons.channel", "channel")}
    then = asked.as_of is not None
    out = fill(
        "\n    UNION ALL\n    ".join([_NOW, _THEN, _SHARED] if then else [_NOW, _SHARED]),
        coupon=_COUPON,
        states=_STATES,
        unchanged=unchanged(asked, "coupons"),
        fold=FOLD if then else "",
        booked=BOOKED,
        expires_at="coalesce(extended.expires_at, firsts.expires_at)" if then else "coupons.expires_at",
        moved=f" AND {BOOKED}" if then else "",
        claimed=f" AND firsts.{BOOKED}" if then else "",
        batches=conditions(asked, {"campaign": equal("campaign", "campaign")}),
        live=LIVE,
        places=conditions(asked, places),
    )
    entities = conditions(asked, {"entity": equal("worst.entity", "entity")})
    return fill(_LIVING, out=out, worst=WORST, entities=entities)
