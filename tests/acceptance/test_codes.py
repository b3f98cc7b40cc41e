"""The promise of docs/codes.md, kept by the whole system: exactly so many codes, whoever is killed."""

from pathlib import Path

import psycopg
import redis

from loadtest.codes import CAMPAIGN, run
from loadtest.system import System
from tests.patience import PATIENT

COUNT, SHARDS = 20_000, 2


def test_20_000_codes_through_a_kill(tmp_path: Path) -> None:
    """Every worker is killed half-way; the next ones finish it: 20,000 distinct codes in Redis and in the books."""
    with System(tmp_path, workers=1, no_demo="true", **PATIENT) as system:
        report, ended = run(system, COUNT, SHARDS, as_json=True)
        with redis.Redis.from_url(system.target.redis_url, decode_responses=True) as store:
            keys = [f"fc:{{{CAMPAIGN}/{number}}}" for number in range(SHARDS)]
            in_redis = [code for key in keys for code in store.hkeys(f"{key}:coupons")]
            left = sum(int(store.get(f"{key}:stock") or -1) for key in keys)
        with psycopg.connect(system.target.postgres_url) as books:
            in_books = {
                code for (code,) in books.execute("SELECT code FROM coupons WHERE batch = %s", [report["batch"]])
            }

    assert [check for check in report["checks"] if not check["holds"]] == []
    assert (report["clean"], ended.code, ended.data["holds"]) == (True, 0, True)
    assert 10_000 <= report["done_at_kill"] < 20_000
    assert len(in_redis) == len(set(in_redis)) == COUNT
    assert (set(in_redis), left) == (in_books, 0)
