"""What /metrics asks Redis and the books for, at the moment it is asked. Neither being away fails the page."""

import asyncio
import logging
from typing import Any

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout, TooManyRequests
from redis.exceptions import RedisError

from gateway.probing import is_probing
from gateway.status import drain_lag
from lua.door import Door, DoorError

log = logging.getLogger("fairclaim.gauges")

ANSWER_S_MAX = 2.0

GAUGES: dict[str, tuple[str, str]] = {
    "fairclaim_redis_up": ("gauge", "1 when Redis answers."),
    "fairclaim_redis_memory_bytes": ("gauge", "Memory Redis uses."),
    "fairclaim_redis_memory_max_bytes": ("gauge", "Memory Redis may use; 0 is no limit."),
    "fairclaim_redis_script_calls_total": ("counter", "Script calls Redis ran, by its own count."),
    "fairclaim_redis_script_seconds_total": ("counter", "Time Redis spent in scripts, by its own clock."),
    "fairclaim_code_probing": ("gauge", "1 while all workers together see too many failures on codes."),
    "fairclaim_books_up": ("gauge", "1 when PostgreSQL answers."),
    "fairclaim_drain_lag_seq": ("gauge", "State changes on the streams that are not in the books yet, all shards."),
    "fairclaim_drain_lag_seconds": ("gauge", "Age of the oldest of them."),
    "fairclaim_shards_stopped": ("gauge", "Shards whose drain has stopped."),
    "fairclaim_breaks_open": ("gauge", "Differences found and not resolved."),
    "fairclaim_stocktake_age_seconds": (
        "gauge",
        "Age of the last stocktake, of the shard with the oldest.",
    ),
    "fairclaim_alerts_open": ("gauge", "Alerts that are not over."),
    "fairclaim_alert_deliveries_pending": (
        "gauge",
        "Alerts on their way to a receiver, those that are tried again too.",
    ),
    "fairclaim_quarantine_entries": ("gauge", "Stream entries that could not be read and wait for replay."),
}
"""name → kind, help. A figure that can't be had is left out, so that nobody takes an old one for a new one."""

_BOOKS_QUERY = """
SELECT (SELECT count(*) FROM checkpoints WHERE state = 'stopped') AS stopped,
       (SELECT count(*) FROM breaks WHERE resolved_at IS NULL) AS breaks,
       (SELECT count(*) FROM quarantine WHERE replayed_at IS NULL) AS quarantine,
       (SELECT count(*) FROM alerts WHERE cleared_at IS NULL) AS alerts,
       (SELECT count(*) FROM alert_deliveries WHERE state = 'pending') AS deliveries,
       (SELECT extract(epoch FROM now() - min(coalesce(last.taken_at, checkpoints.updated_at)))
        FROM checkpoints
        JOIN campaigns ON campaigns.id = checkpoints.campaign AND campaigns.state <> 'archived'
        LEFT JOIN LATERAL (
            SELECT taken_at FROM stocktakes  -- by a range: told "=", PostgreSQL may go back through all of them by id
            WHERE stocktakes.shard BETWEEN checkpoints.shard AND checkpoints.shard
            ORDER BY stocktakes.shard DESC, id DESC LIMIT 1
        ) AS last ON true) AS stocktake_age_s
"""


async def redis_gauges(door: Door) -> dict[str, float]:
    """What Redis says of itself."""
    try:
        async with asyncio.timeout(ANSWER_S_MAX):
            memory = await door.redis.info("memory")
            commands = await door.redis.info("commandstats")
            probing = await is_probing(door.redis)
    except (RedisError, OSError, TimeoutError) as error:
        log.debug("Redis does not answer", extra={"reason": str(error)})
        return {"fairclaim_redis_up": 0}
    scripts: dict[str, Any] = commands.get("cmdstat_evalsha", {})
    return {
        "fairclaim_redis_up": 1,
        "fairclaim_redis_memory_bytes": memory["used_memory"],
        "fairclaim_redis_memory_max_bytes": memory["maxmemory"],
        "fairclaim_redis_script_calls_total": scripts.get("calls", 0),
        "fairclaim_redis_script_seconds_total": scripts.get("usec", 0) / 1e6,
        "fairclaim_code_probing": int(probing),
    }


async def books_gauges(door: Door, pool: AsyncConnectionPool) -> dict[str, float]:
    """How far the books are behind the streams, and what is wrong with them."""
    try:
        async with asyncio.timeout(ANSWER_S_MAX):
            async with pool.connection() as connection:
                counts: Any = await (await connection.execute(_BOOKS_QUERY)).fetchone()
            lags = await drain_lag(door, pool)
    except (psycopg.Error, PoolTimeout, TooManyRequests, RedisError, DoorError, OSError, TimeoutError) as error:
        log.debug("the books do not answer", extra={"reason": str(error)})
        return {"fairclaim_books_up": 0}
    return {
        "fairclaim_books_up": 1,
        "fairclaim_drain_lag_seq": sum(lag.lag_seq for lag in lags),
        "fairclaim_drain_lag_seconds": max((lag.lag_s for lag in lags), default=0),
        "fairclaim_shards_stopped": counts["stopped"],
        "fairclaim_breaks_open": counts["breaks"],
        "fairclaim_stocktake_age_seconds": float(counts["stocktake_age_s"] or 0),
        "fairclaim_quarantine_entries": counts["quarantine"],
        "fairclaim_alerts_open": counts["alerts"],
        "fairclaim_alert_deliveries_pending": counts["deliveries"],
    }


def render(figures: dict[str, float]) -> str:
    """The figures in the Prometheus text format."""
    lines = []
    for name, figure in figures.items():
        kind, text = GAUGES[name]
        lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}", f"{name} {figure:.10g}"]
    return "\n".join(lines) + "\n"
