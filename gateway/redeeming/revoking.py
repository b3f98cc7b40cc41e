"""One coupon, taken away from whoever has it. The many are gateway/issuing's."""

from typing import NamedTuple

import msgspec

from gateway.errors import Refusal
from gateway.redeeming.bodies import REASON_CHARS_MAX, Revoked, checked_text
from gateway.redeeming.coupons import Asker, Coupons, not_ready
from gateway.redeeming.records import Looked
from gateway.redeeming.states import LETTERS, State, illegal_step
from gateway.wire import rfc3339
from lua.outcomes import Outcome


class Done(NamedTuple):
    """What was revoked, whether it was so before, and else how it was until then."""

    revoked: Revoked
    again: bool
    before: dict[str, str]


async def revoke(coupons: Coupons, text: str, reason: str, asker: Asker) -> Done:
    """
    Revoke the coupon.

    Errors: Refusal coupon_not_found, rate_limited; invalid_state where it is spent or over; not_ready, overloaded.
    """
    checked_text("reason", reason, REASON_CHARS_MAX)
    await coupons.admit(asker)
    code, shard = await coupons.place(text)
    _, looked = await coupons.calls.inspect(shard, "", code, "")
    detail = msgspec.json.encode({"actor": asker.actor, "reason": reason}).decode()
    call, reply = await coupons.calls.step("revoke", shard, (code, detail))
    outcome, *told = reply if isinstance(reply, list) else [reply]
    if outcome in (Outcome.DONE, Outcome.UNCHANGED):
        revoked = Revoked(code=code, campaign=shard.campaign, state=State.REVOKED, server_time=rfc3339(call.now_ms))
        return Done(revoked, outcome == Outcome.UNCHANGED, _told(looked) if isinstance(looked, Looked) else {})
    if outcome == Outcome.WRONG_STATE:
        raise illegal_step(LETTERS[told[0]], State.REVOKED)
    if outcome == Outcome.NOT_READY and str(shard.campaign) != "-":
        raise not_ready()
    refusal: Refusal = await coupons.missed(asker)
    raise refusal


def _told(looked: Looked) -> dict[str, str]:
    return {"state": looked.state, **({"order": looked.order} if looked.order else {})}
