"""
Pure: a statement of the coupons that are out, a row each, with its worth: what ageing and the forecast begin with.

Where no day is asked for it reads the coupons as they are; of an earlier day it adds up the state changes until then.
"""

from reconciler.reports.clauses import LIVE, SHARDS_OF_CAMPAIGN, conditions, equal, fill
from reconciler.reports.shape import Asked

WORST = """SELECT campaign, version, definition ->> 'currency' AS currency,
        coalesce(definition ->> 'legal_entity', 'main') AS entity, value ->> 'type' = 'balance' AS stored,
        (CASE WHEN value ->> 'type' = 'balance' OR value ->> 'type' = 'amount_off'
            AND value -> 'every' IS DISTINCT FROM 'true'::jsonb
            THEN value ->> 'minor' ELSE value ->> 'cap_minor' END)::numeric AS unit_minor
    FROM campaign_versions CROSS JOIN LATERAL (SELECT definition -> 'value') AS of_value (value)"""
"""The most that a coupon of each version can cost, as reconciler.money.worst_minor() has it."""

_NOW = """SELECT split_part(shard, '/', 1) AS campaign, version, channel, claimed_at, expires_at, "left",
        CASE WHEN units > 1 THEN coalesce("left", units) ELSE 1 END AS units
    FROM coupons
    WHERE state IN ('claimed', 'reserved'){places}"""

_THEN = """SELECT split_part(shard, '/', 1) AS campaign, version, coalesce(channel, '') AS channel, at AS claimed_at,
        expires_at, nullif(steps.last[2], -1) AS "left",
        coalesce(units, 1) + coalesce(steps.moved, 0) AS units
    FROM coupon_entries AS firsts
    LEFT JOIN (
        SELECT code, sum(units * ((destination IN {live})::int - (source IN {live})::int)) AS moved,
            max(ARRAY[seq, coalesce("left", -1)]) AS last
        FROM coupon_entries
        WHERE kind IN ('redeemed', 'rolled_back', 'expired', 'revoked') AND effective_date <= %(until)s::date{shards}
        GROUP BY code
    ) AS steps USING (code)
    WHERE kind IN ('claimed', 'issued') AND effective_date <= %(until)s::date
        AND coalesce(units, 1) + coalesce(steps.moved, 0) > 0{places}"""

_LIVING = """SELECT out.*, worst.currency, worst.entity,
        CASE WHEN stored THEN coalesce("left", unit_minor) ELSE units * coalesce(unit_minor, 0) END AS minor
    FROM ({out}) AS out JOIN ({worst}) AS worst USING (campaign, version)
    WHERE true{entities}"""


def living(asked: Asked, *, then: bool) -> str:
    """
    The statement: campaign, version, channel, claimed_at, expires_at, left, units, currency, entity and minor of each
    coupon that is out; *then*: at the end of until, where that is asked for, by the date things are booked on, and with
    the deadline it was claimed with.
    """
    shards = {"campaign": f"shard {SHARDS_OF_CAMPAIGN}"}
    out = fill(
        _THEN if then and asked.until is not None else _NOW,
        live=LIVE,
        shards=conditions(asked, shards),
        places=conditions(asked, {**shards, "channel": equal("channel", "channel")}),
    )
    entities = conditions(asked, {"entity": equal("worst.entity", "entity")})
    return fill(_LIVING, out=out, worst=WORST, entities=entities)
