"""The page of one coupon, and what may be done to it: revoke, let go, give back."""

import re
from secrets import token_urlsafe
from typing import Any

from starlette.responses import Response

from gateway.campaigns.broken import is_text
from gateway.console.access import check_role
from gateway.console.books.ledger import READERS as BOOKS_READERS
from gateway.console.campaigns.listing import SEE as CAMPAIGN_READERS
from gateway.console.coupons.asking import asker_of
from gateway.console.coupons.life import see
from gateway.console.coupons.noting import note
from gateway.console.coupons.places import address_of
from gateway.console.coupons.searching import SEARCHERS
from gateway.console.coupons.words import DONE, STATE_WORDS, STEP_WORDS, TROUBLES
from gateway.console.locales import N_
from gateway.console.page import Visit
from gateway.errors import Refusal
from gateway.redeeming.bodies import ORDER_ID_CHARS_MAX, REASON_CHARS_MAX, RollbackBody
from gateway.redeeming.revoking import revoke
from gateway.till.money import NotAnAmount, parse_money

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SEQ_DIGITS_MAX = 15
_ALL_OF_IT = {"hx-retarget": "#main", "hx-reselect": "#main", "hx-reswap": "outerHTML"}
"""For a page that waited for the books: they are there, so all of it is new, as soon as nobody is at a form of it."""


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
    reason, coupons = visit.one("reason"), visit.here.redeeming.coupons
    if not is_text(reason, REASON_CHARS_MAX):
        return await _wrong(visit, {"reason": reason}, "reason", _say_why(visit))
    done, was_so, before = await revoke(coupons, _code(visit), reason, asker_of(visit))
    if not was_so:
        await note(visit, "revoked", done.code, before, {"state": done.state}, reason=reason)
    return visit.go(f"{address_of(done.code)}?done=revoked")


async def _release(visit: Visit) -> Response:
    order, why = visit.one("order"), visit.one("why")
    if order and not is_text(order, ORDER_ID_CHARS_MAX):
        wrong = visit.words.say(N_("This can’t be the number of an order."))
        return await _wrong(visit, {"order": order, "why": why}, "order", wrong)
    if not is_text(why, REASON_CHARS_MAX):
        return await _wrong(visit, {"order": order, "why": why}, "why", _say_why(visit))
    before = await _state(visit)
    let_go, was_so = await visit.here.redeeming.reservations.release(_code(visit), order, asker_of(visit), why)
    if not was_so:
        await note(visit, "released", let_go.code, before, {"state": let_go.state}, reason=why)
    return visit.go(f"{address_of(let_go.code)}?done=released")


async def _roll_back(visit: Visit) -> Response:
    redemption, key, amount = visit.one("redemption"), visit.one("key"), visit.one("amount")
    reason = visit.one("reason")
    if not _ID.fullmatch(redemption) or not _ID.fullmatch(key):
        raise Refusal("bad_request", "The form could not be read.")
    typed = {f"reason-{redemption}": reason, f"amount-{redemption}": amount}
    if not is_text(reason, REASON_CHARS_MAX):
        return await _wrong(visit, typed, f"reason-{redemption}", _say_why(visit))
    minor = None
    if amount:
        seen = await visit.here.redeeming.redemptions.see(redemption)
        try:
            minor = parse_money(amount, seen.discount.currency)
        except NotAnAmount:
            wrong = visit.words.say(N_("Type an amount like 12.50, or nothing for all of it."))
            return await _wrong(visit, typed, f"amount-{redemption}", wrong)
    body = RollbackBody(reason=reason, amount_minor=minor)
    done, was_so = await visit.here.redeeming.rollbacks.roll_back(redemption, body, key, asker_of(visit))
    if not was_so:
        currency = done.left.currency
        before = {"left_minor": done.left.minor + done.amount.minor, "currency": currency}
        after = {"left_minor": done.left.minor, "currency": currency}
        await note(visit, "rolled_back", done.code, before, after, redemption=redemption, reason=reason)
    return visit.go(f"{address_of(done.code)}?done=rolled-back")


async def _state(visit: Visit) -> dict[str, Any]:
    """How the coupon is before an act. Errors: Refusal, as the act's."""
    found = await visit.here.redeeming.coupons.find(_code(visit), asker_of(visit))
    if found is None:
        return {}
    return {"state": found.looked.state, **({"order": found.looked.order} if found.looked.order else {})}


def _say_why(visit: Visit) -> str:
    return visit.words.say(N_("Say why, in 1 to %(chars)s characters."), chars=REASON_CHARS_MAX)


async def _wrong(visit: Visit, typed: dict[str, str], field: str, says: str) -> Response:
    return await _render(visit, 400, errors={field: says}, typed=typed)


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
        "see_holder": visit.who.may(*SEARCHERS),
        "see_campaign": visit.who.may(*CAMPAIGN_READERS),
        "see_books": visit.who.may(*BOOKS_READERS),
    }
    known = {"states": STATE_WORDS, "steps": STEP_WORDS, "key": f"console-{token_urlsafe(18)}"}
    given = {"done": None, "typed": {}, "after": seq, "at": address_of(life.code), **values}
    response = visit.render("coupon", status, life=life, state=state, may=may, **known, **given)
    if visit.request.headers.get("hx-target") == "behind" and life.booked is not None and not life.is_behind:
        response.headers.update(_ALL_OF_IT)
    return response
