"""For finance: accounts, their balances as of any time, and statements."""

from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.operation import PAGE, Operation, Parameter
from gateway.finance.asking import (
    AS_OF,
    BASIS,
    READERS,
    SCOPE,
    WINDOW,
    ZONE,
    account_in,
    bounds_in,
    scope_in,
    snapshot_of,
    text_of,
)
from gateway.issuing.asked import refuse
from gateway.routes.access import staff
from gateway.routes.paging import Page, make_cursor, page_limit, read_cursor
from gateway.services import services
from gateway.wire import json_response
from reconciler.books import accounts as chart
from reconciler.books import balances as books
from reconciler.books.balances import BYS, Balance, By, Total, Wanted
from reconciler.books.statement import Line, Movement, Place, statement
from reconciler.reports.shape import Basis

Book = Literal["units", "money"]
_BOOK = Parameter("book", Book, "The unit book or the money book; else the money book.")
_BY = Parameter("by", By, "What accounts are named after, or the accounts themselves, which is the default.")
_Name = Annotated[str, msgspec.Meta(max_length=256, pattern="^[^\\x00]*$")]


class _Place(NamedTuple):
    """The last balance shown."""

    name: _Name
    account: _Name
    commodity: _Name


class Accounts(Page[chart.Account]):
    """Accounts that ever moved, by name."""


class AccountBalance(msgspec.Struct):
    """What an account stands at, a commodity. *normal* is the side that its balance is on."""

    account: str
    normal: Literal["debit", "credit"]
    basis: Basis
    as_of: str | None
    balances: list[Total]


class Balances(Page[Balance]):
    """Balances by name, and what all of them come to, on every page alike."""

    by: By
    basis: Basis
    as_of: str | None
    totals: list[Total]


class AccountStatement(Page[Movement]):
    """An account between two times: a line a commodity, and its movements, oldest first."""

    account: str
    normal: Literal["debit", "credit"]
    basis: Basis
    since: str | None
    until: str | None
    lines: list[Line]


async def see_accounts(request: Request) -> Response:
    """The accounts that ever moved, with what the chart of accounts says of each."""
    await staff(request, *READERS)
    here, scope = services(request), scope_in(request)
    limit, of_list = page_limit(request, here.settings.page_rows_max), f"accounts {scope}"
    after = read_cursor(request, _Name, of_list) or ""
    async with snapshot_of(here.pool, scope) as connection:
        found = await chart.accounts(connection, scope, limit + 1, after)
    more = make_cursor(found[limit - 1].account, of_list) if len(found) > limit else None
    return json_response({"items": found[:limit], "next": more})


async def see_balance(request: Request) -> Response:
    """What an account stands at, as of any time, by any of the three dates."""
    await staff(request, *READERS)
    account, entry = account_in(request)
    wanted = Wanted(bounds=bounds_in(request, "as_of"), scope=scope_in(request), account=account)
    async with snapshot_of(services(request).pool, wanted.scope, account=account) as connection:
        found = await books.totals(connection, wanted)
    as_of = text_of(request, "as_of")
    return json_response(AccountBalance(account, entry.normal, wanted.bounds.basis, as_of, found))


async def see_balances(request: Request) -> Response:
    """Balances as of any time: of every account, or by campaign, funder or merchant."""
    await staff(request, *READERS)
    here, by, book = services(request), text_of(request, "by", "account"), text_of(request, "book", "money")
    if by not in BYS:
        raise refuse("by", f"one of {', '.join(BYS)}")
    if book not in ("units", "money"):
        raise refuse("book", "units or money")
    bounds, scope = bounds_in(request, "as_of"), scope_in(request)
    wanted = Wanted(by, bounds, scope, units=book == "units")
    limit, of_list = page_limit(request, here.settings.page_rows_max), f"balances {wanted}"
    after = read_cursor(request, _Place, of_list) or books.START
    async with snapshot_of(here.pool, scope) as connection:
        found = await books.balances(connection, wanted, limit + 1, after)
        totals = await books.totals(connection, wanted)
    last = found[limit - 1] if len(found) > limit else None
    more = last and make_cursor(_Place(last.name, last.account, last.commodity), of_list)
    told: dict[str, Any] = {"by": by, "basis": bounds.basis, "as_of": text_of(request, "as_of"), "totals": totals}
    return json_response({**told, "items": found[:limit], "next": more})


async def see_statement(request: Request) -> Response:
    """An account between two times: opening, every movement with what it then stood at, closing."""
    await staff(request, *READERS)
    account, entry = account_in(request)
    here, bounds, scope = services(request), bounds_in(request), scope_in(request)
    limit, of_list = page_limit(request, here.settings.page_rows_max), f"statement {account} {bounds} {scope}"
    after = read_cursor(request, Place, of_list)
    async with snapshot_of(here.pool, scope, account=account) as connection:
        found = await statement(connection, account, bounds, scope, limit, after)
    return json_response(
        {
            "account": account,
            "normal": entry.normal,
            "basis": bounds.basis,
            "since": text_of(request, "since"),
            "until": text_of(request, "until"),
            "lines": found.lines,
            "items": found.movements,
            "next": found.place and make_cursor(found.place, of_list),
        }
    )


routes = [
    Operation(
        "GET",
        "/v1/ledger/accounts",
        see_accounts,
        under="Ledger",
        who=READERS,
        query=(*SCOPE, *PAGE),
        gives={200: Accounts},
        refuses=("not_found",),
    ),
    Operation(
        "GET",
        "/v1/ledger/accounts/{account:path}/balance",
        see_balance,
        under="Ledger",
        who=READERS,
        query=(AS_OF, BASIS, ZONE, *SCOPE),
        gives={200: AccountBalance},
        refuses=("not_found",),
    ),
    Operation(
        "GET",
        "/v1/ledger/accounts/{account:path}/statement",
        see_statement,
        under="Ledger",
        who=READERS,
        query=(*WINDOW, *SCOPE, *PAGE),
        gives={200: AccountStatement},
        refuses=("not_found",),
    ),
    Operation(
        "GET",
        "/v1/ledger/balances",
        see_balances,
        under="Ledger",
        who=READERS,
        query=(_BY, AS_OF, BASIS, ZONE, _BOOK, *SCOPE, *PAGE),
        gives={200: Balances},
        refuses=("not_found",),
    ),
]
