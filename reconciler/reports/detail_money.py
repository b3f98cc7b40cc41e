"""Redemptions, rollbacks and postings, a row each."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from reconciler.reports.clauses import SHARDS_OF_CAMPAIGN, conditions, equal, fill, query_of
from reconciler.reports.shape import Asked, Column, Query, Report
from reconciler.reports.standing import BOOKED, seen

_REDEMPTIONS = """
SELECT redemptions.shard, redemptions.seq, redemptions.id AS redemption, redemptions.code, redemptions.campaign,
    redemptions.holder, entries.effective_date, redeemed_at,
    coalesce(redemptions.currency, definition ->> 'currency', '') AS currency, redemptions.minor,
    {given_back} AS given_back_minor, redemptions.minor - {given_back} AS cost_minor, order_minor,
    coalesce(order_id, '') AS order_id, coalesce(merchant, '') AS merchant, coalesce(store, '') AS store,
    coalesce(staff, '') AS staff, coalesce(redemptions.channel, '') AS channel, coalesce(stack, '') AS stack,
    coalesce(actor, '') AS actor
FROM redemptions
JOIN coupon_entries AS entries ON entries.shard = redemptions.shard AND entries.seq = redemptions.seq
JOIN campaigns ON campaigns.id = redemptions.campaign
WHERE true{conditions}
ORDER BY redemptions.shard, redemptions.seq
"""

_GIVEN_BACK_THEN = """CASE WHEN rolled_back_minor = 0 THEN 0 ELSE coalesce((
        SELECT sum(back.minor) FROM rollbacks AS back
        JOIN coupon_entries AS backs ON backs.shard = back.shard AND backs.seq = back.seq
        WHERE back.redemption = redemptions.id AND backs.effective_date <= %(as_of)s::date), 0) END"""

_ROLLBACKS = """
SELECT rollbacks.shard, rollbacks.seq, rollbacks.redemption, redemptions.code, redemptions.campaign,
    entries.effective_date, rollbacks.at, coalesce(redemptions.currency, definition ->> 'currency', '') AS currency,
    rollbacks.minor, coalesce(reason, '') AS reason, rollbacks.state, coalesce(order_id, '') AS order_id,
    coalesce(merchant, '') AS merchant, coalesce(store, '') AS store, coalesce(rollbacks.actor, '') AS actor
FROM rollbacks
JOIN redemptions ON redemptions.id = rollbacks.redemption
JOIN coupon_entries AS entries ON entries.shard = rollbacks.shard AND entries.seq = rollbacks.seq
JOIN campaigns ON campaigns.id = redemptions.campaign
WHERE true{conditions}
ORDER BY rollbacks.shard, rollbacks.seq
"""

_MOVEMENTS = """
SELECT part.journal, part.line, journals.shard, coalesce(about, '') AS about, entity, verb, effective_date,
    original_date, {at} AS occurred_at, posted_at, first_seq, last_seq, part.destination AS debit,
    part.source AS credit, part.commodity,
    CASE WHEN of_units THEN part.amount::bigint END AS units,
    CASE WHEN of_units THEN '' ELSE part.commodity END AS currency,
    CASE WHEN of_units THEN NULL ELSE part.amount END AS minor
FROM {postings} AS part
JOIN journals ON journals.id = part.journal
CROSS JOIN LATERAL (SELECT starts_with(part.commodity, 'coupon:') AS of_units) AS kind
WHERE true{conditions}
ORDER BY part.journal, part.line
"""

_DAYS = {"effective": "effective_date", "posted": "(posted_at AT TIME ZONE %(zone)s)::date"}


def _of_orders(asked: Asked, template: str, rows: str) -> str:
    clauses = {
        "entity": "coalesce(definition ->> 'legal_entity', 'main') = %(entity)s",
        "campaign": f"{rows}.shard {SHARDS_OF_CAMPAIGN}",
        "merchant": equal("merchant", "merchant"),
        "store": equal("store", "store"),
        "since": "entries.effective_date >= %(since)s::date",
        "until": "entries.effective_date <= %(until)s::date",
    }
    return template.replace("{conditions}", conditions(asked, clauses))


def _redemptions(asked: Asked) -> Query:
    asked = seen(asked)
    given_back = "rolled_back_minor" if asked.as_of is None else _GIVEN_BACK_THEN
    return query_of(asked, fill(_of_orders(asked, _REDEMPTIONS, "redemptions"), given_back=given_back))


def _movements(asked: Asked) -> Query:
    clauses = {
        "entity": equal("entity", "entity"),
        "campaign": f"(journals.shard {SHARDS_OF_CAMPAIGN} OR about {SHARDS_OF_CAMPAIGN})",
        "account": "%(account)s IN (part.source, part.destination)",
        "as_of": BOOKED,
    }
    postings, at = "postings", "occurred_at"
    bounds: dict[str, datetime | None] = {}
    if asked.basis in _DAYS:
        day = _DAYS[asked.basis]
        clauses |= {"since": f"{day} >= %(since)s::date", "until": f"{day} <= %(until)s::date"}
    elif asked.since or asked.until:  # a journal may be of two days, and is whole only where none is asked for
        postings, at = "postings_in('occurred', %(begins)s, %(ends)s)", "part.at"
        days = {"begins": asked.since, "ends": asked.until and asked.until + timedelta(days=1)}
        midnight = time(tzinfo=ZoneInfo(asked.zone))
        bounds = {name: datetime.combine(day, midnight) if day else None for name, day in days.items()}
    query = query_of(asked, fill(_MOVEMENTS, postings=postings, at=at, conditions=conditions(asked, clauses)))
    return query._replace(values={**query.values, **bounds})


_TAKES = frozenset({"entity", "campaign", "merchant", "store", "since", "until", "zone"})

REDEMPTIONS = Report(
    name="redemptions",
    title="Redemptions",
    about="Every redemption, with what was given back of it by the end of as_of.",
    columns=lambda _: (
        Column("shard", "text", "the shard"),
        Column("seq", "count", "its number in the shard"),
        Column("redemption", "text", "its id"),
        Column("code", "text", "the coupon"),
        Column("campaign", "text", "the campaign"),
        Column("holder", "text", "whose coupon it was"),
        Column("effective_date", "date", "the date it is booked on"),
        Column("redeemed_at", "instant", "when, by the clock of the sale"),
        Column("currency", "text", "ISO 4217"),
        Column("minor", "minor", "the discount", total=True),
        Column("given_back_minor", "minor", "what rollbacks gave back of it", total=True),
        Column("cost_minor", "minor", "the discount less what was given back", total=True),
        Column("order_minor", "minor", "what the order was worth", total=True),
        Column("order_id", "text", "the order"),
        Column("merchant", "text", "the merchant"),
        Column("store", "text", "the store"),
        Column("staff", "text", "who redeemed"),
        Column("channel", "text", "the channel of the redemption"),
        Column("stack", "text", "what the redemptions of one order share"),
        Column("actor", "text", "whose credentials it was done with"),
    ),
    query=_redemptions,
    takes=_TAKES | {"as_of"},
    detail=True,
    key=("shard", "seq"),
)

ROLLBACKS = Report(
    name="rollbacks",
    title="Rollbacks",
    about="Every rollback, of a part or of the whole of a redemption.",
    columns=lambda _: (
        Column("shard", "text", "the shard"),
        Column("seq", "count", "its number in the shard"),
        Column("redemption", "text", "the redemption"),
        Column("code", "text", "the coupon"),
        Column("campaign", "text", "the campaign"),
        Column("effective_date", "date", "the date it is booked on"),
        Column("at", "instant", "when, by the clock of the sale"),
        Column("currency", "text", "ISO 4217"),
        Column("minor", "minor", "what was given back", total=True),
        Column("reason", "text", "why"),
        Column("state", "text", "the state of the coupon after it"),
        Column("order_id", "text", "the order"),
        Column("merchant", "text", "the merchant"),
        Column("store", "text", "the store of the redemption"),
        Column("actor", "text", "whose credentials it was done with"),
    ),
    query=lambda asked: query_of(asked, fill(_of_orders(asked, _ROLLBACKS, "rollbacks"))),
    takes=_TAKES,
    detail=True,
    key=("shard", "seq"),
)

MOVEMENTS = Report(
    name="movements",
    title="Postings",
    about="Every posting of every journal, of both books.",
    columns=lambda _: (
        Column("journal", "count", "the journal"),
        Column("line", "count", "the posting in it"),
        Column("shard", "text", "the chain it is in: a shard, or manual:<entity>"),
        Column("about", "text", "the shard whose units a manual journal moves"),
        Column("entity", "text", "the legal entity"),
        Column("verb", "text", "what was done"),
        Column("effective_date", "date", "the date it is booked on"),
        Column("original_date", "date", "the date of what came when that was closed"),
        Column("occurred_at", "instant", "when the last of it was done, by the clock of the sale"),
        Column("posted_at", "instant", "when it was written"),
        Column("first_seq", "count", "the first state change in it"),
        Column("last_seq", "count", "the last state change in it"),
        Column("debit", "text", "the account that is debited"),
        Column("credit", "text", "the account that is credited"),
        Column("commodity", "text", "what moved: a currency, or coupon:<campaign>"),
        Column("units", "count", "how many coupons", total=True),
        Column("currency", "text", "ISO 4217; empty for units"),
        Column("minor", "minor", "how much money", total=True),
    ),
    query=_movements,
    takes=frozenset({"entity", "campaign", "account", "basis", "since", "until", "as_of", "zone"}),
    detail=True,
    key=("journal", "line"),
)
