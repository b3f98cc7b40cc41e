"""`fairclaim ledger journals` and `head`: journals as they were sealed, and one hash for a day."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.flags import JsonFlag, settings_from
from gateway.cli.ledger_asking import (
    amount,
    asked_by,
    bounds_from,
    existing,
    good_flags,
    read_books,
)
from gateway.cli.options import DataDir, PostgresUrl, ReadyFile, flag_of
from gateway.cli.output import CONFLICT, FAILURE, NOT_FOUND, Fail, emit
from gateway.cli.tables import facts, table

if TYPE_CHECKING:
    from reconciler.books.journals import Journal, WholeJournal

ROWS_MAX = 100_000

_Basis = Annotated[str, asked_by("journals", "--basis")]
_Zone = Annotated[str, asked_by("journals", "--zone")]
_Since = Annotated[str | None, asked_by("journals", "--since")]
_Until = Annotated[str | None, asked_by("journals", "--until")]
_Entity = Annotated[str | None, asked_by("journals", "--entity")]
_Campaign = Annotated[str | None, asked_by("journals", "--campaign")]
_Chain = Annotated[
    str | None, flag_of("ledger journals", "--chain", help="Of one hash chain, such as demo/0.", show_default=False)
]
_Verb = Annotated[
    str | None, flag_of("ledger journals", "--verb", help="Of one verb, such as redeem.", show_default=False)
]
_OnAccount = Annotated[
    str | None, flag_of("ledger journals", "--account", help="With a line on this account.", show_default=False)
]


def journals(
    journal: Annotated[
        int | None,
        typer.Argument(help="The number of one: then with its lines.", show_default=False, min=1, max=(1 << 63) - 1),
    ] = None,
    since: _Since = None,
    until: _Until = None,
    basis: _Basis = "effective",
    zone: _Zone = "UTC",
    entity: _Entity = None,
    campaign: _Campaign = None,
    chain: _Chain = None,
    verb: _Verb = None,
    account: _OnAccount = None,
    limit: Annotated[int, flag_of("ledger journals", "--limit", min=1, max=ROWS_MAX, help="At most so many.")] = 100,
    postgres_url: PostgresUrl = None,
    ready_file: ReadyFile = None,
    data_dir: DataDir = None,
    as_json: JsonFlag = False,
) -> None:
    """
    List journals, the last posted first; or show one with its lines and its place in its hash chain.

    \b
    Examples:
      fairclaim ledger journals --campaign tea --verb redeem
      fairclaim ledger journals 4711

    Exit codes: 0 done, 2 usage, 3 no such journal, entity, campaign, chain or account, 6 PostgreSQL can't be reached.
    """
    from reconciler.books import journals as books
    from reconciler.books.asked import Scope

    settings = settings_from(postgres_url=postgres_url, ready_file=ready_file, data_dir=data_dir)
    if journal is not None:
        one = read_books(settings, lambda connection: books.journal(connection, journal))
        if one is None:
            raise Fail(NOT_FOUND, "journal_not_found", f"the books have no journal {journal}")
        emit(one, as_json, lambda: _shown_journal(one))
        return
    bounds, scope = bounds_from(basis, zone, since=since, until=until), Scope(entity, campaign)
    with good_flags():
        wanted = books.Wanted(bounds, scope, chain, books.verb_of(verb), account and existing(account))
    found = read_books(
        settings, lambda connection: books.journals(connection, wanted, limit), scope, account=account, chain=chain
    )
    emit({"items": found, "next": None}, as_json, lambda: _shown_journals(found))


def head(
    date: Annotated[
        str | None,
        flag_of("ledger head", "--date", help="The day; else the last one that is over.", show_default=False),
    ] = None,
    zone: Annotated[str, flag_of("ledger head", "--zone", help="Where the day is one.")] = "UTC",
    out: Annotated[
        Path | None, flag_of("ledger head", "--out", "-o", help="Write it into this new file.", show_default=False)
    ] = None,
    postgres_url: PostgresUrl = None,
    ready_file: ReadyFile = None,
    data_dir: DataDir = None,
    as_json: JsonFlag = False,
) -> None:
    """
    Write what every hash chain ends in when a day is over: one hash for all that was posted up to then.

    It is a text whose SHA-256 is the head. Keep it where nobody who can write the books can change it; later
    `fairclaim ledger verify --head FILE` tells whether the books are still those.

    \b
    Example:
      fairclaim ledger head --date 2026-11-28 --out head-2026-11-28.txt

    Exit codes: 0 done, 1 the file can't be written, 2 usage, 4 the day is not over, or the file is there, 6 PostgreSQL
    can't be reached.
    """
    from reconciler.books.head import NotOver, day_head

    try:
        found = read_books(
            settings_from(postgres_url=postgres_url, ready_file=ready_file, data_dir=data_dir),
            lambda connection: day_head(connection, date, zone),
        )
    except NotOver as error:
        raise Fail(CONFLICT, "not_over", str(error), "take an earlier day") from None
    if out is not None:
        _write(out, found.text)
    data = {"date": found.day, "zone": zone, "head": found.head, "chains": found.chains}
    told = facts([("date", f"{found.day} {zone}"), ("chains", len(found.chains)), ("head", found.head)])
    emit(data, as_json, lambda: found.text.rstrip("\n") if out is None else told)


def _write(out: Path, text: str) -> None:
    """A head that is kept is never written over. Errors: Fail."""
    try:
        with out.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError:
        raise Fail(CONFLICT, "file_exists", f"{out} is there already", "choose another name") from None
    except OSError as error:
        raise Fail(FAILURE, "file", f"{out} can't be written: {error.strerror}") from None


def _shown_journals(found: "list[Journal]") -> str:
    rows = [
        [str(each.id), str(each.effective_date), each.posted_at, each.chain, each.verb, each.entity, each.reason or ""]
        for each in found
    ]
    return table(("journal#", "date", "posted, UTC@", "chain", "verb", "entity", "reason"), rows, none="no journals")


def _shown_journal(one: "WholeJournal") -> str:
    from msgspec.structs import asdict

    lines = [
        [each.line, each.debit, each.credit, each.commodity, amount(each.amount, each.commodity)] for each in one.lines
    ]
    told = {name: value for name, value in asdict(one).items() if name != "lines" and value != []}
    of_ids = {"id": str(one.id), "reverses": one.reverses and str(one.reverses)}
    shown = facts([*(told | of_ids).items()])
    return f"{shown}\n\n{table(('line#', 'debit', 'credit', 'commodity', 'amount#'), lines)}"
