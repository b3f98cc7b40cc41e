"""
A worker's application on real servers: through its ASGI door, or served by uvicorn over a socket of this machine.

    Worker(...)             everything but sockets and processes
    Worker(..., http=Lane)  the same, and a protocol class of ours or uvicorn's before it
"""

import asyncio
import re
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import httpx2
import msgspec
import psycopg
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from gateway import gauges
from gateway.app import create_app
from gateway.keys import create_key
from gateway.routes import ops
from gateway.services import Services
from gateway.serving import server_config
from gateway.settings import Settings
from gateway.stack.postgres import Postgres
from gateway.stack.valkey import Valkey
from gateway.tokens import mint_token, parse_keys
from tests.conftest import ON_VALKEY, fresh_database
from tests.phone import request_bytes

JWT_KEYS = "test=" + "t" * 32
ANSWER_S_MAX = 60.0
"""For one answer, on a machine that may do something else for seconds: five, as the client has it, are soon over."""

ON_SOCKETS = [
    pytest.mark.asyncio(loop_scope="module"),
    ON_VALKEY,
]
"""The marks of a module whose workers serve sockets for as long as the module runs; Redis 7 has its turn elsewhere."""

PATIENT: dict[str, Any] = {
    **{"redis_call_ms_max": 15_000, "redis_connect_ms_max": 15_000, "postgres_ms_max": 20_000},
    **{"claim_wait_ms_max": 20_000, "code_limiter_ms_max": 20_000, "receipt_s_max": 120, "keep_alive_s_max": 600},
}
"""
Settings of a worker for whom a machine that is busy with other tests is neither a server away nor a slow client.

A program beside the worker gets those of the servers, and beside the other defaults calls to Redis may take no longer.
"""

# As for the settings: who asks how a worker is gets an answer of its servers, if there is any.
gauges.ANSWER_S_MAX = ops._CHECK_S_MAX = 60.0


def a_campaign(campaign: str = "flash", **changes: Any) -> dict[str, Any]:
    """The body of a campaign that is open now; *changes* override."""
    now = datetime.now(UTC)
    body = {
        "id": campaign,
        "name": "Flash",
        "currency": "CNY",
        "stock": 100,
        "value": {"type": "amount_off", "minor": 500, "threshold_minor": 3000},
        "limits": {"per_holder": 1},
        "starts_at": (now - timedelta(hours=1)).isoformat(),
        "ends_at": (now + timedelta(hours=1)).isoformat(),
        "timezone": "Asia/Shanghai",
        "validity": {"days": 7},
        "channels": ["app", "web"],
        "shards": 1,
        "funders": [{"account": "platform", "basis_points": 10_000}],
    }
    return {**body, **changes}


class Server(uvicorn.Server):
    """uvicorn's server without its signal handlers, and it need not be waited for a tenth of a second to stop."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.capture_signals = nullcontext  # type: ignore[method-assign, assignment]
        self.started_now, self._stop = asyncio.Event(), asyncio.Event()

    async def main_loop(self) -> None:
        """Tick as uvicorn does, until stop()."""
        ticks = 0
        await self.on_tick(ticks)
        self.started_now.set()
        while not self._stop.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), 0.1)
            ticks += 1
            await self.on_tick(ticks)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, without its pause of a tenth of a second where nobody is connected."""
        if self.server_state.connections:
            await super().shutdown(sockets)
            return
        for server in self.servers:
            server.close()
        await self.lifespan.shutdown()

    def stop(self) -> None:
        """What a SIGTERM does."""
        self.should_exit = True
        self._stop.set()


class Worker:
    """
    One worker, with clients for each role. Use ``async with``.

    *http* is the protocol class before the application; without one there is no socket. *entered* are the scopes of
    the requests that came to the application over the socket.
    """

    server: Server
    port: int

    def __init__(
        self,
        redis_url: str,
        postgres_url: str,
        folder: Path,
        slot: int = 0,
        http: type[Any] | None = None,
        **changes: Any,
    ) -> None:
        base = Settings(
            redis_url=redis_url, postgres_url=postgres_url, jwt_keys=JWT_KEYS, data_dir=str(folder), **PATIENT
        )
        self.settings = msgspec.structs.replace(base, **changes)
        self.app: Starlette = create_app(self.settings, slot=slot)
        self.entered: list[Scope] = []
        self._protocol = http
        self._keys: dict[str, str] = {}
        self._making_key = asyncio.Lock()

    async def __aenter__(self) -> Self:
        self._stack = AsyncExitStack()
        transport: httpx2.AsyncBaseTransport
        if self._protocol is None:
            await self._stack.enter_async_context(self.app.router.lifespan_context(self.app))
            transport = httpx2.ASGITransport(app=self.app, raise_app_exceptions=False)
            base_url = "http://gateway"
        else:
            await self._serve(self._protocol)
            transport = httpx2.AsyncHTTPTransport(verify=False)  # nothing is TLS, and reading certificates takes 50 ms
            base_url = f"http://127.0.0.1:{self.port}"
        client = httpx2.AsyncClient(transport=transport, base_url=base_url, timeout=ANSWER_S_MAX)
        self.http = await self._stack.enter_async_context(client)
        return self

    async def __aexit__(self, *failure: Any) -> None:
        await self._stack.aclose()

    async def _serve(self, protocol: type[Any]) -> None:
        """As the command line serves (gateway/cli/worker.py), on a free port."""
        config = server_config(self._witness, self.settings, http=protocol)
        # asyncio sends without delay only where the socket names its protocol, as an inherited one does.
        self.listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self.listening.bind(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.server = Server(config)
        self.serving = asyncio.create_task(self.server.serve([self.listening]))
        self._stack.push_async_callback(self.stop)
        started = asyncio.create_task(self.server.started_now.wait())
        await asyncio.wait({self.serving, started}, return_when=asyncio.FIRST_COMPLETED)
        assert self.server.started, "the worker did not start"

    async def _witness(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.entered.append(scope)
        await self.app(scope, receive, send)

    async def stop(self) -> None:
        """Stop serving, as at a SIGTERM, and return when it is done."""
        self.server.stop()
        await self.serving

    @property
    def services(self) -> Services:
        """What the worker has open."""
        services: Services = self.app.state.services
        return services

    def decided(self) -> int:
        """How many claims went to the batcher, whatever became of them."""
        return sum(self.counted("fairclaim_claims_total").values())

    def counted(self, metric: str) -> dict[str, int]:
        """What this worker, and others in its folder, have counted so far, by label."""
        found = re.findall(rf'^{metric}\{{\w+="(\w+)"\}} (\d+)$', self.services.telemetry.render(), re.MULTILINE)
        return {label: int(number) for label, number in found}

    async def key(self, role: str) -> dict[str, str]:
        """The Authorization header of a key with *role*, made on first use."""
        async with self._making_key:
            if role not in self._keys:
                self._keys[role] = await self._make_key(role)
        return {"Authorization": f"Bearer {self._keys[role]}"}

    async def _make_key(self, role: str) -> str:
        async with await psycopg.AsyncConnection.connect(self.settings.postgres_url) as connection:
            return (await create_key(connection, name=f"test {role}", role=role, actor="test")).text

    def token(self, holder: str, ttl_s: int = 600) -> dict[str, str]:
        """The Authorization header of *holder*."""
        return {"Authorization": bearer(holder, ttl_s)}

    async def publish(self, campaign: str = "flash", **changes: Any) -> None:
        """Create a campaign and schedule it."""
        admin = await self.key("admin")
        created = await self.http.post("/v1/campaigns", json=a_campaign(campaign, **changes), headers=admin)
        assert created.status_code == 201, created.text
        await self.state("scheduled", campaign)

    async def state(self, to: str, campaign: str = "flash") -> None:
        """Move the campaign to another state."""
        moved = await self.http.post(
            f"/v1/campaigns/{campaign}/state", json={"to": to}, headers=await self.key("admin")
        )
        assert moved.status_code == 200, moved.text

    async def claim(
        self, holder: str, key: str = "", campaign: str = "flash", body: Any = None, **headers: str
    ) -> httpx2.Response:
        """Claim as *holder*, with a key of his own unless one is given."""
        sent = {**self.token(holder), "Idempotency-Key": key or f"key of {holder}", **headers}
        return await self.http.post(f"/v1/campaigns/{campaign}/claims", json=body or {}, headers=sent)

    @asynccontextmanager
    async def redis_stands_still(self) -> AsyncIterator[None]:
        """Until the block ends Redis, for all workers, decides nothing: what is asked is in flight."""
        redis: Any = self.services.door.redis
        await redis.execute_command("CLIENT", "PAUSE", "60000", "WRITE")
        try:
            yield
        finally:
            await redis.execute_command("CLIENT", "UNPAUSE")


def bearer(holder: str, ttl_s: int = 86_400) -> str:
    """What the Authorization header of *holder* says to a worker whose audience and issuer are the default ones."""
    issuer, audience = Settings().jwt_issuer, Settings().jwt_audience
    keys, now_s = parse_keys(JWT_KEYS), time.time()
    return f"Bearer {mint_token(keys, holder, audience=audience, issuer=issuer, ttl_s=ttl_s, now_s=now_s)}"


def claim_bytes(holder: str, *lines: str, campaign: str = "flash", key: str = "", body: bytes | None = b"{}") -> bytes:
    """The bytes of a claim as *holder*, with a key of his own unless one is given, and with more header *lines*."""
    head = (f"Authorization: {bearer(holder)}", f"Idempotency-Key: {key or f'key-of-{holder}'}")
    return request_bytes("POST", f"/v1/campaigns/{campaign}/claims", *head, *lines, body=body)


@asynccontextmanager
async def served(
    redis: Valkey, postgres: Postgres, folder: Path, *protocols: type[Any], **changes: Any
) -> AsyncIterator[list[Worker]]:
    """A worker behind each of *protocols*, all on an emptied Redis and one database, and all know campaign flash."""
    async with AsyncExitStack() as stack:
        database = stack.enter_context(fresh_database(postgres))
        workers = [
            await stack.enter_async_context(Worker(redis.url, database, folder, slot, http=protocol, **changes))
            for slot, protocol in enumerate(protocols)
        ]
        await workers[0].services.door.redis.flushall()
        await workers[0].publish(stock=100_000)
        for slot, worker in enumerate(workers):  # what nobody has asked for yet goes to Starlette
            assert (await worker.claim(f"first-of-{slot}")).status_code == 201
        yield workers
