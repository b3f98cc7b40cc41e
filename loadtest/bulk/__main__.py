"""
Make books as years of sales leave them, straight in PostgreSQL.

    fairclaim migrate --postgres-url URL
    python -m loadtest.bulk --postgres-url URL                                          10,000 coupons, some seconds
    python -m loadtest.bulk --postgres-url URL --coupons 10000000 --campaigns 40 --shards 4 --workers 2

The database has to be migrated and without campaigns. What was begun and not ended goes on where it was; each shard is
there whole or not at all. Redis knows nothing of these books: they are for what reads books. Exit codes: 0 made · 1 the
database can't be used · 2 wrong arguments, or a database with something else in it · 130 interrupted; run it again.
"""

import argparse
import json
import sys
import time
from datetime import date
from typing import Any

import psycopg

from loadtest.bulk.making import make
from loadtest.bulk.opening import Refused
from loadtest.bulk.plan import Size

TABLES = (
    "coupons",
    "coupon_entries",
    "redemptions",
    "rollbacks",
    "journals",
    "postings",
    "account_days",
    "movement_days",
)


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.bulk", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    usual = Size()
    parser.add_argument("--postgres-url", required=True, help="as the owner of a migrated database")
    for name, about in (
        ("coupons", "of all campaigns; each lives for three state changes or so"),
        ("campaigns", "of several kinds, currencies, zones and legal entities"),
        ("shards", "of each campaign"),
        ("stores", "that coupons are redeemed in"),
        ("batch", "state changes the drain would put into the books at a time"),
    ):
        parser.add_argument(f"--{name}", type=int, default=getattr(usual, name), help=f"{about} (%(default)s)")
    parser.add_argument("--since", type=date.fromisoformat, default=usual.since, help="first day (%(default)s)")
    parser.add_argument("--until", type=date.fromisoformat, default=usual.until, help="last day (%(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="shards made at a time (%(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    chosen = parser.parse_args(arguments)
    size = Size(**{name: getattr(chosen, name) for name in Size.__struct_fields__})
    wrong = size.wrong() or ("" if chosen.workers > 0 else "--workers has to be above 0")
    if wrong:
        parser.error(wrong)
    began = time.monotonic()
    try:
        make(chosen.postgres_url, size, chosen.workers, _say(began))
        made = {"seconds": round(time.monotonic() - began, 1), **_counts(chosen.postgres_url)}
    except Refused as error:
        return _fail(2, str(error))
    except psycopg.Error as error:
        return _fail(1, " ".join(str(error).split()))
    except KeyboardInterrupt:
        return _fail(130, "interrupted; the same command goes on")
    print(json.dumps(made) if chosen.json else "\n".join(f"{name:16} {count:>14,}" for name, count in made.items()))
    return 0


def _say(began: float) -> Any:
    """Progress on stderr: how much is there, and how long the rest may take."""
    first: list[int] = []

    def say(count: int, of: int, shard: str) -> None:
        first.append(count)
        took_s = time.monotonic() - began
        rest_s = took_s / (count - first[0] + 1) * (of - count)
        print(f"bulk: {count}/{of} {shard}, {took_s:.0f} s, {rest_s:.0f} s to go", file=sys.stderr, flush=True)

    return say


def _counts(url: str) -> dict[str, int]:
    """Rows by table; and what the planner has to know of them, because nobody waits for autovacuum."""
    with psycopg.connect(url, autocommit=True) as books:
        books.execute("VACUUM ANALYZE")
        return {
            name: int(books.execute(f"SELECT count(*) FROM {name}".encode()).fetchall()[0][0])  # noqa: S608 - literals
            for name in TABLES
        }


def _fail(code: int, why: str) -> int:
    print(f"bulk: {why}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
