"""`fairclaim codes`: make codes in bulk, bring codes from elsewhere, export and print them; all through the gateway."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

import typer

from gateway.cli.campaign import CampaignArgument
from gateway.cli.codes_watch import code_path, finish, told
from gateway.cli.flags import JsonFlag
from gateway.cli.options import flag_of
from gateway.cli.output import USAGE, Fail, emit
from gateway.cli.tables import facts, table
from gateway.cli.through import Opened, through_gateway

if TYPE_CHECKING:
    from gateway.cli.client import Gateway

_UNDECIDED = ("unknown", "time_out", "not_ready")

app = typer.Typer(no_args_is_help=True, help="Codes in bulk: generate, import, list, show, cancel, export, print.")

BatchArgument = Annotated[str, typer.Argument(metavar="BATCH", help="The batch's id.", show_default=False)]


@app.command()
@through_gateway
def generate(
    opened: Opened,
    campaign: CampaignArgument,
    count: Annotated[int | None, flag_of("codes generate", "--count", "-n", help="Codes for one use each.")] = None,
    shared: Annotated[
        str | None, flag_of("codes generate", "--shared", help="Or one code for many, needs --uses.")
    ] = None,
    uses: Annotated[int | None, flag_of("codes generate", "--uses", help="How often the shared code is good.")] = None,
    expires: Annotated[
        str | None, flag_of("codes generate", "--expires", help="RFC 3339; default: like a claim.")
    ] = None,
    key: Annotated[
        str | None,
        flag_of("codes generate", "--key", "-k", help="Idempotency-Key: the same one goes on with the same batch."),
    ] = None,
    no_wait: Annotated[bool, flag_of("codes generate", "--no-wait", help="Ask, and do not watch it.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """
    Have codes made that nobody holds, and watch until they are; Ctrl-C only ends the watching.

    \b
    Example:
      fairclaim codes generate flash-1 --count 100000

    Exit codes: 0 made, 2 usage, 3 no such campaign, 4 refused or stopped, 5 credentials, 6 unavailable.
    """
    body: dict[str, Any]
    if (count is None) == (shared is None) or (shared is None) != (uses is None):
        raise Fail(USAGE, "usage", "give --count, or --shared and --uses")
    body = {"kind": "single", "count": count} if shared is None else {"kind": "shared", "code": shared, "uses": uses}
    if expires is not None:
        body["expires_at"] = expires
    gateway = opened()
    batch = _ask(gateway, f"{code_path(campaign)}/code-batches", body, key or str(uuid4()))
    finish(gateway, batch, no_wait, as_json)


@app.command("import")
@through_gateway
def import_(
    opened: Opened,
    campaign: CampaignArgument,
    file: Annotated[str, typer.Argument(help="A CSV with a column code; - for standard input.", show_default=False)],
    dry_run: Annotated[
        bool, flag_of("codes import", "--dry-run", help="Report the lines, and change nothing.")
    ] = False,
    expires: Annotated[
        str | None, flag_of("codes import", "--expires", help="RFC 3339; default: like a claim.")
    ] = None,
    key: Annotated[
        str | None, flag_of("codes import", "--key", "-k", help="Idempotency-Key: the same file is imported once.")
    ] = None,
    no_wait: Annotated[bool, flag_of("codes import", "--no-wait", help="Ask, and do not watch it.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """
    Bring codes from elsewhere; each line that gives none is told with its reason.

    \b
    Example:
      fairclaim codes import flash-1 old-codes.csv --dry-run

    Exit codes: 0 done, 2 usage, 3 no such campaign, 4 refused or stopped, 5 credentials, 6 unavailable.
    """
    data = _read(file)
    query = {"dry_run": "true" if dry_run else "false"} | ({"expires_at": expires} if expires is not None else {})
    gateway = opened()
    report = _ask(gateway, f"{code_path(campaign)}/code-imports", None, key or str(uuid4()), csv=data, query=query)
    if dry_run or not as_json:
        emit(report, as_json, lambda: told(report))
    if report["batch"] is not None:
        finish(gateway, report["batch"], no_wait, as_json, report)


@app.command("list")
@through_gateway
def list_(
    opened: Opened,
    campaign: CampaignArgument,
    as_json: JsonFlag = False,
) -> None:
    """
    List a campaign's code batches, newest first.

    \b
    Example:
      fairclaim codes list flash-1

    Exit codes: 0 done, 2 usage, 3 no such campaign, 5 credentials, 6 unavailable.
    """
    items = opened().ask_all(f"{code_path(campaign)}/code-batches")
    columns = ("id", "kind", "code", "state", "reason", "done#", "count#", "requested, UTC@")
    names = ("id", "kind", "code", "state", "reason", "done", "count", "requested_at")
    emit(
        {"items": items, "next": None},
        as_json,
        lambda: table(columns, [[item[name] for name in names] for item in items], none="no code batches"),
    )


@app.command()
@through_gateway
def show(
    opened: Opened,
    campaign: CampaignArgument,
    batch: BatchArgument,
    as_json: JsonFlag = False,
) -> None:
    """
    Show one code batch, and how far it is.

    \b
    Example:
      fairclaim codes show flash-1 cb_0011223344556677

    Exit codes: 0 done, 2 usage, 3 no such campaign or batch, 5 credentials, 6 unavailable.
    """
    found = opened().ask("GET", code_path(campaign, batch)).body
    emit(found, as_json, lambda: facts(found.items()))


@app.command()
@through_gateway
def cancel(
    opened: Opened,
    campaign: CampaignArgument,
    batch: BatchArgument,
    as_json: JsonFlag = False,
) -> None:
    """
    Have no more codes of a batch made; those that are issued stay.

    \b
    Example:
      fairclaim codes cancel flash-1 cb_0011223344556677

    Exit codes: 0 done, 2 usage, 3 no such campaign or batch, 5 credentials, 6 unavailable.
    """
    found = opened().ask("POST", f"{code_path(campaign, batch)}/cancel").body
    emit(found, as_json, lambda: facts(found.items()))


@app.command()
@through_gateway
def export(
    opened: Opened,
    campaign: CampaignArgument,
    batch: BatchArgument,
    output: Annotated[Path, flag_of("codes export", "--output", "-o", help="Where to write.", show_default=False)],
    sheet: Annotated[bool, flag_of("codes export", "--sheet", help="HTML to print and cut, 500 a file.")] = False,
    partial: Annotated[bool, flag_of("codes export", "--partial", help="What the books have, be it not all.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """
    Write the codes of a batch to a CSV file, or to sheets for a printer: name.html, name-2.html, …

    \b
    Example:
      fairclaim codes export flash-1 cb_0011223344556677 --output codes.csv

    Exit codes: 0 done, 1 can't write, 2 usage, 3 no such campaign or batch, 5 credentials, 6 not in the books yet.
    """
    gateway = opened()
    query = {"partial": "true"} if partial else {}
    written: list[str] = []
    path: str = f"{code_path(campaign, batch)}/{'sheet' if sheet else 'codes.csv'}"
    while path:
        file = output if not written else output.with_stem(f"{output.stem}-{len(written) + 1}")
        headers = _write(gateway, path, query, file)
        written.append(str(file))
        following = urlsplit(headers.get("link", "").partition("<")[2].partition(">")[0])
        path, query = following.path, dict(parse_qsl(following.query)) | ({"partial": "true"} if partial else {})
    emit({"files": written}, as_json, lambda: "\n".join(written))


def _write(gateway: "Gateway", path: str, query: dict[str, str], file: Path) -> dict[str, str]:
    """A download that is there whole or not at all."""
    part = file.with_name(f"{file.name}.part")
    try:
        with part.open("wb") as out:
            headers = gateway.download(path, query, out)
        part.replace(file)
    except OSError as error:
        raise Fail(1, "can_not_write", f"{file}: {error.strerror or error}") from None
    finally:
        part.unlink(missing_ok=True)
    return headers


def _read(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise Fail(USAGE, "no_file", f"{file}: {error.strerror or error}") from None


def _ask(gateway: "Gateway", path: str, body: Any, key: str, **more: Any) -> Any:
    try:
        return gateway.ask("POST", path, body, key=key, **more).body
    except Fail as fail:
        if fail.code in _UNDECIDED:
            fail.hint = f"repeat it with --key {key}: it is done once"
        raise
