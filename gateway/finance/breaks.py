"""For finance: differences that were found, and what becomes of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

import msgspec
from redis.exceptions import RedisError
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.operation import PAGE, Operation, Parameter, Time
from gateway.errors import Refusal
from gateway.finance.outside import PATIENCE_S
from gateway.finance.snapshot import turn
from gateway.finance.stocktakes import READERS, SCOPE, Place, behind, books_with, scope_of
from gateway.routes.access import staff
from gateway.routes.paging import Page, make_cursor, page_limit, query_value, read_cursor
from gateway.services import services
from gateway.sql import postgres
from gateway.wire import body, json_response, rfc3339, time_ms
from lua.door import DoorError
from reconciler.stocktake.breaks import STATES, WORDS_CHARS_MAX, Break, BreakRefused, explain, list_breaks, resolve

ID_DIGITS_MAX = 18

Words = Annotated[str, msgspec.Meta(min_length=1, max_length=WORDS_CHARS_MAX)]
State = Literal["open", "explained", "resolved"]


class BreakView(msgspec.Struct, frozen=True, kw_only=True):
    """
    A difference between the books and what they are compared with.

    *figure* is which one: a figure, a code, a holder. *seq* and *detected_at* are when it was first seen, *clean_seq*
    and *clean_at* the last stocktake before without any break.
    """

    id: int
    shard: str
    kind: str
    figure: str
    expected: dict[str, Any]
    found: dict[str, Any]
    likely: str
    seq: int | None
    detected_at: Time
    clean_seq: int | None
    clean_at: Time | None
    state: State
    explained_by: str | None
    explained_at: Time | None
    explanation: str | None
    resolved_by: str | None
    resolved_at: Time | None
    resolution: str | None
    compensation: str | None


class ExplainBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What the difference comes from."""

    explanation: Words


class ResolveBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Why it is over, and the change that made it good, such as a manual journal or a key put back."""

    resolution: Words
    compensation: Words


async def see_breaks(request: Request) -> Response:
    """Breaks, the newest first; open ones and explained ones stand in the way of a close."""
    await staff(request, *READERS)
    here = services(request)
    limit = page_limit(request, here.settings.page_rows_max)
    scope = scope_of(request)
    state = query_value(request, "state") or None
    if state is not None and state not in STATES:
        raise Refusal("bad_request", f"state: one of {', '.join(STATES)}.", field="state")
    of_list = f"breaks {scope} {state}"
    before = read_cursor(request, Place, of_list)
    states = [state] if state else None
    async with books_with(here.pool, scope) as connection:
        found = await list_breaks(
            connection,
            states=states,
            campaign=scope["campaign"],
            shard=scope["shard"],
            after=behind(before),
            rows_max=limit + 1,
        )
    cursor = make_cursor(found[limit - 1].id, of_list) if len(found) > limit else None
    return json_response(Page([break_view(one) for one in found[:limit]], cursor))


async def explain_break(request: Request) -> Response:
    """Say what a break comes from; it is not resolved by that."""
    who, here = await staff(request, "finance"), services(request)
    asked = await body(request, ExplainBody, here.settings.body_bytes_max)
    with _refused():
        async with postgres(here.pool) as connection:
            done = await explain(connection, _id(request), who.actor, asked.explanation)
    return json_response(break_view(done))


async def resolve_break(request: Request) -> Response:
    """
    End a break, with why and by which change it was made good.

    Its shard is taken stock of first, its file run again: what is still there can't be resolved. Breaks of the drain
    end by themselves.
    """
    who, here = await staff(request, "finance"), services(request)
    asked = await body(request, ResolveBody, here.settings.body_bytes_max)
    said = (who.actor, asked.resolution, asked.compensation)
    with _refused():
        async with turn(here.pool), postgres(here.pool) as connection:  # it looks again
            done = await resolve(here.door, connection, _id(request), *said, patience_s=PATIENCE_S)
    return json_response(break_view(done))


def break_view(one: Break) -> BreakView:
    """A break as programs are told it."""
    told = {name: None if at is None else rfc3339(time_ms(at)) for name, at in one._asdict().items() if _is_time(name)}
    return BreakView(**{**one._asdict(), **told})


def _is_time(name: str) -> bool:
    return name.endswith("_at")


def _id(request: Request) -> int:
    text = request.path_params["break"]
    if not (text.isascii() and text.isdigit() and len(text) <= ID_DIGITS_MAX):
        raise Refusal("break_not_found", "There is no such break.")
    return int(text)


@contextmanager
def _refused() -> Iterator[None]:
    """What a break refuses, as a problem."""
    try:
        yield
    except BreakRefused as error:
        raise Refusal(error.code, str(error)) from None
    except (DoorError, RedisError, OSError) as error:
        raise Refusal("not_ready", "Redis can't be reached at the moment.") from error


routes = [
    Operation(
        "GET",
        "/v1/breaks",
        see_breaks,
        under="Stocktake",
        who=READERS,
        gives={200: Page[BreakView]},
        query=(Parameter("state", State, "Those in one state."), *SCOPE, *PAGE),
        refuses=("not_found",),
    ),
    Operation(
        "POST",
        "/v1/breaks/{break}/explain",
        explain_break,
        under="Stocktake",
        who=("finance",),
        takes=ExplainBody,
        example={"explanation": "stock was set by hand during the outage of 2026-11-29"},
        gives={200: BreakView},
        refuses=("break_not_found", "invalid_state"),
    ),
    Operation(
        "POST",
        "/v1/breaks/{break}/resolve",
        resolve_break,
        under="Stocktake",
        who=("finance",),
        takes=ResolveBody,
        example={"resolution": "five coupons were lost with the old server", "compensation": "manual journal mj_4f"},
        gives={200: BreakView},
        refuses=("break_not_found", "invalid_state", "break_remains"),
    ),
]
