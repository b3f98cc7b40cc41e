"""Journals: a list of them, and one with its postings and the state changes it was made of."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from starlette.responses import Response

from gateway.console.books.addresses import (
    BOOKS,
    account_link,
    change_link,
    journal_link,
    report_link,
)
from gateway.console.books.cells import Cell, amount, cells
from gateway.console.books.lists import UNKNOWN, Listing
from gateway.console.books.naming import BASIS_WORDS, VERB_WORDS, head, on_screen
from gateway.console.books.reports import here_of, in_time, is_piece
from gateway.console.locales import N_
from gateway.console.page import Page, Visit
from gateway.console.tables import Cell as Told
from gateway.console.tables import Shown, Sort, Table, csv_file
from gateway.errors import Refusal
from gateway.finance.asking import snapshot_of
from gateway.finance.reports import read_report
from gateway.finance.snapshot import snapshot
from reconciler.books import journals as books
from reconciler.books.asked import Bounds, Scope, bounds_of
from reconciler.books.chart import look_up
from reconciler.books.journals import JOURNAL_VERBS, Journal, Posted, Wanted, WholeJournal, verb_of
from reconciler.ordering import Order, Place
from reconciler.reports.asking import BadAsk
from reconciler.reports.catalog import REPORTS
from reconciler.reports.shape import Asked, Column

READERS = ("finance", "auditor")
JOURNALS, FILE = f"{BOOKS}/journals", f"{BOOKS}/journals.csv"
SORTS = {"posted": Sort(N_("Posted"), falls=True)}
ROWS_MAX = 50
ENTRIES_MAX = 25
JOURNAL_DIGITS_MAX = 18
_FILTERS = ("since", "until", "basis", "entity", "campaign", "chain", "verb", "account")
_SAYS = {
    "since": N_("Choose a day, not before the first one."),
    "until": N_("Choose a day, not before the first one."),
    "verb": N_("Choose one of the list."),
    "basis": N_("Choose one of the list."),
    "account": N_("An account of the chart, such as payable:m-1."),
}


async def show_journals(visit: Visit) -> Response:
    """Journals, the last posted first, or the form with what is wrong in it."""
    given, errors, shown = given_in(visit, _FILTERS), dict[str, str](), dict[str, Any]()
    table = Table(visit, JOURNALS, SORTS, given, FILE)
    try:
        found = await in_time(visit, _listing(visit, table).page(ROWS_MAX))
        shown = {"working": 1} if found is None else {"shown": found}
    except (BadAsk, Refusal) as error:
        if isinstance(error, Refusal) and error.code == "overloaded":
            shown = {"too_long": 1}
        else:
            errors = wrong(visit, error)
    kept = {name: value for name, value in given.items() if name not in ("chain", "verb")}
    files = {each: report_link("movements/file", {**kept, "format": each}) for each in ("csv", "xlsx")}
    return visit.render(
        "books_journals",
        400 if errors and not is_piece(visit) else 200,
        **{"shown": Shown([], "", ""), "working": 0, "too_long": 0, **shown},
        table=table,
        given=filled(given),
        asked=given,
        here=here_of(visit),
        errors=errors,
        at=_at,
        files=files if not {"chain", "verb"} & set(given) else {},
        verbs={verb: VERB_WORDS[verb] for verb in JOURNAL_VERBS},
        bases=BASIS_WORDS,
    )


def _listing(visit: Visit, table: Table) -> Listing[Journal]:
    """Errors: BadAsk."""
    wanted = _wanted(table.filters)

    async def fetch(order: Order, after: Place | None, limit: int) -> list[Journal]:
        async with snapshot_of(visit.here.pool, wanted.scope, account=wanted.account, chain=wanted.chain) as connection:
            return await books.journals(connection, wanted, limit, order=order, after=after)

    return Listing(table, books.ORDERS, fetch)


async def give_file(visit: Visit) -> Response:
    """Every journal that the list has, in its order, as CSV, each with its place in its chain. Errors: Refusal."""
    table = Table(visit, JOURNALS, SORTS, given_in(visit, _FILTERS))
    try:
        listing = _listing(visit, table)
    except BadAsk as error:
        raise Refusal("bad_request", str(error), field=error.field) from None
    return await csv_file(visit, "journals", Journal.__struct_fields__, listing.lines(_cells))


def _cells(one: Journal) -> Iterator[tuple[Told, ...]]:
    cells = (getattr(one, name) for name in Journal.__struct_fields__)
    yield tuple(str(each) if isinstance(each, date) else each for each in cells)


async def show_journal(visit: Visit) -> Response:
    """A journal: its postings, and the state changes that it was made of."""
    found = await _journal(visit)
    changes, columns, further = await _changes(visit, found)
    return visit.render(
        "books_journal",
        journal=found,
        verb=VERB_WORDS.get(found.verb, found.verb),
        lines=[_line(visit, line) for line in found.lines],
        at=_at,
        changes=changes,
        columns=columns,
        further=further,
        head=head,
        reverses=journal_link(found.reverses) if found.reverses else "",
        reversed_by=[(number, journal_link(number)) for number in found.reversed_by],
    )


def _line(visit: Visit, line: Posted) -> tuple[Posted, str, str, str]:
    """A posting, its amount, and the pages of its accounts."""
    shown = amount(visit.words, line.amount, line.commodity)
    return line, shown, account_link(line.debit, {}), account_link(line.credit, {})


def given_in(visit: Visit, names: Sequence[str]) -> dict[str, str]:
    """What the address asks for."""
    return {name: value for name in names if (value := visit.asked(name))}


def filled(given: Mapping[str, str]) -> dict[str, str]:
    """*given* with every filter."""
    return dict.fromkeys(_FILTERS, "") | dict(given)


def wrong(visit: Visit, error: BadAsk | Refusal) -> dict[str, str]:
    """What is wrong in the form, by field. Errors: *error*, where that is about no field of it."""
    if isinstance(error, BadAsk):
        return {error.field: visit.words.say(_SAYS.get(error.field, UNKNOWN))}
    field = error.context.get("field")
    if error.code != "not_found" or field not in _FILTERS:
        raise error
    return {str(field): visit.words.say(UNKNOWN)}


def _wanted(given: Mapping[str, str]) -> Wanted:
    """Errors: BadAsk."""
    account = given.get("account")
    if account is not None and look_up(account) is None:
        raise BadAsk("account", "an account of the chart")
    return Wanted(bounds_in(given), scope_in(given), given.get("chain"), verb_of(given.get("verb")), account)


def bounds_in(given: Mapping[str, str]) -> Bounds:
    """From when to when, by which date. Errors: BadAsk."""
    return bounds_of(given.get("basis", "effective"), since=given.get("since"), until=given.get("until"))


def scope_in(given: Mapping[str, str]) -> Scope:
    """Of which entity and campaign."""
    return Scope(given.get("entity"), given.get("campaign"))


async def _journal(visit: Visit) -> WholeJournal:
    """The journal in the path. Errors: Refusal("not_found")."""
    text, found = visit.request.path_params["journal"], None
    if text.isascii() and text.isdigit() and len(text) <= JOURNAL_DIGITS_MAX:
        async with snapshot(visit.here.pool) as connection:
            found = await books.journal(connection, int(text))
    if found is None:
        raise Refusal("not_found")
    return found


async def _changes(visit: Visit, journal: WholeJournal) -> tuple[list[list[Cell]], tuple[Column, ...], str]:
    """The first state changes of *journal*, their columns, and where the others are."""
    if journal.chain.startswith("manual:"):
        return [], (), ""
    # Of all campaigns: told which, PostgreSQL would read its shard from the start, and not from the place on.
    asked, report = Asked(zone=visit.words.zone), REPORTS["entries"]
    count = journal.last_seq - journal.first_seq + 1
    place = [journal.chain, journal.first_seq - 1]
    read = await read_report(visit.here.pool, report, asked, min(count, ENTRIES_MAX), place)
    names = [column.name for column in read.columns]
    shard, seq = names.index("shard"), names.index("seq")
    rows = [row for row in read.rows if row[shard] == journal.chain and row[seq] <= journal.last_seq]
    order = on_screen("entries", names)
    made = [cells("entries", read.columns, row, {}, visit.words) for row in rows]
    shown = [[each[at] for at in order] for each in made]
    further = change_link(journal.chain, journal.first_seq + ENTRIES_MAX) if count > ENTRIES_MAX else ""
    return shown, tuple(read.columns[at] for at in order), further


def _at(text: str) -> datetime:
    """An instant of the books."""
    return datetime.fromisoformat(text)


PAGES = (
    Page(path=JOURNALS, show=show_journals, roles=READERS, menu=N_("Journals"), section=N_("Books")),
    Page(path=FILE, show=give_file, roles=READERS, under=JOURNALS),
    Page(path=f"{JOURNALS}/{{journal}}", show=show_journal, roles=READERS, under=JOURNALS),
)
