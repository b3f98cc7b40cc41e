"""What the tests of proposals share: staff with names, proposals of each kind, and what the books say."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import psycopg

from gateway.keys import create_key
from tests.integration.draining import Books
from tests.integration.site_http import Http, open_http

PATH = "/v1/proposals"
STOCK = {"kind": "stock_adjustment", "campaign": "flash", "delta": 5, "reason": "second pallet"}
VALUE = {"type": "amount_off", "minor": 900, "threshold_minor": 3000}
CHANGE = {"kind": "campaign_change", "campaign": "flash", "change": {"value": VALUE}, "reason": "as agreed"}
REVOCATION = {"kind": "revocation", "campaign": "flash", "reason": "misprint"}
PAYOUT = {"debit": "payable:m-1", "credit": "clearing:bank", "commodity": "CNY", "minor": 1250}
JOURNAL = {
    "kind": "manual_journal",
    "journal": {"effective_date": "2026-11-10", "reason": "Paid out", "lines": [PAYOUT]},
}


def reopening(starts: str = "2026-03") -> dict[str, Any]:
    """The body of a reopening."""
    return {"kind": "period_reopening", "period": {"starts": starts}, "reason": "a late invoice"}


class Office:
    """A worker with people of its own: ann and bob are marketers, eve is of finance; test admin is an admin."""

    def __init__(self, http: Http, books: Books) -> None:
        self.http, self.books = http, books
        self.keys: dict[str, str] = {}

    async def hire(self, name: str, role: str, called: str = "") -> None:
        """Give somebody a key; *called* is what the tests call it."""
        async with await psycopg.AsyncConnection.connect(self.http.worker.settings.postgres_url) as connection:
            made = await create_key(connection, name=name, role=role, actor="test")
        self.keys[called or name] = made.text

    async def ask(self, method: str, path: str, who: str, json: Any = None, **headers: str) -> httpx2.Response:
        """One request as *who*."""
        return await self.http.ask(method, path, self.keys.get(who, who), json, **headers)

    async def make(self, body: dict[str, Any], who: str = "ann", key: str = "k") -> dict[str, Any]:
        """A proposal that is made."""
        answer = await self.ask("POST", PATH, who, body, idempotency_key=key)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def act(self, act: str, made: dict[str, Any], who: str, said: str | None = None) -> httpx2.Response:
        """Approve, reject or withdraw."""
        return await self.ask("POST", f"{PATH}/{made['id']}/{act}", who, {} if said is None else {"said": said})

    async def see(self, made: dict[str, Any], who: str = "admin") -> dict[str, Any]:
        """A proposal as it is now."""
        found: dict[str, Any] = (await self.ask("GET", f"{PATH}/{made['id']}", who)).json()
        return found

    async def listed(self, who: str, query: str = "") -> list[str]:
        """The ids of a list."""
        return [each["id"] for each in (await self.ask("GET", f"{PATH}{query}", who)).json()["items"]]

    def period(self, starts: str, ends: str, state: str) -> None:
        """A month that is on hold or closed."""
        self.books.rows(
            "INSERT INTO periods (entity, kind, starts, ends, state, changed_by)"
            " VALUES ('main', 'month', %s, %s, %s, 'test')",
            starts, ends, state,
        )  # fmt: skip
        if state == "closed":
            self.books.rows("UPDATE legal_entities SET closed_through = %s WHERE id = 'main'", ends)

    def told(self, made: dict[str, Any]) -> list[tuple[str, str]]:
        """What the audit log says of a proposal: act and actor."""
        query = "SELECT action, actor FROM audit_log WHERE subject = %s ORDER BY id"
        return [(action, actor) for action, actor in self.books.rows(query, f"proposal:{made['id']}")]


@asynccontextmanager
async def open_office(redis_url: str, postgres_url: str, folder: Path, **changes: Any) -> AsyncIterator[Office]:
    """An office, where campaign flash is on sale; *changes* are settings."""
    async with open_http(redis_url, postgres_url, folder, **changes) as http:
        with Books(postgres_url) as books:
            office = Office(http, books)
            for name, role in (("ann", "marketer"), ("bob", "marketer"), ("eve", "finance")):
                await office.hire(name, role)
            await http.publish()
            yield office
