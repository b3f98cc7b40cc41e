"""Guesses at codes through one worker, from wherever a proxy of ours says they come."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import psycopg

from gateway.codes import CodeMaker
from gateway.keys import create_key
from tests.http import Worker

HOME, ELSEWHERE = "203.0.113.9", "198.51.100.4"
_NEVER_GIVEN = CodeMaker(2, 0)


class Guesses:
    """Asks one worker about codes."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker

    async def key(self, role: str = "store") -> str:
        """A new API key."""
        async with await psycopg.AsyncConnection.connect(self.worker.settings.postgres_url) as connection:
            return (await create_key(connection, name="till", role=role, actor="test")).text

    async def ask(self, who: str, code: str = "", address: str = HOME) -> httpx2.Response:
        """*who*, a key or a holder's name, asks for *code*, which is one that was never given where none is named."""
        headers = {"Authorization": f"Bearer {who}"} if who.startswith("fck_") else self.worker.token(who)
        headers |= {"X-Forwarded-For": f"192.0.2.1, {address}"}
        path = f"/v1/coupons/{code or _NEVER_GIVEN.take(1)[0]}"
        return await self.worker.http.get(path, headers=headers)

    async def told(self, who: str, code: str = "", address: str = HOME, times: int = 1) -> list[int]:
        """The statuses of so many of those requests, one after the other."""
        return [(await self.ask(who, code, address)).status_code for _ in range(times)]


@asynccontextmanager
async def open_guesses(redis_url: str, postgres_url: str, folder: Path, **changes: Any) -> AsyncIterator[Guesses]:
    """A worker with low limits behind a proxy that it trusts; *changes* are settings."""
    limits = {
        "code_failures_holder_max": 3,
        "code_failures_address_max": 5,
        "code_failures_key_address_max": 4,
        "code_failures_key_max": 9,
        "trusted_proxies": "127.0.0.1",
        "api_key_cache_s": 60,  # what is asked anew in the middle of a test would be one question more
    }
    async with Worker(redis_url, postgres_url, folder, **{**limits, **changes}) as worker:
        yield Guesses(worker)
