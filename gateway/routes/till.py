"""/till: the pages of a store's till. What they ask of the services is gateway/till/desk.py."""

import re
import time
from collections.abc import Awaitable, Callable
from secrets import token_urlsafe
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from gateway.campaigns.currencies import CURRENCIES
from gateway.errors import PROBLEMS, Refusal
from gateway.forms import Errors, Fields, one
from gateway.services import services
from gateway.till.access import ROLES, SignedOut, Teller, drop, keep, posted, session_of, teller, visit_of
from gateway.till.desk import Desk, NewDesk, Redemption
from gateway.till.forms import OrderForm, read_text
from gateway.till.money import NotAnAmount, parse_money, show_money
from gateway.till.pages import ASSETS, render
from gateway.till.words import NO_REDEMPTION, Notice, notice_of, notice_of_reason
from gateway.worth.order import Order
from gateway.zones import zone_of

NAME_CHARS_MAX = 64
REASON_CHARS_MAX = 200
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MINOR = re.compile(r"[0-9]{1,16}")

Page = Callable[[Request], Awaitable[Response]]


def page(make: Page) -> Page:
    """A route that answers in pages: to sign in where nobody is, and refusals in words."""

    async def answer(request: Request) -> Response:
        try:
            return await make(request)
        except SignedOut:
            return _go("/till/sign-in?again" if request.method == "POST" else "/till/sign-in")
        except Refusal as refusal:
            session = session_of(request)
            return render("problem", refusal.status, session=session, notice=notice_of(refusal))

    return answer


def _go(address: str) -> Response:
    return RedirectResponse(address, 303, {"cache-control": "no-store"})


def _desk(request: Request, who: Teller) -> Desk:
    new_desk: NewDesk = request.app.state.new_desk
    return new_desk(request, who.key)


def new_key() -> str:
    """An Idempotency-Key for a form: whatever is done with this form is done once."""
    return f"till-{token_urlsafe(18)}"


# Signing in


@page
async def sign_in_page(request: Request) -> Response:
    """The form to sign in; a till that is signed in need not."""
    try:
        await teller(request)
    except SignedOut:
        session = visit_of(request)
    else:
        return _go("/till")
    notice = None
    if "again" in request.query_params:
        notice = Notice(
            "You were signed out: this try did nothing.",
            "Sign in again. If you tried before, look up whether that was done.",
        )
    return keep(request, render("sign_in", session=session, notice=notice, typed={}), session)


@page
async def sign_in(request: Request) -> Response:
    """Begin a session for the till that shows a good key of a store."""
    visit = visit_of(request)
    fields = await posted(request, visit)
    here, errors = services(request), Errors()
    typed = {name: one(fields, name) for name in ("store", "merchant", "staff", "currency", "zone")}
    text = one(fields, "key")
    if not text:
        errors["key"] = "Enter the store's API key."
    read_text(typed["store"], "the store", NAME_CHARS_MAX, "store", errors, required=False)
    read_text(typed["merchant"], "the merchant", NAME_CHARS_MAX, "merchant", errors, required=False)
    read_text(typed["staff"], "your name", NAME_CHARS_MAX, "staff", errors, required=False)
    if typed["currency"] not in CURRENCIES:
        errors["currency"] = "Choose the currency of your prices."
    status, key = 400, None
    if text and not errors:
        try:
            key = await here.keys.authenticate(text)
        except Refusal as refusal:
            if refusal.code != "unauthenticated":
                raise
            status, errors["key"] = 401, "This key is not valid. Check that all of it was copied."
        else:
            if key.role not in ROLES:
                status, errors["key"] = 403, f"This key has the role {key.role}; a till needs one with the role store."
    if key is None or errors:
        return keep(request, render("sign_in", status, session=visit, typed=typed, errors=errors), visit)
    typed["zone"] = zone_of(typed["zone"])
    return keep(request, _go("/till"), here.credentials.sessions.sign_in(key.id, time.time(), **typed))


@page
async def sign_out(request: Request) -> Response:
    """End the session in this browser."""
    await posted(request, session_of(request))
    return drop(_go("/till/sign-in"))


# An order: what a coupon takes off, and redeeming it


def _order_page(request: Request, who: Teller, form: OrderForm, status: int = 200, **values: Any) -> Response:
    return keep(request, render("order", status, session=who.session, typed=form, **values), who.session)


@page
async def till(request: Request) -> Response:
    """An empty order."""
    return _order_page(request, await teller(request), OrderForm())


@page
async def quote(request: Request) -> Response:
    """What the coupon would take off the order, or why nothing; or the form again, with more lines or to change."""
    who = await teller(request)
    fields = await posted(request, who.session)
    form, step = OrderForm.read(fields), one(fields, "step")
    if step in ("lines", "change"):
        return _order_page(request, who, form.with_more_rows() if step == "lines" else form)
    order, errors = form.order(who.session.currency, who.session.store)
    if order is None:
        return _order_page(request, who, form, 400, errors=errors)
    try:
        quoted = await _desk(request, who).quote(form.code, order)
    except Refusal as refusal:
        return _order_page(request, who, form, refusal.status, notice=notice_of(refusal, order.currency))
    if quoted.reason is not None:
        return _order_page(request, who, form, notice=notice_of_reason(quoted.reason, order.currency))
    return keep(
        request,
        render("quote", session=who.session, typed=form, order=order, quote=quoted, idempotency_key=new_key()),
        who.session,
    )


@page
async def redeem(request: Request) -> Response:
    """Redeem what was quoted; the receipt is next. The form's key makes a second press the same redemption."""
    who = await teller(request)
    fields = await posted(request, who.session)
    form, key, quoted = OrderForm.read(fields), _key_of(fields), _quoted(one(fields, "quoted"))
    order, errors = form.order(who.session.currency, who.session.store)
    if order is None:
        return _order_page(request, who, form, 400, errors=errors)
    try:
        done = await _desk(request, who).redeem(
            key, form.code, order, merchant=who.session.merchant or None, staff=who.session.staff or None
        )
    except Refusal as refusal:
        return _not_redeemed(request, who, form, order, key, refusal)
    query = "" if quoted in (None, done.minor) else f"?quoted={quoted}"
    return keep(request, _go(f"/till/redemptions/{done.id}{query}"), who.session)


def _quoted(text: str) -> int | None:
    """What a quote said, in minor units; None for what no quote of ours says."""
    return int(text) if _MINOR.fullmatch(text) else None


def _not_redeemed(request: Request, who: Teller, form: OrderForm, order: Order, key: str, refusal: Refusal) -> Response:
    """The order again; where a retry may help, a button that asks the very same thing, under the same key."""
    notice = notice_of(refusal, order.currency)
    if not PROBLEMS[refusal.code].retryable:
        return _order_page(request, who, form, refusal.status, notice=notice)
    values = {"typed": form, "order": order, "idempotency_key": key, "notice": notice}
    return keep(request, render("again", refusal.status, session=who.session, **values), who.session)


def _key_of(fields: Fields) -> str:
    key = one(fields, "idempotency_key")
    if not 16 <= len(key) <= 64 or not key.isascii() or not key.isprintable():
        raise Refusal("bad_request", "The form could not be read.")
    return key


# Redemptions: looking one up, its receipt, giving it back


@page
async def look_up(request: Request) -> Response:
    """The form to look a redemption up; with an id, on to it."""
    who = await teller(request)
    wanted = request.query_params.get("id", "").strip()
    if not wanted:
        return keep(request, render("look_up", session=who.session, wanted=""), who.session)
    done = await _found(request, who, wanted)
    return done if isinstance(done, Response) else _go(f"/till/redemptions/{done.id}")


async def _found(request: Request, who: Teller, wanted: str) -> Redemption | Response:
    """The redemption; or the look-up again, saying why not."""
    status, notice = 404, NO_REDEMPTION
    if _ID.fullmatch(wanted):
        try:
            return await _desk(request, who).redemption(wanted)
        except Refusal as refusal:
            if refusal.status != 404:
                status, notice = refusal.status, notice_of(refusal)
    return keep(request, render("look_up", status, session=who.session, wanted=wanted, notice=notice), who.session)


def _receipt_page(request: Request, who: Teller, done: Redemption, status: int = 200, **values: Any) -> Response:
    given = {"typed": {}, "quoted": None, "idempotency_key": new_key(), **values}
    return keep(request, render("receipt", status, session=who.session, key=who.key, done=done, **given), who.session)


@page
async def receipt(request: Request) -> Response:
    """A redemption to show and to print, and the form to give it back."""
    who = await teller(request)
    done = await _found(request, who, request.path_params["redemption"])
    if isinstance(done, Response):
        return done
    return _receipt_page(request, who, done, quoted=_quoted(request.query_params.get("quoted", "")))


@page
async def roll_back(request: Request) -> Response:
    """Give back all that is left of a redemption, or an amount of it; the receipt is next and shows it."""
    who = await teller(request)
    fields = await posted(request, who.session)
    done = await _found(request, who, request.path_params["redemption"])
    if isinstance(done, Response):
        return done
    key, errors = _key_of(fields), Errors()
    typed = {name: one(fields, name) for name in ("reason", "amount", "what")}
    read_text(typed["reason"], "why it is given back", REASON_CHARS_MAX, "reason", errors)
    amount = None
    if typed["what"] == "part":
        try:
            amount = parse_money(typed["amount"], done.currency)
        except NotAnAmount as error:
            errors["amount"] = str(error)
        else:
            left = done.minor - done.rolled_back_minor
            if not 1 <= amount <= max(left, 1):
                errors["amount"] = f"Enter an amount above 0 and up to {show_money(left, done.currency)}."
    elif typed["what"] != "all":
        errors["what"] = "Choose how much is given back."
    if errors:
        return _receipt_page(request, who, done, 400, typed=typed, errors=errors)
    try:
        await _desk(request, who).rollback(key, done.id, typed["reason"], amount)
    except Refusal as refusal:
        again = {"idempotency_key": key} if PROBLEMS[refusal.code].retryable else {}
        return _receipt_page(request, who, done, refusal.status, typed=typed, notice=notice_of(refusal), **again)
    return keep(request, _go(f"/till/redemptions/{done.id}"), who.session)


routes = [
    Route("/till", till, methods=["GET"]),
    Route("/till", quote, methods=["POST"]),
    Route("/till/sign-in", sign_in_page, methods=["GET"]),
    Route("/till/sign-in", sign_in, methods=["POST"]),
    Route("/till/sign-out", sign_out, methods=["POST"]),
    Route("/till/redemptions", look_up, methods=["GET"]),
    Route("/till/redemptions", redeem, methods=["POST"]),
    Route("/till/redemptions/{redemption}", receipt, methods=["GET"]),
    Route("/till/redemptions/{redemption}", roll_back, methods=["POST"]),
    Route("/till/assets/{name}", ASSETS.answer, methods=["GET"]),
]
