"""A shop's January and February of 2024 in the books, drained from streams, and what a close of them needs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from lua.door import Door
from lua.entries import LAYOUT, Adjusted, Claimed, Entry, Issued
from reconciler.periods.calendar import parse_period
from reconciler.periods.closing import Closed, NotClosable, close, hold
from reconciler.verdict.judging import judge
from tests.entries import a_step, changed
from tests.integration.draining import Books, draining
from tests.integration.life import LifeSale, open_life, put

FUNDED = {
    "currency": "CNY",
    "merchant": "m-1",
    "store": "s-1",
    "funders": [{"account": "platform", "minor": 350}, {"account": "brand", "minor": 150}],
    "order": {"id": "o-1", "currency": "CNY", "total_minor": 5000},
}


def at(day: str, time: str = "12:00") -> int:
    """Milliseconds of a time in UTC."""
    return round(datetime.fromisoformat(f"{day}T{time}").replace(tzinfo=UTC).timestamp() * 1000)


class Months:
    """
    Campaign c, worth 5.00 CNY a coupon, whose state changes are of any day.

    They are written onto its stream, and Redis has no coupon of them; so the campaign is archived, and but for draining
    its shard has left Redis: a verdict compares it with nothing.
    """

    def __init__(self, door: Door, redis_url: str, books: Books, sale: LifeSale) -> None:
        self.door, self.redis_url, self.books, self.sale, self.seq = door, redis_url, books, sale, 1

    async def happen(self, *entries: Entry) -> None:
        """Put entries onto the stream."""
        await put(self.sale, *entries)
        self.seq = entries[-1].first_seq + entries[-1].count - 1

    def next(self, kind: type[Any], at_ms: int, *members: Any) -> Any:
        """The next entry of *kind*."""
        return kind(LAYOUT, 1, 1, at_ms, self.seq + 1, *members)

    async def restock(self, day: str, delta: int = 100) -> None:
        """Stock in or out."""
        await self.happen(self.next(Adjusted, at(day), delta, "why", "who", f"k{self.seq}"))

    async def claim(self, day: str, *codes: str) -> None:
        """A coupon each."""
        asks = [member for code in codes for member in (f"h-{code}", "i" * 12, code, "app")]
        await self.happen(self.next(Claimed, at(day), at("2030-01-01"), "500", asks))

    async def issue(self, day: str, *codes: str) -> None:
        """Codes on paper."""
        await self.happen(self.next(Issued, at(day), at("2030-01-01"), "500", "b-1", 1, list(codes)))

    async def step(self, day: str, verb: str, code: str, **changes: Any) -> None:
        """A step of a coupon."""
        detail = FUNDED if verb in ("redeemed", "rolled_back") else ""
        step = a_step(verb, code, **{"holder": f"h-{code}", "detail": detail, **changes})
        await self.happen(changed(self.seq + 1, step, at_ms=at(day)))

    @asynccontextmanager
    async def draining(self) -> AsyncIterator[None]:
        """A reconciler for the length of the block, with the shard in Redis."""
        rules = self.sale.on.shard.key("rules")
        aside = f"{rules}:aside"
        if await self.door.redis.exists(aside):
            await self.door.redis.rename(aside, rules)
        async with draining(self.redis_url, self.books.url):
            yield
        await self.door.redis.rename(rules, aside)

    async def drained(self) -> None:
        """Until the books have it all."""
        async with self.draining():
            pass  # a reconciler that is stopped drains what it finds all the same
        assert self.books.seq() == self.seq

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection[dict[str, Any]]]:
        """One of the gateway's role."""
        role = "-c role=fairclaim_gateway"
        async with await AsyncConnection.connect(
            self.books.url, autocommit=True, row_factory=dict_row, options=role
        ) as connection:
            yield connection

    async def hold(self, period: str) -> None:
        """Put it on hold."""
        await hold(self.connection, parse_period("main", period), "ann")

    async def close(self, period: str, *, dry_run: bool = False) -> Closed:
        """Close it as ann."""
        return await close(
            self.connection,
            self.door,
            lambda: judge(self.door, self.books.url, entity="main"),
            parse_period("main", period),
            "ann",
            dry_run=dry_run,
        )

    async def in_the_way(self, period: str) -> dict[str, list[str]]:
        """Name of each check that keeps a period from closing → what it found; it keeps it from it really, too."""
        found = {one.name: one.found for one in (await self.close(period, dry_run=True)).checks if not one.holds}
        if found:
            try:
                await self.close(period)
            except NotClosable as error:
                assert {one.name for one in error.checks if not one.holds} <= found.keys()
            else:
                raise AssertionError("it was closed")
        return found

    def closed_through(self) -> str | None:
        """The last day that is closed."""
        found = self.books.value("SELECT closed_through::text FROM legal_entities WHERE id = 'main'")
        return None if found is None else str(found)

    def forge(self, *statements: str) -> None:
        """Run statements as somebody whom no trigger stops."""
        with psycopg.connect(self.books.url, autocommit=True) as connection:
            connection.execute("SET session_replication_role = replica")
            for statement in statements:
                connection.execute(statement.encode())


async def open_months(door: Door, redis_url: str, books: Books) -> Months:
    """January with restock, claims, issue, redemption, rollback, expiry, revocation; February with one claim."""
    months = Months(door, redis_url, books, await open_life(door, books, stock=0))
    books.rows("UPDATE campaigns SET state = 'archived'")
    await months.drained()
    await months.restock("2024-01-03")
    await months.restock("2024-01-04", -10)
    await months.claim("2024-01-05", *"ABCDE")
    await months.issue("2024-01-06", "P1", "P2")
    await months.step("2024-01-07", "reserved", "A")
    await months.step("2024-01-07", "redeemed", "A", source="reserved")
    await months.step("2024-01-08", "redeemed", "B")
    await months.step("2024-01-20", "rolled_back", "B")
    await months.step("2024-01-30", "expired", "C")
    await months.step("2024-01-31", "revoked", "D", destination="stock")
    await months.claim("2024-02-01", "F")
    await months.drained()
    return months


_FORGED = "UPDATE {} SET {} WHERE effective_date = '2024-01-05' AND {}"
_DAY = _FORGED.format("account_days", "debit = debit + {}", "commodity = 'CNY' AND account = 'commitment:c'")
FAULTS: dict[tuple[str, ...], tuple[list[str], list[str]]] = {
    ("manual",): (
        [
            "INSERT INTO manual_journals (id, entity, effective_date, reason, lines, made_by) "
            "VALUES ('mj', 'main', '2024-01-31', 'why', '[]', 'ann')"
        ],
        ["DELETE FROM manual_journals"],
    ),
    ("suspense", "settled", "totals"): (
        [
            "UPDATE account_days SET account = 'suspense:promotion:c' "
            "WHERE effective_date = '2024-01-07' AND account = 'expense:promotion:brand'"
        ],
        [
            "UPDATE account_days SET account = 'expense:promotion:brand' "
            "WHERE effective_date = '2024-01-07' AND account = 'suspense:promotion:c'"
        ],
    ),
    ("roll_forward", "totals"): (
        [_FORGED.format("movement_days", "units = 6", "verb = 'claim'")],
        [_FORGED.format("movement_days", "units = 5", "verb = 'claim'")],
    ),
    ("settled",): (
        ["INSERT INTO breaks (shard, kind, figure, expected, found) VALUES ('main', 'outside', 'of_1', '1', '2')"],
        ["DELETE FROM breaks"],
    ),
    ("balanced", "totals"): ([_DAY.format(1)], [_DAY.format(-1)]),
    ("chain",): (
        ["UPDATE journals SET occurred_at = occurred_at + interval '1 s' WHERE verb = 'expire'"],
        ["UPDATE journals SET occurred_at = occurred_at - interval '1 s' WHERE verb = 'expire'"],
    ),
}
"""Names of the checks that fail → what makes them fail in January, and what makes it good again."""
