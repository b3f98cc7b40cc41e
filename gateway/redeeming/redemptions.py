"""
One coupon, spent on one order, once.

What it takes off is worked out here; the script takes it only if the coupon and the terms are still those it was worked
out by, else it is looked at again. Where the terms are known and nothing else matters, the first try goes without a
look. A request that comes again, by its key or by its order, gets the first answer.
"""

import msgspec

from gateway.catalog import Catalog
from gateway.errors import Refusal
from gateway.redeeming.bodies import LineOff, Money, Redemption, RedemptionBody, RedemptionSeen, Rollback, encoded
from gateway.redeeming.coupons import Asker, Coupons, Found, Spot, not_ready
from gateway.redeeming.names import Names, act_key, order_scope, payload_of, place_of
from gateway.redeeming.quotes import left_minor
from gateway.redeeming.records import (
    FunderDetail,
    LineDetail,
    OrderDetail,
    Recalled,
    Record,
    RedemptionDetail,
    read_redemption,
    read_rollback,
)
from gateway.redeeming.reservations import held_by_other, none_left
from gateway.redeeming.states import LETTERS, State, illegal_step
from gateway.wire import rfc3339
from gateway.worth.discount import Discount, discount_of, funder_parts
from gateway.worth.order import Order
from gateway.worth.reason import Reason
from gateway.worth.terms import Terms
from lua.keys import Shard
from lua.outcomes import Outcome

LOOKS_MAX = 5


class Redemptions:
    """Redemptions of one worker. Errors of all: Refusal rate_limited, not_ready, overloaded, unknown."""

    def __init__(self, coupons: Coupons, catalog: Catalog) -> None:
        self.coupons, self.catalog, self._names = coupons, catalog, Names()

    async def redeem(self, code: str, body: RedemptionBody, key: str, asker: Asker) -> tuple[Redemption, bool]:
        """
        Spend the coupon on the order of *body*, which is checked; whether that was done before comes along.

        Errors: Refusal conditions_not_met with reason; reserved_by_other, invalid_state, not_holder,
        idempotency_key_reused.
        """
        await self.coupons.admit(asker)
        hashed, payload = act_key("redeem", asker.actor, key), payload_of(encoded(body))
        spot = await self.coupons.spot(code)
        if spot is not None:
            answer = await self.spend(spot, body, discount_of(spot.terms, body.order), hashed, payload, asker)
            if answer is not None:
                return answer
        for _ in range(LOOKS_MAX):
            found = await self.coupons.find(code, asker, body.order.id)
            if found is None:
                raise await self.coupons.missed(asker)
            worth = discount_of(found.terms, body.order, left_minor=left_minor(found))
            answer = await self.spend(found, body, worth, hashed, payload, asker)
            if answer is not None:
                return answer
        raise Refusal("overloaded", "The coupon keeps changing; nothing of this request was done.")

    async def spend(
        self, found: Found | Spot, body: RedemptionBody, worth: Discount | Reason, key: str, payload: str, asker: Asker,
        id_: str = "", stack: str | None = None,
    ) -> tuple[Redemption, bool] | None:  # fmt: skip
        """
        One ask of redeem.lua; None where the coupon or its terms have changed since *found*.

        *id_* is the redemption's to be, where it has to be known beforehand. Errors: as redeem().
        """
        off = worth if isinstance(worth, Discount) else None
        carried = None if off is None else _detail(found.terms, body, off, asker, (key, payload), stack)
        detail = b"" if carried is None else msgspec.json.encode(carried)
        minor, order = "" if off is None else str(off.minor), body.order.id
        id_ = id_ or await self.new_id(found.shard)
        scope = order_scope(found.code, order, body.merchant, body.store)
        parts = (id_, found.code, order, body.holder or "", key, scope, payload, minor or "0", minor, detail.decode())
        call, reply = await self.coupons.calls.step("redeem", found.shard, parts, found.frozen)
        outcome, *told = reply if isinstance(reply, list) else [reply]
        match outcome:
            case Outcome.DONE:
                seq, _, letter, left = told
                record = Record(found.code, seq, call.now_ms, minor, minor, "0", letter, str(left), scope, parts[9], [])
                return redemption_body(id_, found.shard, record), False
            case Outcome.REPLAYED:
                return redemption_body(told[0], found.shard, msgspec.convert(told[1], Record)), True
            case Outcome.STALE if isinstance(worth, Reason) and isinstance(found, Found):
                raise unmet(worth)
            case Outcome.STALE:
                return None
            case Outcome.ABSENT if isinstance(found, Spot):
                return None  # it may have moved, which find() knows
            case Outcome.SHORT:
                if found.terms.kind == "balance":
                    return None
                raise none_left(State.REDEEMED)
            case Outcome.HELD:
                raise held_by_other(told, State.REDEEMED, asker)
            case Outcome.WRONG_STATE:
                raise illegal_step(LETTERS[told[0]], State.REDEEMED)
        raise await self._refused(outcome, asker)

    async def _refused(self, outcome: int, asker: Asker) -> Refusal:
        if outcome == Outcome.KEY_REUSED:
            return Refusal(
                "idempotency_key_reused", "This key, or this order with this coupon, came with another body."
            )
        if outcome == Outcome.NOT_READY:
            return not_ready()
        if outcome == Outcome.NOT_HOLDER:
            return Refusal("not_holder", "The coupon belongs to somebody else, and may not be passed on.")
        assert outcome == Outcome.ABSENT, f"redeem does not answer {outcome}"
        return await self.coupons.missed(asker)

    async def recall(self, redemption: str) -> tuple[Shard, Recalled]:
        """A redemption and its shard. Errors: Refusal redemption_not_found, not_ready."""
        place = place_of(redemption)
        campaign = None if place is None else await self.catalog.by_number(place.campaign_number)
        if place is None or campaign is None or place.shard_number >= campaign.shards:
            raise Refusal("redemption_not_found")
        shard = Shard(campaign.id, place.shard_number)
        recalled = await self.coupons.calls.recall(shard, "", redemption)
        if not recalled.ready:
            raise not_ready()
        if recalled.record is False:
            raise Refusal("redemption_not_found")
        return shard, recalled

    async def see(self, redemption: str) -> RedemptionSeen:
        """A redemption as it is now. Errors: as recall()."""
        shard, recalled = await self.recall(redemption)
        record = recalled.record
        assert isinstance(record, Record)
        first = redemption_body(redemption, shard, record)
        members = {name: getattr(first, name) for name in first.__struct_fields__}
        state = state_of(int(record.back), int(record.minor))
        rollbacks = [rollback_body(redemption, shard, record, number) for number in range(1, len(record.parts) + 1)]
        back = Money(int(record.back), first.discount.currency)
        return RedemptionSeen(**{**members, "state": state}, rolled_back=back, rollbacks=rollbacks)

    async def new_id(self, shard: Shard) -> str:
        """An id for a redemption on *shard*."""
        return self._names.redemption((await self.catalog.published(shard.campaign)).number, shard)


def unmet(why: Reason) -> Refusal:
    """The refusal of an order that the coupon takes nothing off."""
    return Refusal("conditions_not_met", why.detail, reason=why.code)


def state_of(back_minor: int, minor: int) -> str:
    """The state of a redemption of which *back_minor* came back."""
    if back_minor == 0:
        return "redeemed"
    return "rolled_back" if back_minor == minor else "partly_rolled_back"


def _detail(
    terms: Terms, body: RedemptionBody, off: Discount, asker: Asker, act: tuple[str, str], stack: str | None
) -> RedemptionDetail:
    order: Order = body.order
    funders = zip(terms.funders, funder_parts(terms, off.minor), strict=True)
    return RedemptionDetail(
        order=OrderDetail(order.id, order.currency, order.total_minor, order.shipping_minor),
        lines=[LineDetail(line.sku, line.quantity, m) for line, m in zip(order.lines, off.lines, strict=True)],
        shipping_discount_minor=off.shipping_minor,
        currency=order.currency,
        funders=[FunderDetail(funder.account, minor) for funder, minor in funders],
        actor=asker.actor,
        act=act,
        merchant=body.merchant,
        store=body.store,
        staff=body.staff,
        channel=body.channel,
        stack=stack,
    )


def redemption_body(id_: str, shard: Shard, record: Record) -> Redemption:
    """What a redemption is answered with, each time the same."""
    detail = read_redemption(record)
    return Redemption(
        id=id_,
        code=record.code,
        campaign=shard.campaign,
        state="redeemed",
        order_id=detail.order.id,
        discount=Money(int(record.minor), detail.currency),
        lines=[LineOff(line.sku, line.discount_minor) for line in detail.lines],
        shipping_discount_minor=detail.shipping_discount_minor,
        merchant=detail.merchant,
        store=detail.store,
        channel=detail.channel,
        staff=detail.staff,
        stack=detail.stack,
        coupon_state=LETTERS[record.letter],
        left=int(record.left),
        seq=record.seq,
        redeemed_at=rfc3339(record.at_ms),
    )


def rollback_body(redemption: str, shard: Shard, record: Record, number: int) -> Rollback:
    """What rollback *number* of a redemption, from 1, is answered with, each time the same."""
    part, detail = record.parts[number - 1], read_rollback(record.parts[number - 1])
    currency = read_redemption(record).currency
    left = int(record.minor) - sum(int(each.minor) for each in record.parts[:number])
    return Rollback(
        redemption=redemption,
        number=number,
        code=record.code,
        state="rolled_back" if left == 0 else "partly_rolled_back",
        reason=detail.reason,
        amount=Money(int(part.minor), currency),
        lines=[LineOff(line.sku, line.discount_minor) for line in detail.lines],
        shipping_discount_minor=detail.shipping_discount_minor,
        left=Money(left, currency),
        coupon_state=State(part.state),
        expires_at=rfc3339(part.expires_ms),
        seq=part.seq,
        rolled_back_at=rfc3339(part.at_ms),
    )
