"""`fairclaim alerts`: what is wrong now, and who is told. Through the gateway: an API key says who it is."""

from typing import Annotated, Any

import typer

from gateway.cli.flags import JsonFlag
from gateway.cli.options import flag_of
from gateway.cli.output import FAILURE, USAGE, Fail, emit
from gateway.cli.tables import facts, table
from gateway.cli.through import Opened, through_gateway

PATH, RECEIVERS, THRESHOLDS = "/v1/alerts", "/v1/alert-receivers", "/v1/alert-thresholds"

app = typer.Typer(
    no_args_is_help=True, help="What is wrong now, and who is told: list, ack, thresholds, receivers, test."
)

_Id = Annotated[int, typer.Argument(metavar="ID", min=1, help="The alert, as `list` shows it.", show_default=False)]


@app.command("list")
@through_gateway
def list_(
    opened: Opened,
    everything: Annotated[bool, flag_of("alerts list", "--all", "-a", help="Those that are over too.")] = False,
    kind: Annotated[
        str | None, flag_of("alerts list", "--kind", "-k", help="Only of this kind.", show_default=False)
    ] = None,
    campaign: Annotated[
        str | None, flag_of("alerts list", "--campaign", "-c", help="Only of this campaign.", show_default=False)
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """
    List the alerts that are open, the newest first.

    \b
    Example:
      fairclaim alerts list --campaign demo

    Exit codes: 0 done, 2 usage, 5 credentials, 6 no gateway.
    """
    asked = {"state": None if everything else "open", "kind": kind, "campaign": campaign}
    found = opened().ask_all(PATH, {name: text for name, text in asked.items() if text is not None})
    columns = ("id", "severity", "kind", "campaign", "says", "since, UTC@", "over@", "acknowledged by")
    rows = [
        [each[name] for name in ("id", "severity", "kind", "campaign", "says", "raised_at", "cleared_at")]
        + [each["acknowledged_by"]]
        for each in found
    ]
    emit({"items": found, "next": None}, as_json, lambda: table(columns, rows, none="no alerts"))


@app.command()
@through_gateway
def ack(
    opened: Opened,
    id_: _Id,
    note: Annotated[
        str | None, flag_of("alerts ack", "--note", "-n", help="What there is to say.", show_default=False)
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """
    Say that you have seen an alert. It stays open until it is over.

    \b
    Example:
      fairclaim alerts ack 7 --note "second pallet is on its way"

    Exit codes: 0 done, 2 usage, 3 no such alert, 4 it is acknowledged or over, 5 credentials, 6 no gateway.
    """
    done = opened().ask("POST", f"{PATH}/{id_}/acknowledge", {"note": note}).body
    emit(done, as_json, lambda: facts(_told(done)))


@app.command()
@through_gateway
def thresholds(
    opened: Opened,
    as_json: JsonFlag = False,
) -> None:
    """
    Show how far is too far, of everything and of campaigns that have a threshold of their own.

    \b
    Example:
      fairclaim alerts thresholds

    Exit codes: 0 done, 2 usage, 5 credentials, 6 no gateway.
    """
    found = opened().ask("GET", THRESHOLDS).body["items"]
    columns = ("kind", "campaign", "threshold", "unit", "default", "changed by")
    rows = [
        [
            each["kind"],
            each["campaign"] or "all",
            _value(each),
            each["unit"],
            f"{each['default']:g}",
            each["changed_by"],
        ]
        for each in found
    ]
    emit({"items": found}, as_json, lambda: table(columns, rows))


@app.command()
@through_gateway
def receivers(
    opened: Opened,
    as_json: JsonFlag = False,
) -> None:
    """
    List who is told of alerts, and whether it arrives.

    \b
    Example:
      fairclaim alerts receivers

    Exit codes: 0 done, 2 usage, 5 credentials, 6 no gateway.
    """
    found = opened().ask("GET", RECEIVERS).body["items"]
    columns = ("id", "by", "name", "address", "state", "told of", "last arrived@", "last error")
    names = ("id", "by", "name", "address", "state")
    rows = [
        [*(each[name] for name in names), ", ".join(each["kinds"]) or "all", each["last_sent_at"], each["last_error"]]
        for each in found
    ]
    emit({"items": found}, as_json, lambda: table(columns, rows, none="nobody is told"))


@app.command("test")
@through_gateway
def try_(
    opened: Opened,
    receiver: Annotated[
        str, typer.Argument(metavar="RECEIVER", help="Its id, as `receivers` shows it.", show_default=False)
    ],
    as_json: JsonFlag = False,
) -> None:
    """
    Send a trial to a receiver now, and say whether it arrived.

    \b
    Example:
      fairclaim alerts test ar_0f3c9a6d21b7e84c

    Exit codes: 0 it arrived, 1 it did not, 2 usage, 3 no such receiver, 5 credentials, 6 no gateway.
    """
    if not receiver.isascii() or not receiver.replace("_", "").isalnum():
        raise Fail(USAGE, "bad_id", f"{receiver!r} is no id", "`fairclaim alerts receivers` shows them")
    done = opened().ask("POST", f"{RECEIVERS}/{receiver}/test").body
    emit(done, as_json, lambda: "it arrived" if done["arrived"] else f"it did not arrive: {done['error']}")
    if not done["arrived"]:
        raise typer.Exit(FAILURE)


def _told(one: dict[str, Any]) -> list[tuple[str, object]]:
    names = ("id", "severity", "kind", "campaign", "says", "raised_at", "acknowledged_by", "note")
    return [(name, one[name]) for name in names]


def _value(each: dict[str, Any]) -> str:
    return "not watched" if each["value"] is None else f"{each['value']:g}"
