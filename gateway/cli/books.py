"""What the commands of `fairclaim ledger` share: a snapshot of the books, and amounts as people read them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from gateway.cli.output import USAGE, Fail
from gateway.cli.ready import server_urls
from gateway.settings import Settings

if TYPE_CHECKING:
    import psycopg

    from reconciler.books.asked import Bounds

T = TypeVar("T")


BASIS_ABOUT = "By which date a journal counts: effective, occurred or posted."
ZONE_ABOUT = "Where days of instants begin and end, such as Asia/Shanghai."
SINCE_ABOUT = "The first date, or an instant (not by the effective date)."
UNTIL_ABOUT = "The last date, all of it, or an instant."
AS_OF_ABOUT = "A date, all of it, or an instant; else now."
ENTITY_ABOUT = "Of one legal entity."
CAMPAIGN_ABOUT = "Of one campaign."

Account = Annotated[str, typer.Argument(help="An account, such as payable:m-1.", show_default=False)]


def read_books(settings: Settings, act: "Callable[[psycopg.AsyncConnection[Any]], Awaitable[T]]") -> T:
    """
    Run *act* on one snapshot of the books.

    Errors: Fail(USAGE) for what can't be asked, Fail(UNAVAILABLE) when PostgreSQL can't be reached.
    """
    import psycopg

    from gateway.cli.key import postgres_fail
    from reconciler.books.asked import BadAsk

    (url,) = server_urls(settings, "postgres_url")

    async def run() -> T:
        async with await psycopg.AsyncConnection.connect(
            url, autocommit=True, connect_timeout=10, options="-c role=fairclaim_reader -c statement_timeout=0"
        ) as connection:
            await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
            async with connection.transaction():
                return await act(connection)

    try:
        return asyncio.run(run())
    except BadAsk as error:
        raise Fail(USAGE, "bad_request", f"--{error.field.replace('_', '-')}: {error.rule}") from None
    except psycopg.Error as error:
        raise postgres_fail(error) from None


def bounds_from(basis: str, zone: str, *, since: str | None, until: str | None, last: str = "until") -> "Bounds":
    """The bounds that flags ask for. Errors: Fail(USAGE)."""
    from reconciler.books.asked import BadAsk, bounds_of

    try:
        return bounds_of(basis, zone, since=since, until=until, last=last)
    except BadAsk as error:
        raise Fail(USAGE, "bad_request", f"--{error.field.replace('_', '-')}: {error.rule}") from None


def amount(minor: int, commodity: str) -> str:
    """*minor* of *commodity* as people read it: 1,234.50 of a currency of two places, 1,234 coupons."""
    from gateway.campaigns.currencies import exponent

    places = 0 if commodity.startswith("coupon:") else exponent(commodity)
    whole, part = divmod(abs(minor), 10**places)
    text = f"{whole:,}" + (f".{part:0{places}d}" if places else "")
    return f"-{text}" if minor < 0 else text


def existing(account: str) -> str:
    """*account*, which the chart has. Errors: Fail(USAGE)."""
    from reconciler.books.chart import look_up

    if look_up(account) is None:
        hint = "docs/accounting.md has the chart; `fairclaim ledger balance` shows the accounts in use"
        raise Fail(USAGE, "bad_account", f"the chart of accounts has no {account!r}", hint)
    return account
