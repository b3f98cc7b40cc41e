"""Journals that people make: drafted here, and approved by somebody else on the page Waiting."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from secrets import token_hex
from typing import Any, get_args

from babel.numbers import get_currency_precision
from starlette.responses import Response

from gateway.campaigns.broken import refuse
from gateway.console.access import HOME
from gateway.console.books import charting
from gateway.console.books.cells import BOOKS, UNITS_PREFIX, account_link, amount, journal_link
from gateway.console.books.lists import Listing
from gateway.console.locales import N_
from gateway.console.page import Page, Visit
from gateway.console.tables import Cell, Sort, Table, csv_file
from gateway.console.words import Trouble
from gateway.errors import Refusal
from gateway.finance.drafted import ORDERS, ManualJournal, State
from gateway.finance.drafts import Draft, DraftLine, broken_rules, campaigns_in
from gateway.finance.making import ManualJournals
from gateway.finance.periods import ENTITY
from reconciler.ordering import Order, Place

READERS = ("finance", "auditor")
MANUALS, FILE, NEW = f"{BOOKS}/manual", f"{BOOKS}/manual.csv", f"{BOOKS}/new-manual"
ROWS_MAX = 30
LINES = 6
AMOUNT_CHARS_MAX = 24
STATE_WORDS = {
    "drafted": N_("Waits"),
    "approved": N_("Approved"),
    "posted": N_("Posted"),
    "rejected": N_("Rejected"),
}
SORTS = {
    "made": Sort(N_("Made"), falls=True),
    "amount": Sort(N_("Amount"), falls=True),
    "state": Sort(N_("State")),
    "date": Sort(N_("Effective date"), falls=True),
    "maker": Sort(N_("Made by")),
}
_PLAIN = (
    "id", "state", "entity", "effective_date", "reason", "attachment", "about", "reverses", "settles", "made_by",
    "made_at", "checked_by", "checked_at", "refused", "journal",
)  # fmt: skip
"""What a file has of a journal as it is."""
_FIELDS = ("entity", "effective_date", "reason", "attachment", "about", "reverses")
_LINE = ("debit", "credit", "commodity", "amount")
_SAYS = {
    "entity": N_("A legal entity that there is."),
    "effective_date": N_("A day that is open, at most a year ahead."),
    "reason": N_("Say why, in 1 to %(chars)s characters."),
    "attachment": N_("Where its voucher is, in at most %(chars)s characters."),
    "about": N_("A shard of a campaign of this entity, such as demo/0."),
    "reverses": N_("The number of a journal made by hand that is posted and not reversed yet."),
    "lines": N_("One line at least; none where another journal is reversed."),
    "commodity": N_("A currency such as CNY, or coupon:<campaign> of what it is about."),
    "amount": N_("An amount above zero, such as 12.50."),
}


_NO_CAMPAIGN = N_("There is no such campaign that was ever published.")
_CLOSED = N_("What is before %(day)s is closed. Take a day from then on.")
_DRAFTED = Trouble(
    N_("This form was sent before, filled in otherwise."),
    N_("What was sent then is drafted. Send this one too only if it is another journal."),
)


def _listing(visit: Visit) -> Listing[ManualJournal]:
    state = visit.asked("state") if visit.asked("state") in get_args(State) else ""
    table = Table(visit, MANUALS, SORTS, {"state": state}, FILE)

    async def fetch(order: Order, after: Place | None, limit: int) -> list[ManualJournal]:
        return await ManualJournals(visit.here.pool).list(limit, state or None, None, order, after)

    return Listing(table, ORDERS, fetch)


async def show_list(visit: Visit) -> Response:
    """Journals made by hand, the last drafted first where nobody says how."""
    listing, words = _listing(visit), visit.words
    shown = await listing.page(ROWS_MAX)
    amounts = [[amount(words, minor, each) for each, minor in one.amounts.items()] for one in shown.rows]
    return visit.render(
        "books_manuals",
        manuals=list(zip(shown.rows, amounts, strict=True)),
        table=listing.table,
        shown=shown,
        states=STATE_WORDS,
        may_draft=visit.who.may("finance"),
    )


async def give_file(visit: Visit) -> Response:
    """Every journal that the list has, in its order, as CSV: a row a line, money in minor units."""
    heads = (*_PLAIN, "line", "debit", "credit", "commodity", "minor", "order_id")
    return await csv_file(visit, "journals-by-hand", heads, _listing(visit).lines(_cells))


def _cells(one: ManualJournal) -> Iterator[tuple[Cell, ...]]:
    plain = [getattr(one, name) for name in _PLAIN]
    plain[_PLAIN.index("effective_date")] = str(one.effective_date)
    for number, line in enumerate(one.lines, 1):
        yield (*plain, number, line.debit, line.credit, line.commodity, line.minor, line.order_id)


async def show_form(visit: Visit) -> Response:
    """An empty draft, or one that reverses a journal."""
    return _form(visit, {"reverses": visit.asked("reverses")})


async def draft(visit: Visit) -> Response:
    """Draft it, once a key of the form."""
    names = (*_FIELDS, *(f"{part}-{number}" for number in range(LINES) for part in _LINE))
    typed = {name: visit.one(name) for name in names}
    errors: dict[str, str] = {}
    lines, places = _lines(visit, typed, errors)
    day = _day(typed["effective_date"])
    if day is None:
        errors["effective_date"] = _said(visit, "effective_date")
    reverses = typed["reverses"]
    if reverses and not (reverses.isascii() and reverses.isdigit() and len(reverses) <= 18):
        errors["reverses"] = _said(visit, "reverses")
    today = datetime.now(UTC).date()
    asked = Draft(
        effective_date=day or today,
        reason=typed["reason"],
        entity=typed["entity"],
        attachment=typed["attachment"],
        about=typed["about"] or None,
        reverses=int(reverses) if reverses and "reverses" not in errors else None,
        lines=tuple(lines),
    )
    if errors:
        broken = list(broken_rules(asked, today))
        further = _errors(visit, refuse("bad_request", broken), lines, places) if broken else {}
        found = {**further, **errors}
        return _form(visit, typed, 400, errors={name: found[name] for name in names if name in found})
    try:
        made, _ = await ManualJournals(visit.here.pool).draft(visit.one("key") or token_hex(16), asked, visit.who)
    except Refusal as refusal:
        if refusal.status >= 429 or refusal.code == "forbidden":
            raise
        if refusal.code == "idempotency_key_reused":
            return _form(visit, typed, 409, notice=_DRAFTED, key=token_hex(16))
        return _form(visit, typed, refusal.status, errors=_errors(visit, refusal, lines, places))
    return visit.go(f"{MANUALS}/{made.id}?done=drafted")


async def show(visit: Visit) -> Response:
    """One of them."""
    found = await ManualJournals(visit.here.pool).see(visit.request.path_params["manual"])
    lines = [
        (
            line,
            amount(visit.words, line.minor, line.commodity),
            account_link(line.debit, {}),
            account_link(line.credit, {}),
        )
        for line in found.lines
    ]
    may = visit.who.may("finance")
    return visit.render(
        "books_manual",
        one=found,
        lines=lines,
        states=STATE_WORDS,
        link=journal_link(found.journal) if found.journal else "",
        waiting=f"{HOME}/waiting#{found.id}" if found.state == "drafted" and may else "",
        reverse=f"{NEW}?reverses={found.journal}" if found.journal and may else "",
        done=visit.asked("done"),
    )


def _lines(visit: Visit, typed: Mapping[str, str], errors: dict[str, str]) -> tuple[list[DraftLine], list[int]]:
    """The lines that are filled in, and which of the form's they are; what is wrong goes into *errors*."""
    lines, places = [], []
    for number in range(LINES):
        debit, credit, commodity, text = (typed[f"{part}-{number}"] for part in _LINE)
        if not any((debit, credit, text)):
            continue
        minor = _minor(visit, text, commodity)
        if minor is None:
            errors[f"amount-{number}"] = _said(visit, "amount")
        lines.append(DraftLine(debit, credit, commodity, minor or 1))
        places.append(number)
    return lines, places


def _minor(visit: Visit, text: str, commodity: str) -> int | None:
    """An amount as people of the place write it, in minor units; None where it is none above zero, or too exact."""
    value = visit.words.read_number(text) if len(text) <= AMOUNT_CHARS_MAX else None
    if value is None:
        return None
    minor = value.scaleb(0 if commodity.startswith(UNITS_PREFIX) else get_currency_precision(commodity))
    return int(minor) if minor == minor.to_integral_value() and 0 < minor < 1 << 53 else None


def _errors(visit: Visit, refusal: Refusal, lines: list[DraftLine], places: list[int]) -> dict[str, str]:
    """Field of the form → what to do about it."""
    if refusal.code == "campaign_not_found":
        named = [f"debit-{place}" for line, place in zip(lines, places, strict=True) if campaigns_in([line])]
        return {(["about"] if visit.one("about") else named)[0]: visit.words.say(_NO_CAMPAIGN)}
    if "open_from" in refusal.context:
        first = visit.words.day(date.fromisoformat(refusal.context["open_from"]))
        return {"effective_date": visit.words.say(_CLOSED, day=first)}
    fields = [each["field"] for each in refusal.context.get("errors", ())] or [str(refusal.context.get("field"))]
    found = {}
    for field in fields:
        of_line, _, part = field.removeprefix("lines[").partition("].")
        if part:
            part = "amount" if part == "minor" else part
            place = places[int(of_line)]
            name = f"{part}-{place}"
            if part in ("debit", "credit"):
                debit = visit.one(f"debit-{place}") if part == "credit" else ""
                found[name] = charting.wrong_account(visit.one(name), debit, visit.words)
                continue
        else:
            part, name = field, "debit-0" if field == "lines" else field
        found[name] = _said(visit, part) if part in _SAYS else refusal.detail
    return found


def _said(visit: Visit, part: str) -> str:
    text = visit.words.say(_SAYS[part])
    return text % {"chars": 500} if "%(" in text else text


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _form(visit: Visit, typed: Mapping[str, str], status: int = 200, **values: Any) -> Response:
    names = (*_FIELDS, *(f"{part}-{number}" for number in range(LINES) for part in _LINE))
    given = {**dict.fromkeys(names, ""), "entity": ENTITY, **typed}
    values = {"key": visit.one("key") or token_hex(16), **values}
    accounts = charting.suggested(visit.words)
    return visit.render("books_new_manual", status, typed=given, lines=range(LINES), accounts=accounts, **values)


PAGES = (
    Page(path=MANUALS, show=show_list, roles=READERS, menu=N_("Journals by hand"), section=N_("Books")),
    Page(path=FILE, show=give_file, roles=READERS, under=MANUALS),
    Page(path=NEW, show=show_form, act=draft, roles=("finance",), under=MANUALS),
    Page(path=f"{MANUALS}/{{manual}}", show=show, roles=READERS, under=MANUALS),
)
