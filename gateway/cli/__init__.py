"""
The command line, and the one room that may import gateway, reconciler and loadtest: it puts them together.

    output.py   how every command answers; exit codes        flags.py   settings as flags
    up serve worker reconcile clerk migrate doctor           run and look after the processes
    campaign codes claim token key user status proposal alerts    talk to a running gateway
    ledger period entity report export                       finance: reads the books, and closes them
    stocktake breaks verdict outside                         finance: compares
    replay                                                   plays a recorded sale against a running gateway

Commands import what they need when they run, so that --help and completion are quick.
"""

import sys
from functools import cache
from typing import Annotated, Any

import typer

from gateway.cli import alerts, breaks, campaign, codes, entity, export, key, ledger, outside, period, proposal, user
from gateway.cli.claim import claim
from gateway.cli.clerk import clerk
from gateway.cli.doctor import doctor
from gateway.cli.migrate import migrate
from gateway.cli.output import INTERRUPTED, UNAVAILABLE, USAGE, Fail, complain, wants_json
from gateway.cli.reconcile import reconcile
from gateway.cli.replay import replay
from gateway.cli.report import report
from gateway.cli.serve import serve
from gateway.cli.status import status
from gateway.cli.stocktake import stocktake
from gateway.cli.token import token
from gateway.cli.up import up
from gateway.cli.verdict import verdict
from gateway.cli.worker import worker

app = typer.Typer(
    name="fairclaim",
    help="Every coupon exactly once: a flash-claim gateway with books.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 conflict, 5 credentials, 6 unavailable, 130 Ctrl-C.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"fairclaim {version('fairclaim')}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Every coupon exactly once: a flash-claim gateway with books."""


app.command("up")(up)
app.command("serve")(serve)
app.command("worker", hidden=True)(worker)
app.command("reconcile")(reconcile)
app.command("clerk")(clerk)
app.command("migrate")(migrate)
app.command("doctor")(doctor)
app.add_typer(campaign.app, name="campaign")
app.add_typer(codes.app, name="codes")
app.command("claim")(claim)
app.command("token")(token)
app.add_typer(key.app, name="key")
app.add_typer(user.app, name="user")
app.add_typer(ledger.app, name="ledger")
app.command("report")(report)
app.add_typer(export.app, name="export")
app.add_typer(period.app, name="period")
app.add_typer(entity.app, name="entity")
app.add_typer(proposal.app, name="proposal")
app.command("status")(status)
app.command("stocktake")(stocktake)
app.add_typer(breaks.app, name="breaks")
app.add_typer(alerts.app, name="alerts")
app.command("verdict")(verdict)
app.add_typer(outside.app, name="outside")
app.command("replay")(replay)


@cache
def _commands() -> Any:
    """All of *app* as what runs it: it takes 50 ms to make, for each command line of a process that has several."""
    return typer.main.get_command(app)


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code."""
    as_json = wants_json(arguments)
    try:
        result = _commands()(args=arguments, prog_name="fairclaim", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except Fail as fail:
        complain(fail, as_json)
        return fail.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        sys.stdout = None  # whoever read our output is gone, and the exit would try to flush it again
        return UNAVAILABLE
    except typer.TyperException as error:
        return _usage(error, as_json)


def _usage(error: typer.TyperException, as_json: bool) -> int:
    """A command line that could not be understood; the error is typer's own."""
    shown = getattr(error, "format_message", None)
    if shown is None or type(error).__name__ == "NoArgsIsHelpError":
        show = getattr(error, "show", None)
        print(error, file=sys.stderr) if show is None else show()
        return USAGE
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "fairclaim"
    complain(Fail(USAGE, "usage", shown().replace("\n", " "), f"`{path} --help` shows how"), as_json)
    return USAGE


def main() -> None:
    """Run the command line of this process."""
    sys.exit(run(sys.argv[1:]))
