"""
Was it clean? Redis, the books and what the crowd was told, compared by queries of their own.

Nothing here comes from the product: a bug there can't hide itself here.
"""

import time
from typing import Any, NamedTuple

import psycopg
import redis

ACCOUNTS = {
    "claimed": "outstanding",
    "reserved": "reserved",
    "redeemed": "redeemed",
    "expired": "expired",
    "revoked": "revoked",
}
"""State of a coupon → the account that holds its unit, in a campaign whose coupons don't go back to stock."""


class Finding(NamedTuple):
    """One check: whether it holds and the figures it was made on."""

    name: str
    holds: bool
    figures: dict[str, Any]


def await_drained(target_redis: str, target_postgres: str, campaign: str, shards: int, within_s: float) -> float:
    """Wait until the books have every seq Redis has given; the seconds it took. Errors: TimeoutError."""
    began = time.monotonic()
    with redis.Redis.from_url(target_redis) as store, psycopg.connect(target_postgres, autocommit=True) as books:
        while True:
            given = sum(int(store.hget(f"fc:{{{campaign}/{n}}}:counters", "seq") or 0) for n in range(shards))
            row = books.execute(
                "SELECT coalesce(sum(seq), 0) FROM checkpoints WHERE campaign = %s", [campaign]
            ).fetchone()
            assert row is not None
            waited = time.monotonic() - began
            if int(row[0]) >= given:
                return waited
            if waited > within_s:
                raise TimeoutError(f"the books have seq {row[0]} of {given} after {within_s} s")
            time.sleep(0.05)


def findings(
    target_redis: str,
    target_postgres: str,
    campaign: str,
    *,
    shards: int,
    stock: int,
    per_holder: int,
    told: dict[str, str],
) -> list[Finding]:
    """
    Compare a drained campaign in Redis, in the books, and as it was *told* (code → holder, of every 201).

    *stock* is what was put in, at least as much as was asked for by holders below their limit.
    """
    with redis.Redis.from_url(target_redis, decode_responses=True) as store:
        keys = [f"fc:{{{campaign}/{number}}}" for number in range(shards)]
        left = sum(int(store.get(f"{key}:stock") or -1) for key in keys)
        counters: list[dict[str, str]] = [store.hgetall(f"{key}:counters") for key in keys]
        in_redis = sum(int(counter.get("claimed", 0)) for counter in counters)
        codes_in_redis: set[str] = set()
        for key in keys:
            codes_in_redis.update(store.hkeys(f"{key}:coupons"))
        seqs = {f"{campaign}/{number}": int(counter["seq"]) for number, counter in enumerate(counters)}
    with psycopg.connect(target_postgres, autocommit=True) as books:
        coupons: dict[str, str] = dict(
            books.execute("SELECT code, holder FROM coupons WHERE campaign = %s", [campaign]).fetchall()
        )
        over = books.execute(
            "SELECT holder, count(*) FROM coupons WHERE campaign = %s AND holder <> ''"
            " GROUP BY holder HAVING count(*) > %s LIMIT 5",
            [campaign, per_holder],
        ).fetchall()
        states: dict[str, int] = dict(
            books.execute(
                "SELECT state, count(*) FROM coupons WHERE campaign = %s GROUP BY state", [campaign]
            ).fetchall()
        )
        rows = books.execute(
            "SELECT shard, min(seq), max(seq), count(*) FROM coupon_entries WHERE shard = ANY(%s) GROUP BY shard",
            [list(seqs)],
        ).fetchall()
        balances: dict[str, int] = dict(
            books.execute(
                "SELECT account, sum(amount) FROM (SELECT destination AS account, amount, commodity FROM postings"
                " UNION ALL SELECT source, -amount, commodity FROM postings) AS moves"
                " WHERE commodity = %s GROUP BY account",
                [f"coupon:{campaign}"],
            ).fetchall()
        )
    gap_free = {shard: (low, high, count) for shard, low, high, count in rows} == {
        shard: (1, seq, seq) for shard, seq in seqs.items()
    }
    wrong = [code for code, holder in told.items() if coupons.get(code) != holder]
    return [
        Finding("granted and left are the stock", in_redis + left == stock, {"granted": in_redis, "left": left}),
        Finding("never oversold", in_redis <= stock and left >= 0, {"granted": in_redis, "stock": stock}),
        Finding("no holder over the limit", not over, {"over": [list(row) for row in over]}),
        Finding("Redis and the books have the same coupons", codes_in_redis == set(coupons), {"books": len(coupons)}),
        Finding("seq runs from 1 without a gap", gap_free, {"seq": sum(seqs.values())}),
        Finding("every 201 is in the books, for its holder", not wrong, {"told": len(told), "wrong": wrong[:5]}),
        Finding("nobody else has one", len(told) == len(coupons), {"told": len(told), "books": len(coupons)}),
        Finding(
            "the unit book balances",
            sum(balances.values()) == 0
            and balances.get("stock", 0) == left
            and all(balances.get(account, 0) == states.get(state, 0) for state, account in ACCOUNTS.items()),
            {account: int(balance) for account, balance in sorted(balances.items())},
        ),
    ]
