"""A shop for the tests of the till: coupons of its customers, a desk that may fail, and how somebody signs in."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from playwright.async_api import Page
from starlette.requests import Request

from gateway.errors import Refusal
from gateway.keys import ApiKey
from gateway.till.desk import Quote, Redeemed
from gateway.till.store_desk import StoreDesk
from gateway.worth.order import Order
from tests.http import Worker

STORE, MERCHANT, STAFF = "Nanjing Road 12", "m-tea", "Wang Lei"


class FaultyDesk(StoreDesk):
    """A store's desk whose acts the test sees, and whose answers it may lose."""

    def __init__(self, request: Request, key: ApiKey, shop: "Shop") -> None:
        super().__init__(request, key)
        self._shop = shop

    async def quote(self, code: str, order: Order) -> Quote:
        """As it is."""
        self._shop.orders.append(order)
        return await super().quote(code, order)

    async def redeem(
        self, idempotency_key: str, code: str, order: Order, *, merchant: str | None, staff: str | None
    ) -> Redeemed:
        """Done; once *together* of them are here, and its answer may get lost."""
        await self._shop.arrive(idempotency_key)
        done = await super().redeem(idempotency_key, code, order, merchant=merchant, staff=staff)
        self._shop.redeemed.add(done.id)
        self._shop.lose()
        return done

    async def rollback(self, idempotency_key: str, redemption: str, reason: str, amount_minor: int | None) -> None:
        """Done, and its answer may get lost."""
        await self._shop.arrive(idempotency_key)
        await super().rollback(idempotency_key, redemption, reason, amount_minor)
        self._shop.lose()


@dataclass
class Shop:
    """
    The store whose tills a site serves.

    *failing* is raised once the next act is done: its answer is lost. *acts* are the keys of all that came; an act
    waits until *together* of them are there. *redeemed* are the redemptions that were answered.
    """

    site: Worker
    failing: Refusal | None = None
    together: int = 1
    acts: list[str] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    redeemed: set[str] = field(default_factory=set)
    _holders: int = 0
    _all_here: asyncio.Event = field(default_factory=asyncio.Event)

    def __call__(self, request: Request, key: ApiKey) -> FaultyDesk:
        """As NewDesk."""
        return FaultyDesk(request, key, self)

    async def arrive(self, idempotency_key: str) -> None:
        """An act is here, and waits for the others."""
        self.acts.append(idempotency_key)
        if len(self.acts) >= self.together:
            self._all_here.set()
        await self._all_here.wait()

    def go_on(self) -> None:
        """No act waits for others any more."""
        self._all_here.set()

    def lose(self) -> None:
        """Raise *failing*, once."""
        failing, self.failing = self.failing, None
        if failing is not None:
            raise failing

    async def coupon(self, **changes: Any) -> str:
        """The code of a coupon that was claimed: 5.00 CNY off from 30.00 on, or of a campaign with *changes*."""
        self._holders += 1
        campaign = f"campaign-{self._holders}"
        await self.site.publish(campaign, **changes)
        claimed = await self.site.claim(f"holder-{self._holders}", campaign=campaign)
        assert claimed.status_code == 201, claimed.text
        return str(claimed.json()["code"])

    async def ask(self, method: str, path: str, role: str, body: Any = None) -> dict[str, Any]:
        """The HTTP interface, as *role*."""
        headers = {**await self.site.key(role), "Idempotency-Key": path}
        answer = await self.site.http.request(method, path, json=body, headers=headers)
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def only(self) -> dict[str, Any]:
        """The one redemption there was, as the HTTP interface shows it; Redis keeps no other."""
        [redemption] = self.redeemed
        redis: Any = self.site.services.door.redis
        kept = [await redis.hlen(key) for key in await redis.keys("*redemptions*")]
        assert sum(kept) == 1
        return await self.ask("GET", f"/v1/redemptions/{redemption}", "store")

    async def key(self, role: str = "store") -> str:
        """The text of an API key."""
        return (await self.site.key(role))["Authorization"].removeprefix("Bearer ")

    async def sign_in(self, page: Page, currency: str = "CNY") -> None:
        """Sign *page* in as a store's till."""
        await page.goto("/till")
        await page.get_by_label("API key").fill(await self.key())
        await page.get_by_label("Store").fill(STORE)
        await page.get_by_label("Merchant").fill(MERCHANT)
        await page.get_by_label("Your name").fill(STAFF)
        await page.get_by_label("Currency").select_option(currency)
        await page.get_by_role("button", name="Sign in").click()
        await came(page, "New order")


async def came(page: Page, heading: str) -> None:
    """Wait until the page of this *heading* is there, all of it."""
    await page.get_by_role("heading", name=heading).wait_for()
    await page.wait_for_load_state()


async def lines(page: Page, what: str) -> list[str]:
    """The texts of all that *what* selects of a page that came."""
    return [" ".join(text.split()) for text in await page.locator(what).all_inner_texts()]


async def enter(page: Page, code: str, total: str = "40.00", order_id: str = "R-1001") -> None:
    """Type an order by its total, and ask what the coupon takes off."""
    await page.get_by_label("Coupon code").fill(code)
    await page.get_by_label("Order or receipt number").fill(order_id)
    await page.get_by_label("Total in").fill(total)
    await page.get_by_role("button", name="See what it takes off").click()


async def redeem(page: Page, code: str, total: str = "40.00", order_id: str = "R-1001") -> None:
    """The same, and redeem it; the receipt is there."""
    await enter(page, code, total, order_id)
    await page.get_by_role("button", name="Redeem").click()
    await came(page, "Redeemed")
