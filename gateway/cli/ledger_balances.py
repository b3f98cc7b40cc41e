"""`fairclaim ledger balance` and `statement`: what accounts stand at, and how they came there."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.flags import JsonFlag, settings_from
from gateway.cli.ledger_asking import (
    Account,
    amount,
    asked_by,
    bounds_from,
    existing,
    read_books,
)
from gateway.cli.options import DataDir, PostgresUrl, ReadyFile, flag_of
from gateway.cli.output import FAILURE, USAGE, Fail, emit
from gateway.cli.tables import table

if TYPE_CHECKING:
    import psycopg

    from reconciler.books.balances import Balance, Total
    from reconciler.books.statement import Statement

ROWS_MAX = 100_000

_BalanceBasis = Annotated[str, asked_by("balance", "--basis")]
_BalanceZone = Annotated[str, asked_by("balance", "--zone")]
_BalanceEntity = Annotated[str | None, asked_by("balance", "--entity")]
_BalanceCampaign = Annotated[str | None, asked_by("balance", "--campaign")]
_StatementBasis = Annotated[str, asked_by("statement", "--basis")]
_StatementZone = Annotated[str, asked_by("statement", "--zone")]
_StatementSince = Annotated[str | None, asked_by("statement", "--since")]
_StatementUntil = Annotated[str | None, asked_by("statement", "--until")]
_StatementEntity = Annotated[str | None, asked_by("statement", "--entity")]
_StatementCampaign = Annotated[str | None, asked_by("statement", "--campaign")]


def balance(
    account: Annotated[
        str | None, typer.Argument(help="An account, such as payable:m-1; else all.", show_default=False)
    ] = None,
    by: Annotated[
        str, flag_of("ledger balance", "--by", help="Of what: account, campaign, funder or merchant.")
    ] = "account",
    as_of: Annotated[
        str | None,
        asked_by("balance", "--as-of"),
    ] = None,
    basis: _BalanceBasis = "effective",
    zone: _BalanceZone = "UTC",
    units: Annotated[bool, flag_of("ledger balance", "--units", help="The unit book: coupons, not money.")] = False,
    entity: _BalanceEntity = None,
    campaign: _BalanceCampaign = None,
    postgres_url: PostgresUrl = None,
    ready_file: ReadyFile = None,
    data_dir: DataDir = None,
    as_json: JsonFlag = False,
) -> None:
    """
    Show balances as of any time, and what they come to: of accounts, or by campaign, funder or merchant.

    A balance is debit less credit. The trial balance is in order where the total of each currency is 0.

    \b
    Examples:
      fairclaim ledger balance payable:m-1 --as-of 2026-11-30
      fairclaim ledger balance --by funder --campaign tea

    Exit codes: 0 done, 2 usage, 3 no such account, entity or campaign, 6 PostgreSQL can't be reached.
    """
    from reconciler.books import balances as books
    from reconciler.books.asked import Scope

    if by not in books.BYS:
        raise Fail(USAGE, "bad_request", f"--by: one of {', '.join(books.BYS)}")
    bounds, scope = bounds_from(basis, zone, since=None, until=as_of, last="as_of"), Scope(entity, campaign)
    of_units = None if account else units
    wanted = books.Wanted(by, bounds, scope, account and existing(account), of_units)

    async def ask(connection: "psycopg.AsyncConnection[Any]") -> "tuple[list[Balance], list[Total]]":
        found = await books.balances(connection, wanted, ROWS_MAX)
        return found, await books.totals(connection, wanted)

    settings = settings_from(postgres_url=postgres_url, ready_file=ready_file, data_dir=data_dir)
    found, totals = read_books(settings, ask, scope, account=account)
    data = {"by": by, "basis": basis, "as_of": as_of, "items": found, "totals": totals}
    names = () if by == "account" else (by,)  # an account's name is the account
    rows: list[list[object]] = [
        [*(each.name or "(nobody)" for _ in names), each.account, each.commodity, *_amounts(each)] for each in found
    ]
    rows += [["total", *("" for _ in names), each.commodity, *_amounts(each)] for each in totals]
    columns = (*names, "account", "commodity", "debit#", "credit#", "balance#")
    emit(data, as_json, lambda: table(columns, rows, none="no balances"))


def statement(
    account: Account,
    since: _StatementSince = None,
    until: _StatementUntil = None,
    basis: _StatementBasis = "effective",
    zone: _StatementZone = "UTC",
    entity: _StatementEntity = None,
    campaign: _StatementCampaign = None,
    postgres_url: PostgresUrl = None,
    ready_file: ReadyFile = None,
    data_dir: DataDir = None,
    as_json: JsonFlag = False,
) -> None:
    """
    Show an account between two times: opening, every movement with what it then stood at, closing.

    \b
    Example:
      fairclaim ledger statement payable:m-1 --since 2026-11-01 --until 2026-11-30

    Exit codes: 0 done, 1 more than 100,000 movements: ask for less at a time, 2 usage, 3 no such account, entity or
    campaign, 6 PostgreSQL can't be reached.
    """
    from reconciler.books.asked import Scope
    from reconciler.books.statement import statement as ask_for

    bounds = bounds_from(basis, zone, since=since, until=until)
    name, scope = existing(account), Scope(entity, campaign)
    found = read_books(
        settings_from(postgres_url=postgres_url, ready_file=ready_file, data_dir=data_dir),
        lambda connection: ask_for(connection, name, bounds, scope, ROWS_MAX),
        scope,
        account=name,
    )
    if found.place is not None:
        raise Fail(FAILURE, "too_many", f"{account} has more than {ROWS_MAX:,} movements then", "give --since, --until")
    data = {"account": account, "basis": basis, "since": since, "until": until}
    shown = {**data, "lines": found.lines, "items": found.movements}
    emit(shown, as_json, lambda: _shown_statement(found))


def _amounts(each: Any) -> list[str]:
    return [amount(value, each.commodity) for value in (each.debit, each.credit, each.balance)]


def _shown_statement(found: "Statement") -> str:
    rows: list[list[object]] = [
        ["opening", "", "", "", line.commodity, "", "", amount(line.opening, line.commodity)] for line in found.lines
    ]
    rows += [
        [str(each.effective_date), str(each.journal), each.verb, each.counter, each.commodity, *_amounts(each)]
        for each in found.movements
    ]
    for line in found.lines:
        sides = [amount(value, line.commodity) for value in (line.debit, line.credit, line.closing)]
        rows.append(["closing", "", "", "", line.commodity, *sides])
    columns = ("date", "journal#", "verb", "other side", "commodity", "debit#", "credit#", "balance#")
    return table(columns, rows, none="it never moved by then")
