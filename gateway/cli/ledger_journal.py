"""`fairclaim ledger journal`: journals that people make. Through the gateway, because an API key says who it is."""

import re
import shlex
from typing import Annotated, Any
from uuid import uuid4

import typer

from gateway.cli.flags import JsonFlag
from gateway.cli.ledger_asking import amount, day_from
from gateway.cli.options import flag_of
from gateway.cli.output import USAGE, Fail, emit
from gateway.cli.tables import facts, table
from gateway.cli.through import Opened, through_gateway

PATH = "/v1/ledger/manual-journals"

_FLAGS = {
    "effective_date": "date", "reason": "reason", "lines": "line", "reverses": "reverses", "about": "about",
    "attachment": "attachment", "entity": "entity", "settles": "settles",
}  # fmt: skip
"""Member of the body → the flag it comes from."""

app = typer.Typer(no_args_is_help=True, help="Journals that people make: draft, approve, reject, list, show.")

_Id = Annotated[str, typer.Argument(metavar="ID", help="Its id, as `list` shows it.", show_default=False)]


@app.command()
@through_gateway
def draft(
    opened: Opened,
    date: Annotated[
        str, flag_of("ledger journal draft", "--date", help="The date it is booked on.", show_default=False)
    ],
    reason: Annotated[str, flag_of("ledger journal draft", "--reason", help="What it is for.", show_default=False)],
    line: Annotated[
        list[str] | None,
        flag_of(
            "ledger journal draft",
            "--line",
            "-l",
            help="debit credit amount currency, and the order that it settles: 'payable:m-1 clearing:bank 12.50 CNY'; "
            "of coupons their number.",
            show_default=False,
        ),
    ] = None,
    reverses: Annotated[
        int | None,
        flag_of("ledger journal draft", "--reverses", help="The manual journal to undo; no lines.", show_default=False),
    ] = None,
    settles: Annotated[
        str | None,
        flag_of(
            "ledger journal draft",
            "--settles",
            help="The file of another system whose orders its lines settle.",
            show_default=False,
        ),
    ] = None,
    about: Annotated[
        str | None,
        flag_of("ledger journal draft", "--about", help="The shard that it is about.", show_default=False),
    ] = None,
    attachment: Annotated[
        str, flag_of("ledger journal draft", "--attachment", help="Where its voucher is.", show_default=False)
    ] = "",
    entity: Annotated[str, flag_of("ledger journal draft", "--entity", help="The legal entity.")] = "main",
    key: Annotated[
        str | None,
        flag_of("ledger journal draft", "--key", help="Idempotency-Key, to repeat it.", show_default=False),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """
    Draft a journal; it is posted when somebody with another API key approves it.

    \b
    Example:
      fairclaim ledger journal draft --date 2026-11-30 --reason "Paid out" -l "payable:m-1 clearing:bank 12.50 CNY"

    Exit codes: 0 done, 2 usage, 3 no such campaign or journal, 4 the date is closed or on hold, or it can't be
    reversed, 5 credentials, 6 no gateway.
    """
    body = {
        "effective_date": str(day_from("date", date)),
        "reason": reason,
        "attachment": attachment,
        "entity": entity,
        "about": about,
        "reverses": reverses,
        "settles": settles,
        "lines": [_line(text) for text in line or []],
    }
    try:
        made = opened().ask("POST", PATH, body, key=key or str(uuid4())).body
    except Fail as fail:
        raise _by_flag(fail) from None
    emit(made, as_json, lambda: _shown(made))


@app.command()
@through_gateway
def approve(
    opened: Opened,
    journal_id: _Id,
    as_json: JsonFlag = False,
) -> None:
    """
    Approve what somebody else drafted: the reconciler posts it within about a second.

    \b
    Example:
      fairclaim ledger journal approve mj_0f3c9a6d21b7e84c5d10a2f7

    Exit codes: 0 done, 2 usage, 3 no such draft, 4 it is no draft any more, or its date is closed, 5 credentials, or
    your own draft, 6 no gateway.
    """
    done = opened().ask("POST", f"{PATH}/{_checked(journal_id)}/approve").body
    emit(done, as_json, lambda: _shown(done))


@app.command()
@through_gateway
def reject(
    opened: Opened,
    journal_id: _Id,
    reason: Annotated[str, flag_of("ledger journal reject", "--reason", help="Why.", show_default=False)],
    as_json: JsonFlag = False,
) -> None:
    """
    Reject a draft for good, or take back your own.

    \b
    Example:
      fairclaim ledger journal reject mj_0f3c9a6d21b7e84c5d10a2f7 --reason "of another month"

    Exit codes: 0 done, 2 usage, 3 no such draft, 4 it is no draft any more, 5 credentials, 6 no gateway.
    """
    done = opened().ask("POST", f"{PATH}/{_checked(journal_id)}/reject", {"reason": reason}).body
    emit(done, as_json, lambda: _shown(done))


@app.command()
@through_gateway
def show(
    opened: Opened,
    journal_id: _Id,
    as_json: JsonFlag = False,
) -> None:
    """
    Show a manual journal as it is now.

    \b
    Example:
      fairclaim ledger journal show mj_0f3c9a6d21b7e84c5d10a2f7

    Exit codes: 0 done, 2 usage, 3 no such journal, 5 credentials, 6 no gateway.
    """
    found = opened().ask("GET", f"{PATH}/{_checked(journal_id)}").body
    emit(found, as_json, lambda: _shown(found))


@app.command("list")
@through_gateway
def list_(
    opened: Opened,
    state: Annotated[
        str | None,
        flag_of(
            "ledger journal list",
            "--state",
            help="Only those drafted, approved, posted or rejected.",
            show_default=False,
        ),
    ] = None,
    entity: Annotated[
        str | None,
        flag_of("ledger journal list", "--entity", help="Only those of this legal entity.", show_default=False),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """
    List manual journals, the last drafted first.

    \b
    Example:
      fairclaim ledger journal list --state drafted

    Exit codes: 0 done, 2 usage, 3 no such entity, 5 credentials, 6 no gateway.
    """
    asked = {"state": state, "entity": entity}
    found = opened().ask_all(PATH, {name: text for name, text in asked.items() if text is not None})
    columns = ("id", "state", "date", "made by", "checked by", "reason")
    names = ("id", "state", "effective_date", "made_by", "checked_by", "reason")
    rows = [[each[name] for name in names] for each in found]
    emit({"items": found, "next": None}, as_json, lambda: table(columns, rows, none="no manual journals"))


def _line(text: str) -> dict[str, Any]:
    """A line as it is typed. Errors: Fail(USAGE)."""
    from gateway.till.money import NotAnAmount, parse_money

    try:
        debit, credit, typed, commodity, *rest = shlex.split(text)
        order = dict(zip(("order_id",), rest, strict=bool(rest)))
        minor = int(typed) if commodity.startswith("coupon:") else parse_money(typed, commodity)
    except NotAnAmount as error:
        raise Fail(USAGE, "bad_line", f"--line {text!r}: {error}") from None
    except ValueError:
        hint = "it is written: debit credit amount currency [order], such as 'payable:m-1 clearing:bank 12.50 CNY'"
        raise Fail(USAGE, "bad_line", f"--line {text!r} can't be read", hint) from None
    return {"debit": debit, "credit": credit, "commodity": commodity, "minor": minor} | order


def _by_flag(fail: Fail) -> Fail:
    """*fail* with the flag in place of the member of the body that it names, if it names one."""
    member = re.match(r"(\w+)(?:\[(\d+)\]\.?(\w*))?: ", fail.message)
    if member is None or member[1] not in _FLAGS:
        return fail
    which = "" if member[2] is None else f" {int(member[2]) + 1} {member[3]}".rstrip()
    rule = fail.message[member.end() :]
    return Fail(fail.exit_code, fail.code, f"--{_FLAGS[member[1]]}{which}: {rule}", fail.hint)


def _checked(journal_id: str) -> str:
    if not journal_id.isascii() or not journal_id.replace("_", "").isalnum():
        raise Fail(USAGE, "bad_id", f"{journal_id!r} is no id", "`fairclaim ledger journal list` shows them")
    return journal_id


def _shown(one: dict[str, Any]) -> str:
    told = [(name, value) for name, value in one.items() if name not in ("lines", "journal") and value != ""]
    number = one["journal"] and str(one["journal"])
    lines = [
        [
            each["debit"],
            each["credit"],
            each["commodity"],
            amount(each["minor"], each["commodity"]),
            each.get("order_id"),
        ]
        for each in one["lines"]
    ]
    return (
        f"{facts([*told, ('journal', number)])}\n\n{table(('debit', 'credit', 'commodity', 'amount#', 'order'), lines)}"
    )
