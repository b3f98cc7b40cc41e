"""`fairclaim export`: reports as files that the clerk makes, straight from PostgreSQL and the folder they are in."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.connections import with_books
from gateway.cli.exported import ask_for, asked, copy, present, see, there, view
from gateway.cli.flags import JsonFlag, setting_flag, settings_from
from gateway.cli.options import DataDir, PostgresUrl, ReadyFile, flag_of
from gateway.cli.output import CONFLICT, FAILURE, INTERRUPTED, Fail, emit
from gateway.cli.ready import actor
from gateway.cli.report_asking import Told, asks_a_report
from gateway.cli.tables import facts, table
from gateway.settings import Settings

if TYPE_CHECKING:
    from reconciler.exports.store import Export

app = typer.Typer(no_args_is_help=True, help="Reports as files, made in the background: create, list, show, download.")

POLL_S = 0.2

_Id = Annotated[str, typer.Argument(metavar="ID", help="The export's id, as `list` shows it.", show_default=False)]
_ExportsDir = Annotated[str | None, setting_flag("exports_dir")]


@app.command()
@asks_a_report("export create")
def create(
    report: Annotated[str, typer.Argument(metavar="REPORT", help="Which report.", show_default=False)],
    format: Annotated[
        str, flag_of("export create", "--format", "-f", help="csv, json, ndjson, xlsx, parquet or beancount.")
    ] = "xlsx",
    key: Annotated[
        str | None,
        flag_of("export create", "--key", help="Idempotency-Key, to ask again without a second export."),
    ] = None,
    wait: Annotated[bool, flag_of("export create", "--wait", help="Come back when it is made.")] = False,
    *,
    told: Told,
    postgres_url: PostgresUrl = None,
    ready_file: ReadyFile = None,
    data_dir: DataDir = None,
    as_json: JsonFlag = False,
) -> None:
    """
    Ask for a report as a file; a clerk makes it in the background.

    \b
    Example:
      fairclaim export create journal --format beancount --since 2026-11-01 --until 2026-11-30 --wait

    Exit codes: 0 asked for, or made, 1 it can't be made, 2 usage, 3 no such report, or a name that the books
    don't know, 4 the key came with another request, or too many are open, 6 PostgreSQL can't be reached, 130 Ctrl-C,
    which ends the waiting and not the export.
    """
    from secrets import token_hex

    wanted = asked(report, format, told)
    settings = settings_from(postgres_url=postgres_url, ready_file=ready_file, data_dir=data_dir)
    values: dict[str, Any] = {
        "key": key or token_hex(16),
        "report": report,
        "format": format,
        "asked": wanted,
        "asked_by": actor(),
    }
    export = ask_for(settings, **values)
    if wait:
        export = _made(settings, export)
    present(export, as_json)
    if wait and export.state != "done":
        raise typer.Exit(FAILURE)


def _made(settings: Settings, export: "Export") -> "Export":
    """*export* when nothing more becomes of it. Errors: Fail, for Ctrl-C too."""
    try:
        while export.state in ("waiting", "running"):
            time.sleep(POLL_S)
            export = see(settings, export.id)
    except KeyboardInterrupt:
        hint = f"`fairclaim export show {export.id}` says how far it is, `… cancel` gives it up"
        raise Fail(INTERRUPTED, "interrupted", f"stopped waiting; {export.id} is made all the same", hint) from None
    return export


@app.command("list")
def list_(
    limit: Annotated[int, flag_of("export list", "--limit", help="How many at most.", min=1, max=1000)] = 50,
    postgres_url: PostgresUrl = None,
    ready_file: ReadyFile = None,
    data_dir: DataDir = None,
    as_json: JsonFlag = False,
) -> None:
    """
    List exports, newest first.

    \b
    Example:
      fairclaim export list

    Exit codes: 0 done, 2 usage, 6 PostgreSQL can't be reached.
    """
    from reconciler.exports import store as exports

    settings = settings_from(postgres_url=postgres_url, ready_file=ready_file, data_dir=data_dir)
    found = [view(each) for each in with_books(settings, lambda connection: exports.listed(connection, limit))]
    columns = ("id", "report", "format", "state", "percent#", "rows#", "bytes#", "requested, UTC@")
    names = ("id", "report", "format", "state", "percent", "rows", "bytes", "requested_at")
    rows = [[each[name] for name in names] for each in found]
    emit({"items": found, "next": None}, as_json, lambda: table(columns, rows, none="no exports"))


@app.command()
def show(
    export: _Id,
    manifest: Annotated[
        bool, flag_of("export show", "--manifest", help="The manifest of its file, byte for byte.")
    ] = False,
    postgres_url: PostgresUrl = None,
    ready_file: ReadyFile = None,
    data_dir: DataDir = None,
    as_json: JsonFlag = False,
) -> None:
    """
    Show an export and how far it is, or what its file is.

    \b
    Examples:
      fairclaim export show ex_9f1c44a07be2d613
      fairclaim export show ex_9f1c44a07be2d613 --manifest > journal.manifest.json

    Exit codes: 0 done, 2 usage, 3 no such export, 4 there is no manifest of it, 6 PostgreSQL can't be reached.
    """
    from reconciler.exports.manifest import manifest_bytes

    found = see(settings_from(postgres_url=postgres_url, ready_file=ready_file, data_dir=data_dir), export)
    if not manifest:
        present(found, as_json)
        return
    if found.manifest is None:
        raise Fail(CONFLICT, "not_done", f"{export} is {found.state}, so there is no manifest")
    print(manifest_bytes(found.manifest).decode(), end="", flush=True)


@app.command()
def download(
    export: _Id,
    output: Annotated[
        str | None,
        flag_of("export download", "--output", "-o", help="Where to; else its own name, here.", show_default=False),
    ] = None,
    exports_dir: _ExportsDir = None,
    postgres_url: PostgresUrl = None,
    ready_file: ReadyFile = None,
    data_dir: DataDir = None,
    as_json: JsonFlag = False,
) -> None:
    """
    Copy the file of an export that is done, and compare it with its manifest.

    The file is read from --exports-dir, so this is for the machine that the clerk runs on; elsewhere the gateway hands
    it out, at /v1/exports/{id}/file.

    \b
    Example:
      fairclaim export download ex_9f1c44a07be2d613 -o november.xlsx

    Exit codes: 0 done, 1 the file is not what the manifest says, or can't be written, 2 usage, 3 no such export, 4 it
    is not done, 6 PostgreSQL can't be reached, or the file is not here.
    """
    from reconciler.exports import store as exports

    settings = settings_from(
        postgres_url=postgres_url, ready_file=ready_file, data_dir=data_dir, exports_dir=exports_dir
    )
    found = see(settings, export)
    if found.state != "done" or found.manifest is None:
        raise Fail(CONFLICT, "not_done", f"{export} is {found.state}; only one that is done has a file")
    path = Path(output or found.manifest["file"])
    copy(settings.exports_folder / found.id / found.spool.file, path, found.manifest["sha256"])
    with_books(settings, lambda connection: exports.fetched(connection, found, actor()))
    data = {"id": export, "file": str(path), "bytes": found.bytes, "sha256": found.manifest["sha256"]}
    emit(data, as_json, lambda: facts([*data.items()]))


@app.command()
def cancel(
    export: _Id,
    postgres_url: PostgresUrl = None,
    ready_file: ReadyFile = None,
    data_dir: DataDir = None,
    as_json: JsonFlag = False,
) -> None:
    """
    Give an export up, or the file of one that is done.

    \b
    Example:
      fairclaim export cancel ex_9f1c44a07be2d613

    Exit codes: 0 given up, now or before, 2 usage, 3 no such export, 6 PostgreSQL can't be reached.
    """
    from reconciler.exports import store as exports

    settings = settings_from(postgres_url=postgres_url, ready_file=ready_file, data_dir=data_dir)
    ended = with_books(settings, lambda connection: exports.end(connection, export, actor()))
    present(there(ended, export), as_json)
