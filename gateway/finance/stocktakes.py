"""For finance: take stock of Redis against the books, and what the stocktakes before came to."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any

import msgspec
from psycopg_pool import AsyncConnectionPool
from redis.exceptions import RedisError
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.operation import PAGE, Operation, Parameter, Time
from gateway.errors import Refusal
from gateway.finance import asking
from gateway.finance.snapshot import turn
from gateway.routes.access import staff
from gateway.routes.paging import Page, make_cursor, page_limit, query_value, read_cursor
from gateway.services import services
from gateway.sql import postgres
from gateway.wire import body, json_response, rfc3339, time_ms
from lua.door import DoorError
from lua.tally import SAMPLES_MAX
from reconciler import ordering
from reconciler.reports.known import check_known_async
from reconciler.reports.shape import Asked
from reconciler.stocktake import Found, Stocktake, list_shards
from reconciler.stocktake.keeping import Connection, ask, list_stocktakes

READERS = ("finance", "auditor")


Place = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
"""The id of the last row shown."""
NAME_CHARS_MAX = 200
Name = Annotated[str, msgspec.Meta(max_length=NAME_CHARS_MAX, pattern=r"^[^\0]*$")]


class StocktakeBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What to take stock of: a *shard*, a *campaign*, or everything. *samples* from either side, of each shard."""

    campaign: Name | None = None
    shard: Name | None = None
    samples: Annotated[int, msgspec.Meta(ge=0, le=SAMPLES_MAX)] = 100


class FoundView(msgspec.Struct, frozen=True):
    """A difference: by the books, in Redis, and what is likely. *name* is a figure, a code or a holder."""

    kind: str
    name: str
    expected: dict[str, Any]
    found: dict[str, Any]
    cause: str
    likely: str


class TakenView(msgspec.Struct, frozen=True):
    """One shard at one seq. *figures* have the books' side first; *unfinished* says why it could not be compared."""

    shard: str
    seq: int
    taken_at: Time
    figures: dict[str, tuple[int | None, int | None]]
    sampled: dict[str, int]
    found: list[FoundView]
    unfinished: str


class Taken(msgspec.Struct, frozen=True):
    """Every shard that was asked for; *clean*: each was compared, and nothing differs."""

    clean: bool
    shards: list[TakenView]


class KeptView(msgspec.Struct, frozen=True):
    """A stocktake that was written down; *breaks* counts the differences it found."""

    id: int
    shard: str
    seq: int
    taken_at: Time
    asked_by: str
    figures: dict[str, tuple[int | None, int | None]]
    sampled: dict[str, int]
    breaks: int


async def take_stock(request: Request) -> Response:
    """
    Compare shards with the books at exactly one seq each, while claims go on.

    Each difference is a break from then on, until it is resolved.
    """
    who, here = await staff(request, "finance"), services(request)
    asked = await body(request, StocktakeBody, here.settings.body_bytes_max)
    try:
        async with turn(here.pool), postgres(here.pool) as connection:
            shards = await list_shards(connection, asked.campaign, asked.shard)
            if not shards and (asked.campaign or asked.shard):
                raise Refusal("campaign_not_found", "There is no such campaign or shard, or it is archived.")
            taken = await ask(here.door, connection, shards, asked.samples, who.actor)
    except (DoorError, RedisError, OSError) as error:
        raise Refusal("not_ready", "Redis can't be reached at the moment.") from error
    return json_response(Taken(all(one.is_clean for one in taken), [taken_view(one) for one in taken]), 201)


async def see_stocktakes(request: Request) -> Response:
    """Stocktakes, the newest first: both sides of every figure."""
    await staff(request, *READERS)
    here = services(request)
    limit = page_limit(request, here.settings.page_rows_max)
    scope = scope_of(request)
    of_list = f"stocktakes {scope}"
    before = read_cursor(request, Place, of_list)
    async with books_with(here.pool, scope) as connection:
        found = await list_stocktakes(
            connection, campaign=scope["campaign"], shard=scope["shard"], after=behind(before), rows_max=limit + 1
        )
    shown = [KeptView(**{**row, "taken_at": rfc3339(time_ms(row["taken_at"]))}) for row in found[:limit]]
    return json_response(Page(shown, make_cursor(shown[-1].id, of_list) if len(found) > limit else None))


def scope_of(request: Request) -> dict[str, str | None]:
    """The campaign and the shard that the query names, None for any. Errors: Refusal("bad_request")."""
    scope = {name: query_value(request, name) or None for name in ("campaign", "shard")}
    for name, value in scope.items():
        if value is not None and len(value) > NAME_CHARS_MAX:
            raise Refusal("bad_request", f"{name}: at most {NAME_CHARS_MAX} characters.", field=name)
    return scope


def behind(before: int | None) -> ordering.Place | None:
    """The place of the row *before*, in a list that is in the order of its ids."""
    return None if before is None else ordering.Place(before, before)


@asynccontextmanager
async def books_with(pool: AsyncConnectionPool[Any], scope: Mapping[str, str | None]) -> AsyncIterator[Connection]:
    """The books, which know the campaign and the shard of *scope*. Errors: Refusal not_found, not_ready."""
    async with postgres(pool) as connection:
        with asking.asked():
            await check_known_async(connection, Asked(campaign=scope["campaign"]), shard=scope["shard"])
        yield connection


def taken_view(one: Stocktake) -> TakenView:
    """A stocktake as programs are told it."""
    found = [_found_view(each) for each in one.found]
    return TakenView(str(one.shard), one.seq, rfc3339(one.now_ms), one.figures, one.sampled, found, one.unfinished)


def _found_view(found: Found) -> FoundView:
    return FoundView(found.kind, found.name, found.expected, found.found, found.cause.code, found.cause.text)


SCOPE = (
    Parameter("campaign", Annotated[str, msgspec.Meta(max_length=NAME_CHARS_MAX)], "Of one campaign."),
    Parameter(
        "shard", Annotated[str, msgspec.Meta(max_length=NAME_CHARS_MAX)], "Of one shard, written campaign/number."
    ),
)

routes = [
    Operation(
        "POST",
        "/v1/stocktakes",
        take_stock,
        under="Stocktake",
        who=("finance",),
        takes=StocktakeBody,
        example={"campaign": "flash-1", "samples": 100},
        gives={201: Taken},
        refuses=("campaign_not_found",),
    ),
    Operation(
        "GET",
        "/v1/reports/stocktakes",
        see_stocktakes,
        under="Stocktake",
        who=READERS,
        gives={200: Page[KeptView]},
        query=(*SCOPE, *PAGE),
        refuses=("not_found",),
    ),
]
