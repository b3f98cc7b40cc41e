"""Who is told: webhooks and e-mail addresses, made, tried, turned off; a secret is shown once."""

from typing import Any

from starlette.responses import Response

from gateway.alerts.kinds import KINDS
from gateway.alerts.reasons import said
from gateway.alerts.receivers import BYS, MANAGERS, NAME_CHARS_MAX, OLD_SECRET_HOURS, Made, shown_address
from gateway.console.access import HOME
from gateway.console.alerts.pages import ALERTS
from gateway.console.locales import N_
from gateway.console.page import Page, Visit
from gateway.console.words import Trouble
from gateway.errors import Refusal

RECEIVERS, NEW = f"{HOME}/alert-receivers", f"{HOME}/new-alert-receiver"
BY_WORDS = {"webhook": N_("Webhook"), "email": N_("E-mail")}
STATE_WORDS = {"on": (N_("On"), "good"), "off": (N_("Off"), "plain"), "failed": (N_("Turned off: it failed"), "bad")}
_DONE = {
    "on": N_("The receiver is on."),
    "off": N_("The receiver is off. What waited for it is not sent."),
    "removed": N_("The receiver is removed."),
    "arrived": N_("The trial has arrived."),
}
_NAME = N_("1 to %(chars)s characters.")
_URL = N_("A public address that begins with https://, without a user or password; an operator may allow others.")
_MAIL = N_("One e-mail address, such as ops@example.com.")
_NO_MAIL = N_("No mail server is set (FAIRCLAIM_SMTP_HOST).")
_CHANGED = Trouble(N_("It is so already."), N_("Nothing was changed. This is how it is now."))


async def show(visit: Visit) -> Response:
    """All of them."""
    done = _DONE.get(visit.asked("done"))
    return await _render(visit, done=visit.words.say(done) if done else "")


async def act(visit: Visit) -> Response:
    """Turn one on or off, remove it, try it, or give it another secret. Errors: Refusal."""
    step, identity, receivers = visit.one("step"), visit.one("receiver"), visit.here.receivers
    try:
        match step:
            case "on" | "off" | "removed":
                await receivers.move(visit.who, identity, step)
                return visit.go(f"{RECEIVERS}?done={step}")
            case "test":
                tried = await receivers.test(visit.who, identity)
                if tried.reason is None:
                    return visit.go(f"{RECEIVERS}?done=arrived")
                failed = Trouble(N_("The trial did not arrive."), said(tried.reason, visit.words))
                return await _render(visit, notice=failed)
            case "rotate":
                return _secret(visit, await receivers.rotate(visit.who, identity), is_new=False)
    except Refusal as refusal:
        if refusal.code == "receiver_not_found":
            raise Refusal("not_found") from None
        if refusal.code == "invalid_state":
            return await _render(visit, 409, notice=_CHANGED)
        raise
    raise Refusal("bad_request", "The form could not be read.")


async def show_new(visit: Visit) -> Response:
    """The form for a new one."""
    return _new(visit)


async def make(visit: Visit) -> Response:
    """Make one; the secret of a webhook is shown this once."""
    by, name, address = visit.one("by"), visit.one("name"), visit.one("address").strip()
    kinds = [] if visit.one("all") == "1" else visit.fields.get("kind", [])
    if not kinds and visit.one("all") != "1":
        return _new(visit, 400, errors={"kinds": visit.words.say(N_("Choose one kind or more, or all of them."))})
    try:
        made = await visit.here.receivers.make(visit.who, by, name, address, kinds)
    except Refusal as refusal:
        if refusal.code != "bad_request":
            raise
        field = str(refusal.context.get("field"))
        if field == "kinds":
            raise
        says = {"name": _NAME, "by": _NO_MAIL, "address": _MAIL if by == "email" else _URL}[field]
        return _new(visit, 400, errors={field: visit.words.say(says, chars=NAME_CHARS_MAX)})
    return _secret(visit, made, is_new=True) if made.secret else visit.go(f"{RECEIVERS}?done=on")


def _new(visit: Visit, status: int = 200, **values: Any) -> Response:
    fields = visit.fields
    typed = {
        "by": visit.one("by") or BYS[0],
        "name": visit.one("name"),
        "address": visit.one("address"),
        "kinds": fields.get("kind", []),
        "all": visit.one("all") == "1" or not fields,
    }
    bys = [(by, visit.words.say(BY_WORDS[by])) for by in BYS]
    return visit.render("alerts_receiver_new", status, typed=typed, bys=bys, kinds=KINDS, **values)


def _secret(visit: Visit, made: Made, *, is_new: bool) -> Response:
    return visit.render(
        "alerts_secret", receiver=made.receiver, secret=made.secret, is_new=is_new, hours=OLD_SECRET_HOURS
    )


async def _render(visit: Visit, status: int = 200, **values: Any) -> Response:
    found = await visit.here.receivers.list()
    given = {"done": "", **values}
    return visit.render(
        "alerts_receivers",
        status,
        receivers=found,
        kinds=KINDS,
        bys=BY_WORDS,
        states=STATE_WORDS,
        why=lambda reason: said(reason, visit.words),
        address_of=lambda each: shown_address(each.by, each.address),
        **given,
    )


PAGES = (
    Page(path=RECEIVERS, show=show, act=act, roles=MANAGERS, under=ALERTS),
    Page(path=NEW, show=show_new, act=make, roles=MANAGERS, under=ALERTS),
)
