"""
What a stack does to its coupons in Redis: hold, redeem, undo. Each is done once, however often it is repeated.

stacks.py says when; nothing here asks Postgres but places(), which comes first.
"""

import msgspec

from gateway.campaigns.definition import OnRollback
from gateway.errors import Refusal
from gateway.redeeming.bodies import RedemptionBody, RollbackBody
from gateway.redeeming.coupons import Asker, Found
from gateway.redeeming.names import act_key, payload_of, place_of
from gateway.redeeming.redemptions import LOOKS_MAX, Redemptions
from gateway.redeeming.reservations import held_by_other, none_left
from gateway.redeeming.rollbacks import Rollbacks
from gateway.redeeming.stack_rows import Refused, StackItem, StackRow
from gateway.redeeming.states import LETTERS, State, illegal_step
from lua.keys import CouponCode, Shard
from lua.outcomes import Outcome

HOLD_MS = 600_000
"""How long a stack holds its codes; recovery finishes or undoes it long before."""
_UNDO = OnRollback(coupon="restore")

Places = dict[str, tuple[CouponCode, Shard]]
"""The codes of a stack → where they are."""


class StackSteps:
    """The steps of one worker's stacks."""

    def __init__(self, redemptions: Redemptions, rollbacks: Rollbacks) -> None:
        self._coupons, self._redemptions, self._rollbacks = redemptions.coupons, redemptions, rollbacks

    async def places(self, here: StackRow) -> Places:
        """
        Where the codes are that apply, and their campaigns known: what Postgres is asked before the row is locked.

        Errors: Refusal("not_ready").
        """
        places = {}
        for item in here.applied:
            places[item.code] = await self._coupons.place(item.code)
            placed = place_of(item.redemption)
            if placed is not None:
                await self._redemptions.catalog.by_number(placed.campaign_number)
        return places

    async def hold(self, stack: str, item: StackItem, body: RedemptionBody, asker: Asker) -> Refused | None:
        """Hold one code for a stack; what it was refused for. Errors: Refusal where nobody knows."""
        code, shard = await self._coupons.place(item.code)
        parts = (code, body.order.id, body.holder or "", tag_of(stack), HOLD_MS, '{"reason":"stack"}')
        _, reply = await self._coupons.calls.step("reserve", shard, parts)
        outcome, *told = reply if isinstance(reply, list) else [reply]
        match outcome:
            case Outcome.DONE:
                return None
            case Outcome.REPLAYED:
                until_ms, holder, by = told
                if by == tag_of(stack) or not str(by).startswith(tag_of("")):
                    return None
                refusal = held_by_other((body.order.id, by, until_ms, holder), State.REDEEMED, asker)
                refusal.detail = "Another request of this order holds the coupon until reserved_until."
            case Outcome.HELD:
                refusal = held_by_other(told, State.REDEEMED, asker)
            case Outcome.WRONG_STATE:
                refusal = illegal_step(LETTERS[told[0]], State.REDEEMED)
            case Outcome.SHORT:
                refusal = none_left(State.REDEEMED)
            case Outcome.NOT_HOLDER:
                refusal = Refusal("not_holder", "A coupon belongs to somebody else, and may not be passed on.")
            case Outcome.NOT_READY:
                refusal = Refusal("not_ready", "A coupon's shard is being compared with the books.")
            case _:
                refusal = Refusal("coupon_not_found")
        return Refused(refusal.code, refusal.detail, {**refusal.context, "coupon": item.code})

    async def redeem(self, here: StackRow, number: int, item: StackItem, places: Places) -> StackItem | None:
        """
        Redeem one code of a stack that is decided; None where less is left of it than it is to take off.

        Errors: Refusal where it can't be redeemed any more.
        """
        asker = Asker("", here.actor)
        key, payload = act_key("stacked", here.id, str(number)), payload_of(here.id.encode())
        for _ in range(LOOKS_MAX):
            found = await self._coupons.find_at(*places[item.code], asker, here.body.order.id)
            if found is None or item.discount is None:
                raise Refusal("coupon_not_found")
            spent = await self._redemptions.spend(
                found, here.body, item.discount, key, payload, asker, item.redemption, here.id
            )
            if spent is not None:
                return msgspec.structs.replace(item, answer=spent[0])
        return None

    async def why_reused(self, here: StackRow, item: StackItem, places: Places) -> Refusal | None:
        """Why a code that this order had before can't be redeemed by its state; None where that is not why."""
        asker = Asker("", here.actor)
        found = await self._coupons.find_at(*places[item.code], asker, here.body.order.id)
        if found is None or found.looked.state in (State.CLAIMED, State.RESERVED):
            return None
        return illegal_step(found.looked.state, State.REDEEMED)

    async def undo(self, here: StackRow, places: Places) -> None:
        """Give back what was redeemed, and let go what the stack holds."""
        asker = Asker("", here.actor)
        for number, item in in_turn(here.items):
            try:
                body = RollbackBody(reason="undone")
                await self._rollbacks.roll_back(
                    item.redemption, body, f"undo {here.id} {number}", asker, here.id, policy=_UNDO
                )
            except Refusal as refusal:
                if refusal.code not in ("redemption_not_found", "already_rolled_back"):
                    raise
            code, shard = places[item.code]
            parts = (code, here.body.order.id, "", tag_of(here.id), '{"reason":"stack"}')
            _, reply = await self._coupons.calls.step("release", shard, parts)
            if reply == Outcome.NOT_READY:
                raise Refusal("not_ready", "A coupon's shard is being compared with the books.")


def tag_of(stack: str) -> str:
    """Who holds a coupon for a stack, as the hold names him."""
    return f"stack:{stack}"


def in_turn(items: list[StackItem]) -> list[tuple[int, StackItem]]:
    """The items that apply, each with its place, in the order they are held and redeemed in: every stack's the same."""
    applied = [(number, item) for number, item in enumerate(items) if item.discount is not None]
    return sorted(applied, key=lambda each: each[1].code)


def check_step(found: Found, order: str, asker: Asker) -> None:
    """
    Refuse a coupon that *order* can't redeem in its state, as it is refused alone.

    Errors: Refusal invalid_state, reserved_by_other, with coupon.
    """
    looked, code = found.looked, str(found.code)
    if looked.state is State.RESERVED and looked.order != order:
        told = (looked.order, looked.by, looked.until_ms, looked.holder)
        refusal = held_by_other(told, State.REDEEMED, asker)
    elif looked.state not in (State.CLAIMED, State.RESERVED):
        refusal = illegal_step(looked.state, State.REDEEMED)
    elif looked.shared and looked.left < 1 and looked.order != order:
        refusal = none_left(State.REDEEMED)
    else:
        return
    raise Refusal(refusal.code, refusal.detail, **{**refusal.context, "coupon": code})
