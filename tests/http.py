"""A worker's application on real servers, driven through its ASGI door: everything but sockets and processes."""

import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import httpx2
import msgspec
import psycopg
from starlette.applications import Starlette

from gateway.app import create_app
from gateway.keys import create_key
from gateway.services import Services
from gateway.settings import Settings
from gateway.tokens import mint_token, parse_keys

JWT_KEYS = "test=" + "t" * 32


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


class Worker:
    """One worker, with clients for each role. Use ``async with``."""

    def __init__(self, redis_url: str, postgres_url: str, folder: Path, slot: int = 0, **changes: Any) -> None:
        base = Settings(redis_url=redis_url, postgres_url=postgres_url, jwt_keys=JWT_KEYS, data_dir=str(folder))
        self.settings = msgspec.structs.replace(base, **changes)
        self.app: Starlette = create_app(self.settings, slot=slot)
        self._keys: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        self._stack = AsyncExitStack()
        await self._stack.enter_async_context(self.app.router.lifespan_context(self.app))
        transport = httpx2.ASGITransport(app=self.app, raise_app_exceptions=False)
        self.http = await self._stack.enter_async_context(
            httpx2.AsyncClient(transport=transport, base_url="http://gateway")
        )
        return self

    async def __aexit__(self, *failure: Any) -> None:
        await self._stack.aclose()

    @property
    def services(self) -> Services:
        """What the worker has open."""
        services: Services = self.app.state.services
        return services

    async def key(self, role: str) -> dict[str, str]:
        """The Authorization header of a key with *role*, made on first use."""
        if role not in self._keys:
            async with await psycopg.AsyncConnection.connect(self.settings.postgres_url) as connection:
                self._keys[role] = (await create_key(connection, name=f"test {role}", role=role, actor="test")).text
        return {"Authorization": f"Bearer {self._keys[role]}"}

    def token(self, holder: str, ttl_s: int = 600) -> dict[str, str]:
        """The Authorization header of *holder*."""
        token = mint_token(
            parse_keys(JWT_KEYS), holder, audience=self.settings.jwt_audience, issuer=self.settings.jwt_issuer,
            ttl_s=ttl_s, now_s=time.time(),
        )  # fmt: skip
        return {"Authorization": f"Bearer {token}"}

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
