"""A worker's application, spoken to with one method whoever asks: a role, a holder, nobody."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2

from gateway.keys import ROLES
from tests.http import Worker
from tests.integration.campaigning import a_body


class Http:
    """Requests to one worker."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker

    async def ask(self, method: str, path: str, who: str | None, json: Any = None, **headers: str) -> httpx2.Response:
        """One request as *who*: a role, a holder's name after ``@``, a credential as it is, or nobody."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if who is not None:
            sent |= await self.credential(who)
        return await self.worker.http.request(method, path, json=json, headers=sent)

    async def credential(self, who: str) -> dict[str, str]:
        """The Authorization header of *who*."""
        if who in ROLES:
            return await self.worker.key(who)
        return self.worker.token(who[1:]) if who.startswith("@") else {"authorization": f"Bearer {who}"}

    async def publish(self, **changes: Any) -> None:
        """A campaign of a_body(**changes), open to claims."""
        body = a_body(**changes)
        assert (await self.ask("POST", "/v1/campaigns", "marketer", body)).status_code == 201
        state = await self.ask("POST", f"/v1/campaigns/{body['id']}/state", "marketer", {"to": "scheduled"})
        assert state.json()["state"] == "active"

    async def claim(self, holder: str, campaign: str = "flash", key: str = "k") -> dict[str, Any]:
        """A claimed coupon."""
        path = f"/v1/campaigns/{campaign}/claims"
        answer = await self.ask("POST", path, f"@{holder}", {}, idempotency_key=key)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found


@asynccontextmanager
async def open_http(redis_url: str, postgres_url: str, folder: Path, **changes: Any) -> AsyncIterator[Http]:
    """A worker, open; *changes* are settings."""
    async with Worker(redis_url, postgres_url, folder, **changes) as worker:
        yield Http(worker)
