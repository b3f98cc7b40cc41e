"""What the tests of files from outside share: a sale, and finance that uploads and runs, books and resolves."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
from psycopg import AsyncConnection

from reconciler.ledger import connect_options
from reconciler.poster import post_approved
from tests.integration.draining import Books, draining
from tests.integration.site_http import open_http
from tests.integration.tilling import Till, an_order, done

TODAY = datetime.now(UTC).date()
DAYS = {"since": str(TODAY - timedelta(days=1)), "until": str(TODAY + timedelta(days=1))}
"""Of the sale, also where it is another day by the time that it happens."""
GROUPS = ("matched", "missing_here", "missing_there", "amount_differs", "duplicate")
WORDS = {"resolution": "it was looked into", "compensation": "what was done"}


class Outside:
    """Finance, at one worker with its books."""

    def __init__(self, till: Till, redis_url: str, books: Books) -> None:
        self.till, self.redis_url, self.books = till, redis_url, books

    async def upload(self, text: str, who: str = "finance", media: str = "text/csv", **asked: str) -> httpx2.Response:
        """POST /v1/outside-files."""
        headers = {**await self.till.http.credential(who), "content-type": media}
        query = {"name": "orders.csv", "currency": "CNY", **DAYS, **asked}
        http = self.till.http.worker.http
        return await http.post("/v1/outside-files", params=query, content=text.encode(), headers=headers)

    async def run(self, file: str, *, dry: bool = False, who: str = "finance") -> httpx2.Response:
        """POST /v1/outside-files/{file}/runs."""
        return await self.till.ask("POST", f"/v1/outside-files/{file}/runs" + ("?dry_run=true" if dry else ""), who)

    async def counts(self, text: str, **asked: str) -> list[int]:
        """Orders of each of GROUPS, of a dry run."""
        file = done(await self.upload(text, **asked))["id"]
        summary = done(await self.run(file, dry=True), 200)["summary"]
        return [summary[name]["orders"] for name in GROUPS]

    async def file_run(self, text: str, **asked: str) -> tuple[str, dict[str, Any]]:
        """A file that was uploaded and run, and the run."""
        file = done(await self.upload(text, **asked))["id"]
        return file, done(await self.run(file))

    async def resolve(self) -> httpx2.Response:
        """POST /v1/breaks/{break}/resolve of the last break."""
        last = self.books.value("SELECT max(id) FROM breaks")
        return await self.till.ask("POST", f"/v1/breaks/{last}/resolve", "finance", WORDS)

    async def give_back(self, order: str, minor: int, key: str) -> None:
        """Roll back *minor* of what was redeemed on *order*; it is in the books."""
        redemption = self.books.value("SELECT id FROM redemptions WHERE order_id = %s", order)
        async with draining(self.redis_url, self.books.url):
            done(await self.till.roll_back(redemption, key=key, amount_minor=minor))

    async def draft(self, settles: str | None, *lines: dict[str, Any], key: str = "k", **more: Any) -> httpx2.Response:
        """POST /v1/ledger/manual-journals, dated today."""
        body = {"effective_date": str(TODAY), "reason": "as the merchant has it", "settles": settles, "lines": lines}
        return await self.till.ask("POST", "/v1/ledger/manual-journals", "finance", body | more, idempotency_key=key)

    async def book(self, settles: str | None, *lines: dict[str, Any], key: str = "k", **more: Any) -> int:
        """A journal that one drafted and another one approved, and that is posted; its number."""
        made = done(await self.draft(settles, *lines, key=key, **more))["id"]
        done(await self.till.ask("POST", f"/v1/ledger/manual-journals/{made}/approve", "admin"), 200)
        options = connect_options(self.books.url, postgres_ms_max=30_000, connect_ms_max=30_000, session={})
        async with await AsyncConnection.connect(options, autocommit=True) as connection:
            assert await post_approved(connection) == 1
        number: int = self.books.value("SELECT journal FROM manual_journals WHERE id = %s", made)
        return number


def owed_more(order: str, minor: int, **changes: Any) -> dict[str, Any]:
    """A line: the merchant m-1 is owed *minor* more for *order*; less, where it is below 0."""
    sides = ("expense:promotion", "payable:m-1")
    debit, credit = sides if minor > 0 else sides[::-1]
    return {"debit": debit, "credit": credit, "commodity": "CNY", "minor": abs(minor), "order_id": order, **changes}


@asynccontextmanager
async def open_outside(redis_url: str, postgres_url: str, tmp_path: Path) -> AsyncIterator[Outside]:
    """A worker and its books after a sale: o-1 of 5.00, o-2 of which 2.00 came back, o-3 that came back whole."""
    async with open_http(redis_url, postgres_url, tmp_path, page_rows_max=2) as http:
        till = Till(http)
        async with draining(redis_url, postgres_url):
            await http.publish()
            codes = await till.claimed("ann", "bob", "cy")
            for n, code in enumerate(codes, start=1):
                made = done(await till.redeem(code, an_order(f"o-{n}"), key=f"k{n}", store="s-1", merchant="m-1"))
                if n == 2:
                    done(await till.roll_back(made["id"], amount_minor=200))
                if n == 3:
                    done(await till.roll_back(made["id"]))
        with Books(postgres_url) as books:
            yield Outside(till, redis_url, books)
