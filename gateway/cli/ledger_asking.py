"""What the commands of `fairclaim ledger` share: a snapshot of the books, and amounts as people read them."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from gateway.cli.connections import with_snapshot
from gateway.cli.known import known_names
from gateway.cli.options import flag_of
from gateway.cli.output import USAGE, Fail
from gateway.settings import Settings

if TYPE_CHECKING:
    from datetime import date

    from psycopg import AsyncConnection

    from reconciler.books.asked import Bounds, Scope

T = TypeVar("T")

_ABOUT = {
    "--basis": "By which date a journal counts: effective, occurred or posted.",
    "--zone": "Where days of instants begin and end, such as Asia/Shanghai.",
    "--since": "The first date, or an instant (not by the effective date).",
    "--until": "The last date, all of it, or an instant.",
    "--as-of": "A date, all of it, or an instant; else now.",
    "--entity": "Of one legal entity.",
    "--campaign": "Of one campaign.",
}

Account = Annotated[str, typer.Argument(help="An account, such as payable:m-1.", show_default=False)]


def asked_by(command: str, flag: str) -> Any:
    """The option *flag* of *command*, which says the same in each command that has it."""
    return flag_of(f"ledger {command}", flag, help=_ABOUT[flag], show_default=flag in ("--basis", "--zone"))


def read_books(
    settings: Settings,
    act: "Callable[[AsyncConnection[Any]], Awaitable[T]]",
    scope: "Scope | None" = None,
    *,
    account: str | None = None,
    chain: str | None = None,
) -> T:
    """
    Run *act* on one snapshot of the books, which know what *scope* names, *account* and *chain*.

    Errors: Fail(USAGE) for what can't be asked, Fail(NOT_FOUND) for a name that is not known, Fail(UNAVAILABLE) when
    PostgreSQL can't be reached.
    """
    from reconciler.reports.known import check_known_async
    from reconciler.reports.shape import Asked

    entity, campaign = scope or (None, None)
    names = Asked(entity=entity, campaign=campaign, account=account)

    async def known(connection: "AsyncConnection[Any]") -> T:
        await check_known_async(connection, names, chain=chain)
        return await act(connection)

    with good_flags(), known_names():
        return with_snapshot(settings, known)


@contextmanager
def good_flags() -> Iterator[None]:
    """Errors: Fail(USAGE) that names the flag, for what can't be asked."""
    from reconciler.reports.asking import BadAsk

    try:
        yield
    except BadAsk as error:
        raise Fail(USAGE, "bad_request", f"--{error.field.replace('_', '-')}: {error.rule}") from None


def bounds_from(basis: str, zone: str, *, since: str | None, until: str | None, last: str = "until") -> "Bounds":
    """The bounds that flags ask for. Errors: Fail(USAGE)."""
    from reconciler.books.asked import bounds_of

    with good_flags():
        return bounds_of(basis, zone, since=since, until=until, last=last)


def day_from(flag: str, text: str) -> "date":
    """The day that *flag* names. Errors: Fail(USAGE)."""
    from reconciler.books.asked import day_of

    with good_flags():
        return day_of(flag, text)


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
