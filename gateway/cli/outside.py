"""`fairclaim outside`: files of orders of another system, matched with the redemptions, straight in PostgreSQL."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from gateway.cli.connections import with_books
from gateway.cli.flags import JsonFlag, settings_from
from gateway.cli.options import DataDir, PostgresUrl, ReadyFile, flag_of
from gateway.cli.output import CONFLICT, FAILURE, NOT_FOUND, USAGE, Fail, emit
from gateway.cli.period_refusals import NO_ENTITY
from gateway.cli.ready import actor
from gateway.cli.tables import facts, table

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    from gateway.finance.outside_views import FileView, RunView
    from reconciler.outside.matching import Run

T = TypeVar("T")
PIECE_BYTES = 1_048_576
DAY = ["%Y-%m-%d"]

app = typer.Typer(no_args_is_help=True, help="Files of orders of another system: upload, run, list, show.")
FileId = Annotated[str, typer.Argument(metavar="ID", help="The file's id, as `list` shows it.", show_default=False)]


def _words(command: str, name: str, help: str) -> Any:
    return flag_of(f"outside {command}", name, help=help, show_default=False)


@app.command()
def upload(
    file: Annotated[
        Path,
        typer.Argument(help="A CSV: order_id, and minor or amount.", exists=True, dir_okay=False, show_default=False),
    ],
    currency: Annotated[str, _words("upload", "--currency", "The currency of its amounts.")],
    since: Annotated[
        datetime, flag_of("outside upload", "--since", help="The first day.", formats=DAY, show_default=False)
    ],
    until: Annotated[
        datetime, flag_of("outside upload", "--until", help="The last day.", formats=DAY, show_default=False)
    ],
    measure: Annotated[
        str,
        flag_of("outside upload", "--measure", help="What an amount is: net of what came back, discount, or order."),
    ] = "net",
    entity: Annotated[str, flag_of("outside upload", "--entity", help="Whose redemptions they are.")] = "main",
    zone: Annotated[str, flag_of("outside upload", "--zone", help="The zone of the days.")] = "UTC",
    merchant: Annotated[str | None, _words("upload", "--merchant", "Only redemptions of this merchant.")] = None,
    store: Annotated[str | None, _words("upload", "--store", "Only redemptions of this store.")] = None,
    corrects: Annotated[str | None, _words("upload", "--corrects", "The file whose place it takes.")] = None,
    postgres_url: PostgresUrl = None,
    ready_file: ReadyFile = None,
    data_dir: DataDir = None,
    as_json: JsonFlag = False,
) -> None:
    """
    Keep a CSV of orders, to be matched with the redemptions.

    Its first line names the columns. A file with a wrong line is refused whole, and the lines are named. The same
    bytes, to be compared with the same, are one file.

    \b
    Example:
      fairclaim outside upload orders.csv --currency CNY --since 2026-11-01 --until 2026-11-30

    Exit codes: 0 done, 2 usage, or a line of the file is wrong, 6 PostgreSQL can't be reached.
    """
    from gateway.finance.outside_query import check_file
    from gateway.finance.outside_views import file_view
    from reconciler.outside.files import AskedFile, add_file
    from reconciler.outside.reading import FaultyFile

    asked = AskedFile(
        file.name,
        currency,
        since.date(),
        until.date(),
        entity,
        zone,
        merchant,
        store,
        measure,  # type: ignore[arg-type]
        corrects,
    )
    try:
        check_file(asked)
        added = _with_books(
            lambda connection: add_file(connection, asked, _pieces(file), actor()), postgres_url, ready_file, data_dir
        )
    except LookupError:
        raise Fail(USAGE, "bad_entity", f"--entity: there is no legal entity {entity!r}", NO_ENTITY) from None
    except FaultyFile as faulty:
        lines = "; ".join(f"line {fault.line}: {fault.rule}" for fault in faulty.faults)
        raise Fail(USAGE, "bad_file", f"{file.name}: {lines}", "nothing of it was kept") from None
    except ValueError as error:
        raise Fail(USAGE, "bad_flag", f"--{error}") from None
    view = file_view(added[0])
    emit(view, as_json, lambda: _file_facts(view))


@app.command()
def run(
    file_id: FileId,
    dry_run: Annotated[bool, flag_of("outside run", "--dry-run", help="Tell only, and keep nothing.")] = False,
    postgres_url: PostgresUrl = None,
    ready_file: ReadyFile = None,
    data_dir: DataDir = None,
    as_json: JsonFlag = False,
) -> None:
    """
    Match a file with the redemptions as they are now, order by order.

    A run is kept with every difference and opens a break where there is one. A file that another one corrects is not
    run any more.

    \b
    Example:
      fairclaim outside run of_9c0d5f3a1b7e2468 --dry-run

    Exit codes: 0 everything matches, 1 something differs, 2 usage, 3 no such file, 4 another one corrects it, 6
    PostgreSQL can't be reached.
    """
    from gateway.finance.outside_views import run_view
    from reconciler.outside.matching import CorrectedFile, run_file

    def act(connection: "AsyncConnection[Any]") -> "Awaitable[Run]":
        return run_file(connection, file_id, actor(), dry_run=dry_run)

    try:
        done = run_view(_found(file_id, act, postgres_url, ready_file, data_dir))
    except CorrectedFile as corrected:
        raise Fail(CONFLICT, "invalid_state", str(corrected)) from None
    emit(done, as_json, lambda: _shown(done))
    if done.summary.differences:
        raise typer.Exit(FAILURE)


@app.command("list")
def list_(
    postgres_url: PostgresUrl = None,
    ready_file: ReadyFile = None,
    data_dir: DataDir = None,
    as_json: JsonFlag = False,
) -> None:
    """
    List the last thousand files, newest first, with what their last run came to.

    \b
    Example:
      fairclaim outside list

    Exit codes: 0 done, 2 usage, 6 PostgreSQL can't be reached.
    """
    from gateway.finance.outside_views import file_view
    from reconciler.outside.files import list_files

    found = _with_books(lambda connection: list_files(connection, None, 1000), postgres_url, ready_file, data_dir)
    views = [file_view(file, last) for file, last in found]
    columns = ("id", "name", "entity", "since", "until", "currency", "rows#", "differences#")
    rows = [
        (each.id, each.name, each.entity, each.since, each.until, each.currency, each.rows,
         each.last.differences if each.last else "not run")
        for each in views
    ]  # fmt: skip
    emit({"items": views, "next": None}, as_json, lambda: table(columns, rows, none="no files"))


@app.command()
def show(
    file_id: FileId,
    number: Annotated[int | None, _words("show", "--run", "This run and not the last one.")] = None,
    as_csv: Annotated[
        bool, flag_of("outside show", "--csv", help="Every difference of the run as CSV, and nothing else.")
    ] = False,
    postgres_url: PostgresUrl = None,
    ready_file: ReadyFile = None,
    data_dir: DataDir = None,
    as_json: JsonFlag = False,
) -> None:
    """
    Show the last run of a file, or another one, with what does not match.

    \b
    Example:
      fairclaim outside show of_9c0d5f3a1b7e2468 --csv

    Exit codes: 0 done, 2 usage, 3 no such file or run, 6 PostgreSQL can't be reached.
    """
    from gateway.finance.outside_views import run_view

    async def act(connection: "AsyncConnection[Any]") -> "Run":
        from reconciler.outside.differences import csv_of
        from reconciler.outside.matching import each_difference, list_runs, see_run

        runs = await list_runs(connection, file_id, None, 1) if number is None else []
        found = await see_run(connection, file_id, number or (runs[0].id if runs else 0) or 0)
        if as_csv:
            sys.stdout.write(csv_of(None))
            async for some in each_difference(connection, found.id or 0):
                sys.stdout.write(csv_of(some))
        return found

    found = run_view(_found(file_id, act, postgres_url, ready_file, data_dir))
    if not as_csv:
        emit(found, as_json, lambda: _shown(found))


def _shown(done: "RunView") -> str:
    groups = ("matched", "missing_here", "missing_there", "amount_differs", "duplicate", "without_order")
    lines = [
        (name.replace("_", " "), group.orders, group.here_minor, group.there_minor)
        for name in groups
        for group in [getattr(done.summary, name)]
    ]
    parts = [table(("outcome", "orders#", "here, minor#", "there, minor#"), lines)]
    if done.first:
        columns = ("order", "outcome", "line#", "here, minor#", "there, minor#", "note")
        rows = [
            (each.order_id, each.outcome, each.line, each.here_minor, each.there_minor, each.note)
            for each in done.first
        ]
        parts += ["", table(columns, rows)]
    kept = "a dry run: nothing is kept" if done.id is None else f"run {done.id}"
    return "\n".join([*parts, "", f"{kept}; {done.summary.differences:,} orders differ"])


def _file_facts(view: "FileView") -> str:
    names = (
        "id",
        "name",
        "entity",
        "currency",
        "since",
        "until",
        "zone",
        "merchant",
        "store",
        "measure",
        "rows",
        "sha256",
        "corrects",
    )
    return facts([(name, getattr(view, name)) for name in names])


async def _pieces(file: Path) -> AsyncIterator[bytes]:
    with file.open("rb") as opened:
        while piece := opened.read(PIECE_BYTES):
            yield piece


def _found(file_id: str, act: "Callable[[AsyncConnection[Any]], Awaitable[T]]", *where: str | None) -> T:
    try:
        return _with_books(act, *where)
    except LookupError:
        raise Fail(NOT_FOUND, "not_found", f"there is no file {file_id!r}, or no such run of it") from None


def _with_books(act: "Callable[[AsyncConnection[Any]], Awaitable[T]]", *where: str | None) -> T:
    """Run *act* with PostgreSQL for as long as it takes; *where* are the flags that say where it is."""
    given = dict(zip(("postgres_url", "ready_file", "data_dir"), where, strict=True))
    return with_books(settings_from(**given), act, bounded=False)
