"""Who is told: webhooks and e-mail addresses, made, tried, turned off; a secret is shown once."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response

from gateway.alerts.kinds import KINDS
from gateway.alerts.reasons import said
from gateway.alerts.receivers import BYS, MANAGERS, NAME_CHARS_MAX, OLD_SECRET_HOURS, Made, shown_address
from gateway.alerts.store import Receiver
from gateway.console.access import HOME
from gateway.console.alerts.pages import ALERTS
from gateway.console.locales import N_
from gateway.console.page import Page, Visit
from gateway.console.tables import Cell, Noted, Sort, Table, csv_file
from gateway.console.words import Trouble
from gateway.errors import Refusal

RECEIVERS, NEW = f"{HOME}/alert-receivers", f"{HOME}/new-alert-receiver"
EXPORT = f"{RECEIVERS}.csv"
SORTS = {
    "made": Sort(N_("Added")),
    "name": Sort(N_("Name")),
    "arrived": Sort(N_("Last alert arrived"), falls=True),
}
_NEVER = datetime(1, 1, 2, tzinfo=UTC)
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


def _table(visit: Visit) -> Table:
    return Table(visit, RECEIVERS, SORTS, {}, EXPORT)


async def _sorted(visit: Visit, table: Table) -> list[Receiver]:
    """All of them, of which there are few."""
    keys: dict[str, Callable[[Receiver], Any]] = {
        "made": lambda each: (each.made_at, each.id),
        "name": lambda each: (each.name.lower(), each.id),
        "arrived": lambda each: (each.last_sent_at or _NEVER, each.id),
    }
    return sorted(await visit.here.receivers.list(), key=keys[table.by], reverse=table.down)


async def export(visit: Visit) -> Response:
    """Every receiver as CSV, with no more of its address than the page has; who took it is in the audit log."""

    async def pages() -> AsyncIterator[Iterable[Sequence[Cell]]]:
        yield map(_cells, await _sorted(visit, _table(visit)))

    heads = (
        "id", "name", "by", "address", "told_of", "state", "last_arrived_at", "failing_since", "made_by", "made_at",
    )  # fmt: skip
    return await csv_file(visit, "alert-receivers", heads, pages(), Noted("receivers.exported", "receivers", {}))


def _cells(each: Receiver) -> tuple[Cell, ...]:
    told = (each.id, each.name, each.by, shown_address(each.by, each.address), " ".join(each.kinds) or "everything")
    return (*told, each.state, each.last_sent_at, each.failing_since, each.made_by, each.made_at)


async def _render(visit: Visit, status: int = 200, **values: Any) -> Response:
    table = _table(visit)
    found = await _sorted(visit, table)
    given = {"done": "", **values}
    return visit.render(
        "alerts_receivers",
        status,
        receivers=found,
        table=table,
        kinds=KINDS,
        bys=BY_WORDS,
        states=STATE_WORDS,
        why=lambda reason: said(reason, visit.words),
        address_of=lambda each: shown_address(each.by, each.address),
        **given,
    )


PAGES = (
    Page(path=RECEIVERS, show=show, act=act, roles=MANAGERS, under=ALERTS),
    Page(path=EXPORT, show=export, roles=MANAGERS, under=ALERTS),
    Page(path=NEW, show=show_new, act=make, roles=MANAGERS, under=ALERTS),
)
