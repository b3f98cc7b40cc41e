"""Money in the books against what it is owed for: redemptions, and coupons that are out. Sums alone, by SQL."""

from typing import Any

import psycopg

from loadtest.verdict.books import Terms, named
from loadtest.verdict.found import Tallies
from loadtest.verdict.walk import Walk


def check_money(books: psycopg.Connection[Any], campaign: str, terms: Terms, walk: Walk, tallies: Tallies) -> None:
    """
    What redemptions took and rollbacks did not give back is owed to merchants, to the minor unit; and where every
    coupon costs the same, that much is committed for each that is out.
    """
    check = tallies["money"]
    [row] = named(
        books,
        "SELECT (SELECT coalesce(sum(minor), 0) FROM redemptions WHERE campaign = %(campaign)s)::bigint"
        " - (SELECT coalesce(sum(minor), 0) FROM rollbacks WHERE shard = ANY(%(shards)s))::bigint AS given,"
        " coalesce(sum(CASE WHEN source LIKE 'payable%%' THEN amount ELSE 0 END"
        " - CASE WHEN destination LIKE 'payable%%' THEN amount ELSE 0 END), 0)::bigint AS owed,"
        " coalesce(sum(CASE WHEN destination = %(commitment)s THEN amount ELSE 0 END"
        " - CASE WHEN source = %(commitment)s THEN amount ELSE 0 END), 0)::bigint AS committed"
        " FROM postings JOIN journals ON journals.id = journal"
        " WHERE shard = ANY(%(shards)s) AND commodity <> %(unit)s",
        {
            "campaign": campaign,
            "shards": terms.shards,
            "commitment": f"commitment:{campaign}",
            "unit": f"coupon:{campaign}",
        },
    )
    check.checked += 1
    if row.owed != row.given:
        check.violate("merchants are owed another amount", campaign=campaign, redeemed=row.given, owed=row.owed)
    if terms.costs_minor is not None:
        check.checked += 1
        out = walk.accounts["outstanding"] + walk.accounts["reserved"]
        if row.committed != out * terms.costs_minor:
            check.violate("another amount is committed", campaign=campaign, out=out, costs=terms.costs_minor,
                          committed=row.committed)  # fmt: skip
