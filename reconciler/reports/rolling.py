"""
Pure: the statement of a roll-forward. What was there, what came and went and by which act, what is there.

    stock   opening + restocked − withdrawn − claimed − issued + returned + corrected           = closing
    out     opening + claimed + issued − redeemed + rolled back − expired − revoked + corrected = closing

Out is what a holder or a sheet of paper has and may still use: the accounts outstanding and reserved together. Each
figure is what the movements of one verb added to one of the two, so the sums hold whatever a verb moved.
"""

from collections.abc import Mapping, Sequence

from reconciler.reports.clauses import (
    LIVE,
    conditions,
    distinct,
    equal,
    fill,
    listed,
    of_books,
    order,
    shown,
    slot_expression,
    slot_of,
    slots_between,
    zeros,
)
from reconciler.reports.shape import Asked

STOCK = "((destination = 'stock')::int - (source = 'stock')::int)"
OUT = fill("((destination IN {live})::int - (source IN {live})::int)", live=LIVE)
_BY_POLICY = "verb NOT IN ('restock', 'withdraw', 'claim', 'issue', 'manual')"

_VERB = "CASE WHEN verb <> 'release' THEN verb WHEN destination = 'revoked' THEN 'revoke' ELSE 'expire' END"
# A use of a code that is on hold when the code ends does so once it is let go; of another one a release moves nothing.

FLOWS = {
    "restocked": ("stock", "verb = 'restock'", "put into the stock"),
    "withdrawn": ("-stock", "verb = 'withdraw'", "taken out of the stock"),
    "claimed": ("out", "verb = 'claim'", "claimed"),
    "issued": ("out", "verb = 'issue'", "made as codes"),
    "returned": ("stock", _BY_POLICY, "back in the stock by policy"),
    "stock_corrected": ("stock", "verb = 'manual'", "put into the stock by a manual journal"),
    "redeemed": ("-out", "verb = 'redeem'", "used up"),
    "rolled_back": ("out", "verb = 'rollback'", "live again by a rollback"),
    "expired": ("-out", "verb = 'expire'", "ended by time"),
    "revoked": ("-out", "verb = 'revoke'", "taken away"),
    "out_corrected": ("out", "verb = 'manual'", "added to those that are out by a manual journal"),
}
"""Flow → the measure and sign it counts, the verbs it is of, and what it says of coupons."""

STOCK_NET = "restocked - withdrawn - claimed - issued + returned + stock_corrected"
OUT_NET = "claimed + issued - redeemed + rolled_back - expired - revoked + out_corrected"

_STATEMENT = """
WITH moves (slot, verb, channel, store, currency, campaign, entity, stock, out, minor) AS (
    {moves}
), found AS (
    SELECT {keys}slot, {sums}
    FROM moves
    WHERE true{places}
    GROUP BY {keys}slot
), others AS (SELECT {others}),
slots AS (SELECT '-infinity'::date AS slot UNION ALL {slots}),
whole AS (
    SELECT {keys}slot, {zeros}
    FROM others CROSS JOIN slots LEFT JOIN found USING ({keys}slot)
), run AS (
    SELECT *, coalesce(sum({stock}) OVER earlier, 0) AS stock_opening,
        coalesce(sum({out}) OVER earlier, 0) AS out_opening
    FROM whole
    WINDOW earlier AS (PARTITION BY {keys}true ORDER BY slot ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
)
SELECT {shown}{columns}
FROM run
WHERE slot > '-infinity'
ORDER BY {order}
"""


_DAYS = """SELECT {slot} AS slot, {verb} AS verb, {places}, {sums}
    FROM movement_days AS days
    WHERE true{conditions}
    GROUP BY 1, 2, 3, 4, 5, 6, 7"""


def slot_or_before(asked: Asked) -> str:
    """The slot of a row with an effective_date: -infinity for what was before since."""
    slot = slot_expression(slot_of(asked.by), "effective_date")
    return f"CASE WHEN effective_date < %(since)s::date THEN '-infinity' ELSE {slot} END"


def summed_days(asked: Asked, keys: Sequence[str], measures: Mapping[str, str]) -> str:
    """
    The statement of movement_days, up to until, with *measures* summed: by *keys* and no finer, and empty elsewhere.

    Shape: *measures* maps the names stock, out and minor, in this order, to what is summed.

    A million rows become some hundred, by as many processes as PostgreSQL has for it, before anything is worked out.
    """
    kept = {*keys, *(name for name in ("channel", "store") if getattr(asked, name) is not None)}
    places = ("channel", "store", "currency", "campaign", "entity")
    return fill(
        _DAYS,
        slot=slot_or_before(asked),
        verb=_VERB,
        places=", ".join(name if name in kept else f"''::text AS {name}" for name in places),
        sums=", ".join(f"sum({expression}) AS {name}" for name, expression in measures.items()),
        conditions=conditions(asked, of_books("days")),
    )


def rolled(asked: Asked, moves: str, keys: Sequence[str], columns: str, also: Mapping[str, str]) -> str:
    """
    The statement: a row for each of *keys* and each time in `by`, with *columns* as its select list.

    *moves* are the statements of what moved, up to until; *also* are further sums of them, by name.
    """
    slot, names = slot_of(asked.by), [*asked.by, *(key for key in keys if key not in asked.by)]
    sums = {name: f"sum({effect}) FILTER (WHERE {verbs})" for name, (effect, verbs, _) in FLOWS.items()} | dict(also)
    places = {"channel": equal("channel", "channel"), "store": equal("store", "store")}
    return fill(
        _STATEMENT,
        moves=moves,
        keys=listed(keys),
        sums=", ".join(f"{expression} AS {name}" for name, expression in sums.items()),
        places=conditions(asked, places),
        others=distinct(keys),
        slots=slots_between(slot, "found"),
        zeros=zeros(list(sums)),
        stock=STOCK_NET,
        out=OUT_NET,
        shown=shown(names),
        columns=columns,
        order=order(names) or "1",
    )
