"""`fairclaim ledger`: what finance asks of the books, straight from PostgreSQL."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import ledger_journal, ledger_journals
from gateway.cli.flags import JsonFlag, settings_from
from gateway.cli.ledger_balances import balance, statement
from gateway.cli.options import DataDir, PostgresUrl, ReadyFile, flag_of
from gateway.cli.output import FAILURE, NOT_FOUND, USAGE, Fail, emit
from gateway.cli.ready import server_urls

if TYPE_CHECKING:
    from reconciler.books.head import DayHead
    from reconciler.verifying import ChainReport, CheckedShard

app = typer.Typer(no_args_is_help=True, help="The books: balance, statement, journals, journal, head, verify.")


@app.callback()
def _ledger() -> None:
    """The books: balance, statement, journals, journal, head, verify."""


app.command("balance")(balance)
app.command("statement")(statement)
app.command("journals")(ledger_journals.journals)
app.command("head")(ledger_journals.head)
app.add_typer(ledger_journal.app, name="journal")


@app.command()
def verify(
    shard: Annotated[
        str | None, flag_of("ledger verify", "--shard", help="Only this one, such as demo/0.", show_default=False)
    ] = None,
    head: Annotated[
        Path | None,
        flag_of("ledger verify", "--head", help="Also against this head that was kept.", show_default=False),
    ] = None,
    postgres_url: PostgresUrl = None,
    ready_file: ReadyFile = None,
    data_dir: DataDir = None,
    as_json: JsonFlag = False,
) -> None:
    """
    Walk the hash chain of the journals and name the first that was changed, removed or put in between.

    Reads one snapshot of the books and changes nothing; the reconciler may run. A shard whose chain holds shows its
    head, which stands for every journal of it. Against a head that was kept, journals are named that are not those of
    then, also where the books were written anew from the first one on.

    \b
    Examples:
      fairclaim ledger verify --shard demo/0
      fairclaim ledger verify --head head-2026-11-28.txt

    Exit codes: 0 every chain holds, 1 one is broken, 2 usage, 3 no such shard, 6 PostgreSQL can't be reached.
    """
    import psycopg

    from gateway.cli.connections import postgres_fail
    from reconciler.verifying import verify as walk

    (url,) = server_urls(
        settings_from(postgres_url=postgres_url, ready_file=ready_file, data_dir=data_dir), "postgres_url"
    )
    kept = None if head is None else _kept(head)
    try:
        report = walk(url, None if shard is None else [shard], kept)
    except ValueError as error:
        raise Fail(USAGE, "bad_shard", f"--shard: {error}", "it is written campaign/number, such as demo/0") from None
    except psycopg.Error as error:
        raise postgres_fail(error) from None
    if shard is not None and not report.shards:
        raise Fail(NOT_FOUND, "shard_not_found", f"the books have no shard {shard!r}")
    told = {"holds": report.holds, "journals": report.journals, "shards": report.shards}
    against = {} if kept is None else {"kept": {"date": kept.day, "zone": kept.zone, "head": kept.head}}
    emit(told | against, as_json, lambda: _shown(report, kept))
    if not report.holds:
        raise typer.Exit(FAILURE)


def _kept(file: Path) -> "DayHead":
    """The head in *file*. Errors: Fail(USAGE)."""
    from reconciler.books.head import NotAHead, read_head

    try:
        return read_head(file.read_bytes().decode())
    except OSError as error:
        raise Fail(USAGE, "bad_head", f"--head: {file} can't be read: {error.strerror}") from None
    except (NotAHead, UnicodeDecodeError) as error:
        hint = "`fairclaim ledger head --out FILE` writes one"
        raise Fail(USAGE, "bad_head", f"--head: {file} is no head: {error}", hint) from None


def _shown(report: "ChainReport", kept: "DayHead | None") -> str:
    broken = sum(checked.fault is not None for checked in report.shards)
    told = f"{report.journals:,} journals of {len(report.shards)} shards hold"
    if kept is not None:
        told += f", compared with the head of {kept.day} {kept.zone}, {kept.head}"
    return "\n".join([*map(_line, report.shards), f"{told}; {broken} chains are broken" if broken else told])


def _line(checked: "CheckedShard") -> str:
    fault = checked.fault
    if fault is None:
        return f"{checked.shard}: {checked.journals:,} journals, head {checked.head or 'none'}"
    if fault.journal is None:
        return f"{checked.shard}: broken, no journal is left: {fault.reason}"
    place = f"journal {fault.journal} ({fault.verb}, seq {fault.first_seq} to {fault.last_seq})"
    return f"{checked.shard}: broken after {checked.journals:,} journals, at {place}: {fault.reason}"
