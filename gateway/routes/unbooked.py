"""A coupon that the books have not got yet, as Redis has it: a claim is seconds ahead of them when they are slow."""

from gateway.codes import DECOY
from gateway.errors import Refusal
from gateway.redeeming.coupons import DECOY_SHARD, Asker, Found
from gateway.redeeming.records import Looked
from gateway.services import Services


async def unbooked(here: Services, text: str, who: Asker) -> Found | None:
    """
    The coupon, if it is *who*'s own, or he is of the staff; None for one that he can only guess.

    What is not there for him costs one question to PostgreSQL and one to Redis, whatever the reason.
    Errors: Refusal not_ready, overloaded.
    """
    coupons = here.redeeming.coupons
    placed = await here.resolver.place(text)
    code, shard = placed.resolved or (DECOY, DECOY_SHARD)
    try:
        call, looked = await coupons.calls.inspect(shard, "", code, "")
    except Refusal as refusal:
        if refusal.code != "unknown":
            raise
        raise Refusal("not_ready", "Redis did not answer in time, and the books have no such coupon yet.") from refusal
    if shard is not DECOY_SHARD and not call.ready:
        raise Refusal("not_ready", "This coupon's shard is being compared with the books.")
    if isinstance(looked, Looked) and (not who.holder or looked.holder == who.holder):
        kept = coupons.kept(shard.campaign, call, None)
        return Found(code, shard, call.now_ms, kept.frozen, kept.terms, looked)
    if not placed.asked:
        await here.resolver.look_again(text)
    return None
