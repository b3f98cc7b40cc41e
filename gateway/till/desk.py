"""What the till asks of the services, and what it is told. Amounts are minor units, times milliseconds of the epoch."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import msgspec
from starlette.requests import Request

from gateway.keys import ApiKey
from gateway.worth.order import Order
from gateway.worth.reason import Reason


class Quote(msgspec.Struct, frozen=True):
    """What a coupon would take off an order: *lines* is parallel to the order's; or the *reason* why nothing."""

    code: str
    minor: int
    lines: tuple[int, ...]
    shipping_minor: int
    reason: Reason | None


class Redeemed(NamedTuple):
    """A redemption that was made, or that was made before: its id, and what it took off."""

    id: str
    minor: int


class DiscountedLine(msgspec.Struct, frozen=True):
    """A line of a redemption."""

    sku: str
    quantity: int
    discount_minor: int


class Rollback(msgspec.Struct, frozen=True):
    """What was given back of a redemption, once."""

    minor: int
    reason: str
    at_ms: int


class Redemption(msgspec.Struct, frozen=True):
    """A coupon that was redeemed. *left_minor* is what a gift balance still holds; None for other coupons."""

    id: str
    code: str
    campaign: str
    order_id: str
    currency: str
    minor: int
    order_minor: int
    lines: tuple[DiscountedLine, ...]
    shipping_minor: int
    store: str | None
    staff: str | None
    redeemed_ms: int
    rolled_back_minor: int = 0
    rollbacks: tuple[Rollback, ...] = ()
    left_minor: int | None = None


class Desk(Protocol):
    """The services as one signed-in till sees them. Errors of each: Refusal, as its HTTP route."""

    async def quote(self, code: str, order: Order) -> Quote:
        """What *code* would take off *order*."""

    async def redeem(
        self, idempotency_key: str, code: str, order: Order, *, merchant: str | None, staff: str | None
    ) -> Redeemed:
        """Redeem *code* for *order*; once, however often it is asked with one *idempotency_key*."""

    async def redemption(self, redemption: str) -> Redemption:
        """The redemption of this id, with what was given back of it."""

    async def rollback(self, idempotency_key: str, redemption: str, reason: str, amount_minor: int | None) -> None:
        """Give back *amount_minor*, or all that is left of it; once for an *idempotency_key*."""


NewDesk = Callable[[Request, ApiKey], Desk]
"""Makes the desk of a request by the till that showed a key."""
