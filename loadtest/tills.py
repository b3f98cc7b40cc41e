"""
A rush of tills: every coupon is asked for by two of them at once, on orders of their own; was each spent once?

    python -m loadtest.tills --ready-file ready.json --coupons 10000 --tills 50

It ends with checks of its own and with `fairclaim verdict`. Exit codes: 0 clean · 1 a check or an invariant does not
hold · 2 wrong arguments · else that of the verdict.
"""

import argparse
import json
import random
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import redis
import uvloop

from loadtest.books import Finding, await_drained
from loadtest.client import Request, Tally, drive
from loadtest.rush import Rush, create_campaign, run
from loadtest.target import Target
from loadtest.verdict import end, told_file, verdict

DISCOUNT_MINOR = 500
"""What each coupon of a rush's campaign takes off an order of enough."""


def redeem_request(api_key: str, code: str, order: str, key: str, price_minor: int) -> bytes:
    """The bytes of one redemption on an order of one article."""
    line = {"sku": "A1", "quantity": 1, "unit_price_minor": price_minor}
    body = json.dumps({"code": code, "order": {"id": order, "currency": "CNY", "lines": [line]}, "store": "s-1"})
    head = (
        f"POST /v1/redemptions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {api_key}\r\n"
        f"Idempotency-Key: {key}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return (head + body).encode()


class Tills:
    """Each of *codes* twice, with other keys and orders, in seeded random order; what each answer told is kept."""

    def __init__(self, target: Target, codes: list[str], seed: int) -> None:
        self._asks = [(code, ask) for code in codes for ask in "ab"]
        random.Random(seed).shuffle(self._asks)  # noqa: S311 - reproducible, not secret
        self._target = target
        self.spent: dict[str, str] = {}
        self.outcomes: Counter[str] = Counter()
        self.twice: list[str] = []

    def requests(self) -> Iterator[Request]:
        """Every redemption."""
        for number, (code, ask) in enumerate(self._asks):
            order = f"{code}-{ask}"
            yield number, redeem_request(self._target.admin_key, code, order, f"key-{order}", 4000)

    def seen(self, number: int, status: int, head: bytes, body: bytes) -> None:
        """Keep a redemption; count a refusal by its code, and the state it names."""
        answer: dict[str, Any] = json.loads(body)
        code = self._asks[number][0]
        if status == 201:
            self.outcomes["redeemed"] += 1
            if code in self.spent:
                self.twice.append(code)
            self.spent[code] = answer["id"]
        else:
            self.outcomes[f"{answer.get('code', status)} {answer.get('from', '')}".strip()] += 1


def findings(target: Target, campaign: str, codes: list[str], tills: Tills) -> list[Finding]:
    """Compare the drained campaign in Redis, in the books, and as the tills were told."""
    count = len(codes)
    with redis.Redis.from_url(target.redis_url) as store:
        records: dict[bytes, bytes] = store.hgetall(f"fc:{{{campaign}/0}}:coupons")
        seq = int(store.hget(f"fc:{{{campaign}/0}}:counters", "seq") or 0)
    letters = Counter(record[:1].decode() for record in records.values())
    with psycopg.connect(target.postgres_url, autocommit=True) as books:
        booked: dict[str, str] = dict(
            books.execute("SELECT code, id FROM redemptions WHERE campaign = %s", [campaign]).fetchall()
        )
        [(rows, minor)] = books.execute(
            "SELECT count(*), coalesce(sum(minor), 0)::bigint FROM redemptions WHERE campaign = %s", [campaign]
        ).fetchall()
        states: dict[str, int] = dict(
            books.execute("SELECT state, count(*) FROM coupons WHERE campaign = %s GROUP BY 1", [campaign]).fetchall()
        )
        [(low, high, entries, redeemed)] = books.execute(
            "SELECT min(seq), max(seq), count(*), count(*) FILTER (WHERE kind = 'redeemed') FROM coupon_entries"
            " WHERE shard = %s",
            [f"{campaign}/0"],
        ).fetchall()
        balances: dict[str, int] = dict(
            books.execute(
                "SELECT account, sum(amount)::bigint FROM (SELECT destination AS account, amount, commodity"
                " FROM postings UNION ALL SELECT source, -amount, commodity FROM postings) AS moves"
                " WHERE commodity = %s GROUP BY account",
                [f"coupon:{campaign}"],
            ).fetchall()
        )
    told = {"redeemed": count, "invalid_state redeemed": count}
    left = {account: balance for account, balance in balances.items() if balance}
    return [
        Finding("one of two tills had each coupon", dict(tills.outcomes) == told, dict(tills.outcomes)),
        Finding("no coupon was told twice", not tills.twice and len(tills.spent) == count, {"twice": tills.twice[:5]}),
        Finding("Redis has every coupon redeemed", letters == {"u": count}, dict(letters)),
        Finding("the books have every coupon redeemed", states == {"redeemed": count}, states),
        Finding("the books have the redemptions that were told", booked == tills.spent, {"books": len(booked)}),
        Finding("each once, for what it was worth", (rows, minor) == (count, count * DISCOUNT_MINOR), {"minor": minor}),
        Finding("seq runs from 1 without a gap", (low, high, entries, redeemed) == (1, seq, seq, count), {"seq": seq}),
        Finding("the unit book balances", left == {"supply": -count, "redeemed": count}, left),
    ]


async def spend(target: Target, tills: Tills, connections: int) -> Tally:
    """Ask for every coupon."""
    return await drive(target.gateway_url, tills.requests(), connections, tills.seen)


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.tills", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--ready-file", type=Path, required=True, help="what fairclaim up --ready-file wrote")
    parser.add_argument("--campaign", default="", help="id of the campaign to create (default: made from the time)")
    parser.add_argument("--coupons", type=int, default=10_000)
    parser.add_argument("--tills", type=int, default=50, help="connections, each asking again when it is answered")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    chosen = parser.parse_args(arguments)
    target = Target.read(chosen.ready_file)
    campaign = chosen.campaign or f"tills-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    create_campaign(target, campaign, chosen.coupons, 1, 1)
    rush = Rush(target, campaign, chosen.coupons, chosen.coupons, chosen.seed)
    claiming = uvloop.run(run(target, rush, 128))
    codes = sorted(rush.told)
    tills = Tills(target, codes, chosen.seed)
    tally = uvloop.run(spend(target, tills, chosen.tills))
    drained_s = await_drained(target.redis_url, target.postgres_url, campaign, 1, within_s=60)
    checks = findings(target, campaign, codes, tills)
    with told_file(None) as told:
        rush.write_told(told, claiming.unanswered)
        ended = verdict(chosen.ready_file, campaign, told, as_json=chosen.json)
    report = {
        "campaign": campaign,
        "coupons": len(codes),
        "redemptions": sum(tally.statuses.values()),
        "tills": chosen.tills,
        "redemptions_per_s": round(sum(tally.statuses.values()) / tally.elapsed_s),
        "p50_ms": round(tally.percentile_ms(50), 2),
        "p99_ms": round(tally.percentile_ms(99), 2),
        "drained_after_s": round(drained_s, 2),
        "outcomes": dict(tills.outcomes.most_common()),
        "unanswered": len(tally.unanswered),
        "clean": len(codes) == chosen.coupons
        and all(check.holds for check in checks)
        and not tally.unanswered
        and ended.code == 0,
        "checks": [check._asdict() for check in checks],
    }
    return end(report, ended, _screen, as_json=chosen.json)


def _screen(report: dict[str, Any]) -> str:
    lines = [
        f"{report['redemptions']} redemptions of {report['coupons']} coupons by {report['tills']} tills",
        f"  {report['redemptions_per_s']} answers/s, p50 {report['p50_ms']} ms, p99 {report['p99_ms']} ms,"
        f" in the books {report['drained_after_s']} s after the last answer",
        "  " + ", ".join(f"{count} {outcome}" for outcome, count in report["outcomes"].items()),
        *(f"  {'ok  ' if check['holds'] else 'FAIL'} {check['name']} {check['figures']}" for check in report["checks"]),
        "clean" if report["clean"] else "NOT CLEAN",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
