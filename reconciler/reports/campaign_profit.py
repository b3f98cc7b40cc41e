"""What each campaign cost, what the orders it was used on were worth, and how many of its coupons were used."""

from reconciler.reports.clauses import conditions, fill, of_books, query_of
from reconciler.reports.first_used import changes, first_used
from reconciler.reports.shape import Asked, Column, Query, Report

_STATEMENT = """
WITH {changes}moved AS (
    SELECT entity, campaign, currency, coalesce(sum(units) FILTER (WHERE verb IN ('claim', 'issue')), 0) AS given_out,
        coalesce(sum(units * ((destination = 'redeemed')::int - (source = 'redeemed')::int)), 0) AS redeemed,
        coalesce(sum(entries) FILTER (WHERE verb = 'redeem'), 0) AS redemptions,
        coalesce(sum(order_minor) FILTER (WHERE verb = 'redeem'), 0) AS order_minor,
        coalesce(sum(minor) FILTER (WHERE verb = 'redeem'), 0) AS discount_minor,
        coalesce(sum(minor) FILTER (WHERE verb = 'rollback'), 0) AS given_back_minor
    FROM movement_days AS days
    WHERE currency <> '' AND (%(since)s::date IS NULL OR effective_date >= %(since)s::date){of_days}
    GROUP BY entity, campaign, currency
), {used}
SELECT entity, campaign, coalesce(definition ->> 'name', '') AS name, moved.currency, given_out::bigint AS given_out,
    redeemed::bigint AS redeemed, round(redeemed / nullif(given_out, 0), 4) AS use_rate,
    coalesce(claimed, 0) AS coupons, coalesce(used, 0) AS used,
    round(coalesce(used, 0)::numeric / nullif(claimed, 0), 4) AS conversion,
    redemptions::bigint AS redemptions, order_minor, discount_minor, given_back_minor,
    discount_minor - given_back_minor AS cost_minor,
    round((discount_minor - given_back_minor) / nullif(redemptions, 0)) AS cost_each_minor,
    round(order_minor / nullif(redemptions, 0)) AS order_each_minor,
    round((order_minor - discount_minor) / nullif(discount_minor - given_back_minor, 0), 4) AS uplift
FROM moved LEFT JOIN used USING (campaign) LEFT JOIN campaigns ON campaigns.id = campaign
ORDER BY entity, campaign, moved.currency
"""


_IN_TIME = """JOIN campaigns ON campaigns.id = those.campaign
    CROSS JOIN LATERAL (
        SELECT (claimed_at AT TIME ZONE coalesce(definition ->> 'timezone', 'UTC'))::date AS claimed_on
    ) AS at
    WHERE (%(since)s::date IS NULL OR claimed_on >= %(since)s::date)
        AND (%(until)s::date IS NULL OR claimed_on <= %(until)s::date)"""

_USED = """used AS (
    SELECT those.campaign, count(*) AS claimed, count(first_at) AS used
    FROM ({first_used}) AS those
    {in_time}
    GROUP BY those.campaign
)"""

_USED_OF_ALL = """of_time AS NOT MATERIALIZED (
    SELECT code, those.campaign
    FROM coupons AS those
    {in_time}
), used AS (
    SELECT campaign, claimed, used
    FROM (SELECT campaign, count(*) AS claimed FROM of_time GROUP BY campaign) AS claims
    LEFT JOIN (
        SELECT campaign, count(*) AS used
        FROM of_time
        WHERE code IN (SELECT code FROM redemptions WHERE rolled_back_minor < minor)
        GROUP BY campaign
    ) AS of_those USING (campaign)
)"""
# Of everything, because to find the first of each coupon's redemptions takes three times as long as whether it has one.


def _used(asked: Asked) -> str:
    if asked.campaign is None:
        return fill(_USED_OF_ALL, in_time=_IN_TIME)
    return fill(_USED, first_used=first_used(asked), in_time=_IN_TIME)


def _query(asked: Asked) -> Query:
    return query_of(
        asked,
        fill(
            _STATEMENT,
            changes=changes(asked),
            of_days=conditions(asked, of_books("days")),
            used=_used(asked),
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
        Column("name", "text", "its name now"),
        Column("currency", "text", "ISO 4217"),
        Column("given_out", "count", "coupons claimed or issued in the time; each use of a code counts", total=True),
        Column("redeemed", "count", "coupons used up in the time, less those live again", total=True),
        Column("use_rate", "share", "redeemed of given_out"),
        Column("coupons", "count", "coupons and codes whose claim or issue is in the time", total=True),
        Column("used", "count", "of these, those redeemed by now and not wholly given back", total=True),
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
    takes=frozenset({"entity", "campaign", "since", "until"}),
)
