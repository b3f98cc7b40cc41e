"""
The roll-forward of coupons, in units and in money; rolling.py says what its figures are.

In money a coupon counts at the most it may cost, and a balance at what is left on it: the closing of those that are out
is what stands on `commitment:<campaign>`, or is owed on `liability:gift:<campaign>`. What was given away is beside it.
"""

from collections.abc import Sequence

from reconciler.reports.clauses import (
    MANUAL_SHARDS,
    SHARDS_OF_CAMPAIGN,
    SLOTS,
    conditions,
    fill,
    of_books,
    query_of,
)
from reconciler.reports.rolling import FLOWS, OUT, OUT_NET, STOCK, STOCK_NET, rolled, slot_or_before, summed_days
from reconciler.reports.shape import Asked, Column, Kind, Query, Report

_KEYS = {
    "entity": Column("entity", "text", "the legal entity"),
    "campaign": Column("campaign", "text", "the campaign"),
    "channel": Column("channel", "text", "the channel of the claim; empty for what has none"),
    "store": Column("store", "text", "the store of the redemption; empty for what has none"),
    **SLOTS,
}

_STOCK_PART = ("restocked", "withdrawn", "claimed", "issued", "returned", "stock_corrected")
_OUT_PART = ("claimed", "issued", "redeemed", "rolled_back", "expired", "revoked", "out_corrected")

_UNITS = """SELECT * FROM ({days}) AS days
    UNION ALL
    SELECT {slot}, verb, '', '', '', split_part(about, '/', 1), entity, amount * {stock}, amount * {out}, 0
    FROM journals AS days JOIN postings ON journal = id
    WHERE days.shard = ANY {manual_shards} AND starts_with(commodity, 'coupon:'){of_manual}"""

_MONEY = """SELECT * FROM ({days}) AS days
    WHERE currency <> ''
    UNION ALL
    SELECT {slot}, verb, '', '', commodity, split_part(account, ':', side.part), entity, 0, amount * side.sign, 0
    FROM journals AS days JOIN postings ON journal = id
    CROSS JOIN LATERAL (
        VALUES (postings.source, 'commitment:', 2, -1), (postings.destination, 'commitment:', 2, 1),
            (postings.source, 'liability:gift:', 3, 1), (postings.destination, 'liability:gift:', 3, -1)
    ) AS side (account, kind, part, sign)
    WHERE days.shard = ANY {manual_shards} AND starts_with(side.account, side.kind){of_account}"""


def _has_stock(asked: Asked) -> bool:
    """Stock is of no channel and no store, so it is left out where rows are of one."""
    return not ({"channel", "store"} & set(asked.by) or asked.channel is not None or asked.store is not None)


def _has_balance(asked: Asked) -> bool:
    """Coupons are of no store until they are redeemed."""
    return "store" not in asked.by and asked.store is None


def _figures(asked: Asked) -> list[tuple[str, str, str, bool]]:
    """Name, expression and meaning of each figure, and whether it is a flow."""
    found: list[tuple[str, str, str, bool]] = []
    if _has_stock(asked):
        found.append(("stock_opening", "stock_opening", "in the stock before", False))
        found += [(name, name, FLOWS[name][2], True) for name in _STOCK_PART]
        found.append(("stock_closing", f"stock_opening + {STOCK_NET}", "in the stock after", False))
    if _has_balance(asked):
        found.append(("out_opening", "out_opening", "out before: claimed or issued, and not at their end", False))
    had = {name for name, *_ in found}
    found += [(name, name, FLOWS[name][2], True) for name in _OUT_PART if name not in had]
    if _has_balance(asked):
        found.append(("out_closing", f"out_opening + {OUT_NET}", "out after", False))
    return found


def _columns(asked: Asked, kind: Kind, form: str) -> list[Column]:
    # The sum of what stands at the start or the end of days or months is nothing that anybody had.
    sums = not SLOTS.keys() & set(asked.by)
    of = "coupons" if kind == "count" else "worth of coupons"
    return [
        Column(form.replace("{}", name), kind, f"{of} {about}", flow or sums)
        for name, _, about, flow in _figures(asked)
    ]


def _unit_columns(asked: Asked) -> tuple[Column, ...]:
    return tuple(_KEYS[name] for name in asked.by) + tuple(_columns(asked, "count", "{}"))


def _money_columns(asked: Asked) -> tuple[Column, ...]:
    return (
        *(_KEYS[name] for name in asked.by),
        Column("currency", "text", "ISO 4217"),
        *_columns(asked, "minor", "{}_minor"),
        Column("discount_minor", "minor", "what redemptions took off", total=True),
        Column("given_back_minor", "minor", "what rollbacks gave back", total=True),
    )


def _keys(asked: Asked, *further: str) -> Sequence[str]:
    return [*(name for name in asked.by if name not in SLOTS), *further]


def _unit_query(asked: Asked) -> Query:
    columns = ", ".join(f"({expression})::bigint AS {name}" for name, expression, *_ in _figures(asked))
    moves = fill(
        _UNITS,
        days=summed_days(asked, _keys(asked), {"stock": f"units * {STOCK}", "out": f"units * {OUT}", "minor": "minor"}),
        slot=slot_or_before(asked),
        of_manual=conditions(asked, {**of_books("days"), "campaign": f"about {SHARDS_OF_CAMPAIGN}"}),
        manual_shards=MANUAL_SHARDS,
        stock=STOCK,
        out=OUT,
    )
    return query_of(asked, rolled(asked, moves, _keys(asked), columns, {}))


def _money_query(asked: Asked) -> Query:
    given = {
        "discount": "sum(minor) FILTER (WHERE verb = 'redeem')",
        "given_back": "sum(minor) FILTER (WHERE verb = 'rollback')",
    }
    keys = _keys(asked, "currency")
    figures = [*((name, expression) for name, expression, *_ in _figures(asked)), *((name, name) for name in given)]
    columns = ", ".join(f"{expression} AS {name}_minor" for name, expression in figures)
    moves = fill(
        _MONEY,
        days=summed_days(asked, keys, {"stock": f"worth_minor * {STOCK}", "out": "out_minor", "minor": "minor"}),
        slot=slot_or_before(asked),
        of_account=conditions(asked, {**of_books("days"), "campaign": "account = kind || %(campaign)s"}),
        manual_shards=MANUAL_SHARDS,
    )
    return query_of(asked, rolled(asked, moves, keys, columns, given))


_TAKES = frozenset({"entity", "campaign", "channel", "store", "since", "until", "by"})

ROLL_FORWARD = Report(
    name="roll-forward",
    title="Coupon roll-forward",
    about="Opening, every movement, closing: coupons in the stock, and coupons that are out. A code that many may use "
    "counts each use.",
    columns=_unit_columns,
    query=_unit_query,
    takes=_TAKES,
    groups=tuple(_KEYS),
)

ROLL_FORWARD_MONEY = Report(
    name="roll-forward-money",
    title="Coupon roll-forward in money",
    about="The same with each coupon at the most it may cost, so that what is out after is the commitment in the money "
    "book; and what was given away.",
    columns=_money_columns,
    query=_money_query,
    takes=_TAKES,
    groups=tuple(_KEYS),
)
