"""Signing in and out."""

import logging
import time
from typing import Any
from urllib.parse import quote

import msgspec
from starlette.background import BackgroundTask
from starlette.responses import Response

from gateway.addresses import Address
from gateway.console.access import HOME, SignedOut, drop, entered, inside
from gateway.console.locales import LANGUAGES, N_
from gateway.console.page import SIGN_IN, Page, Visit
from gateway.console.words import Trouble, trouble_of
from gateway.errors import Refusal
from gateway.forms import NotOurs
from gateway.people.people import Known
from gateway.people.store import end_sessions, note
from gateway.sql import postgres
from gateway.telemetry import SIGN_INS
from gateway.zones import zone_of

log = logging.getLogger("fairclaim.console")

NEXT_CHARS_MAX = 6000
"""Of a page with all that was typed into its form, which goes along."""
_AGAIN = Trouble(N_("You were signed out."), N_("What you sent last was not done. Sign in and do it again."))
_ENDED = Trouble(N_("You are signed out."), N_("In every other browser too: whoever is next has to sign in."))
_WRONG = Trouble(
    N_("This name and this password do not go together."),
    N_("Capital letters count. Nobody can look a password up; an admin can give you another one."),
)


async def show(visit: Visit) -> Response:
    """The form; somebody who is signed in is led on."""
    language = visit.asked("language")
    if language in LANGUAGES:
        visit.session = msgspec.structs.replace(visit.session, language=language)
    try:
        known = await _known(visit)
    except Refusal as refusal:
        return _form(visit, refusal.status, notice=trouble_of(refusal))
    if known is not None:
        return visit.go(inside(visit.asked("next", NEXT_CHARS_MAX)))
    if visit.session.name:  # it was ended elsewhere
        visit.session = visit.here.credentials.console.visit(time.time(), visit.session.language)
    asked = visit.request.query_params
    return _form(visit, notice=_AGAIN if "again" in asked else _ENDED if "ended" in asked else None)


async def _known(visit: Visit) -> Known | None:
    try:
        return (await entered(visit.request)).known
    except SignedOut:
        return None


async def sign_in(visit: Visit) -> Response:
    """Begin a session for whoever knows his password, and lead him to where he was going."""
    name, password = visit.one("name").lower(), visit.fields.get("password", [""])[0]
    here, errors = visit.here, {}
    if not name:
        errors["name"] = visit.words.say(N_("Enter your name."))
    if not password:
        errors["password"] = visit.words.say(N_("Enter your password."))
    if errors:
        return _form(visit, 400, errors=errors)
    address = here.guessing.address(visit.request)
    try:
        counted = await here.throttle.admit(name[:100], address)
        known = await _checked(visit, name, password, address, counted)
    except Refusal as refusal:
        if refusal.code not in ("rate_limited", "overloaded", "not_ready"):
            raise
        response = _refused(visit, refusal)
        if refusal.code == "rate_limited":  # once it is answered: its time must not tell whether there is such a user
            response.background = BackgroundTask(_note, visit, "gateway", "sign_in_locked", name)
        return response
    if known is None:
        here.telemetry.answered(SIGN_INS, "wrong")
        return _form(visit, 401, notice=_WRONG)
    if counted:
        await here.throttle.give_back(name[:100], address)
    here.telemetry.answered(SIGN_INS, "done")
    await _note(visit, known.person.actor, "signed_in", known.person.name)
    zone = zone_of(visit.one("zone"))
    visit.session = here.credentials.console.sign_in(
        known.person.name, known.stamp, time.time(), language=visit.session.language, zone=zone
    )
    return visit.go(inside(visit.one("next")))


async def _note(visit: Visit, actor: str, act: str, name: str) -> None:
    """What became of a try for a user that there is, in the audit log, with where from; nobody waits for its sake."""
    here = visit.here
    if "\0" in name or not await here.throttle.is_noted(act, name[:100]):
        return
    try:
        async with postgres(here.pool) as connection:
            await note(connection, actor, act, name, {"address": here.guessing.address(visit.request)})
    except Refusal as refusal:
        log.warning("a sign-in is not in the audit log", extra={"act": act, "reason": refusal.detail})


async def _checked(visit: Visit, name: str, password: str, address: Address, counted: bool) -> Known | None:
    """Who that is; a try at which nobody could look is none. Errors: Refusal overloaded, not_ready."""
    try:
        return await visit.here.people.sign_in(name, password)
    except Refusal:
        if counted:
            await visit.here.throttle.give_back(name[:100], address)
        raise


async def too_old(visit: Visit) -> Response:
    """The form anew: it stood there for longer than a session lasts, or somebody signed in beside it."""
    if await _known(visit) is not None:
        return visit.go(HOME)
    return _form(visit, 403, notice=trouble_of(NotOurs()))


def _refused(visit: Visit, refusal: Refusal) -> Response:
    """The form again, for a refusal that passes: whoever waits may try the same again."""
    response = _form(visit, refusal.status, notice=trouble_of(refusal))
    response.headers["retry-after"] = str(refusal.retry_after_s or 1)
    return response


def _form(visit: Visit, status: int = 200, **values: Any) -> Response:
    back = inside(visit.one("next") or visit.asked("next", NEXT_CHARS_MAX))
    on = f"&next={quote(back, safe='/')}" if back != HOME else ""
    return visit.render("sign_in", status, typed=visit.one("name"), back=back, on=on, **values)


async def show_sign_out(visit: Visit) -> Response:
    """Whether he means it."""
    return visit.render("sign_out")


async def sign_out(visit: Visit) -> Response:
    """End every session of his: a cookie that somebody copied is worth nothing from now on. Errors: not_ready."""
    async with postgres(visit.here.pool) as connection:
        await end_sessions(connection, visit.who.name)
    return drop(visit.request, visit.go(f"{SIGN_IN}?ended"))


PAGES = (
    Page(path=SIGN_IN, show=show, act=sign_in, too_old=too_old, is_open=True),
    Page(path=f"{HOME}/sign-out", show=show_sign_out, act=sign_out, is_first=True),
)
