"""One coupon, taken away from whoever has it. The many are gateway/issuing's."""

import msgspec

from gateway.errors import Refusal
from gateway.redeeming.bodies import REASON_CHARS_MAX, Revoked, checked_text
from gateway.redeeming.coupons import Asker, Coupons, not_ready
from gateway.redeeming.states import LETTERS, State, illegal_step
from gateway.wire import rfc3339
from lua.outcomes import Outcome


async def revoke(coupons: Coupons, text: str, reason: str, asker: Asker) -> tuple[Revoked, bool]:
    """
    Revoke the coupon; whether it was revoked before comes along.

    Errors: Refusal coupon_not_found, rate_limited; invalid_state where it is spent or over; not_ready, overloaded.
    """
    checked_text("reason", reason, REASON_CHARS_MAX)
    await coupons.admit(asker)
    code, shard = await coupons.place(text)
    detail = msgspec.json.encode({"actor": asker.actor, "reason": reason}).decode()
    call, reply = await coupons.calls.step("revoke", shard, (code, detail))
    outcome, *told = reply if isinstance(reply, list) else [reply]
    if outcome in (Outcome.DONE, Outcome.UNCHANGED):
        revoked = Revoked(code=code, campaign=shard.campaign, state=State.REVOKED, server_time=rfc3339(call.now_ms))
        return revoked, outcome == Outcome.UNCHANGED
    if outcome == Outcome.WRONG_STATE:
        raise illegal_step(LETTERS[told[0]], State.REVOKED)
    if outcome == Outcome.NOT_READY and str(shard.campaign) != "-":
        raise not_ready()
    refusal: Refusal = await coupons.missed(asker)
    raise refusal
