"""One's own account: another password, and how the console looks."""

import time
from typing import Any
from zoneinfo import available_timezones

from starlette.responses import Response

from gateway.console.access import HOME
from gateway.console.locales import LANGUAGES, N_
from gateway.console.page import ACCOUNT, Page, Visit
from gateway.console.words import Trouble, trouble_of
from gateway.errors import Refusal
from gateway.people.passwords import PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN, check_password
from gateway.people.person import THEMES, InvalidUser, Look
from gateway.people.store import set_look, set_password
from gateway.sql import postgres

ZONES = sorted(
    zone for zone in available_timezones() if "/" in zone and not zone.startswith(("Etc/", "posix", "right"))
)
_DONE = {
    "password": Trouble(N_("Your password is changed."), N_("Every other session of yours was ended.")),
    "look": Trouble(N_("Saved."), N_("It holds in every browser you sign in with.")),
}


async def show(visit: Visit) -> Response:
    """Both forms."""
    return _page(visit, done=_DONE.get(visit.asked("done")))


async def change(visit: Visit) -> Response:
    """Do what one of the forms says. Errors: Refusal."""
    return await (_change_look(visit) if visit.one("step") == "look" else _change_password(visit))


async def _change_password(visit: Visit) -> Response:
    old, new, again = (visit.fields.get(name, [""])[0] for name in ("old", "new", "again"))
    who, say, errors = visit.who, visit.words.say, {}
    try:
        check_password(new, who.name, who.display)
    except InvalidUser as error:
        errors["new"] = say(error.says, **error.values)
    if new != again:
        errors["again"] = say(N_("Type the new password twice, the same both times."))
    if not errors and new == old:
        errors["new"] = say(N_("Choose one that is not the old one."))
    if errors:
        return _page(visit, 400, errors=errors)
    address = visit.here.guessing.address(visit.request)
    try:
        counted = await visit.here.throttle.admit(who.name, address)
        known = await visit.here.people.sign_in(who.name, old)
    except Refusal as refusal:
        if refusal.code != "rate_limited":
            raise
        return _page(visit, refusal.status, notice=trouble_of(refusal))
    if known is None:
        return _page(visit, 400, errors={"old": say(N_("This is not your password."))})
    if counted:
        await visit.here.throttle.give_back(who.name, address)
    hashed = await visit.here.people.passwords.hash(new)
    async with postgres(visit.here.pool) as connection:
        stamp = await set_password(connection, who.name, hashed, who.actor, must_change=False)
    sessions, session = visit.here.credentials.console, visit.session
    visit.session = sessions.sign_in(who.name, stamp, time.time(), language=session.language, zone=session.zone)
    return visit.go(HOME if visit.must_change else f"{ACCOUNT}?done=password")


async def _change_look(visit: Visit) -> Response:
    look, errors = Look(visit.one("language"), visit.one("theme"), visit.one("zone")), {}
    choose = visit.words.say(N_("Choose one of the list."))
    if look.language not in ("", *LANGUAGES):
        errors["language"] = choose
    if look.theme not in THEMES:
        errors["theme"] = choose
    if look.zone not in ("", "UTC", *ZONES):
        errors["zone"] = choose
    if errors:
        return _page(visit, 400, errors=errors)
    async with postgres(visit.here.pool) as connection:
        await set_look(connection, visit.who.name, look, visit.who.actor)
    return visit.go(f"{ACCOUNT}?done=look")


def _page(visit: Visit, status: int = 200, **values: Any) -> Response:
    return visit.render(
        "account",
        status,
        zones=ZONES,
        chars_min=PASSWORD_CHARS_MIN,
        chars_max=PASSWORD_CHARS_MAX,
        **{"done": None, **values},
    )


PAGES = (Page(path=ACCOUNT, show=show, act=change, menu=N_("Account"), section=N_("You"), is_first=True),)
