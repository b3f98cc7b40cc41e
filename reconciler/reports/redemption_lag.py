"""How long it takes from a claim to its first redemption: cohorts of coupons by the day or month of their claim."""

from reconciler.reports.clauses import (
    SLOTS,
    conditions,
    equal,
    fill,
    filled,
    listed,
    order,
    query_of,
    shown,
    slot_expression,
    slot_of,
)
from reconciler.reports.first_used import claimed_in_time, given_and_used, used
from reconciler.reports.shape import Asked, Column, Query, Report
from reconciler.reports.standing import seen

LAGS = {"hour": "1 hour", "day": "1 day", "week": "7 days", "month": "30 days"}
"""Within what → how long that is."""

_KEYS = {
    "entity": Column("entity", "text", "the legal entity"),
    "campaign": Column("campaign", "text", "the campaign"),
    "channel": Column("channel", "text", "the channel of the claim; empty for codes that nobody claimed"),
    **SLOTS,
}

_FOUND = """
    SELECT {keys}{slot} AS slot, count(*) AS coupons, count(first_at) AS redeemed, {lags}
    FROM (
        SELECT campaign, channel, coalesce(definition ->> 'legal_entity', 'main') AS entity, claimed_on, first_at,
            first_at - claimed_at AS lag
        FROM given
        JOIN campaigns ON campaigns.id = campaign
        LEFT JOIN ({used}) AS firsts USING (code)
    ) AS aged
    WHERE {in_time}{entities}
    GROUP BY {keys}slot
"""

_STATEMENT = """
WITH {given}{filled}
SELECT {shown}coupons, {lags}redeemed, coupons - redeemed AS unredeemed,
    round(redeemed::numeric / nullif(coupons, 0), 4) AS conversion
FROM whole
ORDER BY {order}
"""

_LAGS = [f"within_{name}" for name in LAGS]


def _query(asked: Asked) -> Query:
    asked = seen(asked)
    slot = slot_of(asked.by)
    keys = [name for name in asked.by if name not in SLOTS]
    found = fill(
        _FOUND,
        keys=listed(keys),
        slot=slot_expression(slot, "claimed_on"),
        lags=", ".join(
            f"count(*) FILTER (WHERE lag <= interval '{lag}') AS within_{name}" for name, lag in LAGS.items()
        ),
        used=" UNION ALL ".join(f"TABLE {name}" for name in used(asked)),
        in_time=claimed_in_time(asked),
        entities=conditions(asked, {"entity": equal("entity", "entity")}),
    )
    return query_of(
        asked,
        fill(
            _STATEMENT,
            given=given_and_used(asked),
            filled=filled(found, keys, slot, ("coupons", "redeemed", *_LAGS)),
            shown=shown(asked.by),
            lags=listed(_LAGS),
            order=order(asked.by) or "1",
        ),
    )


def _columns(asked: Asked) -> tuple[Column, ...]:
    return (
        *(_KEYS[name] for name in asked.by),
        Column("coupons", "count", "coupons and codes whose claim or issue is in the time", total=True),
        *(
            Column(f"within_{name}", "count", f"of these, first redeemed within {lag}", total=True)
            for name, lag in LAGS.items()
        ),
        Column("redeemed", "count", "of these, redeemed by the end of as_of and not wholly given back", total=True),
        Column("unredeemed", "count", "of these, the others", total=True),
        Column("conversion", "share", "redeemed of coupons"),
    )


REDEMPTION_LAG = Report(
    name="redemption-lag",
    title="From claim to redemption",
    about="Coupons by when they were claimed, and how many of them were redeemed within an hour, a day, a week, "
    "30 days and by the end of as_of.",
    columns=_columns,
    query=_query,
    takes=frozenset({"entity", "campaign", "channel", "since", "until", "as_of", "by"}),
    groups=tuple(_KEYS),
)
