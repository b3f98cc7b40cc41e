"""`fairclaim doctor`: each thing that is wrong is found, and the advice says what to do."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql
from redis.asyncio import Redis

from gateway.cli.output import FAILURE, OK, UNAVAILABLE
from gateway.stack import check_redis as checks
from gateway.stack.check_postgres import check_postgres
from gateway.stack.check_redis import check_redis
from gateway.stack.findings import SKEW_MS_FAIL, SKEW_MS_WARN, Finding, check_disk, raise_fatal, skew
from gateway.stack.processes import StackError, await_until
from lua.door import Door
from reconciler.migrations import ROLES
from tests.conftest import when_nobody_is_in_it
from tests.integration.commands import PATIENT
from tests.integration.stacks import fairclaim


@pytest.fixture
async def redis(door: Door) -> AsyncIterator[Redis]:
    """A server whose configuration may be spoilt: it is put right afterwards."""
    yield door.redis
    for name, value in {"maxmemory-policy": "noeviction", "appendonly": "yes", "appendfsync": "everysec"}.items():
        await door.redis.config_set(name, value)


@pytest.fixture
def durable_url(postgres_url: str) -> Iterator[str]:
    """The tests' PostgreSQL as `up` starts it: the suite does without what survives a crash, because it is slow."""
    _set_durability(postgres_url, "on")
    yield postgres_url
    _set_durability(postgres_url, "off")


def _set_durability(url: str, value: str) -> None:
    settings = ("fsync", "full_page_writes", "synchronous_commit")

    def has_it() -> bool:
        with psycopg.connect(url) as fresh:
            row = fresh.execute("SELECT reset_val FROM pg_settings WHERE name = 'fsync'").fetchone()
            return row == (value,)

    with psycopg.connect(url, autocommit=True) as connection:
        for setting in settings:
            connection.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(setting), sql.Literal(value)))
        connection.execute("SELECT pg_reload_conf()")
    assert await_until(has_it, 60)


async def _redis_findings(url: str) -> dict[str, Finding]:
    found = await check_redis(url, call_ms_max=30_000, connect_ms_max=30_000)
    return {finding.name: finding for finding in found}


def _postgres_findings(url: str) -> dict[str, Finding]:
    return {finding.name: finding for finding in check_postgres(url, ROLES, connect_ms_max=30_000)}


async def test_good_servers_have_no_findings(redis_url: str, durable_url: str) -> None:
    """The servers that up starts pass every check."""
    found = {**await _redis_findings(redis_url), **_postgres_findings(durable_url)}
    assert {name: finding.found for name, finding in found.items() if finding.level != "ok"} == {}
    assert not [finding for finding in found.values() if finding.advice]


async def test_eviction_persistence_and_memory_are_found(redis: Redis, redis_url: str) -> None:
    """A Redis that evicts fails; one without append-only file or memory limit is warned about."""
    await redis.config_set("maxmemory-policy", "allkeys-lru")
    await redis.config_set("appendonly", "no")
    await redis.config_set("maxmemory", 0)
    found = await _redis_findings(redis_url)
    spoilt = ("redis.eviction", "redis.persistence", "redis.maxmemory")
    assert [found[name].level for name in spoilt] == ["fail", "warn", "warn"]
    assert all("CONFIG SET" in found[name].advice for name in spoilt)


async def test_fsync_no_is_found(redis: Redis, redis_url: str) -> None:
    """An append-only file that is never flushed is warned about."""
    await redis.config_set("appendfsync", "no")
    found = (await _redis_findings(redis_url))["redis.persistence"]
    assert (found.level, found.advice) == ("warn", "CONFIG SET appendfsync everysec (or always)")


async def test_user_without_scripts_is_found(redis: Redis, redis_url: str) -> None:
    """A user who may not run scripts fails the check that really runs one."""
    await redis.acl_setuser(
        "noscript", enabled=True, passwords=["+pw"], keys=["*"], categories=["+@all", "-@scripting"]
    )
    try:
        host = urlsplit(redis_url)
        found = await _redis_findings(f"redis://noscript:pw@{host.hostname}:{host.port}/0")
    finally:
        await redis.acl_deluser("noscript")
    assert found["redis.scripting"].level == "fail"
    assert "EVALSHA" in found["redis.scripting"].advice


@pytest.mark.parametrize(
    ("info", "level"),
    [
        ({"redis_version": "6.2.14"}, "fail"),
        ({"redis_version": "7.0.15"}, "ok"),
        ({"redis_version": "7.2.4", "valkey_version": "7.2.5"}, "fail"),
        ({"redis_version": "7.2.4", "valkey_version": "8.0.1"}, "ok"),
        ({"redis_version": "7.2.4", "valkey_version": "10.0.0"}, "ok"),
    ],
)
def test_versions(info: dict[str, str], level: str) -> None:
    """Redis from 7.0 and Valkey from 8; Valkey calls itself Redis 7.2.4 whatever it is."""
    assert checks._version(info).level == level


async def test_servers_that_do_not_answer_are_findings() -> None:
    """A server that is away, or a URL that is none, is a finding and not a crash."""
    away = await _redis_findings("redis://127.0.0.1:1/0")
    malformed = await _redis_findings("http://127.0.0.1")
    books = _postgres_findings("postgresql://x@127.0.0.1:1/x")
    assert [found.level for found in (away["redis"], malformed["redis"], books["postgres"])] == ["fail"] * 3


def test_user_without_rights_is_found(postgres_url: str) -> None:
    """Who can't take the roles fails, and the advice is the statement that helps."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE ROLE weak LOGIN PASSWORD 'weak'")
        try:
            place = urlsplit(postgres_url)
            found = _postgres_findings(f"postgresql://weak:weak@{place.hostname}:{place.port}{place.path}")
        finally:
            connection.execute("DROP ROLE weak")
    assert found["postgres.privileges"].level == "fail"
    assert found["postgres.privileges"].advice.startswith("GRANT fairclaim_gateway TO weak")


def test_reckless_commits_are_found(durable_url: str) -> None:
    """A database whose commits may be lost in a crash is warned about."""
    with psycopg.connect(durable_url, autocommit=True) as connection:
        name = sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL("ALTER DATABASE {} SET synchronous_commit = off").format(name))
    found = _postgres_findings(durable_url)["postgres.durability"]
    assert (found.level, found.found) == ("warn", "synchronous_commit is off")


@pytest.mark.parametrize(
    ("server_ms", "level", "said"),
    [
        (10_050, "ok", "the same"),
        (10_100 + SKEW_MS_WARN + 1, "warn", "ahead of"),
        (10_000 - SKEW_MS_WARN - 1, "warn", "behind"),
        (10_100 + SKEW_MS_FAIL + 1, "fail", "ahead of"),
    ],
)
def test_skew_is_what_the_way_there_and_back_does_not_explain(server_ms: int, level: str, said: str) -> None:
    """A clock between question and answer is right; what lies outside is skew."""
    finding = skew("clock", server_ms, 10_000, 10_100)
    assert finding.level == level
    assert said in finding.found


def test_disk_of_a_directory_that_is_not_there_yet(tmp_path: Path) -> None:
    """The disk is that of the nearest directory above that exists."""
    assert str(check_disk(tmp_path / "a" / "b").found).endswith(f"left for {tmp_path}/a/b")


def test_fatal_finding_stops_with_its_advice() -> None:
    """Warnings let up start, the first failure does not."""
    raise_fatal([Finding("a", "warn", "so", "do")])
    with pytest.raises(StackError, match="b: broken; mend it"):
        raise_fatal([Finding("a", "ok", "so"), Finding("b", "fail", "broken", "mend it")])


def test_command_tells_the_schema_and_exits_by_the_worst_finding(redis_url: str, durable_url: str) -> None:
    """A current schema is exit code 0; a database nobody migrated is 1, with the command that helps."""
    good = fairclaim("doctor", "--json", "--redis-url", redis_url, "--postgres-url", durable_url, **PATIENT)
    assert good.returncode == OK, good.stdout
    when_nobody_is_in_it(durable_url, "CREATE DATABASE {}", "untouched")
    try:
        empty = durable_url.rpartition("/")[0] + "/untouched"
        bad = fairclaim("doctor", "--redis-url", redis_url, "--postgres-url", empty, **PATIENT)
    finally:
        when_nobody_is_in_it(durable_url, "DROP DATABASE {} WITH (FORCE)", "untouched")
    assert bad.returncode == FAILURE
    assert "FAIL  postgres.schema" in bad.stdout
    assert "fairclaim migrate" in bad.stdout
    assert {finding["level"] for finding in json.loads(good.stdout)["findings"]} == {"ok"}


def test_command_without_servers_says_how_to_name_them(tmp_path: Path) -> None:
    """Nothing given and nothing running: exit code 6 and both ways out."""
    ended = fairclaim("doctor", FAIRCLAIM_DATA_DIR=str(tmp_path))
    assert ended.returncode == UNAVAILABLE
    assert "fairclaim up" in ended.stderr
