"""How long the coupons that are out have been out, as people and as money: at the end of a day, or now."""

from reconciler.reports.clauses import fill, listed, order, query_of
from reconciler.reports.living import living
from reconciler.reports.shape import Asked, Column, Kind, Query, Report
from reconciler.reports.standing import later, seen

AGES = ((0, 7), (8, 30), (31, 90), (91, 180), (181, None))
"""From how many days to how many, each with its ends."""

_KEYS = {
    "entity": Column("entity", "text", "the legal entity"),
    "campaign": Column("campaign", "text", "the campaign"),
    "channel": Column("channel", "text", "the channel of the claim; empty for what has none"),
}

_STATEMENT = """
WITH {later}living AS ({living})
SELECT {keys}{ages}, {total} AS {name}
FROM (
    SELECT *, coalesce(%(until)s::date, (now() AT TIME ZONE %(zone)s)::date)
        - (claimed_at AT TIME ZONE %(zone)s)::date AS age
    FROM living
) AS aged
{grouped}
ORDER BY {order}
"""


def _bucket(low: int, high: int | None) -> str:
    return f"days_{low}_more" if high is None else f"days_{low}_{high}"


def _within(low: int, high: int | None) -> str:
    # A claim that the clock of another zone puts after the day is new.
    from_low = "true" if low == 0 else f"age >= {low}"
    return from_low if high is None else f"{from_low} AND age <= {high}"


def _query(asked: Asked, keys: tuple[str, ...], measure: str, total: str) -> Query:
    asked = seen(asked)
    summed = f"coalesce(sum({measure}), 0)" + ("::bigint" if measure == "units" else "")
    ages = [
        f"{summed.replace(')', f') FILTER (WHERE {_within(low, high)})', 1)} AS {_bucket(low, high)}"
        for low, high in AGES
    ]
    return query_of(
        asked,
        fill(
            _STATEMENT,
            keys=listed(keys),
            ages=", ".join(ages),
            total=summed,
            name=total,
            later=later(asked),
            living=living(asked),
            grouped=f"GROUP BY {', '.join(keys)}" if keys else "",
            order=order(keys) or "1",
        ),
    )


def _columns(asked: Asked, further: tuple[Column, ...], kind: Kind, what: str, total: str) -> tuple[Column, ...]:
    ages = [
        Column(
            _bucket(low, high),
            kind,
            f"{what} claimed {low} days ago or more" if high is None else f"{what} claimed {low} to {high} days ago",
            total=True,
        )
        for low, high in AGES
    ]
    return (*(_KEYS[name] for name in asked.by), *further, *ages, Column(total, kind, f"all {what}", total=True))


_TAKES = frozenset({"entity", "campaign", "channel", "until", "zone", "by"})
_CURRENCY = Column("currency", "text", "ISO 4217")

AGEING_COUPONS = Report(
    name="ageing-coupons",
    title="Ageing of coupons",
    about="Coupons that are out, by how long ago they were claimed or issued. All of them are outstanding and reserved "
    "in the unit book.",
    columns=lambda asked: _columns(asked, (), "count", "coupons", "coupons"),
    query=lambda asked: _query(asked, asked.by, "units", "coupons"),
    takes=_TAKES,
    groups=tuple(_KEYS),
)

AGEING_COMMITMENTS = Report(
    name="ageing-commitments",
    title="Ageing of commitments",
    about="The most that the coupons that are out may cost, and what is left on balances, by how long ago they were "
    "claimed or issued. All of it is commitment and liability in the money book.",
    columns=lambda asked: _columns(asked, (_CURRENCY,), "minor", "worth of coupons", "minor"),
    query=lambda asked: _query(asked, (*asked.by, "currency"), "minor", "minor"),
    takes=_TAKES,
    groups=tuple(_KEYS),
)
