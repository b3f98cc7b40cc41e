"""For operators: is it alive, is it ready and if not why, what does it count."""

import asyncio
from collections.abc import Awaitable
from typing import Any, Literal

import msgspec
import psycopg
from psycopg_pool import PoolTimeout
from redis.exceptions import RedisError
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from gateway.api.operation import ANYBODY, Media, Operation
from gateway.errors import draw_retry_after_s
from gateway.gauges import books_gauges, redis_gauges, render
from gateway.services import Services, services
from gateway.wire import json_response

_CHECK_S_MAX = 2.0


class Alive(msgspec.Struct):
    """This process answers."""

    status: Literal["ok"] = "ok"


class Readiness(msgspec.Struct):
    """Whether claims can be decided; *checks* has each part with "ok" or what is wrong with it."""

    ready: bool
    not_ready: list[str]
    checks: dict[str, str]


async def healthz(request: Request) -> Response:
    """200 while the process answers; nothing else is looked at."""
    return json_response(Alive())


async def readyz(request: Request) -> Response:
    """
    200 when claims can be decided, else 503; either way each part says how it is.

    PostgreSQL away is no reason to send holders elsewhere: claims go on without it, so it is named and not counted.
    """
    here = services(request)
    found = await checks(here)
    not_ready = [name for name, state in found.items() if state != "ok"]
    body = Readiness(not set(not_ready) & {"redis", "admission"}, not_ready, found)
    if body.ready:
        return json_response(body)
    return json_response(body, 503, {"retry-after": str(draw_retry_after_s(here.settings.retry_after_s_max))})


async def checks(here: Services) -> dict[str, str]:
    """Each part this worker needs → ``ok``, or what is wrong with it."""
    redis, postgres = await asyncio.gather(_state(here.door.redis.ping()), _state(_postgres(here)))
    return {"redis": redis, "admission": here.pressure.closed_because or "ok", "postgres": postgres}


async def _postgres(here: Services) -> None:
    async with here.pool.connection() as connection:
        await connection.execute("SELECT 1")


async def _state(check: Awaitable[Any]) -> str:
    try:
        async with asyncio.timeout(_CHECK_S_MAX):
            await check
    except (RedisError, OSError, psycopg.Error, PoolTimeout, TimeoutError) as error:
        return f"does not answer ({type(error).__name__})"
    return "ok"


async def metrics(request: Request) -> Response:
    """Prometheus text: all workers' counters, then what Redis and the books say at this moment."""
    here = services(request)
    books, redis = await asyncio.gather(books_gauges(here.door, here.pool), redis_gauges(here.door))
    text = here.telemetry.render() + render({**redis, **books})
    return PlainTextResponse(text, media_type="text/plain; version=0.0.4; charset=utf-8")


routes = [
    Operation("GET", "/healthz", healthz, under="Operators", who=ANYBODY, gives={200: Alive}),
    Operation("GET", "/readyz", readyz, under="Operators", who=ANYBODY, gives={200: Readiness, 503: Readiness}),
    Operation("GET", "/metrics", metrics, under="Operators", who=ANYBODY, gives={200: Media("text/plain")}),
]
