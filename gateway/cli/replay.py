"""`fairclaim replay`: a recorded trace of claims, played through the gateway and compared with an oracle."""

import re
import secrets
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from gateway.campaigns.bounds import PER_HOLDER_MAX
from gateway.cli.flags import JsonFlag, settings_from
from gateway.cli.options import DataDir, ReadyFile, flag_of
from gateway.cli.output import AUTH, FAILURE, INTERRUPTED, UNAVAILABLE, USAGE, Fail, emit
from gateway.cli.ready import START_HINT, read_ready
from gateway.codes import STOCK_MAX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.cli.replay_screen import Progress
    from gateway.settings import Settings
    from loadtest.target import Target
    from loadtest.trace.campaigns import Terms
    from loadtest.trace.replay import Replay
    from loadtest.trace.rows import Trace

SPEED_MAX = 1e9
CONNECTIONS_MAX = 1000
_RUN = re.compile("[a-z0-9]{1,20}")


def replay(
    file: Annotated[
        Path,
        typer.Argument(help="A CSV, gzipped or not: docs/loadtest.md has its columns.", exists=True, dir_okay=False),
    ],
    stock: Annotated[
        int | None,
        flag_of("replay", "--stock", min=1, max=STOCK_MAX, help="Units of every coupon; enough for all by default."),
    ] = None,
    limit: Annotated[
        int, flag_of("replay", "--limit", min=1, max=PER_HOLDER_MAX, help="Units a user may have of a coupon.")
    ] = 1,
    coupon: Annotated[
        list[str] | None, flag_of("replay", "--coupon", help="Only this coupon; may be repeated.")
    ] = None,
    speed: Annotated[
        float | None,
        flag_of(
            "replay",
            "--speed",
            min=0.001,
            max=SPEED_MAX,
            help="Day after day, so many times as fast as it was; by default row after row, as fast as it goes.",
        ),
    ] = None,
    connections: Annotated[
        int, flag_of("replay", "--connections", min=1, max=CONNECTIONS_MAX, help="Rows on their way at once, at most.")
    ] = 64,
    currency: Annotated[str, flag_of("replay", "--currency", help="ISO 4217, what discounts are in.")] = "CNY",
    run: Annotated[
        str | None, flag_of("replay", "--run", help="Go on with the run of this id, of the same file and flags.")
    ] = None,
    report: Annotated[
        Path | None, flag_of("replay", "--report", help="Write every row with both outcomes here, as CSV.")
    ] = None,
    books_wait: Annotated[
        float, flag_of("replay", "--books-wait", min=0, max=3600, help="Seconds to wait at most for the books.")
    ] = 600.0,
    ready_file: ReadyFile = None,
    data_dir: DataDir = None,
    as_json: JsonFlag = False,
) -> None:
    """
    Replay a recorded trace of claims, and compare every row with an oracle.

    Each coupon becomes a campaign. Claims, and redemptions where the file has them, go over HTTP to a gateway on this
    machine, a user's one after the other, and come to what they would come to one by one in the order of the file, or
    with --speed of the days. It ends with the verdict.

    \b
    Example:
      fairclaim replay claims.csv.gz --stock 20000 --coupon 13602

    Exit codes: 0 every row is as the oracle says, 1 one is not or the verdict fails, 2 usage or a wrong file, 5
    credentials, 6 the gateway is away or the books are behind, 130 Ctrl-C.
    """  # fmt: skip
    from gateway.cli.replay_screen import Progress

    target = _target(settings_from(ready_file=ready_file, data_dir=data_dir))
    trace = _trace(file, currency, frozenset(coupon or ()))
    with _open(report) as out, Progress(quiet=as_json) as progress:
        played = _prepared(target, trace, _terms(trace, run, currency, stock, limit, speed), speed, progress)
        try:
            _play(played, connections, books_wait)
        finally:
            if out is not None:
                played.write_rows(out)
    _tell(played.report(), as_json)


def _tell(found: dict[str, Any], as_json: bool) -> None:
    """Errors: typer.Exit where something is not as it has to be, Fail where that could not be told."""
    from gateway.cli.replay_screen import shown

    emit(found, as_json, lambda: shown(found))
    if not found["holds"]:
        raise typer.Exit(FAILURE)
    if found["unjudged"] is not None:
        raise Fail(UNAVAILABLE, "no_verdict", found["unjudged"], "`fairclaim status` shows how far the books are")


def _target(settings: "Settings") -> "Target":
    from loadtest.target import Target

    try:
        return Target.of(read_ready(settings))
    except KeyError:
        raise Fail(UNAVAILABLE, "not_running", "no ready file says where the gateway is", START_HINT) from None


def _trace(file: Path, currency: str, coupons: frozenset[str]) -> "Trace":
    from gateway.campaigns.currencies import CURRENCIES, exponent
    from loadtest.trace.rows import NotATrace, read_trace

    if currency not in CURRENCIES:
        raise Fail(USAGE, "bad_currency", f"--currency: {currency!r} is no currency of ISO 4217", "like CNY")
    try:
        return read_trace(file, 10 ** exponent(currency), coupons)
    except (NotATrace, OSError) as error:
        raise Fail(USAGE, "bad_trace", f"{file}: {error}", "docs/loadtest.md has the columns of a trace") from None


def _terms(
    trace: "Trace", run: str | None, currency: str, stock: int | None, limit: int, speed: float | None
) -> "Terms":
    from loadtest.trace.campaigns import Terms
    from loadtest.trace.course import lasts_s

    if run is not None and not _RUN.fullmatch(run):
        raise Fail(USAGE, "bad_run", f"--run: {run!r} is no id of a run: at most 20 of a-z and 0-9")
    name = run or f"{datetime.now(UTC):%y%m%d%H%M%S}{secrets.token_hex(2)}"
    return Terms(name, currency, stock, limit, lasts_s(trace.rows, speed))


def _prepared(target: "Target", trace: "Trace", terms: "Terms", speed: float | None, progress: "Progress") -> "Replay":
    from loadtest.trace.course import Course, in_order_of_days, in_order_of_file
    from loadtest.trace.replay import Replay

    steps = in_order_of_file(trace.rows) if speed is None else in_order_of_days(trace.rows, speed)
    try:
        return Replay(target, trace, Course(trace.rows, steps, terms.stock, terms.limit), terms, progress)
    except ValueError as error:
        raise Fail(USAGE, "bad_url", str(error)) from None


@contextmanager
def _open(report: Path | None) -> "Iterator[IO[str] | None]":
    """The file of --report, before anything is played for it. Errors: Fail(USAGE)."""
    if report is None:
        yield None
        return
    try:
        out = report.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise Fail(USAGE, "bad_report", f"--report: {error}") from None
    with out:
        yield out


def _play(played: "Replay", connections: int, books_wait_s: float) -> None:
    """Errors: Fail, for Ctrl-C too."""
    import uvloop

    from loadtest.trace.campaigns import NotMade
    from loadtest.trace.lines import Away

    again = f"--run {played.terms.run} with the same file and flags goes on with it"
    try:
        uvloop.run(played.run(connections, books_wait_s))
    except KeyboardInterrupt:
        raise Fail(INTERRUPTED, "interrupted", f"stopped: {_so_far(played)}", again) from None
    except Away as error:
        raise Fail(UNAVAILABLE, "unreachable", f"the gateway is away: {error}; {_so_far(played)}", again) from None
    except NotMade as error:
        exit_code = AUTH if error.answer.status in (401, 403) else FAILURE
        raise Fail(exit_code, "campaign_refused", f"a campaign can't be made: {error}") from None


def _so_far(played: "Replay") -> str:
    from gateway.cli.replay_screen import row

    truth = played.truth()
    told = f"{truth.answered:,} of {len(played.trace.rows):,} rows were answered"
    return f"{told}, all as the oracle says" if truth.holds else f"{told}; {row(truth.differing[0]._asdict())}"
