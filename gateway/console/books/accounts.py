"""An account between two times: what it stood at, every movement with what it then stood at, and what it came to."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

from starlette.responses import Response

from gateway.console.books.addresses import BOOKS, account_link, journal_link, query, report_link
from gateway.console.books.cells import UNITS_PREFIX, Cell, amount, figure
from gateway.console.books.drilling import ALL, anchor
from gateway.console.books.ledger import READERS, ROWS_MAX, bounds_in, filled, given_in, scope_in, wrong
from gateway.console.books.naming import BASIS_WORDS, value_words
from gateway.console.books.reports import here_of, in_time, is_piece
from gateway.console.books.standing import reconciled
from gateway.console.page import Page, Visit
from gateway.errors import Refusal
from gateway.finance.asking import snapshot_of
from gateway.routes.paging import make_cursor, read_cursor
from reconciler.books.chart import Entry, look_up
from reconciler.books.statement import Line, Movement, Place, Statement, statement
from reconciler.reports.asking import BadAsk

ACCOUNT = f"{BOOKS}/accounts/{{account:path}}"
_FILTERS = ("since", "until", "basis", "entity", "campaign")
_PARTS = ("opening", "debit", "credit", "change", "closing")


class Moved(NamedTuple):
    """A movement of an account, as it is shown."""

    day: str
    journal: int
    link: str
    verb: str
    shard: str
    counter: str
    counter_link: str
    debit: Cell
    credit: Cell
    balance: Cell
    late: str
    says: str


async def show(visit: Visit) -> Response:
    """The statement of an account, or the form with what is wrong in it."""
    account, entry = _account(visit)
    given, errors, shown = given_in(visit, _FILTERS), dict[str, str](), dict[str, Any]()
    try:
        found = await in_time(visit, _found(visit, account, given))
        shown = {"working": 1} if found is None else found
    except (BadAsk, Refusal) as error:
        if isinstance(error, Refusal) and error.code == "overloaded":
            shown = {"too_long": 1}
        else:
            errors = wrong(visit, error)
    return visit.render(
        "books_account",
        400 if errors and not is_piece(visit) else 200,
        **{"lines": [], "moved": [], "more": "", "working": 0, "too_long": 0, "reconciled": None, **shown},
        account=account,
        path=account_link(account, {}),
        here=here_of(visit),
        entry=entry,
        given=filled(given),
        asked=given,
        errors=errors,
        bases=BASIS_WORDS,
        parts=_PARTS,
        first=f"{account_link(account, {})}{query(given)}" if visit.asked("cursor") else "",
        download=report_link("movements/file", {**given, "account": account, "format": "csv"}),
        download_excel=report_link("movements/file", {**given, "account": account, "format": "xlsx"}),
    )


def _account(visit: Visit) -> tuple[str, Entry]:
    """Errors: Refusal("not_found")."""
    account = visit.request.path_params["account"]
    entry = look_up(account)
    if entry is None or "\0" in account:
        raise Refusal("not_found")
    return account, entry


async def _found(visit: Visit, account: str, given: Mapping[str, str]) -> dict[str, Any]:
    """Errors: BadAsk, Refusal."""
    bounds, scope = bounds_in(given), scope_in(given)
    of_list = f"console account {account} {sorted(given.items())}"
    after = read_cursor(visit.request, Place, of_list)
    async with snapshot_of(visit.here.pool, scope, account=account) as connection:
        found: Statement = await statement(connection, account, bounds, scope, ROWS_MAX, after)
    cursor = {"cursor": make_cursor(found.place, of_list)} if found.place else {}
    return {
        "lines": _lines(visit, account, found.lines, given),
        "moved": [_moved(visit, each, given) for each in found.movements],
        "more": f"{account_link(account, {})}{query({**given, **cursor})}" if cursor else "",
        "reconciled": await reconciled(visit, given.get("campaign")),
    }


def _lines(visit: Visit, account: str, lines: Sequence[Line], given: Mapping[str, str]) -> list[tuple[str, list[Cell]]]:
    """A line a commodity; coupons of all campaigns together have one of their own."""
    shown = [(line.commodity, _figures(visit, account, line, line.commodity, given)) for line in lines]
    units = [line for line in lines if line.commodity.startswith(UNITS_PREFIX)]
    if units:
        sums = (sum(getattr(line, name) for line in units) for name in ("opening", "debit", "credit", "closing"))
        shown.append(("", _figures(visit, account, Line("", *sums), ALL, given)))
    return shown


def _figures(visit: Visit, account: str, line: Line, prefix: str, given: Mapping[str, str]) -> list[Cell]:
    values = (line.opening, line.debit, line.credit, line.closing - line.opening, line.closing)
    links = dict[str, str]()
    if "since" in given and given.get("basis", "effective") == "effective":
        before = str(date.fromisoformat(given["since"]) - timedelta(days=1))
        kept = {name: value for name, value in given.items() if name != "since"}
        there = f"#{anchor(prefix, 'closing')}"
        links = {
            "opening": account_link(account, {**kept, "until": before}) + there,
            "closing": account_link(account, kept) + there,
        }
    return [
        figure(visit.words, value, line.commodity, name, links.get(name, ""), prefix)
        for name, value in zip(_PARTS, values, strict=True)
    ]


def _moved(visit: Visit, each: Movement, given: Mapping[str, str]) -> Moved:
    words, line = visit.words, f"{journal_link(each.journal)}#line-{each.line}"
    said = value_words("verb", each.verb)
    return Moved(
        words.day(each.effective_date),
        each.journal,
        journal_link(each.journal),
        words.say(said) if said else each.verb,
        each.shard,
        each.counter,
        account_link(each.counter, given),
        _side(visit, each.debit, each.commodity, line),
        _side(visit, each.credit, each.commodity, line),
        _side(visit, each.balance, each.commodity, ""),
        words.day(each.original_date) if each.original_date else "",
        each.reason or "",
    )


def _side(visit: Visit, value: int, commodity: str, link: str) -> Cell:
    """An amount that says its currency; of a side that has none, nothing."""
    text = amount(visit.words, value, commodity) if value or not link else ""
    return figure(visit.words, value, commodity, link=link)._replace(text=text)


PAGES = (Page(path=ACCOUNT, show=show, roles=READERS, under=BOOKS),)
