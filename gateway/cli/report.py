"""`fairclaim report`: what finance reads, straight from PostgreSQL, as a table or as a file."""

import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.flags import JsonFlag, settings_from
from gateway.cli.options import DataDir, PostgresUrl, ReadyFile, flag_of
from gateway.cli.output import FAILURE, NOT_FOUND, USAGE, Fail, emit
from gateway.cli.ready import server_urls
from gateway.cli.report_asking import Told, asks_a_report

if TYPE_CHECKING:
    from reconciler.reports.shape import Asked, Report

LIST = "list"
_HINT = "`fairclaim report list` shows every report and what it takes"


def _flag(name: str, help: str) -> Any:
    return flag_of("report", f"--{name}", help=help, show_default=False)


@asks_a_report("report")
def report(
    name: Annotated[str, typer.Argument(metavar="name", help="A report, or list for all that there are.")],
    format: Annotated[
        str | None,
        _flag("format", "table, csv, json, ndjson, xlsx, parquet or beancount; else as --output ends, else table."),
    ] = None,
    output: Annotated[
        str | None, flag_of("report", "--output", "-o", help="The file to write; else stdout.", show_default=False)
    ] = None,
    locale: Annotated[
        str, flag_of("report", "--locale", help="How a table writes amounts and numbers, such as de_CH or zh_CN.")
    ] = "en",
    *,
    told: Told,
    postgres_url: PostgresUrl = None,
    ready_file: ReadyFile = None,
    data_dir: DataDir = None,
    as_json: JsonFlag = False,
) -> None:
    """
    Show a report, or write it to a file.

    Reads one snapshot of the books and changes nothing. A day is a date of the books, by the clock of the campaign's
    zone; times are in UTC unless --zone says otherwise. A table shows at most a thousand rows; a file has all of them,
    however many there are, and takes its name once it is whole.

    \b
    Examples:
      fairclaim report list
      fairclaim report roll-forward --by campaign,month --since 2026-10-01 --until 2026-12-31
      fairclaim report trial-balance --until 2026-11-30 -o november.xlsx
      fairclaim report campaign-profit --since 2026-11-01 --until 2026-11-30 --as-of 2027-01-15

    Exit codes: 0 done, 1 the file can't be written, 2 usage, 3 no such report, or a name that
    the books don't know, 6 PostgreSQL can't be reached.
    """
    from reconciler.reports.catalog import REPORTS

    if name == LIST:
        emit(*_listed(as_json))
        return
    found = REPORTS.get(name)
    if found is None:
        raise Fail(NOT_FOUND, "report_not_found", f"there is no report {name!r}", _HINT)
    asked = _asked(found, told)
    chosen = _format(found, format, output, as_json)
    check_locale(locale)
    settings = settings_from(postgres_url=postgres_url, ready_file=ready_file, data_dir=data_dir)
    (url,) = server_urls(settings, "postgres_url")
    _show(url, found, asked, chosen, output, locale)


def _listed(as_json: bool) -> tuple[Any, bool, Any]:
    from gateway.cli.tables import table
    from reconciler.reports.catalog import REPORTS

    data = [
        {"name": each.name, "title": each.title, "about": each.about, "takes": sorted(each.takes), "by": each.groups}
        for each in REPORTS.values()
    ]
    rows = [(each.name, each.about, ", ".join(sorted(each.takes)), ", ".join(each.groups)) for each in REPORTS.values()]
    return data, as_json, lambda: table(["report", "what it says", "takes", "by"], rows)


def _asked(report: "Report", told: dict[str, str]) -> "Asked":
    from reconciler.reports.asking import BadAsk, asked_of

    try:
        return asked_of(report, told)
    except BadAsk as error:
        raise Fail(USAGE, "bad_report", f"--{error.field.replace('_', '-')}: {error.rule}", _HINT) from None


def _format(report: "Report", format: str | None, output: str | None, as_json: bool) -> str:
    """The format to write. Errors: Fail."""
    from reconciler.reports.asking import BadAsk
    from reconciler.reports.writing import STREAMED, check_format

    suffix = Path(output).suffix[1:] if output else ""
    chosen = format or (suffix if output else "json" if as_json else "table")
    if chosen == "table":
        return chosen
    try:
        checked = check_format(report, chosen)
    except BadAsk as error:
        raise Fail(USAGE, "bad_format", f"--{error}", "table, or name the file so that it ends like that") from None
    if checked not in STREAMED and not output and sys.stdout.isatty():
        raise Fail(USAGE, "bad_format", f"{checked} is not for a terminal", f"-o {report.name}.{checked} writes a file")
    return checked


def check_locale(name: str) -> None:
    """Errors: Fail where nobody knows how numbers are written in *name*."""
    from babel import Locale, UnknownLocaleError

    try:
        Locale.parse(name, sep="-" if "-" in name else "_")
    except (UnknownLocaleError, ValueError):
        raise Fail(USAGE, "bad_locale", f"--locale: {name!r} is not known", "such as en, de_CH or zh_CN") from None


def _show(url: str, report: "Report", asked: "Asked", format: str, output: str | None, locale: str) -> None:
    import psycopg

    from gateway.cli.connections import postgres_fail
    from gateway.cli.known import known_names
    from gateway.cli.report_table import table_of
    from reconciler.reports.known import check_known
    from reconciler.reports.reading import open_books, rows_of
    from reconciler.reports.writing import write

    try:
        with known_names(), open_books(url) as connection, closing(rows_of(connection, report, asked)) as rows:
            check_known(connection, asked)
            if format == "table":
                text = table_of(report.columns(asked), rows, asked.zone, locale)
                _put(output, lambda out: out.write(text.encode() + b"\n"))
            else:
                _put(output, lambda out: write(report, asked, rows, format, out))  # type: ignore[arg-type]
    except psycopg.Error as error:
        raise postgres_fail(error) from None
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Fail(FAILURE, "not_written", f"{output or 'stdout'} can't be written: {error.strerror}") from None


def _put(output: str | None, write: Any) -> None:
    """Give *write* stdout, or a file that takes the name *output* once it is whole."""
    if output is None:
        write(sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return
    part = Path(f"{output}.part")
    try:
        with part.open("wb") as out:
            write(out)
        part.replace(output)
    finally:
        part.unlink(missing_ok=True)
