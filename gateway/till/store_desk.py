"""The desk of a store: what the till asks, of the same services as the HTTP interface, for the key that signed in."""

from starlette.requests import Request

from gateway.callers import Caller
from gateway.codes import parse_code
from gateway.keys import ApiKey
from gateway.redeeming.bodies import RedemptionBody, RollbackBody
from gateway.redeeming.coupons import Asker
from gateway.redeeming.names import REDEMPTION_PREFIX
from gateway.redeeming.records import Record, read_redemption, read_rollback
from gateway.services import services
from gateway.till.desk import DiscountedLine, Quote, Redeemed, Redemption, Rollback
from gateway.worth.order import Order, check_order
from gateway.worth.stack import Choose, Mode
from gateway.worth.terms import read_terms


class StoreDesk:
    """As Desk, for one request of the till that showed *key*."""

    def __init__(self, request: Request, key: ApiKey) -> None:
        here = services(request)
        self._redeeming = here.redeeming
        self._asker = Asker.of(Caller(None, key), here.guessing.address(request))

    async def quote(self, code: str, order: Order) -> Quote:
        """What *code* would take off *order*."""
        quoted = await self._redeeming.quotes.quote([code], check_order(order), Mode.ALL, Choose.GIVEN, self._asker)
        [item] = quoted.items
        lines = tuple(line.discount_minor for line in item.lines)
        return Quote(item.code, item.discount.minor, lines, item.shipping_discount_minor, item.reason)

    async def redeem(
        self, idempotency_key: str, code: str, order: Order, *, merchant: str | None, staff: str | None
    ) -> Redeemed:
        """Redeem *code* for *order*, once for its key, and once for the order."""
        body = RedemptionBody(code=code, order=order, merchant=merchant, staff=staff).checked()
        done, _ = await self._redeeming.redemptions.redeem(code, body, idempotency_key, self._asker)
        return Redeemed(done.id, done.discount.minor)

    async def redemption(self, redemption: str) -> Redemption:
        """The redemption of this id, typed in any case and grouping."""
        name = _name_of(redemption)
        shard, recalled = await self._redeeming.redemptions.recall(name)
        record = recalled.record
        assert isinstance(record, Record)
        detail = read_redemption(record)
        is_balance = read_terms(recalled.terms).kind == "balance"
        return Redemption(
            id=name,
            code=record.code,
            campaign=shard.campaign,
            order_id=detail.order.id,
            currency=detail.currency,
            minor=int(record.minor),
            order_minor=detail.order.total_minor,
            lines=tuple(DiscountedLine(line.sku, line.quantity, line.discount_minor) for line in detail.lines),
            shipping_minor=detail.shipping_discount_minor,
            store=detail.store,
            staff=detail.staff,
            redeemed_ms=record.at_ms,
            rolled_back_minor=int(record.back),
            rollbacks=tuple(Rollback(int(part.minor), read_rollback(part).reason, part.at_ms) for part in record.parts),
            left_minor=recalled.left if is_balance else None,
        )

    async def rollback(self, idempotency_key: str, redemption: str, reason: str, amount_minor: int | None) -> None:
        """Give back *amount_minor*, or all that is left of it."""
        body = RollbackBody(reason=reason, amount_minor=amount_minor)
        await self._redeeming.rollbacks.roll_back(redemption, body, idempotency_key, self._asker)


def _name_of(typed: str) -> str:
    """A redemption's id as it is, where it was typed like a code; anything else unchanged."""
    parsed = parse_code(typed[len(REDEMPTION_PREFIX) :]) if typed.upper().startswith(REDEMPTION_PREFIX) else None
    return typed if parsed is None else f"{REDEMPTION_PREFIX}{parsed.code}"
