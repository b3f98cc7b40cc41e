"""A shop for the tests of the till: a desk that knows its coupons, and how somebody signs in."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

import msgspec
from playwright.async_api import Page
from starlette.requests import Request

from gateway.codes import CodeMaker, parse_code
from gateway.errors import Refusal
from gateway.keys import ApiKey
from gateway.till.desk import DiscountedLine, Quote, Redemption, Rollback
from gateway.worth.order import Order
from tests.http import Worker

STORE, STAFF = "Nanjing Road 12", "Wang Lei"


@dataclass
class Coupon:
    """A coupon: *minor* off from *threshold_minor* on, and what has become of it."""

    minor: int
    threshold_minor: int
    state: str = "claimed"


@dataclass
class Shop:
    """
    The desk of every till of one test; each redemption and rollback is decided once for its key.

    *failing* is raised by the next act, after it was done: its answer is lost. *acts* are the keys of all that came;
    a redemption waits until *together* of them are there.
    """

    site: Worker
    coupons: dict[str, Coupon] = field(default_factory=dict)
    redemptions: dict[str, Redemption] = field(default_factory=dict)
    failing: Refusal | None = None
    together: int = 1
    acts: list[str] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    _all_here: asyncio.Event = field(default_factory=asyncio.Event)
    _done: dict[str, str] = field(default_factory=dict)
    _codes: CodeMaker = field(default_factory=lambda: CodeMaker(7, 0))

    def __call__(self, _request: Request, _key: ApiKey) -> "Shop":
        """As NewDesk."""
        return self

    def coupon(self, minor: int = 500, threshold_minor: int = 3000, state: str = "claimed") -> str:
        """The code of a new coupon."""
        [code] = self._codes.take(1)
        self.coupons[code] = Coupon(minor, threshold_minor, state)
        return code

    def _find(self, code: str) -> tuple[str, Coupon]:
        parsed = parse_code(code)
        coupon = self.coupons.get(parsed.code) if parsed else None
        if parsed is None or coupon is None:
            raise Refusal("coupon_not_found")
        if coupon.state != "claimed":
            steps: dict[str, Any] = {"from": coupon.state, "to": "redeemed", "allowed": []}
            raise Refusal("invalid_state", **steps)
        return parsed.code, coupon

    async def quote(self, code: str, order: Order) -> Quote:
        """As Desk."""
        found, coupon = self._find(code)
        self.orders.append(order)
        if order.total_minor < coupon.threshold_minor:
            return Quote(found, 0, (0,) * len(order.lines), 0, "The goods come to less than the coupon is from")
        lines = [coupon.minor * line.minor // order.total_minor for line in order.lines]
        lines[0] += coupon.minor - sum(lines)
        return Quote(found, coupon.minor, tuple(lines), 0, None)

    async def redeem(self, idempotency_key: str, code: str, order: Order, staff: str | None) -> Redemption:
        """As Desk."""
        self.acts.append(idempotency_key)
        if len(self.acts) >= self.together:
            self._all_here.set()
        await self._all_here.wait()
        if idempotency_key not in self._done:
            quoted = await self.quote(code, order)
            self.coupons[quoted.code].state = "redeemed"
            made = Redemption(
                id=f"rd{len(self.redemptions) + 1:024d}",
                code=quoted.code,
                campaign="flash",
                order_id=order.id,
                currency=order.currency,
                minor=quoted.minor,
                order_minor=order.total_minor,
                lines=tuple(
                    DiscountedLine(line.sku, line.quantity, off)
                    for line, off in zip(order.lines, quoted.lines, strict=True)
                ),
                shipping_minor=0,
                store=order.store,
                staff=staff,
                redeemed_ms=round(time.time() * 1000),
            )
            self.redemptions[made.id] = made
            self._done[idempotency_key] = made.id
        self._lose()
        return self.redemptions[self._done[idempotency_key]]

    async def redemption(self, redemption: str) -> Redemption:
        """As Desk."""
        if redemption not in self.redemptions:
            raise Refusal("not_found")
        return self.redemptions[redemption]

    async def rollback(self, idempotency_key: str, redemption: str, reason: str, amount_minor: int | None) -> None:
        """As Desk."""
        self.acts.append(idempotency_key)
        if idempotency_key not in self._done:
            done = self.redemptions[redemption]
            left = done.minor - done.rolled_back_minor
            minor = left if amount_minor is None else amount_minor
            back = Rollback(minor, reason, round(time.time() * 1000))
            self.redemptions[redemption] = msgspec.structs.replace(
                done, rolled_back_minor=done.rolled_back_minor + minor, rollbacks=(*done.rollbacks, back)
            )
            self._done[idempotency_key] = redemption
        self._lose()

    def _lose(self) -> None:
        failing, self.failing = self.failing, None
        if failing is not None:
            raise failing

    @property
    def only(self) -> Redemption:
        """The one redemption there is."""
        [found] = self.redemptions.values()
        return found

    async def key(self, role: str = "store") -> str:
        """The text of an API key."""
        return (await self.site.key(role))["Authorization"].removeprefix("Bearer ")

    async def sign_in(self, page: Page, currency: str = "CNY") -> None:
        """Sign *page* in as a store's till."""
        await page.goto("/till")
        await page.get_by_label("API key").fill(await self.key())
        await page.get_by_label("Store").fill(STORE)
        await page.get_by_label("Your name").fill(STAFF)
        await page.get_by_label("Currency").select_option(currency)
        await page.get_by_role("button", name="Sign in").click()
        await page.get_by_role("heading", name="New order").wait_for()


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
    await page.get_by_role("heading", name="Redeemed").wait_for()
