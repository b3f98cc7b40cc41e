"""The page of one coupon, and what may be done to it: revoke, let go, give back."""

import re
from secrets import token_urlsafe
from typing import Any

from starlette.responses import Response

from gateway.campaigns.broken import is_text
from gateway.console.access import check_role
from gateway.console.coupons.asking import asker_of
from gateway.console.coupons.finding import address_of
from gateway.console.coupons.life import see
from gateway.console.coupons.words import DONE, STATE_WORDS, STEP_WORDS, TROUBLES
from gateway.console.locales import N_
from gateway.console.page import Visit
from gateway.errors import Refusal
from gateway.redeeming.bodies import ORDER_ID_CHARS_MAX, REASON_CHARS_MAX, RollbackBody
from gateway.redeeming.revoking import revoke
from gateway.till.money import NotAnAmount, parse_money

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SEQ_DIGITS_MAX = 15


async def show(visit: Visit) -> Response:
    """The coupon as it is."""
    done = DONE.get(visit.asked("done"))
    return await _render(visit, done=visit.words.say(done) if done else None)


async def act(visit: Visit) -> Response:
    """Do a step. Errors: Refusal."""
    step = visit.one("step")
    acts = {"revoke": ("marketer", _revoke), "release": ("store", _release), "roll-back": ("store", _roll_back)}
    if step not in acts:
        raise Refusal("bad_request", "The form could not be read.")
    role, do = acts[step]
    check_role(visit.who, role)
    try:
        return await do(visit)
    except Refusal as refusal:
        if refusal.code not in TROUBLES:
            raise
        return await _render(visit, refusal.status, notice=TROUBLES[refusal.code])


async def _revoke(visit: Visit) -> Response:
    reason = visit.one("reason")
    if not is_text(reason, REASON_CHARS_MAX):
        return await _wrong(visit, "reason", _say_why(visit), reason)
    done, _ = await revoke(visit.here.redeeming.coupons, _code(visit), reason, asker_of(visit))
    return visit.go(f"{address_of(done.code)}?done=revoked")


async def _release(visit: Visit) -> Response:
    order = visit.one("order")
    if order and not is_text(order, ORDER_ID_CHARS_MAX):
        return await _wrong(visit, "order", visit.words.say(N_("This can’t be the number of an order.")), order)
    let_go = await visit.here.redeeming.reservations.release(_code(visit), order, asker_of(visit))
    return visit.go(f"{address_of(let_go.code)}?done=released")


async def _roll_back(visit: Visit) -> Response:
    redemption, key, amount = visit.one("redemption"), visit.one("key"), visit.one("amount")
    reason = visit.one("reason")
    if not _ID.fullmatch(redemption) or not _ID.fullmatch(key):
        raise Refusal("bad_request", "The form could not be read.")
    if not is_text(reason, REASON_CHARS_MAX):
        return await _wrong(visit, f"reason-{redemption}", _say_why(visit), reason)
    minor = None
    if amount:
        seen = await visit.here.redeeming.redemptions.see(redemption)
        try:
            minor = parse_money(amount, seen.discount.currency)
        except NotAnAmount:
            wrong = visit.words.say(N_("Type an amount like 12.50, or nothing for all of it."))
            return await _wrong(visit, f"amount-{redemption}", wrong, amount)
    body = RollbackBody(reason=reason, amount_minor=minor)
    await visit.here.redeeming.rollbacks.roll_back(redemption, body, key, asker_of(visit))
    return visit.go(f"{address_of(_code(visit))}?done=rolled-back")


def _say_why(visit: Visit) -> str:
    return visit.words.say(N_("Say why, in 1 to %(chars)s characters."), chars=REASON_CHARS_MAX)


async def _wrong(visit: Visit, field: str, says: str, typed: str) -> Response:
    return await _render(visit, 400, errors={field: says}, typed={field: typed})


def _code(visit: Visit) -> str:
    code: str = visit.request.path_params["code"]
    return code[:200]


async def _render(visit: Visit, status: int = 200, **values: Any) -> Response:
    after = visit.asked("after")
    seq = int(after) if after.isascii() and after.isdecimal() and len(after) <= _SEQ_DIGITS_MAX else 0
    try:
        life = await see(visit, _code(visit), seq)
    except Refusal as refusal:
        if refusal.code != "coupon_not_found":
            raise
        return visit.trouble(TROUBLES["coupon_not_found"], 404)
    state = life.now.state if life.now else life.booked["state"] if life.booked else ""
    may = {
        "revoke": visit.who.may("marketer") and state in ("claimed", "reserved"),
        "release": visit.who.may("store") and state == "reserved",
        "roll_back": visit.who.may("store"),
    }
    known = {"states": STATE_WORDS, "steps": STEP_WORDS, "key": f"console-{token_urlsafe(18)}"}
    given = {"done": None, "typed": {}, "after": seq, "at": address_of(life.code), **values}
    return visit.render("coupon", status, life=life, state=state, may=may, **known, **given)
