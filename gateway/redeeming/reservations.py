"""Holds: a coupon is kept for one order, for a time that nobody has to end."""

from collections.abc import Sequence
from typing import Any

import msgspec

from gateway.errors import Refusal
from gateway.redeeming.bodies import REASON_CHARS_MAX, Reservation, checked_text
from gateway.redeeming.coupons import Asker, Coupons, Found, not_ready
from gateway.redeeming.states import LETTERS, State, illegal_step
from gateway.wire import rfc3339
from lua.outcomes import Outcome

ASKED = "asked"
"""The reason of a release of which none was given."""


class Reservations:
    """
    Reservations of one worker.

    Errors of all: Refusal coupon_not_found, rate_limited, not_ready, overloaded, unknown.
    """

    def __init__(self, coupons: Coupons) -> None:
        self._coupons = coupons

    async def reserve(self, text: str, order: str, ttl_s: int, asker: Asker) -> tuple[Reservation, bool]:
        """
        Hold the coupon for *order*; whether the order held it before comes along.

        Only staff holds a code that many may use.
        Errors: Refusal reserved_by_other, with the order for who owns the coupon or holds it; invalid_state.
        """
        await self._coupons.admit(asker)
        found = await self._found(text, asker, order)
        if found.looked.shared and asker.holder:  # or one of them could hold every use of it
            raise Refusal("forbidden", "A code that many may use is held by a store; take it to the checkout.")
        detail = msgspec.json.encode({"actor": asker.actor}).decode()
        parts = (found.code, order, asker.holder, asker.actor, ttl_s * 1000, detail)
        call, reply = await self._coupons.calls.step("reserve", found.shard, parts)
        outcome, *told = reply if isinstance(reply, list) else [reply]
        match outcome:
            case Outcome.DONE | Outcome.REPLAYED:
                held = _reservation(found, order, int(told[0]), call.now_ms)
                return held, outcome == Outcome.REPLAYED
            case Outcome.HELD:
                raise held_by_other(told, State.RESERVED, asker)
            case Outcome.WRONG_STATE:
                raise illegal_step(LETTERS[told[0]], State.RESERVED)
            case Outcome.SHORT:
                raise none_left(State.RESERVED)
        raise await self._refused(outcome, asker)

    async def see(self, text: str, order: str, asker: Asker) -> Reservation:
        """The hold on a coupon, if there is one; of a code that many may use, that of *order*."""
        await self._coupons.admit(asker)
        found = await self._found(text, asker, order)
        looked = found.looked
        if not looked.until_ms:
            return Reservation(
                code=found.code,
                campaign=found.shard.campaign,
                state=looked.state,
                order_id=None,
                reserved_until=None,
                server_time=rfc3339(found.now_ms),
            )
        shown = looked.order if owns(looked.holder, looked.by, asker) else None
        return _reservation(found, shown, looked.until_ms, found.now_ms)

    async def release(self, text: str, order: str, asker: Asker, reason: str = ASKED) -> tuple[Reservation, bool]:
        """
        Let the coupon go for a *reason*; nothing happens where it is not held: whether it was not comes along.

        Its owner lets any hold go. Staff names the order, or lets go what it holds itself; so does another holder.
        Errors: Refusal bad_request; reserved_by_other.
        """
        checked_text("reason", reason, REASON_CHARS_MAX)
        await self._coupons.admit(asker)
        found = await self._found(text, asker, order)
        if asker.holder:
            by = "" if found.looked.holder == asker.holder else asker.actor
        else:
            by = "" if order else asker.actor
        detail = msgspec.json.encode({"actor": asker.actor, "reason": reason}).decode()
        parts = (found.code, order, asker.holder, by, detail)
        call, reply = await self._coupons.calls.step("release", found.shard, parts)
        outcome, *told = reply if isinstance(reply, list) else [reply]
        if outcome == Outcome.HELD:
            raise held_by_other(told, State.CLAIMED, asker)
        if outcome not in (Outcome.DONE, Outcome.UNCHANGED):
            raise await self._refused(outcome, asker)
        state = State.CLAIMED if outcome == Outcome.DONE else found.looked.state
        let_go = Reservation(
            code=found.code,
            campaign=found.shard.campaign,
            state=state,
            order_id=None,
            reserved_until=None,
            server_time=rfc3339(call.now_ms),
        )
        return let_go, outcome == Outcome.UNCHANGED

    async def _found(self, text: str, asker: Asker, order: str) -> Found:
        found = await self._coupons.find(text, asker, order)
        if found is None:
            raise await self._coupons.missed(asker)
        return found

    async def _refused(self, outcome: int, asker: Asker) -> Refusal:
        if outcome == Outcome.NOT_READY:
            return not_ready()
        assert outcome in (Outcome.ABSENT, Outcome.NOT_HOLDER), f"reserve and release don't answer {outcome}"
        return await self._coupons.missed(asker)


def owns(holder: str, by: str, asker: Asker) -> bool:
    """Whether *asker* owns the coupon, or has put the hold on it, so that he may know for which order it is."""
    return by == asker.actor or (bool(asker.holder) and holder == asker.holder)


def held_by_other(told: Sequence[Any], to: State, asker: Asker) -> Refusal:
    """
    The refusal of a step on a coupon that another order holds: which one is told to who owns the coupon or the hold.

    *told* is what the script adds to HELD: order, by, until_ms, holder.
    """
    order, by, until_ms, holder = str(told[0]), str(told[1]), int(told[2]), str(told[3])
    context: dict[str, Any] = {
        "from": State.RESERVED.value,
        "to": to.value,
        "allowed": [State.CLAIMED.value] if to is not State.CLAIMED else [],
        "reserved_until": rfc3339(until_ms),
    }
    if owns(holder, by, asker):
        context["order_id"] = order
    return Refusal("reserved_by_other", "The coupon is held for another order until reserved_until.", **context)


def none_left(to: State) -> Refusal:
    """The refusal of a step on a code that many may use, of which every use is redeemed or held: one may come free."""
    context: dict[str, Any] = {"from": State.RESERVED.value, "to": to.value, "allowed": [State.CLAIMED.value]}
    return Refusal("invalid_state", "Every use of this code is taken.", **context)


def _reservation(found: Found, order: str | None, until_ms: int, now_ms: int) -> Reservation:
    return Reservation(
        code=found.code,
        campaign=found.shard.campaign,
        state=State.RESERVED,
        order_id=order,
        reserved_until=rfc3339(until_ms),
        server_time=rfc3339(now_ms),
    )
