"""What the tests of tills share: orders, and what stores and holders ask of a worker about coupons."""

from typing import Any

import httpx2
import msgspec

from tests.conftest import Eventually
from tests.integration.site_http import Http

STORE = "store"


def an_order(id_: str = "o-1", *prices: float, **changes: Any) -> dict[str, Any]:
    """An order of one article a price, one of 4,000 where none is given; *changes* override whole fields."""
    lines = [{"sku": f"sku-{n}", "quantity": 1, "unit_price_minor": price} for n, price in enumerate(prices or (4000,))]
    return {"id": id_, "currency": "CNY", "lines": lines, **changes}


class Till:
    """A store's till, or whoever else asks, at one worker."""

    def __init__(self, http: Http) -> None:
        self.http, self.ask = http, http.ask

    async def quote(
        self, codes: str | list[str], order: dict[str, Any], who: str | None = STORE, **more: Any
    ) -> httpx2.Response:
        """POST /v1/quotes for one code, or several."""
        return await self.ask("POST", "/v1/quotes", who, {**_coded(codes), "order": order, **more})

    async def reserve(self, code: str, order: str = "o-1", who: str | None = STORE, **more: Any) -> httpx2.Response:
        """POST /v1/reservations."""
        return await self.ask("POST", "/v1/reservations", who, {"code": code, "order_id": order, **more})

    async def hold(self, code: str, who: str | None = STORE, order: str = "") -> httpx2.Response:
        """GET /v1/reservations/{code}."""
        return await self.ask("GET", f"/v1/reservations/{code}{_query(order)}", who)

    async def release(self, code: str, who: str | None = STORE, order: str = "") -> httpx2.Response:
        """DELETE /v1/reservations/{code}."""
        return await self.ask("DELETE", f"/v1/reservations/{code}{_query(order)}", who)

    async def redeem(
        self, codes: str | list[str], order: dict[str, Any] | None = None, key: str = "k", who: str | None = STORE,
        **more: Any,
    ) -> httpx2.Response:  # fmt: skip
        """POST /v1/redemptions on an_order(), or another one."""
        body = {**_coded(codes), "order": order or an_order(), **more}
        return await self.ask("POST", "/v1/redemptions", who, body, idempotency_key=key)

    async def redemption(self, id_: str, who: str | None = STORE) -> httpx2.Response:
        """GET /v1/redemptions/{id}."""
        return await self.ask("GET", f"/v1/redemptions/{id_}", who)

    async def roll_back(
        self, id_: str, key: str = "back", who: str | None = STORE, reason: str = "returned", **more: Any
    ) -> httpx2.Response:
        """POST /v1/redemptions/{id}/rollback."""
        body = {"reason": reason, **more}
        return await self.ask("POST", f"/v1/redemptions/{id_}/rollback", who, body, idempotency_key=key)

    async def revoke(self, code: str, who: str | None = "marketer", reason: str = "fraud") -> httpx2.Response:
        """POST /v1/coupons/{code}/revoke."""
        return await self.ask("POST", f"/v1/coupons/{code}/revoke", who, {"reason": reason})

    async def state(self, code: str) -> str:
        """The coupon's state in Redis."""
        answer = await self.hold(code)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["state"])

    async def claimed(self, *holders: str, campaign: str = "flash") -> list[str]:
        """Codes, one a holder."""
        return [(await self.http.claim(holder, campaign))["code"] for holder in holders]

    async def shared(self, eventually: Eventually, code: str, uses: int, campaign: str = "flash") -> None:
        """A code that many may use, issued. Its batch is asked, not the code: one that isn't there yet is a failure."""
        body = {"kind": "shared", "code": code, "uses": uses}
        path = f"/v1/campaigns/{campaign}/code-batches"
        batch = done(await self.ask("POST", path, "marketer", body, idempotency_key=f"batch {code}"), 202)["id"]

        async def issued() -> bool:
            return bool(done(await self.ask("GET", f"{path}/{batch}", "marketer"), 200)["state"] == "done")

        await eventually(issued)

    async def dump(self) -> dict[str, Any]:
        """Every key of ours in Redis but those of the limiter, with all it holds: two equal dumps are one state."""
        redis: Any = self.http.worker.services.door.redis
        keys = sorted([key async for key in redis.scan_iter("fc:{*")])
        return {key.decode(): await redis.dump(key) for key in keys}


def told(answer: httpx2.Response, *members: str) -> tuple[Any, ...]:
    """Status, code and further *members* of a problem."""
    body = answer.json()
    return (answer.status_code, body.get("code"), *(body.get(member) for member in members))


def done(answer: httpx2.Response, status: int = 201) -> dict[str, Any]:
    """The body of an answer that has to have *status*."""
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = msgspec.json.decode(answer.content)
    return found


def _coded(codes: str | list[str]) -> dict[str, Any]:
    return {"code": codes} if isinstance(codes, str) else {"codes": codes}


def _query(order: str) -> str:
    return f"?order_id={order}" if order else ""
