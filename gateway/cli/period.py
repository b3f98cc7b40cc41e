"""`fairclaim period`: months and days of a legal entity, straight in PostgreSQL and Redis."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import typer

from gateway.cli.connections import open_books, open_door
from gateway.cli.flags import JsonFlag, settings_from
from gateway.cli.options import DataDir, PostgresUrl, ReadyFile, RedisUrl, flag_of
from gateway.cli.output import CONFLICT, FAILURE, INTERRUPTED, NOT_FOUND, USAGE, Fail, emit
from gateway.cli.period_refusals import run_on_periods
from gateway.cli.period_screen import checks_shown, periods_shown, seen_shown
from gateway.cli.ready import actor, server_urls
from gateway.cli.verdict_screen import watched_judgement

if TYPE_CHECKING:
    from gateway.settings import Settings
    from reconciler.periods.calendar import Period
    from reconciler.periods.closing import Closed
    from reconciler.periods.listing import Listed, Signed
    from reconciler.periods.report import CloseReport
    from reconciler.verdict.judging import Beginning

app = typer.Typer(no_args_is_help=True, help="Periods of a legal entity: list, show, hold, close, reopen.")

ROWS_MAX = 120
Which = Annotated[
    str, typer.Argument(metavar="PERIOD", help="A month, 2026-11, or a day, 2026-11-22.", show_default=False)
]
_WHOSE = "The legal entity."


def _period(entity: str, text: str) -> "Period":
    from reconciler.periods.calendar import parse_period

    try:
        return parse_period(entity, text)
    except ValueError as error:
        raise Fail(USAGE, "bad_period", str(error)) from None


@app.command("list")
def list_(
    entity: Annotated[str, flag_of("period list", "--entity", "-e", help=_WHOSE)] = "main",
    kind: Annotated[Literal["month", "day"], flag_of("period list", "--kind", help="Months or days.")] = "month",
    rows: Annotated[int, flag_of("period list", "--rows", min=1, max=ROWS_MAX, help="How many at most.")] = 24,
    postgres_url: PostgresUrl = None,
    ready_file: ReadyFile = None,
    data_dir: DataDir = None,
    as_json: JsonFlag = False,
) -> None:
    """
    List the months or days of a legal entity, the newest first.

    \b
    Example:
      fairclaim period list --kind day --rows 7

    Exit codes: 0 done, 2 usage, 3 no such entity, 6 PostgreSQL can't be reached.
    """
    from datetime import UTC, datetime
    from zoneinfo import ZoneInfo

    from reconciler.periods.entities import list_entities
    from reconciler.periods.listing import list_periods

    settings = settings_from(postgres_url=postgres_url, ready_file=ready_file, data_dir=data_dir)
    (url,) = server_urls(settings, "postgres_url")

    async def act() -> "list[Listed]":
        async with open_books(url, settings) as connection:
            zones = {one.id: one.zone for one in await list_entities(connection)}
            today = datetime.now(UTC).astimezone(ZoneInfo(zones.get(entity, "UTC"))).date()
            return await list_periods(connection, entity, kind, today, behind=None, limit=rows)

    found = run_on_periods(act)
    emit({"items": found, "next": None}, as_json, lambda: periods_shown(found))


@app.command()
def show(
    period: Which,
    entity: Annotated[str, flag_of("period show", "--entity", "-e", help=_WHOSE)] = "main",
    form: Annotated[
        Literal["html", "pdf", "json"] | None,
        flag_of("period show", "--format", "-f", help="The report of its close in this form.", show_default=False),
    ] = None,
    number: Annotated[
        int | None,
        flag_of("period show", "--number", min=1, help="Of the report; else the last one.", show_default=False),
    ] = None,
    locale: Annotated[str, flag_of("period show", "--locale", help="How numbers are written: en, zh_CN, …")] = "en",
    output: Annotated[
        Path | None, flag_of("period show", "--output", "-o", help="Where to write the report.", show_default=False)
    ] = None,
    postgres_url: PostgresUrl = None,
    ready_file: ReadyFile = None,
    data_dir: DataDir = None,
    as_json: JsonFlag = False,
) -> None:
    """
    Show a period and its closes, or the report of a close.

    \b
    Example:
      fairclaim period show 2026-11 --format pdf -o november.pdf

    Exit codes: 0 done, 2 usage, 3 no such entity or report, 6 PostgreSQL can't be reached.
    """
    from reconciler.periods.listing import one_period, report_of

    settings = settings_from(postgres_url=postgres_url, ready_file=ready_file, data_dir=data_dir)
    (url,) = server_urls(settings, "postgres_url")
    wanted = _period(entity, period)

    async def act() -> "tuple[Listed, list[Signed], tuple[Signed, CloseReport] | None]":
        async with open_books(url, settings) as connection:
            found, reports = await one_period(connection, wanted)
            return found, reports, await report_of(connection, wanted, number) if form else None

    found, reports, signed = run_on_periods(act)
    if form is None:
        emit({"period": found, "reports": reports}, as_json, lambda: seen_shown(found, reports))
        return
    if signed is None:
        raise Fail(NOT_FOUND, "report_not_found", f"{wanted.label} has no such report", "it has one for each close")
    _write(_report(form, *signed, locale), output)


def _report(form: str, signed: "Signed", report: "CloseReport", locale: str) -> bytes:
    """A report in a form. Errors: Fail(USAGE)."""
    if form == "json":
        return msgspec.json.format(msgspec.json.encode({"signed": signed, "report": report}), indent=2) + b"\n"
    from gateway.finance.close_report.document import BadLocale
    from gateway.finance.close_report.render import RENDERERS, Given

    try:
        return RENDERERS[form](Given(signed, report), locale)
    except BadLocale as error:
        raise Fail(USAGE, "bad_locale", f"--locale: {error}") from None


def _write(data: bytes, output: Path | None) -> None:
    if output is None:
        import sys

        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    try:
        output.write_bytes(data)
    except OSError as error:
        raise Fail(FAILURE, "not_written", f"{output}: {error.strerror}") from None


@app.command()
def hold(
    period: Which,
    entity: Annotated[str, flag_of("period hold", "--entity", "-e", help=_WHOSE)] = "main",
    postgres_url: PostgresUrl = None,
    ready_file: ReadyFile = None,
    data_dir: DataDir = None,
    as_json: JsonFlag = False,
) -> None:
    """
    Put an open period on hold, before it is closed: nobody makes a journal in it by hand any more.

    What coupons do goes on. `reopen` takes the hold away.

    \b
    Example:
      fairclaim period hold 2026-11

    Exit codes: 0 on hold, now or before, 2 usage, 3 no such entity, 4 it is closed, or has not begun, 6 PostgreSQL
    can't be reached.
    """
    from reconciler.periods.closing import hold as put_on_hold

    settings = settings_from(postgres_url=postgres_url, ready_file=ready_file, data_dir=data_dir)
    (url,) = server_urls(settings, "postgres_url")
    wanted = _period(entity, period)
    state = run_on_periods(lambda: put_on_hold(lambda: open_books(url, settings), wanted, actor()))
    emit(_told(wanted, state), as_json, lambda: f"{wanted.label} of {entity} is on hold")


@app.command()
def close(
    period: Which,
    entity: Annotated[str, flag_of("period close", "--entity", "-e", help=_WHOSE)] = "main",
    dry_run: Annotated[bool, flag_of("period close", "--dry-run", help="Make every check and change nothing.")] = False,
    redis_url: RedisUrl = None,
    postgres_url: PostgresUrl = None,
    ready_file: ReadyFile = None,
    data_dir: DataDir = None,
    as_json: JsonFlag = False,
) -> None:
    """
    Close a period that is on hold, if it and the books of its entity are right, and keep its report.

    Every check of the period and the verdict on the books have to hold; the verdict takes the longest. Sales of later
    days may go on. Nothing is booked in the period from then on: what comes late is booked on the next open day, with
    its own date beside it.

    \b
    Example:
      fairclaim period close 2026-11 --dry-run

    Exit codes: 0 closed, or it could be, 1 a check does not hold, 2 usage, 3 no such entity, 4 it is closed already,
    6 a server can't be reached, 130 Ctrl-C.
    """
    from reconciler.periods.closing import Closed, NotClosable

    settings = settings_from(redis_url=redis_url, postgres_url=postgres_url, ready_file=ready_file, data_dir=data_dir)
    wanted = _period(entity, period)
    try:
        with watched_judgement(as_json) as beginning:
            done = _closed(settings, wanted, beginning, dry_run=dry_run)
    except NotClosable as error:
        done = Closed(error.checks, None, None)
    except KeyboardInterrupt:
        hint = f"`fairclaim period show {wanted.label} --entity {entity}` says whether it is closed"
        raise Fail(INTERRUPTED, "interrupted", "stopped", hint) from None
    holds = all(one.holds for one in done.checks)
    data = {"holds": holds, "checks": done.checks, "report": done.number}
    emit(data, as_json, lambda: checks_shown(wanted, done))
    if not holds:
        raise typer.Exit(FAILURE)


def _closed(settings: "Settings", wanted: "Period", beginning: "Beginning", *, dry_run: bool) -> "Closed":
    """Close it. Errors: Fail, NotClosable."""
    from reconciler.periods.closing import close as close_period
    from reconciler.verdict.judging import judge

    redis, postgres = server_urls(settings, "redis_url", "postgres_url")

    async def act() -> "Closed":
        async with open_door(redis, settings) as door:
            return await close_period(
                lambda: open_books(postgres, settings),
                door,
                lambda: judge(door, postgres, entity=wanted.entity, beginning=beginning),
                wanted,
                actor(),
                dry_run=dry_run,
            )

    return run_on_periods(act)


@app.command()
def reopen(
    period: Which,
    reason: Annotated[str, flag_of("period reopen", "--reason", help="Why, for the audit log.", show_default=False)],
    entity: Annotated[str, flag_of("period reopen", "--entity", "-e", help=_WHOSE)] = "main",
    postgres_url: PostgresUrl = None,
    ready_file: ReadyFile = None,
    data_dir: DataDir = None,
    as_json: JsonFlag = False,
) -> None:
    """
    Open a period again: one that is on hold, or the last one that was closed.

    Its reports stay, and the audit log says who did it and why.

    \b
    Example:
      fairclaim period reopen 2026-11 --reason "An invoice of the month came in"

    Exit codes: 0 open, 2 usage, 3 no such entity, 4 it is open, or another was closed after it, or it takes two people,
    6 PostgreSQL can't be reached.
    """
    from reconciler.periods.closing import reopen as open_again

    settings = settings_from(postgres_url=postgres_url, ready_file=ready_file, data_dir=data_dir)
    (url,) = server_urls(settings, "postgres_url")
    wanted = _period(entity, period)
    if not reason.strip():
        raise Fail(USAGE, "bad_reason", "--reason: say why")
    if settings.two_people:
        hint = "`fairclaim proposal make` proposes it"
        raise Fail(CONFLICT, "second_person_needed", "opening a period again takes two people", hint)
    state = run_on_periods(
        lambda: open_again(lambda: open_books(url, settings), wanted, actor(), reason, may_reopen=True)
    )  # fmt: skip
    emit(_told(wanted, state), as_json, lambda: f"{wanted.label} of {entity} is open")


def _told(period: "Period", state: str) -> dict[str, Any]:
    return {"entity": period.entity, "kind": period.kind, "starts": period.starts, "ends": period.ends, "state": state}
