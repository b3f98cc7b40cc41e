"""
Codes in bulk, through a kill: ask for them, kill every gateway worker half-way, and count what is there at the end.

    python -m loadtest.codes --count 1000000

Starts a system of its own, so that what it kills is its own. It ends with checks of its own and with
`fairclaim verdict`. Exit codes: 0 exactly so many · 1 a check or an invariant does not hold · else that of the verdict.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import redis

from loadtest.books import Finding, await_drained
from loadtest.rush import create_campaign
from loadtest.system import System
from loadtest.target import Target
from loadtest.verdict import end, verdict

CAMPAIGN = "paper"
POLL_S = 0.01
MAKING_S_MAX = 3600.0
SCAN_CODES = 10_000


class Made(NamedTuple):
    """How the codes came: ids, when the kill was, seconds from asking to done and from there to the books."""

    batch: str
    done_at_kill: int
    making_s: float
    draining_s: float


def main(arguments: list[str] | None = None) -> int:
    """Run it and print a report."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.codes", description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--shards", type=int, default=2)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON document")
    options = parser.parse_args(arguments)
    with (
        tempfile.TemporaryDirectory(prefix="fairclaim-codes-") as folder,
        System(Path(folder), workers=options.workers, no_demo="true") as system,
    ):
        made = make(system, options.count, options.shards)
        found = findings(system.target, made.batch, options.count, options.shards)
        ended = verdict(system.ready_file, CAMPAIGN, as_json=options.json)
    report = {
        "count": options.count,
        **made._asdict(),
        "codes_per_s": round(options.count / made.making_s),
        "clean": all(finding.holds for finding in found) and ended.code == 0,
        "checks": [finding._asdict() for finding in found],
    }
    return end(report, ended, _screen, as_json=options.json)


def make(system: System, count: int, shards: int) -> Made:
    """Have the codes made, and kill the workers when half of them are."""
    target = system.target
    create_campaign(target, CAMPAIGN, count, 1, shards)
    began = time.monotonic()
    batch = ask(target, "POST", f"/v1/campaigns/{CAMPAIGN}/code-batches", {"kind": "single", "count": count})
    path, killed = f"/v1/campaigns/{CAMPAIGN}/code-batches/{batch['id']}", 0
    while batch["state"] != "done":
        if batch["state"] not in ("pending", "running") or time.monotonic() - began > MAKING_S_MAX:
            raise RuntimeError(f"the batch does not get done: {batch}")
        if not killed and batch["done"] >= count // 2:
            killed = batch["done"]
            for pid in system.parts()["gateway"]:
                os.kill(pid, signal.SIGKILL)
        time.sleep(POLL_S)
        try:
            batch = ask(target, "GET", path)
        except (urllib.error.URLError, HTTPException, ConnectionError):
            continue  # the workers are being started again
    making_s = time.monotonic() - began
    draining_s = await_drained(target.redis_url, target.postgres_url, CAMPAIGN, shards, MAKING_S_MAX)
    return Made(batch["id"], killed, round(making_s, 1), round(draining_s, 1))


def ask(target: Target, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """One request as admin. Errors: URLError and others of urllib."""
    headers = {
        "Authorization": f"Bearer {target.admin_key}",
        "Content-Type": "application/json",
        "Idempotency-Key": "k",
    }
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(target.gateway_url + path, data, headers, method=method)  # noqa: S310 - http
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - as above
        found: dict[str, Any] = json.load(answer)
        return found


def findings(target: Target, batch: str, count: int, shards: int) -> list[Finding]:
    """Count what is there, in Redis and in the books, by queries of their own."""
    in_redis: set[bytes] = set()
    records = stock = claimed = 0
    with redis.Redis.from_url(target.redis_url) as store:
        for number in range(shards):
            key = f"fc:{{{CAMPAIGN}/{number}}}"
            records += store.hlen(f"{key}:coupons")
            in_redis.update(code for code, _ in store.hscan_iter(f"{key}:coupons", count=SCAN_CODES))
            stock += int(store.get(f"{key}:stock") or -1)
            claimed += int(store.hget(f"{key}:counters", "claimed") or 0)
    with psycopg.connect(target.postgres_url, autocommit=True) as books:
        rows = books.execute("SELECT code FROM coupons WHERE batch = %s", [batch]).fetchall()
        entries = books.execute(
            "SELECT count(*), count(DISTINCT code) FROM coupon_entries WHERE kind = 'issued'"
        ).fetchone()
        balances: dict[str, int] = dict(
            books.execute(
                "SELECT account, balance FROM v_balances WHERE commodity = %s", [f"coupon:{CAMPAIGN}"]
            ).fetchall()
        )
    in_books = {code.encode() for (code,) in rows}
    sizes = {"records": records, "distinct": len(in_redis), "claimed": claimed, "stock": stock}
    return [
        Finding(
            "Redis has exactly so many distinct codes",
            records == len(in_redis) == claimed == count and stock == 0,
            sizes,
        ),
        Finding(
            "the books have the same codes, each once",
            in_books == in_redis and len(rows) == count and entries == (count, count),
            {"coupons": len(rows), "distinct": len(in_books), "entries": entries},
        ),
        Finding("the unit book balances", sum(balances.values()) == 0 and balances["outstanding"] == count, balances),
    ]


def _screen(report: dict[str, Any]) -> str:
    lines = [
        f"{report['count']:,} codes in {report['making_s']} s ({report['codes_per_s']:,} a second), the workers killed "
        f"at {report['done_at_kill']:,}; in the books {report['draining_s']} s later"
    ]
    lines += [f"  {'ok  ' if each['holds'] else 'FAIL'} {each['name']}: {each['figures']}" for each in report["checks"]]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
