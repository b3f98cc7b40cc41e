"""What no single row shows: limits by what was told, the truth of limit_reached, one coupon a key by the books."""

from collections import Counter
from typing import Any

import psycopg

from loadtest.verdict.books import Terms, named
from loadtest.verdict.crowd import Crowd
from loadtest.verdict.found import Tallies
from loadtest.verdict.walk import Walk


def check_limits(crowd: Crowd, walk: Walk, terms: Terms, limit: int, tallies: Tallies) -> None:
    """No holder was told of more coupons than the limit, also of some that the books don't have."""
    if terms.frees:
        return  # by the books alone, which know when a place became free
    for holder, has in Counter(granted.holder for granted in crowd.coupons.values()).items():
        if has > limit >= walk.holds[holder]:
            last = next(granted for granted in reversed(crowd.coupons.values()) if granted.holder == holder)
            tallies["limit"].violate(
                "was told of more than the limit", has - limit, campaign=crowd.campaign, holder=holder, code=last.code,
                key=last.key, seq=last.seq, has=has, limit=limit,
            )  # fmt: skip


def check_limit_reached(crowd: Crowd, walk: Walk, limit: int, tallies: Tallies) -> None:
    """Whoever was told limit_reached had that many by the time of the answer. Places that became free are no excuse."""
    check = tallies["limit_reached"]
    check.checked += crowd.limits_told
    for holder, (answered_s, key) in crowd.limited.items():
        claimed = walk.claimed_at.get(holder, [])
        if answered_s and walk.clocks.known:
            _, until_s = walk.clocks.during(answered_s, answered_s)
            claimed = [at_s for at_s in claimed if at_s <= until_s]
        if len(claimed) < limit:
            check.violate(
                "had fewer by then", campaign=crowd.campaign, holder=holder, key=key, had=len(claimed), limit=limit,
                answered_s=answered_s,
            )  # fmt: skip


def check_keys(books: psycopg.Connection[Any], terms: Terms, crowd: Crowd, tallies: Tallies) -> None:
    """By the books no holder has two claims under one key: *idem* is the hash of key and body that came with each."""
    for row in named(
        books,
        "SELECT holder, count(*) AS claims, min(seq) AS seq, max(seq) AS and_seq, min(shard) AS shard,"
        " (array_agg(code ORDER BY seq))[1] AS code, (array_agg(code ORDER BY seq))[2] AS and_code"
        " FROM coupon_entries WHERE shard = ANY(%s) AND kind = 'claimed' GROUP BY holder, idem HAVING count(*) > 1",
        [terms.shards],
    ):
        told = crowd.coupons.get(row.code) or crowd.coupons.get(row.and_code)
        if row.code in crowd.coupons and row.and_code in crowd.coupons:
            continue  # counted as it was told
        tallies["replays"].violate(
            "one key has two rows", row.claims - 1, campaign=crowd.campaign, holder=row.holder,
            key=told.key if told else "", code=row.code, and_code=row.and_code, shard=row.shard, seq=row.seq,
            and_seq=row.and_seq,
        )  # fmt: skip
