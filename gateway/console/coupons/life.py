"""One coupon: as the books have it, as Redis has it now, and everything that happened to it."""

from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from gateway.codes import DECOY, read_code, show_code
from gateway.console.actors import who_in_words
from gateway.console.coupons.asking import asker_of
from gateway.console.locales import Words
from gateway.console.page import Visit
from gateway.demo.offer import Offer, offer_of
from gateway.errors import Refusal
from gateway.redeeming.coupons import Asker, Found
from gateway.redeeming.reservations import owns
from gateway.routes.unbooked import unbooked
from gateway.sql import load_queries, postgres, row, rows

STEPS_MAX = 100
REDEMPTIONS_MAX = 20
_QUERIES = load_queries("coupon_life")


class Now(NamedTuple):
    """A coupon in Redis. *order* holds it until *until*; empty to who may not know which one it is."""

    state: str
    left: int
    expires_at: datetime
    order: str
    until: datetime | None


class Life(NamedTuple):
    """
    A coupon and its life. *booked* is None until it is drained, *now* where Redis does not answer.

    *steps* are a page of its changes, *more* the seq to go on after, 0 at the end. *is_behind*: the books and Redis
    tell two states.
    """

    code: str
    shown: str
    campaign: str
    holder: str
    seq: int
    offer: Offer | None
    currency: str
    claimed_at: datetime
    booked: dict[str, Any] | None
    now: Now | None
    is_behind: bool
    steps: list[dict[str, Any]]
    more: int
    redemptions: list[dict[str, Any]]


async def see(visit: Visit, text: str, after: int = 0) -> Life:
    """
    The coupon of a code as it was typed.

    Errors: Refusal coupon_not_found, which is counted; rate_limited; not_ready.
    """
    here, who = visit.here, asker_of(visit)
    coupons = here.redeeming.coupons
    await coupons.admit(who)
    code = read_code(text) or DECOY
    async with postgres(here.pool) as connection:
        booked = await row(connection, _QUERIES["booked"], code=code)
    if booked is None:
        found = await unbooked(here, code, who)
        if found is None:
            raise await coupons.missed(who)
        return _unbooked(visit, found, who)
    try:
        live = await coupons.find(booked["code"], who)
    except Refusal as refusal:
        if refusal.code not in ("not_ready", "overloaded", "unknown"):
            raise
        live = None
    async with postgres(here.pool) as connection:
        place = {"code": booked["code"], "shard": booked["shard"], "seq": booked["seq"]}
        steps = await rows(connection, _QUERIES["life"], **place, after=after, limit=STEPS_MAX + 1)
        redemptions = await rows(connection, _QUERIES["redeemed"], code=booked["code"], limit=REDEMPTIONS_MAX)
        ids = [each["id"] for each in redemptions]
        backs = await rows(connection, _QUERIES["given_back"], ids=ids) if ids else []
    for each in redemptions:
        each["backs"] = [back for back in backs if back["redemption"] == each["id"]]
        each["left_minor"] = each["minor"] - each["rolled_back_minor"]
        each["currency"] = each["currency"] or booked["currency"]
    now = _now(live, who, visit) if live else None
    return Life(
        code=booked["code"],
        shown=show_code(booked["code"]),
        campaign=booked["campaign"],
        holder=booked["holder"],
        seq=booked["seq"],
        offer=_offer(booked["value"], booked["currency"], visit),
        currency=booked["currency"] or "",
        claimed_at=booked["claimed_at"],
        booked=booked,
        now=now,
        is_behind=now is not None and now.state != booked["state"],
        steps=[_step(each, _sees_orders(visit), visit.words) for each in steps[:STEPS_MAX]],
        more=steps[STEPS_MAX - 1]["seq"] if len(steps) > STEPS_MAX else 0,
        redemptions=redemptions,
    )


def _unbooked(visit: Visit, found: Found, who: Asker) -> Life:
    """A coupon that the books have not got yet: all there is to tell is in Redis."""
    value = msgspec.to_builtins(found.terms.value)
    return Life(
        code=found.code,
        shown=show_code(found.code),
        campaign=str(found.shard.campaign),
        holder=found.looked.holder,
        seq=found.looked.seq,
        offer=_offer(value, found.terms.currency, visit),
        currency=found.terms.currency,
        claimed_at=_at(found.looked.claimed_ms),
        booked=None,
        now=_now(found, who, visit),
        is_behind=True,
        steps=[],
        more=0,
        redemptions=[],
    )


def _sees_orders(visit: Visit) -> bool:
    """Whether he reads in the books which order a hold is for; another one has to name it to let it go."""
    return visit.who.may("finance", "auditor")


def _now(found: Found, who: Asker, visit: Visit) -> Now:
    looked = found.looked
    order = looked.order if _sees_orders(visit) or owns(looked.holder, looked.by, who) else ""
    until = _at(looked.until_ms) if looked.until_ms else None
    return Now(looked.state.value, looked.left, _at(looked.expires_ms), order, until)


def _offer(value: dict[str, Any] | None, currency: str | None, visit: Visit) -> Offer | None:
    return None if value is None or currency is None else offer_of(value, currency, visit.words)


def _step(found: dict[str, Any], sees_orders: bool, words: Words) -> dict[str, Any]:
    """A change, with who did it and why taken out of its detail."""
    detail = found["detail"] if isinstance(found["detail"], dict) else {}
    said = {name: str(detail[name]) for name in ("actor", "reason", "store", "staff") if detail.get(name)}
    hidden = {} if sees_orders or found["kind"] not in ("reserved", "released") else {"ref": None}
    if "actor" in said:
        said["actor"] = who_in_words(said["actor"], words)
    return {**found, **hidden, "said": said}


def _at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
