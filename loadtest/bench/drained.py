"""Waits for the drain as a benchmark does: by the counters of Redis, so that nothing else is asked meanwhile."""

import time

import psycopg
import redis


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
