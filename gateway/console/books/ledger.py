"""The ledger: journals, one with its postings and the state changes it was made of, and an account's movements."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from starlette.responses import Response

from gateway.console.books.cells import (
    BOOKS,
    Cell,
    account_link,
    amount,
    cells,
    change_link,
    journal_link,
    report_link,
)
from gateway.console.books.naming import BASIS_WORDS, head
from gateway.console.books.standing import reconciled
from gateway.console.locales import N_
from gateway.console.page import Page, Visit
from gateway.errors import Refusal
from gateway.finance.asking import snapshot_of
from gateway.finance.reports import read_report
from gateway.finance.snapshot import snapshot
from gateway.routes.paging import make_cursor, read_cursor
from reconciler.books import journals as books
from reconciler.books.asked import Bounds, Scope, bounds_of
from reconciler.books.chart import look_up
from reconciler.books.journals import JOURNAL_VERBS, Wanted, WholeJournal, verb_of
from reconciler.books.statement import Place, statement
from reconciler.reports.asking import BadAsk
from reconciler.reports.catalog import REPORTS
from reconciler.reports.shape import Asked

READERS = ("finance", "auditor")
JOURNALS = f"{BOOKS}/journals"
ROWS_MAX = 50
ENTRIES_MAX = 50
JOURNAL_DIGITS_MAX = 18
_FILTERS = ("since", "until", "basis", "entity", "campaign", "chain", "verb", "account")
_SAYS = {
    "since": N_("Choose a day, not before the first one."),
    "until": N_("Choose a day, not before the first one."),
    "verb": N_("Choose one of the list."),
    "basis": N_("Choose one of the list."),
    "account": N_("An account of the chart, such as payable:m-1."),
}
_UNKNOWN = N_("The books know no such name.")


class Moved(NamedTuple):
    """A movement of an account, as it is shown."""

    day: str
    journal: int
    link: str
    verb: str
    shard: str
    counter: str
    counter_link: str
    debit: str
    credit: str
    balance: str
    is_minus: bool
    late: str
    says: str


async def show_journals(visit: Visit) -> Response:
    """Journals, the last posted first, or the form with what is wrong in it."""
    given, errors = _given(visit), dict[str, str]()
    found, more = [], ""
    try:
        wanted = _wanted(given)
        of_list = f"console journals {sorted(given.items())}"
        under = read_cursor(visit.request, int, of_list)
        pool = visit.here.pool
        async with snapshot_of(pool, wanted.scope, account=wanted.account, chain=wanted.chain) as connection:
            found = await books.journals(connection, wanted, ROWS_MAX + 1, under)
        if len(found) > ROWS_MAX:
            more = f"{JOURNALS}?{urlencode({**given, 'cursor': make_cursor(found[ROWS_MAX - 1].id, of_list)})}"
    except BadAsk as error:
        errors[error.field] = visit.words.say(_SAYS.get(error.field, _UNKNOWN))
    except Refusal as refusal:
        if refusal.code != "not_found":
            raise
        errors[str(refusal.context.get("field"))] = visit.words.say(_UNKNOWN)
    first = f"{JOURNALS}?{urlencode(given)}" if visit.asked("cursor") else ""
    values = {"journals": found[:ROWS_MAX], "first": first, "more": more, "verbs": JOURNAL_VERBS, "bases": BASIS_WORDS}
    download = report_link(
        "movements/file", {**_kept(given, "since", "until", "entity", "campaign", "account", "basis"), "format": "csv"}
    )
    return visit.render(
        "books_journals",
        400 if errors else 200,
        given=_filled(given),
        asked=given,
        errors=errors,
        at=_at,
        download=download,
        **values,
    )


async def show_journal(visit: Visit) -> Response:
    """A journal: its postings, and the state changes that it was made of."""
    found = await _journal(visit)
    words = visit.words
    lines = [
        (line, amount(words, line.amount, line.commodity), account_link(line.debit, {}), account_link(line.credit, {}))
        for line in found.lines
    ]
    changes, columns, further = await _changes(visit, found)
    return visit.render(
        "books_journal",
        journal=found,
        lines=lines,
        at=_at,
        changes=changes,
        columns=columns,
        further=further,
        head=head,
        reverses=journal_link(found.reverses) if found.reverses else "",
        reversed_by=[(number, journal_link(number)) for number in found.reversed_by],
    )


async def show_account(visit: Visit) -> Response:
    """An account between two times: what it stood at, every movement, what it came to."""
    account = visit.request.path_params["account"]
    entry = look_up(account)
    if entry is None or "\0" in account:
        raise Refusal("not_found")
    given = {name: value for name in ("since", "until", "basis", "entity", "campaign") if (value := visit.asked(name))}
    errors, shown, words = dict[str, str](), dict[str, Any](), visit.words
    path = f"{BOOKS}/accounts/{quote(account, safe=':')}"
    try:
        bounds, scope = _bounds(given), _scope(given)
        of_list = f"console account {account} {sorted(given.items())}"
        after = read_cursor(visit.request, Place, of_list)
        async with snapshot_of(visit.here.pool, scope, account=account) as connection:
            found = await statement(connection, account, bounds, scope, ROWS_MAX, after)
        more = f"{path}?{urlencode({**given, 'cursor': make_cursor(found.place, of_list)})}" if found.place else ""
        shown = {
            "lines": [
                (
                    line,
                    *(
                        amount(words, each, line.commodity)
                        for each in (line.opening, line.debit, line.credit, line.closing)
                    ),
                )
                for line in found.lines
            ],
            "moved": [_moved(visit, each, given) for each in found.movements],
            "more": more,
        }
    except BadAsk as error:
        errors[error.field] = words.say(_SAYS.get(error.field, _UNKNOWN))
    except Refusal as refusal:
        if refusal.code != "not_found" or refusal.context.get("field") not in ("entity", "campaign"):
            raise
        errors[str(refusal.context["field"])] = words.say(_UNKNOWN)
    first = f"{path}?{urlencode(given)}" if visit.asked("cursor") else ""
    download = report_link("movements/file", {**given, "account": account, "format": "csv"})
    return visit.render(
        "books_account",
        400 if errors else 200,
        **{"lines": [], "moved": [], "more": "", **shown},
        account=account,
        path=path,
        entry=entry,
        given=_filled(given),
        errors=errors,
        bases=BASIS_WORDS,
        first=first,
        download=download,
        reconciled=await reconciled(visit, given.get("campaign")) if not errors else None,
    )


def _given(visit: Visit) -> dict[str, str]:
    return {name: value for name in _FILTERS if (value := visit.asked(name))}


def _filled(given: Mapping[str, str]) -> dict[str, str]:
    """*given* with every filter."""
    return dict.fromkeys(_FILTERS, "") | dict(given)


def _kept(given: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: given[name] for name in names if name in given}


def _wanted(given: Mapping[str, str]) -> Wanted:
    """Errors: BadAsk."""
    account = given.get("account")
    if account is not None and look_up(account) is None:
        raise BadAsk("account", "an account of the chart")
    return Wanted(_bounds(given), _scope(given), given.get("chain"), verb_of(given.get("verb")), account)


def _bounds(given: Mapping[str, str]) -> Bounds:
    """Errors: BadAsk."""
    return bounds_of(given.get("basis", "effective"), since=given.get("since"), until=given.get("until"))


def _scope(given: Mapping[str, str]) -> Scope:
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


async def _changes(visit: Visit, journal: WholeJournal) -> tuple[list[list[Cell]], tuple[Any, ...], str]:
    """The first state changes of *journal*, their columns, and where the others are."""
    if journal.chain.startswith("manual:"):
        return [], (), ""
    asked, report = Asked(campaign=journal.chain.rpartition("/")[0], zone=visit.words.zone), REPORTS["entries"]
    count = journal.last_seq - journal.first_seq + 1
    place = [journal.chain, journal.first_seq - 1]
    read = await read_report(visit.here.pool, report, asked, min(count, ENTRIES_MAX), place)
    names = [column.name for column in read.columns]
    shard, seq = names.index("shard"), names.index("seq")
    rows = [row for row in read.rows if row[shard] == journal.chain and row[seq] <= journal.last_seq]
    shown = [cells("entries", read.columns, row, {}, visit.words) for row in rows]
    further = change_link(journal.chain, journal.first_seq + ENTRIES_MAX) if count > ENTRIES_MAX else ""
    return shown, read.columns, further


def _moved(visit: Visit, each: Any, given: Mapping[str, str]) -> Moved:
    words = visit.words
    debit, credit = (amount(words, side, each.commodity) if side else "" for side in (each.debit, each.credit))
    late = words.day(each.original_date) if each.original_date else ""
    return Moved(
        words.day(each.effective_date),
        each.journal,
        journal_link(each.journal),
        each.verb,
        each.shard,
        each.counter,
        account_link(each.counter, given),
        debit,
        credit,
        amount(words, each.balance, each.commodity),
        each.balance < 0,
        late,
        each.reason or "",
    )


def _at(text: str) -> datetime:
    """An instant of the books."""
    return datetime.fromisoformat(text)


PAGES = (
    Page(path=JOURNALS, show=show_journals, roles=READERS, menu=N_("Journals"), section=N_("Books")),
    Page(path=f"{JOURNALS}/{{journal}}", show=show_journal, roles=READERS, under=JOURNALS),
    Page(path=f"{BOOKS}/accounts/{{account:path}}", show=show_account, roles=READERS, under=BOOKS),
)
