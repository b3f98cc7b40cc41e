"""How channels, stores, staff and campaigns do: claims, redemptions, what orders were worth and what was given away."""

from reconciler.reports.clauses import (
    SHARDS_OF_CAMPAIGN,
    SLOTS,
    conditions,
    equal,
    fill,
    filled,
    listed,
    of_books,
    order,
    query_of,
    shown,
    slot_expression,
    slot_of,
)
from reconciler.reports.shape import Asked, Column, Query, Report

_KEYS = {
    "channel": Column("channel", "text", "the channel of the claim; empty for what has none"),
    "store": Column("store", "text", "the store of the redemption; empty for what has none"),
    "staff": Column("staff", "text", "who of the store redeemed; empty where nobody was named"),
    "campaign": Column("campaign", "text", "the campaign"),
    "entity": Column("entity", "text", "the legal entity"),
    **SLOTS,
}

_DAYS = """SELECT effective_date, verb, channel, store, '' AS staff, campaign, entity, currency,
        CASE verb WHEN 'claim' THEN units WHEN 'issue' THEN units ELSE entries END AS count, minor, order_minor
    FROM movement_days AS days
    WHERE verb IN ('claim', 'issue', 'redeem', 'rollback') AND currency <> ''{of_days}"""

_ORDERS = """SELECT entries.effective_date, acts.verb, coupons.channel, coalesce(redemptions.store, '') AS store,
        coalesce(redemptions.staff, '') AS staff, redemptions.campaign,
        coalesce(definition ->> 'legal_entity', 'main') AS entity,
        coalesce(redemptions.currency, definition ->> 'currency') AS currency, 1 AS count, acts.minor, acts.order_minor
    FROM (
        SELECT id, shard, seq, 'redeem' AS verb, minor, coalesce(order_minor, 0) AS order_minor
        FROM redemptions
        UNION ALL
        SELECT redemption, shard, seq, 'rollback', minor, 0
        FROM rollbacks
    ) AS acts
    JOIN redemptions ON redemptions.id = acts.id
    JOIN coupons ON coupons.code = redemptions.code
    JOIN campaigns ON campaigns.id = redemptions.campaign
    JOIN coupon_entries AS entries ON entries.shard = acts.shard AND entries.seq = acts.seq
    WHERE true{of_acts}"""

_FOUND = """
    SELECT {keys}{slot} AS slot, sum(count) FILTER (WHERE verb IN ('claim', 'issue')) AS given_out,
        sum(count) FILTER (WHERE verb = 'redeem') AS redemptions,
        sum(count) FILTER (WHERE verb = 'rollback') AS rollbacks,
        sum(order_minor) FILTER (WHERE verb = 'redeem') AS orders,
        sum(minor) FILTER (WHERE verb = 'redeem') AS discount, sum(minor) FILTER (WHERE verb = 'rollback') AS given_back
    FROM ({acts}) AS acts
    WHERE (%(since)s::date IS NULL OR effective_date >= %(since)s::date){places}
    GROUP BY {keys}slot
"""

_MEASURES = ("given_out", "redemptions", "rollbacks", "orders", "discount", "given_back")

_STATEMENT = """
WITH {filled}
SELECT {shown}{given_out}redemptions::bigint AS redemptions, rollbacks::bigint AS rollbacks, orders AS order_minor,
    discount AS discount_minor, given_back AS given_back_minor, discount - given_back AS cost_minor,
    round(orders / nullif(redemptions, 0)) AS order_each_minor, round(given_back / nullif(discount, 0), 4) AS back_rate
FROM whole
ORDER BY {order}
"""


def _by(asked: Asked) -> tuple[str, ...]:
    return asked.by or ("channel",)


def _has_claims(asked: Asked) -> bool:
    """What was claimed is of no store and no staff."""
    return not {"store", "staff"} & set(_by(asked)) and asked.store is None


def _query(asked: Asked) -> Query:
    by = _by(asked)
    slot, names = slot_of(by), [*by, "currency"]
    keys = [name for name in names if name not in SLOTS]
    of_acts = {
        "entity": "coalesce(definition ->> 'legal_entity', 'main') = %(entity)s",
        "campaign": f"acts.shard {SHARDS_OF_CAMPAIGN}",
        "until": "entries.effective_date <= %(until)s::date",
    }
    acts = (
        fill(_ORDERS, of_acts=conditions(asked, of_acts))
        if "staff" in by
        else fill(_DAYS, of_days=conditions(asked, of_books("days")))
    )
    found = fill(
        _FOUND,
        keys=listed(keys),
        slot=slot_expression(slot, "effective_date"),
        acts=acts,
        places=conditions(asked, {"channel": equal("channel", "channel"), "store": equal("store", "store")}),
    )
    return query_of(
        asked,
        fill(
            _STATEMENT,
            filled=filled(found, keys, slot, _MEASURES),
            shown=shown(names),
            given_out="given_out::bigint AS given_out, " if _has_claims(asked) else "",
            order=order(names),
        ),
    )


def _columns(asked: Asked) -> tuple[Column, ...]:
    given_out = Column("given_out", "count", "coupons claimed or issued; each use of a code counts", total=True)
    return (
        *(_KEYS[name] for name in _by(asked)),
        Column("currency", "text", "ISO 4217"),
        *((given_out,) if _has_claims(asked) else ()),
        Column("redemptions", "count", "redemptions", total=True),
        Column("rollbacks", "count", "rollbacks, of a part or of the whole", total=True),
        Column("order_minor", "minor", "what the orders were worth; one with two coupons counts for each", total=True),
        Column("discount_minor", "minor", "what redemptions took off", total=True),
        Column("given_back_minor", "minor", "what rollbacks gave back", total=True),
        Column("cost_minor", "minor", "discount less what was given back", total=True),
        Column("order_each_minor", "minor", "what an order was worth, rounded"),
        Column("back_rate", "share", "given back of the discount"),
    )


PERFORMANCE = Report(
    name="performance",
    title="Performance",
    about="Redemptions and rollbacks, what the orders were worth, what was given away: by channel of the claim, unless "
    "by says otherwise.",
    columns=_columns,
    query=_query,
    takes=frozenset({"entity", "campaign", "channel", "store", "since", "until", "by"}),
    groups=tuple(_KEYS),
)
