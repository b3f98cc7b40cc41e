"""What the campaign tests share: a gateway's services without HTTP, and one that dies at a numbered point."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import msgspec
import psycopg
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from gateway.campaigns.compile import frozen_digest
from gateway.campaigns.definition import Definition, read_definition
from gateway.campaigns.life import State
from gateway.campaigns.patch import DefinitionPatch
from gateway.campaigns.service import Campaigns
from gateway.campaigns.shards import Look, Shards
from gateway.campaigns.stock import Stock
from gateway.wire import rfc3339
from lua.door import Door
from lua.entries import Entry
from lua.keys import CampaignId
from tests.builders import HOUR_MS, ShardUnderTest, an_ask, now_ms

ACTOR = "key:test1234 tests"


def a_body(**changes: Any) -> dict[str, Any]:
    """The body of a campaign that is open now; *changes* override whole fields."""
    return {
        "id": "flash",
        "name": "Flash",
        "currency": "CNY",
        "stock": 10,
        "value": {"type": "amount_off", "minor": 500, "threshold_minor": 3000},
        "starts_at": rfc3339(now_ms() - HOUR_MS),
        "ends_at": rfc3339(now_ms() + HOUR_MS),
        "validity": {"days": 7},
        **changes,
    }


def a_definition(**changes: Any) -> Definition:
    """The same as a value."""
    return msgspec.convert(a_body(**changes), Definition)


def a_patch(**changes: Any) -> DefinitionPatch:
    """The body of a PATCH."""
    return msgspec.convert(changes, DefinitionPatch)


@asynccontextmanager
async def open_pool(
    postgres_url: str, connections_max: int = 4, wait_s_max: float = 30
) -> AsyncIterator[AsyncConnectionPool[Any]]:
    """A pool like a worker's, with more time: a machine may be busy with other tests."""
    pool: AsyncConnectionPool[Any] = AsyncConnectionPool(
        postgres_url,
        min_size=0,
        max_size=connections_max,
        timeout=wait_s_max,
        open=False,
        kwargs={
            "autocommit": True,
            "row_factory": dict_row,
            "options": "-c role=fairclaim_gateway -c statement_timeout=30000",
        },
    )
    await pool.open()
    try:
        yield pool
    finally:
        await pool.close()


class Died(BaseException):
    """The process was killed here: not an Exception, so that nothing on the way handles it."""


@dataclass
class Trap:
    """Counts what a process does to Redis and Postgres, and kills it at point *at* and at all after it."""

    at: int
    passed: int = 0
    names: list[str] = field(default_factory=list)

    def point(self, name: str) -> None:
        """One numbered point."""
        self.passed += 1
        self.names.append(name)
        if self.passed >= self.at:
            raise Died(f"at point {self.passed}, {name}")


class TrappedDoor(Door):
    """A door with a point before and after each call."""

    def __init__(self, door: Door, trap: Trap) -> None:
        super().__init__(door.redis)
        self._trap = trap

    async def call(self, script: Any, shard: Any, *args: Any, with_server: bool = True) -> Any:
        """As Door.call."""
        self._trap.point(f"before {script.name} of {shard}")
        reply = await super().call(script, shard, *args, with_server=with_server)
        self._trap.point(f"after {script.name} of {shard}")
        return reply


class TrappedPool:
    """A pool with a point before a connection is taken, and one after its transaction has been committed."""

    def __init__(self, pool: AsyncConnectionPool[Any], trap: Trap) -> None:
        self._pool, self._trap = pool, trap

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        """As AsyncConnectionPool.connection."""
        self._trap.point("before a connection")
        async with self._pool.connection() as connection:
            yield connection
        self._trap.point("after a commit")


@dataclass
class Site:
    """One gateway's doors and services, and what a test wants to know of them."""

    pool: Any
    door: Door
    postgres_url: str

    @property
    def campaigns(self) -> Campaigns:
        """The service."""
        return Campaigns(self.pool, self.door)

    @property
    def stock(self) -> Stock:
        """The service."""
        return Stock(self.pool, self.door)

    def trapped(self, at: int) -> "Site":
        """The same site as a process that dies at point *at*."""
        trap = Trap(at)
        return Site(TrappedPool(self.pool, trap), TrappedDoor(self.door, trap), self.postgres_url)

    async def publish(self, **changes: Any) -> CampaignId:
        """A published campaign of a_body(**changes)."""
        created = await self.campaigns.create(a_definition(**changes), ACTOR)
        await self.campaigns.set_state(created.id, State.SCHEDULED, ACTOR)
        return created.id

    async def claim(self, campaign: str, shard: int, holder: str) -> int:
        """What claim.lua answers to one ask: a seq, or a refusal."""
        rush = await ShardUnderTest(self.door, campaign, shard).claim(an_ask(holder))
        reply = rush.replies[0]
        return reply if isinstance(reply, int) else int(reply[0])

    async def looks(self, campaign: str, shards: int) -> list[Look]:
        """Each shard as it is."""
        return await Shards(self.door).look_all(CampaignId(campaign), shards)

    async def entries(self, campaign: str, shard: int) -> list[Entry]:
        """The shard's log."""
        return await ShardUnderTest(self.door, campaign, shard).entries()

    def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        """Rows as the owner of the database sees them."""
        with psycopg.connect(self.postgres_url, autocommit=True, row_factory=dict_row) as connection:
            cursor = connection.execute(query.encode(), values or None)
            return cursor.fetchall() if cursor.description else []


def every_point() -> Iterator[int]:
    """1, 2, 3, …: a test takes one after the other until its act survives."""
    at = 0
    while True:
        at += 1
        assert at < 500, "the act never survives"
        yield at


async def prove_whole(site: Site, campaign: str, shards: int) -> None:
    """
    Redis and Postgres agree on a published campaign: every shard runs the version of the row, no number is
    missing on a shard's log, stock follows from it, and nothing is left open.
    """
    (row,) = site.rows("SELECT version, definition FROM campaigns WHERE id = %s", campaign)
    newest = site.rows("SELECT max(version) AS version FROM campaign_versions WHERE campaign = %s", campaign)
    assert newest == [{"version": row["version"]}]
    looks = await site.looks(campaign, shards)
    assert {int(look.rules["version"]) for look in looks} == {row["version"]}
    assert {look.rules["frozen"] for look in looks} == {frozen_digest(read_definition(row["definition"]))}
    for number, look in enumerate(looks):
        entries = await site.entries(campaign, number)
        assert entries[0].first_seq == 1
        assert all(one.first_seq + one.count == two.first_seq for one, two in pairwise(entries))
        moved = sum(getattr(entry, "delta", 0) - len(getattr(entry, "asks", ())) // 4 for entry in entries)
        assert moved == look.stock
        versions = {entry.version for entry in entries}
        known = site.rows("SELECT version FROM campaign_versions WHERE campaign = %s", campaign)
        assert versions <= {each["version"] for each in known}
    assert site.rows("SELECT key FROM stock_adjustments WHERE campaign = %s AND state = 'pending'", campaign) == []
