"""What the drain's tests share: a campaign in the books, a sale that remembers its grants, a reconciler to run."""

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg

from lua.door import Door
from reconciler import ownership
from reconciler.drain import run
from reconciler.options import DrainOptions
from reconciler.shard import Record
from reconciler.steps import Passing, Step, unobserved
from tests.builders import ShardUnderTest, an_ask, open_shard
from tests.verdict import prove_clean

# A busy server gives locks back when it gets round to it, and the next reconciler drains what it finds free.
ownership.LET_GO_S_MAX = 60.0

Grant = tuple[int, str, str, str]
"""seq, holder, code, idem"""


def options_for(redis_url: str, postgres_url: str, **changes: Any) -> DrainOptions:
    """Options with short waits, but time enough to drain to the tail at the end; *changes* override."""
    waits = {"block_ms": 100, "retry_ms_max": 200, "call_ms_max": 1000, "postgres_ms_max": 3000, "stop_ms_max": 60_000}
    return DrainOptions(redis_url=redis_url, postgres_url=postgres_url, **{**waits, **changes})


@contextlib.asynccontextmanager
async def draining(
    redis_url: str, postgres_url: str, passing: Passing = unobserved, **changes: Any
) -> AsyncIterator[None]:
    """A reconciler for the length of the block; leaving it drains to the tail."""
    stop = asyncio.Event()
    task = asyncio.create_task(run(options_for(redis_url, postgres_url, **changes), stop, passing))
    try:
        yield
    finally:
        stop.set()
        await task


class Books:
    """The database as its owner sees it. One connection, made anew after the server was away."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._connection: psycopg.Connection | None = None

    def __enter__(self) -> "Books":
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection is not None:
            self._connection.close()

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Run one statement and give its rows, if it has any."""
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(self.url, autocommit=True)
        try:
            cursor = self._connection.execute(query.encode(), values or None)
        except psycopg.OperationalError:
            self._connection.close()
            self._connection = psycopg.connect(self.url, autocommit=True)
            cursor = self._connection.execute(query.encode(), values or None)
        return cursor.fetchall() if cursor.description else []

    def value(self, query: str, *values: object) -> Any:
        """The one value of the one row."""
        [(value,)] = self.rows(query, *values)
        return value

    def add_campaign(
        self,
        campaign: str = "c",
        shards: int = 1,
        timezone: str = "UTC",
        value: dict[str, Any] | None = None,
        **terms: Any,
    ) -> None:
        """What the gateway writes when a campaign is first published, as far as the books read it."""
        value = value or {"type": "amount_off", "minor": 500, "threshold_minor": 0}
        definition = json.dumps({"timezone": timezone, "currency": "CNY", "value": value, **terms})
        self.rows(
            "INSERT INTO campaigns (id, version, state, definition) VALUES (%s, 1, 'scheduled', %s)",
            campaign,
            definition,
        )
        self.rows(
            "INSERT INTO campaign_versions (campaign, version, state, definition, changed_by) "
            "VALUES (%s, 1, 'scheduled', %s, 'test')",
            campaign,
            definition,
        )
        for number in range(shards):
            self.rows("INSERT INTO checkpoints (shard, campaign) VALUES (%s, %s)", f"{campaign}/{number}", campaign)
        self.rows("SELECT pg_notify('fairclaim_campaigns', %s)", campaign)

    def seq(self, shard: str = "c/0") -> int:
        """The last seq in the books."""
        return int(self.value("SELECT seq FROM checkpoints WHERE shard = %s", shard))

    def balances(self, campaign: str = "c") -> dict[str, int]:
        """Account → balance of the unit book."""
        query = "SELECT account, balance FROM v_balances WHERE commodity = %s"
        return dict((account, int(balance)) for account, balance in self.rows(query, f"coupon:{campaign}"))

    def money(self, campaign: str = "c") -> dict[str, int]:
        """Account → balance of the money book, where it is not 0; there is one currency."""
        found = self.rows(
            "SELECT currency, account, balance FROM v_campaign_money WHERE campaign = %s AND balance <> 0", campaign
        )
        assert {currency for currency, _, _ in found} <= {"CNY"}
        return {account: int(balance) for _, account, balance in found}

    def state(self, shard: str = "c/0") -> str:
        """running or stopped."""
        return str(self.value("SELECT state FROM checkpoints WHERE shard = %s", shard))

    def open_breaks(self, shard: str = "c/0") -> list[str]:
        """Kinds of the breaks nobody has resolved."""
        query = "SELECT kind FROM breaks WHERE shard = %s AND resolved_at IS NULL ORDER BY id"
        return [kind for (kind,) in self.rows(query, shard)]


class Sale:
    """One open shard, and every grant its scripts ever answered."""

    def __init__(self, under_test: ShardUnderTest, books: Books) -> None:
        self.on, self.books, self.grants = under_test, books, list[Grant]()
        self.name = str(under_test.shard)

    async def claim(self, *holders: str) -> None:
        """One script call with an ask a holder; each is granted."""
        asks = [an_ask(f"{self.name} {holder}", channel="app") for holder in holders]
        rush = await self.on.claim(*asks)
        for (holder, idem, code, _), seq in zip(asks, rush.replies, strict=True):
            assert isinstance(seq, int), f"{holder} was not granted: {seq}"
            assert seq > 0, f"{holder} was refused: {seq}"
            self.grants.append((seq, holder, code, idem))

    async def last_seq(self) -> int:
        """The shard's seq in Redis."""
        return int(await self.on.door.redis.hget(self.on.shard.key("counters"), "seq") or 0)

    async def records(self) -> list[Record]:
        """What is on the stream."""
        redis: Any = self.on.door.redis
        found = await redis.xrange(self.on.shard.key("entries"))
        return [(entry_id.decode(), [part for pair in fields.items() for part in pair]) for entry_id, fields in found]

    async def put_records(self, records: Sequence[Record]) -> None:
        """Replace the stream by one that holds *records*, under the same ids."""
        redis: Any = self.on.door.redis
        key = self.on.shard.key("entries")
        # At once: a reconciler that looks in between would find yet another break.
        whole = redis.pipeline(transaction=True).delete(key)
        for entry_id, flat in records:
            whole.execute_command("XADD", key, entry_id, *flat)
        await whole.execute()

    async def drained(self) -> bool:
        """Whether the books have all the shard ever did."""
        return self.books.seq(self.name) == await self.last_seq()

    async def prove(self, *, but: Collection[str] = ()) -> None:
        """The books have every record, hold exactly the grants, row for row, and every invariant holds, *but* some."""
        assert await self.drained()
        entries = self.books.rows(
            "SELECT seq, holder, code, idem FROM coupon_entries WHERE shard = %s AND kind = 'claimed' ORDER BY seq",
            self.name,
        )
        assert entries == sorted(self.grants)
        await prove_clean(self.on.door, self.books.url, self.on.shard.campaign, but=but)


async def open_sale(door: Door, books: Books, campaign: str = "c", stock: int = 1000, **rules: Any) -> Sale:
    """A campaign of one shard in the books and in Redis, with *stock*."""
    books.add_campaign(campaign)
    return Sale(await open_shard(door, stock, campaign, **rules), books)


@contextlib.contextmanager
def reconciler_process(
    redis_url: str, postgres_url: str, *, step: Step, nth: int, how: signal.Signals, log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A reconciler in a process of its own, which sends itself signal *how* when it passes *step* for the nth time."""
    arguments = [redis_url, postgres_url, str(int(step)), str(nth), str(int(how))]
    with log.open("wb") as stderr:
        command = [sys.executable, "-m", "tests.integration.reconciler_process", *arguments]
        process = subprocess.Popen(command, stderr=stderr)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
