"""`fairclaim proposal`: what moves money and takes two people. Through the gateway: an API key says who it is."""

from typing import Annotated, Any
from uuid import uuid4

import typer

from gateway.cli.campaign_body import read_body
from gateway.cli.flags import JsonFlag
from gateway.cli.options import flag_of
from gateway.cli.output import USAGE, Fail, emit
from gateway.cli.tables import facts, table
from gateway.cli.through import Opened, through_gateway

PATH = "/v1/proposals"

app = typer.Typer(no_args_is_help=True, help="What takes two people: list, show, make, approve, reject, withdraw.")

_Id = Annotated[str, typer.Argument(metavar="ID", help="Its id, as `list` shows it.", show_default=False)]


@app.command("list")
@through_gateway
def list_(
    opened: Opened,
    mine: Annotated[
        bool, flag_of("proposal list", "--waiting", "-w", help="Only those that you may approve or reject now.")
    ] = False,
    state: Annotated[
        str | None,
        flag_of(
            "proposal list",
            "--state",
            help="Only those pending, approved, applied, failed, rejected, withdrawn or expired.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """
    List proposals, and drafts of manual journals, the last made first.

    \b
    Example:
      fairclaim proposal list --waiting

    Exit codes: 0 done, 2 usage, 5 credentials, 6 no gateway.
    """
    asked = {"state": state, "waiting_for": "me" if mine else None}
    found = opened().ask_all(PATH, {name: text for name, text in asked.items() if text is not None})
    names = ("id", "state", "kind", "about", "made_by", "made_at", "decided_by", "reason")
    columns = ("id", "state", "kind", "about", "made by", "made at@", "decided by", "reason")
    rows = [[each[name] for name in names] for each in found]
    emit({"items": found, "next": None}, as_json, lambda: table(columns, rows, none="no proposals"))


@app.command()
@through_gateway
def show(
    opened: Opened,
    proposal_id: _Id,
    as_json: JsonFlag = False,
) -> None:
    """
    Show a proposal: what was asked, what it would change, and what became of it.

    \b
    Example:
      fairclaim proposal show pr_0f3c9a6d21b7e84c5d10a2f7

    Exit codes: 0 done, 2 usage, 3 no such proposal, 5 credentials, 6 no gateway.
    """
    found = opened().ask("GET", f"{PATH}/{_checked(proposal_id)}").body
    emit(found, as_json, lambda: _shown(found))


@app.command()
@through_gateway
def make(
    opened: Opened,
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="The body of POST /v1/proposals as JSON, - for stdin.", show_default=False),
    ],
    key: Annotated[
        str | None, flag_of("proposal make", "--key", help="Idempotency-Key, to repeat it.", show_default=False)
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """
    Propose what moves money; it is done when somebody of another name approves it.

    \b
    Example:
      echo '{"kind": "stock_adjustment", "campaign": "demo", "delta": 50, "reason": "more"}' | fairclaim proposal make -

    Exit codes: 0 done, 2 usage, 3 no such campaign or entity, 4 it can't be done, or another one waits for the same,
    5 credentials, 6 no gateway.
    """
    body = read_body(file, "FILE")
    made = opened().ask("POST", PATH, body, key=key or str(uuid4())).body
    emit(made, as_json, lambda: _shown(made))


@app.command()
@through_gateway
def approve(
    opened: Opened,
    proposal_id: _Id,
    said: Annotated[
        str | None, flag_of("proposal approve", "--said", help="What there is to say.", show_default=False)
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """
    Approve what somebody else proposed, and do it.

    \b
    Example:
      fairclaim proposal approve pr_0f3c9a6d21b7e84c5d10a2f7

    Exit codes: 0 done, 2 usage, 3 no such proposal, 4 it is decided, or can't be done any more, 5 credentials, or your
    own proposal, 6 no gateway.
    """
    done = opened().ask("POST", f"{PATH}/{_checked(proposal_id)}/approve", {"said": said}).body
    emit(done, as_json, lambda: _shown(done))


@app.command()
@through_gateway
def reject(
    opened: Opened,
    proposal_id: _Id,
    said: Annotated[str, flag_of("proposal reject", "--said", help="Why.", show_default=False)],
    as_json: JsonFlag = False,
) -> None:
    """
    Reject for good what somebody else proposed.

    \b
    Example:
      fairclaim proposal reject pr_0f3c9a6d21b7e84c5d10a2f7 --said "another campaign's pallet"

    Exit codes: 0 done, 2 usage, 3 no such proposal, 4 it is decided, 5 credentials, or your own proposal, 6 no gateway.
    """
    done = opened().ask("POST", f"{PATH}/{_checked(proposal_id)}/reject", {"said": said}).body
    emit(done, as_json, lambda: _shown(done))


@app.command()
@through_gateway
def withdraw(
    opened: Opened,
    proposal_id: _Id,
    said: Annotated[
        str | None, flag_of("proposal withdraw", "--said", help="What there is to say.", show_default=False)
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """
    Take back your own proposal.

    \b
    Example:
      fairclaim proposal withdraw pr_0f3c9a6d21b7e84c5d10a2f7

    Exit codes: 0 done, 2 usage, 3 no such proposal, 4 it is decided, 5 credentials, or another's, 6 no gateway.
    """
    done = opened().ask("POST", f"{PATH}/{_checked(proposal_id)}/withdraw", {"said": said}).body
    emit(done, as_json, lambda: _shown(done))


def _checked(proposal_id: str) -> str:
    if not proposal_id.isascii() or not proposal_id.replace("_", "").isalnum():
        raise Fail(USAGE, "bad_id", f"{proposal_id!r} is no id", "`fairclaim proposal list` shows them")
    return proposal_id


def _shown(one: dict[str, Any]) -> str:
    parts = ("asked", "before", "outcome")
    told = [(name, value) for name, value in one.items() if name not in parts]
    shown = [f"{name}\n{facts(_flat(one[name]))}" for name in parts if one[name]]
    return "\n\n".join([facts(told), *shown])


def _flat(value: dict[str, Any], within: str = "  ") -> list[tuple[str, object]]:
    """Every member of *value*, and of what is in it, with where it is."""
    found: list[tuple[str, object]] = []
    for name, part in value.items():
        if isinstance(part, dict):
            found += _flat(part, f"{within}{name}.")
        elif isinstance(part, list):
            for number, each in enumerate(part):
                found += _flat({f"{name}[{number}]": each}, within)
        else:
            found.append((f"{within}{name}", part))
    return found
