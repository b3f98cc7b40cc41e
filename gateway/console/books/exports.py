"""Exports: reports as files, made in the background: ask for one, see how far it is, get it, give it up."""

import asyncio
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from hashlib import sha256
from secrets import token_hex
from typing import Any

import msgspec
from psycopg import AsyncConnection
from starlette.responses import FileResponse, Response

from gateway.console.books.addresses import BOOKS, MAY_BE_NONE, NONE, report_link
from gateway.console.books.lists import UNKNOWN, Listing
from gateway.console.books.naming import ASK_WORDS, FORMAT_WORDS, REPORT_WORDS
from gateway.console.locales import N_
from gateway.console.page import Page, Visit
from gateway.console.tables import Cell, Sort, Table, csv_file
from gateway.console.words import Trouble
from gateway.errors import Refusal
from gateway.finance.asking import asked as asking
from gateway.sql import postgres
from reconciler.exports import store
from reconciler.exports.store import Export
from reconciler.exports.work import TRIES_MAX
from reconciler.ordering import Order, Place
from reconciler.reports.asking import BadAsk, asked_of
from reconciler.reports.catalog import REPORTS
from reconciler.reports.known import check_known_async
from reconciler.reports.shape import Asked
from reconciler.reports.writing import FORMATS, check_format

READERS = ("finance", "auditor")
EXPORTS, FILE, NEW = f"{BOOKS}/exports", f"{BOOKS}/exports.csv", f"{BOOKS}/new-export"
ROWS_MAX = 30
STATE_WORDS = {
    "waiting": N_("Waiting"),
    "running": N_("Being made"),
    "done": N_("Done"),
    "failed": N_("Failed"),
    "cancelled": N_("Given up"),
    "removed": N_("Removed"),
}
SORTS = {
    "asked": Sort(N_("Asked for"), falls=True),
    "report": Sort(N_("Report")),
    "state": Sort(N_("State")),
    "bytes": Sort(N_("Size"), falls=True),
}
_PLAIN = ("id", "report", "format", "state", "rows", "bytes", "asked_by", "asked_at", "finished_at", "failed")
"""What a file has of an export as it is."""
_WRONG = N_("This can’t be asked here.")
_TOO_MANY = Trouble(N_("Too many exports are not done yet."), N_("Wait for one of them, or give one up."))


def _listing(visit: Visit) -> Listing[Export]:
    report, state = visit.asked("report"), visit.asked("state")
    filters = {"report": report if report in REPORTS else "", "state": state if state in STATE_WORDS else ""}
    table = Table(visit, EXPORTS, SORTS, filters, FILE)

    async def fetch(order: Order, after: Place | None, limit: int) -> list[Export]:
        async with postgres(visit.here.pool) as connection:
            return await store.listed(
                connection,
                limit,
                report=table.given("report") or None,
                state=table.given("state") or None,
                order=order,
                after=after,
            )

    return Listing(table, store.ORDERS, fetch)


async def show_list(visit: Visit) -> Response:
    """Exports, the newest first where nobody says how."""
    listing = _listing(visit)
    shown = await listing.page(ROWS_MAX)
    words: dict[str, Any] = {"states": STATE_WORDS, "reports": REPORT_WORDS, "formats": FORMAT_WORDS}
    return visit.render(
        "books_exports",
        table=listing.table,
        shown=shown,
        is_moving=any(each.state in ("waiting", "running") for each in shown.rows),
        may_ask=visit.who.may("finance"),
        here=visit.request.url.query,
        **words,
    )


async def give_list(visit: Visit) -> Response:
    """Every export that the list has, in its order, as CSV: what was asked for, and what became of it."""
    return await csv_file(visit, "exports", (*_PLAIN, "asked", "sha256"), _listing(visit).lines(_cells))


def _cells(one: Export) -> Iterator[tuple[Cell, ...]]:
    asked = msgspec.json.encode(one.asked).decode()
    yield (*(getattr(one, name) for name in _PLAIN), asked, (one.manifest or {}).get("sha256"))


async def show_form(visit: Visit) -> Response:
    """Which report, as what."""
    return _form(visit, {"report": visit.asked("report")})


async def ask(visit: Visit) -> Response:
    """Ask for an export, once a key of the form."""
    report = REPORTS.get(visit.one("report"))
    typed = {name: value for name in (*Asked.__struct_fields__, "report", "format") if (value := visit.one(name))}
    groups = [each for each in visit.fields.get("by", []) if each]
    told = {name: "" for name in visit.fields.get(NONE, []) if name in MAY_BE_NONE}
    told |= {name: value for name, value in typed.items() if name in Asked.__struct_fields__}
    told |= {"by": ",".join(groups)} if groups else {}
    if report is None:
        return _form(visit, typed, 400, errors={"report": visit.words.say(_WRONG)})
    if "zone" in report.takes:
        told.setdefault("zone", visit.words.zone)
    try:
        format = check_format(report, visit.one("format"))
        asked = asked_of(report, told)
        async with postgres(visit.here.pool) as connection:
            with asking():
                await check_known_async(connection, asked)
            export, _ = await store.ask(
                connection,
                key=_key(visit.one("key"), report.name, format, told),
                report=report.name,
                format=format,
                asked=asked,
                asked_by=visit.who.actor,
                open_max=visit.here.settings.exports_open_max,
            )
    except BadAsk as error:
        return _form(visit, typed, 400, errors={error.field: visit.words.say(_WRONG)})
    except store.TooMany:
        return _form(visit, typed, 429, notice=_TOO_MANY)
    except Refusal as refusal:
        if refusal.code != "not_found":
            raise
        return _form(visit, typed, 400, errors={str(refusal.context.get("field")): visit.words.say(UNKNOWN)})
    return visit.go(f"{EXPORTS}/{export.id}")


async def show(visit: Visit) -> Response:
    """An export and how far it is."""
    async with postgres(visit.here.pool) as connection:
        found = await _found(visit, connection)
    words: dict[str, Any] = {"states": STATE_WORDS, "reports": REPORT_WORDS, "formats": FORMAT_WORDS, "asks": ASK_WORDS}
    told = {
        name: _text(value)
        for name in ASK_WORDS
        if name in REPORTS[found.report].takes and (value := getattr(found.asked, name)) not in (None, ())
    }
    keep = timedelta(days=visit.here.settings.exports_keep_days)
    return visit.render(
        "books_export",
        export=found,
        manifest=found.manifest or {},
        told=told,
        screen=report_link(found.report, told),
        kept_until=found.finished_at + keep if found.finished_at and found.state == "done" else None,
        tries_max=TRIES_MAX,
        key=token_hex(16),
        may_end=visit.who.may("finance") and found.state in ("waiting", "running", "done"),
        may_again=visit.who.may("finance") and found.state in ("failed", "cancelled", "removed"),
        **words,
    )


async def give_file(visit: Visit) -> Response:
    """The file of an export that is done. Errors: Refusal not_found, not_ready."""
    here = visit.here
    async with postgres(here.pool) as connection:
        export = await _found(visit, connection)
        if export.state != "done" or export.manifest is None:
            raise Refusal("not_found")
        await store.fetched(connection, export, visit.who.actor)
    path = here.settings.exports_folder / export.id / export.spool.file
    if not await asyncio.to_thread(path.is_file):
        raise Refusal("not_ready", "The file is not where this gateway looks for it.")
    headers = {"cache-control": "private, no-store", "x-content-type-options": "nosniff"}
    media_type = FORMATS[export.format].media_type
    return FileResponse(path, filename=export.manifest["file"], media_type=media_type, headers=headers)


async def end(visit: Visit) -> Response:
    """Give it up, or the file of one that is done."""
    if visit.one("step") != "end":
        raise Refusal("bad_request", "The form could not be read.")
    async with postgres(visit.here.pool) as connection:
        export = await store.end(connection, _id(visit), visit.who.actor)
    if export is None:
        raise Refusal("not_found")
    return visit.go(f"{EXPORTS}/{export.id}")


def _key(form: str, *asked: Any) -> str:
    """One a form and what is asked in it: sent twice it is one export, and what was changed before is another one."""
    return sha256(repr((form or token_hex(16), asked)).encode()).hexdigest()


def _form(visit: Visit, typed: Mapping[str, str], status: int = 200, **values: Any) -> Response:
    options = {
        "reports": [(name, visit.words.say(REPORT_WORDS[name][0])) for name in REPORTS],
        "formats": [(name, visit.words.say(says)) for name, says in FORMAT_WORDS.items()],
    }
    given = dict.fromkeys((*ASK_WORDS, "report", "format"), "") | dict(typed)
    return visit.render("books_new_export", status, typed=given, key=token_hex(16), asks=ASK_WORDS, **options, **values)


async def _found(visit: Visit, connection: AsyncConnection[Any]) -> Export:
    export = await store.see(connection, _id(visit))
    if export is None:
        raise Refusal("not_found")
    return export


def _id(visit: Visit) -> str:
    name: str = visit.request.path_params["export"]
    if not re.fullmatch(store.ID, name):
        raise Refusal("not_found")
    return name


def _text(value: Any) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)


EXPORT = f"{EXPORTS}/{{export}}"
PAGES = (
    Page(path=EXPORTS, show=show_list, roles=READERS, menu=N_("Exports"), section=N_("Books")),
    Page(path=FILE, show=give_list, roles=READERS, under=EXPORTS),
    Page(path=NEW, show=show_form, act=ask, roles=("finance",), under=EXPORTS),
    Page(path=EXPORT, show=show, roles=READERS, under=EXPORTS),
    Page(path=f"{EXPORT}/file", show=give_file, roles=READERS, under=EXPORTS),
    Page(path=f"{EXPORT}/act", show=show, act=end, roles=("finance",), under=EXPORTS),
)
