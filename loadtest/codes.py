"""
Codes in bulk, through a kill: ask for them, kill every gateway worker half-way, and count what is there at the end.

    python -m loadtest.codes --count 1000000

Starts a system of its own, so that what it kills is its own. It ends with the verdict of `loadtest.verdict`, a check of
its own, and the verdict of the product, `fairclaim verdict`. Exit codes: 0 exactly so many · 1 a check or an invariant
does not hold · else that of `fairclaim verdict`.
"""

import argparse
import json
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

from loadtest.product import Ended, end, product_verdict
from loadtest.rush import check_lines, create_campaign, shown
from loadtest.system import System, send_signal
from loadtest.target import Target
from loadtest.verdict import Check, Expected, judge
from loadtest.verdict.waiting import drained_s

CAMPAIGN = "paper"
POLL_S = 0.01
MAKING_S_MAX = 3600.0
HALF_WAY = """
CREATE FUNCTION half_way() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_advisory_xact_lock_shared({key}); RETURN NEW; END $$;
CREATE TRIGGER half_way BEFORE UPDATE ON code_batches FOR EACH ROW
WHEN (OLD.done >= {half} AND NEW.done > OLD.done) EXECUTE FUNCTION half_way();
SELECT pg_advisory_lock({key})
"""
"""
Whoever makes codes waits half-way until *key* is unlocked: a chunk is issued then, and that is not written down. So it
is killed there however late that is seen; twenty thousand codes take less than a second.
"""
KEY = 5_050


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
        report, ended = run(system, options.count, options.shards, as_json=options.json)
    return end(report, ended, _screen, as_json=options.json)


def run(system: System, count: int, shards: int, *, as_json: bool) -> tuple[dict[str, Any], Ended]:
    """Have *count* codes made on *system* through a kill; the report, and how the product's verdict ended."""
    made = make(system, count, shards)
    verdict = judge(system.target, [Expected(CAMPAIGN, count, 1)], [], wait_s=MAKING_S_MAX)
    checks = [exactly(system.target, made.batch, count), *verdict.checks]
    ended = product_verdict(system.ready_file, CAMPAIGN, as_json=as_json)
    report = {
        "count": count,
        **made._asdict(),
        "codes_per_s": round(count / made.making_s),
        "clean": all(check.holds for check in checks) and ended.code == 0,
        "checks": [shown(check) for check in checks],
    }
    return report, ended


def make(system: System, count: int, shards: int) -> Made:
    """Have the codes made, and kill the workers when half of them are."""
    target = system.target
    create_campaign(target, CAMPAIGN, count, 1, shards)
    began = time.monotonic()
    with psycopg.connect(target.postgres_url, autocommit=True) as books:
        books.execute(HALF_WAY.format(half=count // 2, key=KEY).encode())
        batch = ask(target, "POST", f"/v1/campaigns/{CAMPAIGN}/code-batches", {"kind": "single", "count": count})
        path, killed = f"/v1/campaigns/{CAMPAIGN}/code-batches/{batch['id']}", 0
        while batch["state"] != "done":
            if batch["state"] not in ("pending", "running") or time.monotonic() - began > MAKING_S_MAX:
                raise RuntimeError(f"the batch does not get done: {batch}")
            if not killed and batch["done"] >= count // 2:
                killed = batch["done"]
                send_signal(system.parts()["gateway"], signal.SIGKILL)
                books.execute("SELECT pg_advisory_unlock_all()")
            time.sleep(POLL_S)
            try:
                batch = ask(target, "GET", path)
            except (urllib.error.URLError, HTTPException, ConnectionError):
                continue  # the workers are being started again
    making_s = time.monotonic() - began
    draining_s = drained_s(target, CAMPAIGN, MAKING_S_MAX)
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


def exactly(target: Target, batch: str, count: int) -> Check:
    """The batch has exactly *count* codes in the books, each once, and nothing of the stock is left."""
    with psycopg.connect(target.postgres_url, autocommit=True) as books:
        rows = books.execute(
            "SELECT (SELECT count(*) FROM coupons WHERE batch = %(batch)s),"
            " count(*), count(DISTINCT code) FROM coupon_entries WHERE kind = 'issued' AND ref = %(batch)s",
            {"batch": batch},
        ).fetchall()
    left = ask(target, "GET", f"/v1/campaigns/{CAMPAIGN}")["remaining"]
    figures = dict(zip(("coupons", "changes", "distinct", "left"), (*rows[0], left), strict=True))
    wrong = tuple(figures.values()) != (count, count, count, 0)
    return Check("exactly", "exactly so many codes, each once", count, int(wrong), figures if wrong else None)


def _screen(report: dict[str, Any]) -> str:
    lines = [
        f"{report['count']:,} codes in {report['making_s']} s ({report['codes_per_s']:,} a second), the workers killed "
        f"at {report['done_at_kill']:,}; in the books {report['draining_s']} s later"
    ]
    return "\n".join([*lines, *check_lines(report["checks"])])


if __name__ == "__main__":
    sys.exit(main())
