"""Coupons and their state changes, a row each: what the sums of the other reports are made of."""

from reconciler.reports.clauses import SHARDS_OF_CAMPAIGN, conditions, equal, fill, query_of
from reconciler.reports.shape import Asked, Column, Query, Report
from reconciler.reports.standing import FOLD, seen

_COUPONS = """
SELECT firsts.shard, firsts.seq, coupons.code, campaign, coupons.holder, {state}, coupons.version, coupons.channel,
    batch, coupons.units, {left}, claimed_at, {expires_at}, {reserved_until}, {order_id}, {changed_seq}
FROM coupon_entries AS firsts
JOIN coupons ON coupons.code = firsts.code
JOIN campaigns ON campaigns.id = campaign{fold}
WHERE firsts.kind IN ('claimed', 'issued'){conditions}
ORDER BY firsts.shard, firsts.seq
"""
# By way of the sub-ledger, which is in that order: coupons has no index on it, which every claim would pay for.

_STANDS = {
    "state": ("coupons.state", "coalesce(last.state, 'claimed')"),
    "left": ('coupons."left"', 'last."left"'),
    "expires_at": ("coupons.expires_at", "coalesce(extended.expires_at, firsts.expires_at)"),
    "reserved_until": ("reserved_until", "hold.expires_at"),
    "order_id": ("coalesce(order_id, '')", "coalesce(hold.ref, '')"),
    "changed_seq": ("changed_seq", "coalesce(last.seq, firsts.seq)"),
}
"""What of a coupon changes: as it is now, and as it is at the end of as_of."""

_ENTRIES = """
SELECT shard, seq, kind, at, effective_date, split_part(shard, '/', 1) AS campaign, coalesce(code, '') AS code,
    coalesce(holder, '') AS holder, coalesce(coupon_entries.channel, '') AS channel, coalesce(ref, '') AS ref,
    coalesce(source, CASE WHEN kind IN ('claimed', 'issued') THEN 'stock' WHEN delta > 0 THEN 'supply'
        WHEN delta < 0 THEN 'stock' ELSE '' END) AS source,
    coalesce(destination, CASE WHEN kind IN ('claimed', 'issued') THEN 'outstanding' WHEN delta > 0 THEN 'stock'
        WHEN delta < 0 THEN 'supply' ELSE '' END) AS destination,
    CASE WHEN kind = 'claimed' THEN 1 ELSE coalesce(units, abs(delta), 0) END AS units,
    coalesce(rules.definition ->> 'currency', '') AS currency, minor, coalesce(coupon_entries.state, '') AS state,
    coupon_entries.version, epoch, entry_id
FROM coupon_entries
JOIN campaigns ON campaigns.id = split_part(shard, '/', 1)
LEFT JOIN campaign_versions AS rules ON rules.campaign = campaigns.id AND rules.version = coupon_entries.version
WHERE true{conditions}
ORDER BY shard, seq
"""

_ENTITY = "coalesce(campaigns.definition ->> 'legal_entity', 'main') = %(entity)s"


def _coupons(asked: Asked) -> Query:
    asked = seen(asked)
    clauses = {
        "entity": _ENTITY,
        "campaign": f"firsts.shard {SHARDS_OF_CAMPAIGN}",
        "channel": equal("coupons.channel", "channel"),
        "since": "firsts.effective_date >= %(since)s::date",
        "until": "firsts.effective_date <= %(until)s::date",
    }
    then = asked.as_of is not None
    stands = {name: f'{expressions[then]} AS "{name}"' for name, expressions in _STANDS.items()}
    parts = {"fold": f"\n{FOLD}" if then else "", "conditions": conditions(asked, clauses)}
    return query_of(asked, fill(_COUPONS, **stands, **parts))


def _entries(asked: Asked) -> Query:
    clauses = {
        "entity": _ENTITY,
        "campaign": f"shard {SHARDS_OF_CAMPAIGN}",
        "since": "effective_date >= %(since)s::date",
        "until": "effective_date <= %(until)s::date",
    }
    return query_of(asked, fill(_ENTRIES, conditions=conditions(asked, clauses)))


COUPONS = Report(
    name="coupons",
    title="Coupons",
    about="Every coupon and code as it stands at the end of as_of, by the day of its claim or issue.",
    columns=lambda _: (
        Column("shard", "text", "the shard it is in"),
        Column("seq", "count", "the number of its claim in the shard"),
        Column("code", "text", "its code"),
        Column("campaign", "text", "the campaign"),
        Column("holder", "text", "whose it is; empty for a code that nobody has to hold"),
        Column("state", "text", "claimed, reserved, redeemed, expired or revoked"),
        Column("version", "count", "the version of the campaign it was claimed under"),
        Column("channel", "text", "the channel of the claim"),
        Column("batch", "text", "the code batch; empty for a claim"),
        Column("units", "count", "its uses", total=True),
        Column("left", "count", "uses or minor units that are left; empty: all"),
        Column("claimed_at", "instant", "when it was claimed or issued"),
        Column("expires_at", "instant", "when it ends"),
        Column("reserved_until", "instant", "when its hold ends"),
        Column("order_id", "text", "the order it is held for"),
        Column("changed_seq", "count", "the number of its last state change"),
    ),
    query=_coupons,
    takes=frozenset({"entity", "campaign", "channel", "since", "until", "as_of", "zone"}),
    detail=True,
    key=("shard", "seq"),
)

ENTRIES = Report(
    name="entries",
    title="State changes",
    about="Every state change of every coupon, in the order it was numbered: the sub-ledger.",
    columns=lambda _: (
        Column("shard", "text", "the shard"),
        Column("seq", "count", "its number in the shard, without a gap"),
        Column("kind", "text", "what happened"),
        Column("at", "instant", "when, by the clock of the sale"),
        Column("effective_date", "date", "the date it is booked on"),
        Column("campaign", "text", "the campaign"),
        Column("code", "text", "the coupon"),
        Column("holder", "text", "whose it was"),
        Column("channel", "text", "the channel of a claim"),
        Column("ref", "text", "the redemption, the order of a hold, or the code batch"),
        Column("source", "text", "the account units left"),
        Column("destination", "text", "the account they went to"),
        Column("units", "count", "how many", total=True),
        Column("currency", "text", "ISO 4217"),
        Column("minor", "minor", "the discount, or what a rollback gave back"),
        Column("state", "text", "the state of the coupon after a step"),
        Column("version", "count", "the version of the rules"),
        Column("epoch", "count", "the epoch of the shard"),
        Column("entry_id", "text", "the record on the stream"),
    ),
    query=_entries,
    takes=frozenset({"entity", "campaign", "since", "until", "zone"}),
    detail=True,
    key=("shard", "seq"),
)
