"""Whether a Redis or Valkey can be trusted with the stock."""

from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from gateway.stack.findings import Finding, now_ms, skew
from lua.door import connect

REDIS_MIN, VALKEY_MIN = (7, 0), (8, 0)
PROBE = "#!lua flags=no-writes\nreturn redis.REDIS_VERSION_NUM"
"""A script with a header line, which is what Redis 7.0 brought and every script of ours needs."""


async def check_redis(url: str, *, call_ms_max: int, connect_ms_max: int) -> list[Finding]:
    """Ask the server at *url*; changes nothing there. Never raises for what the server says or does not say."""
    try:
        client = connect(url, connections_max=1, call_ms_max=call_ms_max, connect_ms_max=connect_ms_max)
    except ValueError as error:
        return [Finding("redis", "fail", f"not a Redis URL ({error})", "write redis://:password@host:port/0")]
    try:
        info: dict[str, Any] = await client.info()
        findings = [_version(info), await _scripting(client), _role(info)]
        findings += [_eviction(info), _memory(info), await _persistence(client, info), await _clock(client)]
        return findings
    except (RedisError, OSError) as error:
        said = " ".join(str(error).split()) or type(error).__name__
        return [Finding("redis", "fail", f"does not answer: {said}", "does it run? is FAIRCLAIM_REDIS_URL right?")]
    finally:
        await client.aclose()
        await client.connection_pool.disconnect()


def _version(info: dict[str, Any]) -> Finding:
    is_valkey = "valkey_version" in info
    title, text = ("Valkey", info["valkey_version"]) if is_valkey else ("Redis", info["redis_version"])
    minimum = VALKEY_MIN if is_valkey else REDIS_MIN
    fits = tuple(int(part) for part in str(text).split(".")[:2]) >= minimum
    needed = f"install Redis {REDIS_MIN[0]}.{REDIS_MIN[1]} or later, or Valkey {VALKEY_MIN[0]} or later"
    return Finding("redis.version", "ok" if fits else "fail", f"{title} {text}", "" if fits else needed)


async def _scripting(client: Redis) -> Finding:
    try:
        await client.eval(PROBE, 0)
    except ResponseError as error:
        advice = "allow EVAL, EVALSHA and SCRIPT to this user, and load the Lua module where it is one"
        return Finding("redis.scripting", "fail", f"scripts do not run: {error}", advice)
    return Finding("redis.scripting", "ok", "scripts run")


def _role(info: dict[str, Any]) -> Finding:
    if info.get("role") != "master":
        return Finding("redis.role", "fail", "a replica", "give the URL of its primary")
    if int(info.get("cluster_enabled", 0)):
        return Finding("redis.role", "warn", "a cluster node", "it has to own every slot: only this node is used")
    return Finding("redis.role", "ok", "a primary")


def _eviction(info: dict[str, Any]) -> Finding:
    policy = str(info.get("maxmemory_policy", "unknown"))
    if policy == "noeviction":
        return Finding("redis.eviction", "ok", policy)
    return Finding(
        "redis.eviction", "fail", policy, "CONFIG SET maxmemory-policy noeviction: a key evicted is a coupon lost"
    )


def _memory(info: dict[str, Any]) -> Finding:
    limit = int(info.get("maxmemory", 0))
    if limit == 0:
        advice = "CONFIG SET maxmemory to what the machine can spare, so that claims close before it runs out"
        return Finding("redis.maxmemory", "warn", "no limit", advice)
    used = 100 * int(info.get("used_memory", 0)) // limit
    found = f"{limit // 1_048_576} MiB, {used} % in use"
    if used >= 85:
        return Finding("redis.maxmemory", "warn", found, "raise maxmemory, or archive campaigns that are over")
    return Finding("redis.maxmemory", "ok", found)


async def _persistence(client: Redis, info: dict[str, Any]) -> Finding:
    name = "redis.persistence"
    if info.get("aof_last_write_status", "ok") != "ok":
        return Finding(name, "fail", "the append-only file can't be written", "look at the server's disk")
    if not int(info.get("aof_enabled", 0)):
        advice = "CONFIG SET appendonly yes: without it a crash of Redis loses claims that were answered"
        return Finding(name, "warn", "no append-only file", advice)
    try:
        fsync = (await client.config_get("appendfsync")).get("appendfsync", "unknown")
    except ResponseError:
        fsync = "unknown: CONFIG is not allowed here"
    if fsync == "no":
        return Finding(name, "warn", "append-only file, appendfsync no", "CONFIG SET appendfsync everysec (or always)")
    return Finding(name, "ok", f"append-only file, appendfsync {fsync}")


async def _clock(client: Redis) -> Finding:
    asked = now_ms()
    seconds, micros = await client.time()
    return skew("redis.clock", seconds * 1000 + micros // 1000, asked, now_ms())
