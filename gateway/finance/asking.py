"""The query of a request as what is asked of the books, and the parameters that say so in the document."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Annotated, Any, overload

import msgspec
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool
from starlette.requests import Request

from gateway.api.operation import Parameter
from gateway.errors import Refusal
from gateway.finance.snapshot import snapshot
from gateway.issuing.asked import refuse
from gateway.routes.paging import query_value
from reconciler.books.asked import Bounds, Scope, bounds_of
from reconciler.books.chart import Entry, look_up
from reconciler.reports.asking import BadAsk
from reconciler.reports.known import Shown, Unknown, check_known_async
from reconciler.reports.shape import Asked, Basis

READERS = ("finance", "auditor")
VALUE_CHARS_MAX = 200

_PATHS = {"report": "reports", "ledger": "ledger"}

_TEXT = Annotated[str, msgspec.Meta(max_length=VALUE_CHARS_MAX)]

BASIS = Parameter("basis", Basis, "Which of its dates a journal counts by; else the effective one.")
ZONE = Parameter("zone", _TEXT, "Where days of instants begin and end, such as Asia/Shanghai; else UTC.")
AS_OF = Parameter("as_of", _TEXT, "A date, all of it, or an instant (not by the effective date); else now.")
SINCE = Parameter("since", _TEXT, "The first date, or an instant (not by the effective date); else from the beginning.")
UNTIL = Parameter("until", _TEXT, "The last date, all of it, or an instant; else up to now.")
ENTITY = Parameter("entity", _TEXT, "Of one legal entity.")
CAMPAIGN = Parameter("campaign", _TEXT, "Of one campaign.")
SCOPE = (ENTITY, CAMPAIGN)
WINDOW = (SINCE, UNTIL, BASIS, ZONE)


@contextmanager
def asked(within: str = "") -> Iterator[None]:
    """
    What can't be asked names its field, which is a member of *within*, such as ``asked.``, where there is that.

    Errors: Refusal("bad_request"); Refusal("not_found") for a name that the books don't know.
    """
    try:
        yield
    except BadAsk as error:
        raise refuse(f"{within}{error.field}", error.rule) from None
    except Unknown as error:
        field, shown = f"{within}{error.field}", " and ".join(map(_path, error.shown))
        raise Refusal(
            "not_found", f"{field}: the books know no {error.name!r}; {shown} has all.", field=field
        ) from None


def _path(shown: Shown) -> str:
    return f"/v1/{_PATHS[shown.of]}/{shown.name}" + (f"?by={shown.by}" if shown.by else "")


@overload
def text_of(request: Request, name: str) -> str | None: ...


@overload
def text_of(request: Request, name: str, otherwise: str) -> str: ...


def text_of(request: Request, name: str, otherwise: str | None = None) -> str | None:
    """The parameter *name*, *otherwise* where it is not there. Errors: Refusal("bad_request")."""
    value = query_value(request, name)
    if value is not None and (len(value) > VALUE_CHARS_MAX or "\0" in value):
        raise refuse(name, f"at most {VALUE_CHARS_MAX} characters")
    return otherwise if value is None else value


def bounds_in(request: Request, last: str = "until") -> Bounds:
    """The bounds that the query asks for. Errors: Refusal("bad_request")."""
    with asked():
        return bounds_of(
            text_of(request, "basis", "effective"),
            text_of(request, "zone", "UTC"),
            since=text_of(request, "since") if last == "until" else None,
            until=text_of(request, last),
            last=last,
        )


def scope_in(request: Request) -> Scope:
    """The entity and the campaign that the query keeps to. Errors: Refusal("bad_request")."""
    return Scope(text_of(request, "entity"), text_of(request, "campaign"))


@asynccontextmanager
async def snapshot_of(
    pool: AsyncConnectionPool[Any], scope: Scope, *, account: str | None = None, chain: str | None = None
) -> AsyncIterator[AsyncConnection[Any]]:
    """A snapshot of the books, which know all that is named. Errors: Refusal("not_found"), and those of snapshot()."""
    names = Asked(entity=scope.entity, campaign=scope.campaign, account=account)
    async with snapshot(pool) as connection:
        with asked():
            await check_known_async(connection, names, chain=chain)
        yield connection


def account_of(request: Request) -> str | None:
    """The account that the query keeps to. Errors: Refusal("bad_request") for one that the chart does not have."""
    name = text_of(request, "account")
    if name is not None and look_up(name) is None:
        raise refuse("account", "an account of the chart, such as payable:m-1")
    return name


def account_in(request: Request) -> tuple[str, Entry]:
    """The account in the path, and what the chart says of it. Errors: Refusal("not_found")."""
    name = request.path_params["account"]
    entry = look_up(name)
    if entry is None or "\0" in name:
        raise Refusal("not_found", "There is no such account in the chart.")
    return name, entry
