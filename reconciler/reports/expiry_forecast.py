"""
When the coupons that are out will expire, and what is freed when they do. Those whose time is over are not booked yet.

since and until are the days they expire on, so as_of is beside them: the day at whose end the coupons are out.
"""

from msgspec.structs import replace

from reconciler.reports.clauses import SLOTS, fill, filled, listed, order, query_of, shown, slot_expression, slot_of
from reconciler.reports.living import living
from reconciler.reports.shape import Asked, Column, Query, Report
from reconciler.reports.standing import later

_KEYS = {
    "entity": Column("entity", "text", "the legal entity"),
    "campaign": Column("campaign", "text", "the campaign"),
    "channel": Column("channel", "text", "the channel of the claim; empty for what has none"),
    **SLOTS,
}

_FOUND = """
    SELECT {keys}{slot} AS slot, sum(units) AS coupons, sum(minor) AS minor
    FROM (SELECT *, (expires_at AT TIME ZONE %(zone)s)::date AS ends_on FROM living) AS ending
    WHERE (%(since)s::date IS NULL OR ends_on >= %(since)s::date)
        AND (%(until)s::date IS NULL OR ends_on <= %(until)s::date)
    GROUP BY {keys}slot
"""

_STATEMENT = """
WITH {later}living AS ({living}), {filled}
SELECT {shown}coupons::bigint AS coupons, minor
FROM whole
ORDER BY {order}
"""


def _query(asked: Asked) -> Query:
    asked = replace(asked, as_of=asked.as_of or asked.until)
    slot = slot_of(asked.by)
    keys = [*(name for name in asked.by if name not in SLOTS), "currency"]
    found = fill(_FOUND, keys=listed(keys), slot=slot_expression(slot, "ends_on"))
    names = [*asked.by, "currency"]
    return query_of(
        asked,
        fill(
            _STATEMENT,
            later=later(asked),
            living=living(asked),
            filled=filled(found, keys, slot, ("coupons", "minor")),
            shown=shown(names),
            order=order(names),
        ),
    )


EXPIRY_FORECAST = Report(
    name="expiry-forecast",
    title="Expiry forecast",
    about="Coupons that are out, by the day or month they expire, from since to until: how many, the most they may "
    "still cost, and what is left on balances. Those whose time is over are not booked yet.",
    columns=lambda asked: (
        *(_KEYS[name] for name in asked.by),
        Column("currency", "text", "ISO 4217"),
        Column("coupons", "count", "coupons that expire then if nobody uses them", total=True),
        Column("minor", "minor", "what they may cost at most, which is free then", total=True),
    ),
    query=_query,
    takes=frozenset({"entity", "campaign", "channel", "since", "until", "as_of", "zone", "by"}),
    groups=tuple(_KEYS),
    forecast=True,
)
