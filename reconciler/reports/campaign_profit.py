"""What each campaign cost, what the orders it was used on were worth, and how many of its coupons were used."""

from reconciler.reports.clauses import conditions, fill, of_books, query_of
from reconciler.reports.first_used import claimed_in_time, given_and_used, used
from reconciler.reports.shape import Asked, Column, Query, Report
from reconciler.reports.standing import seen

_STATEMENT = """
WITH {given}moved AS (
    SELECT entity, campaign, currency, coalesce(sum(units) FILTER (WHERE verb IN ('claim', 'issue')), 0) AS given_out,
        coalesce(sum(entries) FILTER (WHERE verb IN ('claim', 'issue')), 0) AS coupons,
        coalesce(sum(units * ((destination = 'redeemed')::int - (source = 'redeemed')::int)), 0) AS redeemed,
        coalesce(sum(entries) FILTER (WHERE verb = 'redeem'), 0) AS redemptions,
        coalesce(sum(order_minor) FILTER (WHERE verb = 'redeem'), 0) AS order_minor,
        coalesce(sum(minor) FILTER (WHERE verb = 'redeem'), 0) AS discount_minor,
        coalesce(sum(minor) FILTER (WHERE verb = 'rollback'), 0) AS given_back_minor
    FROM movement_days AS days
    WHERE currency <> '' AND (%(since)s::date IS NULL OR effective_date >= %(since)s::date){of_days}
    GROUP BY entity, campaign, currency
), converted AS (
    SELECT campaign, count(*) AS used
    FROM ({used}) AS those
    GROUP BY campaign
)
SELECT moved.entity, moved.campaign, coalesce(name, '') AS name, moved.currency, given_out::bigint AS given_out,
    redeemed::bigint AS redeemed, round(redeemed / nullif(given_out, 0), 4) AS use_rate,
    coupons::bigint AS coupons, coalesce(used, 0) AS used,
    round(coalesce(used, 0) / nullif(coupons, 0), 4) AS conversion,
    redemptions::bigint AS redemptions, order_minor, discount_minor, given_back_minor,
    discount_minor - given_back_minor AS cost_minor,
    round((discount_minor - given_back_minor) / nullif(redemptions, 0)) AS cost_each_minor,
    round(order_minor / nullif(redemptions, 0)) AS order_each_minor,
    round((order_minor - discount_minor) / nullif(discount_minor - given_back_minor, 0), 4) AS uplift
FROM moved
LEFT JOIN converted ON converted.campaign = moved.campaign
LEFT JOIN LATERAL (
    SELECT definition ->> 'name' AS name
    FROM campaign_versions
    JOIN legal_entities ON legal_entities.id = moved.entity
    CROSS JOIN LATERAL (
        SELECT coalesce((changed_at AT TIME ZONE zone)::date <= %(as_of)s::date, true) AS known
    ) AS by_then
    WHERE campaign_versions.campaign = moved.campaign
    ORDER BY known DESC, CASE WHEN known THEN -version ELSE version END
    LIMIT 1
) AS names ON true
ORDER BY moved.entity, moved.campaign, moved.currency
"""
# A day is closed once it is over in the zone of the entity: a name that is given later is never that of a closed day.

_USED = "SELECT campaign FROM given WHERE code IN (SELECT code FROM {used}) AND {in_time}"


def _query(asked: Asked) -> Query:
    asked = seen(asked)
    return query_of(
        asked,
        fill(
            _STATEMENT,
            given=given_and_used(asked, first=False),
            of_days=conditions(asked, of_books("days")),
            used=" UNION ALL ".join(fill(_USED, used=name, in_time=claimed_in_time(asked)) for name in used(asked)),
        ),
    )


CAMPAIGN_PROFIT = Report(
    name="campaign-profit",
    title="Campaign profit and loss",
    about="What each campaign cost and what it brought. Nobody knows what would have been bought without a coupon, so "
    "uplift is what the orders brought, after the discount, for each 1 that the campaign cost.",
    columns=lambda _: (
        Column("entity", "text", "the legal entity"),
        Column("campaign", "text", "the campaign"),
        Column("name", "text", "its name at the end of as_of"),
        Column("currency", "text", "ISO 4217"),
        Column("given_out", "count", "coupons claimed or issued in the time; each use of a code counts", total=True),
        Column("redeemed", "count", "coupons used up in the time, less those live again", total=True),
        Column("use_rate", "share", "redeemed of given_out"),
        Column("coupons", "count", "coupons and codes whose claim or issue is in the time", total=True),
        Column("used", "count", "of these, those redeemed by the end of as_of and not wholly given back", total=True),
        Column("conversion", "share", "used of coupons"),
        Column("redemptions", "count", "redemptions in the time", total=True),
        Column("order_minor", "minor", "what the orders were worth; one with two coupons counts for each", total=True),
        Column("discount_minor", "minor", "what redemptions took off", total=True),
        Column("given_back_minor", "minor", "what rollbacks gave back", total=True),
        Column("cost_minor", "minor", "discount less what was given back", total=True),
        Column("cost_each_minor", "minor", "cost a redemption, rounded"),
        Column("order_each_minor", "minor", "what an order was worth, rounded"),
        Column("uplift", "share", "orders after their discount, for each 1 of cost"),
    ),
    query=_query,
    takes=frozenset({"entity", "campaign", "since", "until", "as_of"}),
)
