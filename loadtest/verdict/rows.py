"""What the books keep twice, compared by statements of our own; and the unit book against changes and coupons."""

from typing import Any, LiteralString, NamedTuple

import psycopg

from loadtest.verdict.books import Terms, named
from loadtest.verdict.found import Tallies
from loadtest.verdict.walk import Walk


class Pair(NamedTuple):
    """Two places that say the same: a statement for the rows in which they differ, and what is wrong with one."""

    why: str
    query: LiteralString


PAIRS = (
    Pair(
        "a claim and its coupon differ",
        "SELECT code, coalesce(e.holder, c.holder) AS holder, coalesce(e.shard, c.shard) AS shard, e.seq AS seq,"
        " c.seq AS coupon_seq, c.holder AS coupon_holder"
        " FROM (SELECT * FROM coupon_entries WHERE shard = ANY(%(shards)s) AND kind IN ('claimed', 'issued')) AS e"
        " FULL JOIN (SELECT * FROM coupons WHERE campaign = %(campaign)s) AS c USING (code)"
        " WHERE (e.shard, e.seq, e.holder, e.version, coalesce(e.channel, ''), coalesce(e.units, 1))"
        " IS DISTINCT FROM (c.shard, c.seq, c.holder, c.version, c.channel, c.units) ORDER BY 3, 4",
    ),
    Pair(
        "a coupon is not as its last change left it",
        "SELECT code, c.holder, c.shard, c.changed_seq AS seq, c.state AS coupon_state,"
        " coalesce(e.state, 'claimed') AS state"
        " FROM coupons AS c LEFT JOIN (SELECT DISTINCT ON (code) code, seq, state, \"left\" FROM coupon_entries"
        " WHERE shard = ANY(%(shards)s) AND state IS NOT NULL ORDER BY code, seq DESC) AS e USING (code)"
        " WHERE campaign = %(campaign)s"
        " AND (c.state <> coalesce(e.state, 'claimed') OR c.changed_seq <> coalesce(e.seq, c.seq)"
        " OR c.\"left\" IS DISTINCT FROM e.\"left\") ORDER BY 3, 4",
    ),
    Pair(
        "a redemption and its change differ",
        "SELECT coalesce(r.code, e.code) AS code, coalesce(r.holder, e.holder) AS holder, shard, seq,"
        " coalesce(r.id, e.ref) AS redemption, r.minor AS row_minor, e.minor AS change_minor"
        " FROM (SELECT * FROM coupon_entries WHERE shard = ANY(%(shards)s) AND kind = 'redeemed') AS e"
        " FULL JOIN (SELECT * FROM redemptions WHERE campaign = %(campaign)s) AS r USING (shard, seq)"
        " WHERE (r.id, r.code, r.holder, r.minor) IS DISTINCT FROM (e.ref, e.code, e.holder, e.minor) ORDER BY 3, 4",
    ),
    Pair(
        "a rollback and its change differ",
        "SELECT e.code AS code, shard, seq, coalesce(r.redemption, e.ref) AS redemption, r.minor AS row_minor,"
        " e.minor AS change_minor"
        " FROM (SELECT * FROM coupon_entries WHERE shard = ANY(%(shards)s) AND kind = 'rolled_back') AS e"
        " FULL JOIN (SELECT * FROM rollbacks WHERE shard = ANY(%(shards)s)) AS r USING (shard, seq)"
        " WHERE (r.redemption, r.minor, r.state) IS DISTINCT FROM (e.ref, e.minor, e.state) ORDER BY 2, 3",
    ),
    Pair(
        "a redemption does not have what came back of it",
        "SELECT code, holder, shard, seq, id AS redemption, minor, rolled_back_minor, came_back"
        " FROM redemptions LEFT JOIN (SELECT redemption, sum(minor)::bigint AS came_back FROM rollbacks"
        " WHERE shard = ANY(%(shards)s) GROUP BY 1) AS back ON redemption = id WHERE campaign = %(campaign)s"
        " AND (rolled_back_minor <> coalesce(came_back, 0) OR coalesce(came_back, 0) > minor) ORDER BY 3, 4",
    ),
    Pair(
        "all of it came back, and the coupon is spent",
        "SELECT code, r.holder, r.shard AS shard, last.seq AS seq, id AS redemption, minor"
        " FROM redemptions AS r JOIN coupons AS c USING (campaign, code)"
        " JOIN (SELECT DISTINCT ON (redemption) redemption, seq, state FROM rollbacks WHERE shard = ANY(%(shards)s)"
        " ORDER BY redemption, seq DESC) AS last ON redemption = id"
        " WHERE campaign = %(campaign)s AND c.units = 1 AND rolled_back_minor = minor AND last.state = 'redeemed'"
        " ORDER BY 3, 4",
    ),
)  # fmt: skip
"""In the order they are looked at."""


def check_rows(books: psycopg.Connection[Any], campaign: str, terms: Terms, walk: Walk, tallies: Tallies) -> None:
    """Every pair of places."""
    check = tallies["rows"]
    check.checked += sum(walk.last_seq.values())
    for pair in PAIRS:
        count, first = 0, None
        with books.cursor() as cursor:
            cursor.execute(pair.query, {"campaign": campaign, "shards": terms.shards})
            count = cursor.rowcount
            if count and cursor.description:
                names = [column.name for column in cursor.description]
                first = dict(zip(names, cursor.fetchone() or (), strict=False))
        if count:
            check.violate(pair.why, count, campaign=campaign, **(first or {}))


def check_ends(books: psycopg.Connection[Any], campaign: str, walk: Walk, tallies: Tallies) -> None:
    """The numbers of each shard go on to the one its checkpoint says."""
    for row in named(books, "SELECT shard, seq FROM checkpoints WHERE campaign = %s ORDER BY shard", [campaign]):
        last = walk.last_seq.get(row.shard, 0)
        if last != row.seq:
            tallies["sequence"].violate(
                "numbers and checkpoint end differently", abs(row.seq - last), campaign=campaign, shard=row.shard,
                seq=last + 1, checkpoint=row.seq,
            )  # fmt: skip


def check_units(
    books: psycopg.Connection[Any], campaign: str, terms: Terms, walk: Walk, put_in: int, tallies: Tallies
) -> None:
    """
    Each account of the unit book is what the state changes moved; what left supply was put in; and each state of a
    coupon has its account, where no code may be used more than once.
    """
    check = tallies["units"]
    posted: dict[str, int] = {
        row.account: int(row.balance)
        for row in named(
            books,
            "SELECT account, sum(side.units) AS balance FROM postings JOIN journals ON journals.id = journal"
            " CROSS JOIN LATERAL (VALUES (destination, amount), (source, -amount)) AS side (account, units)"
            " WHERE shard = ANY(%s) AND commodity = %s GROUP BY account",
            [terms.shards, f"coupon:{campaign}"],
        )
    }
    for account in sorted(posted.keys() | walk.accounts.keys()):
        check.checked += 1
        if posted.get(account, 0) != walk.accounts[account]:
            check.violate("postings and state changes differ", campaign=campaign, account=account,
                          posted=posted.get(account, 0), changed=walk.accounts[account])  # fmt: skip
    check.checked += 1
    if -posted.get("supply", 0) != put_in:
        check.violate("what left supply is not what was put in", campaign=campaign, account="supply",
                      posted=posted.get("supply", 0), put_in=put_in)  # fmt: skip
    states = {row.state: row for row in named(
        books,
        "SELECT state, count(*) AS coupons, max(units) AS units, min(code) AS code FROM coupons WHERE campaign = %s"
        " GROUP BY state",
        [campaign],
    )}  # fmt: skip
    if any(row.units > 1 for row in states.values()):
        return
    of = {state: row.coupons for state, row in states.items()}
    back = walk.returned
    for names, accounts, more in (
        (("claimed",), ("outstanding",), 0),
        (("reserved",), ("reserved",), 0),
        (("redeemed",), ("redeemed",), 0),
        (("expired", "revoked"), ("expired", "revoked"), back),
    ):
        check.checked += 1
        coupons = sum(of.get(name, 0) for name in names)
        balance = sum(posted.get(account, 0) for account in accounts) + more
        if coupons != balance:
            check.violate("coupons and their account differ", campaign=campaign, account=accounts[0], posted=balance,
                          coupons=coupons, code=states[names[0]].code if names[0] in states else "")  # fmt: skip
