"""Wires one worker: settings → doors → services → routes. The only place that knows how the parts go together."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from gateway.alerts.alerts import Alerts
from gateway.alerts.figures import Figures
from gateway.alerts.outward import Outward
from gateway.alerts.receivers import Receivers
from gateway.alerts.sending import Sending
from gateway.alerts.watch import Watch
from gateway.api.document import document
from gateway.background import Background, Work
from gateway.batcher import Batcher
from gateway.campaigns.publish import Publisher
from gateway.campaigns.shards import Shards
from gateway.catalog import Catalog
from gateway.claims import Claims
from gateway.console import routes as console
from gateway.console.books.work import Works
from gateway.console.live.live import Live
from gateway.console.live.reading import Eyes
from gateway.console.throttle import Throttle
from gateway.credentials import Credentials
from gateway.demo import pages as demo
from gateway.demo.sale import Demo
from gateway.edge import Edge, on_http_exception
from gateway.errors import Refusal
from gateway.finance import (
    balances,
    breaks,
    entities,
    exports,
    journals,
    manual_journals,
    outside,
    period_reports,
    periods,
    reports,
    stocktakes,
    verdict,
)
from gateway.guessing import Guessing
from gateway.issuing.making import Making
from gateway.issuing.resolve import Resolver
from gateway.issuing.revoking import Revoking
from gateway.key_file import follow, signing_keys
from gateway.keys import KeyRing
from gateway.limiter import Limiter
from gateway.people.passwords import Passwords
from gateway.people.people import People
from gateway.pressure import Pressure
from gateway.probing import Probing
from gateway.proposals.applying import Applying
from gateway.redeeming.calls import Calls
from gateway.redeeming.recovery import Recovery
from gateway.redeeming.redeeming import Redeeming
from gateway.routes import (
    alert_receivers,
    alerts,
    campaigns,
    claims,
    codes,
    coupons,
    docs,
    holder,
    home,
    ops,
    paper,
    proposals,
    redemptions,
    reservations,
    revocations,
    tickets,
    till,
)
from gateway.services import Services
from gateway.settings import SettingError, Settings
from gateway.telemetry import Telemetry
from gateway.till.store_desk import StoreDesk
from lua.door import Door, connect
from lua.link import Link

log = logging.getLogger("fairclaim.app")

POSTGRES_ROLE = "fairclaim_gateway"
CANCEL_AGAIN_S = 0.1


def create_app(settings: Settings, *, slot: int = 0, telemetry_dir: Path | None = None) -> Starlette:
    """
    The ASGI application of worker *slot*, whose counters live in *telemetry_dir* (default: under data_dir).

    Errors: SettingError when a setting that a worker needs is missing or malformed.
    """
    for name in ("redis_url", "postgres_url"):
        if not getattr(settings, name):
            raise SettingError(f"FAIRCLAIM_{name.upper()} is not set; a gateway needs it")
    keys = signing_keys(settings)
    if not keys:
        raise SettingError("neither FAIRCLAIM_JWT_KEYS nor FAIRCLAIM_JWT_KEYS_FILE is set; a gateway needs one of them")
    credentials = Credentials(keys, settings)
    folder = telemetry_dir or Path(settings.data_dir) / "telemetry"

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
        async with AsyncExitStack() as stack:
            opened = app.state.services = await _open(stack, settings, credentials, Telemetry(folder, slot))
            yield {"services": opened}  # the server hands it to each connection's protocol (guard.py)

    routes = [
        *claims.routes,
        *tickets.routes,
        *holder.routes,
        *coupons.routes,
        *reservations.routes,
        *redemptions.routes,
        *campaigns.routes,
        *codes.routes,
        *paper.routes,
        *revocations.routes,
        *proposals.routes,
        *alerts.routes,
        *alert_receivers.routes,
        *entities.routes,
        *periods.routes,
        *period_reports.routes,
        *stocktakes.routes,
        *breaks.routes,
        *verdict.routes,
        *outside.routes,
        *reports.routes,
        *exports.routes,
        *balances.routes,
        *manual_journals.routes,
        *journals.routes,
        *home.routes,
        *ops.routes,
        *docs.routes,
    ]
    app = Starlette(
        routes=[
            *routes,
            *till.routes,
            *console.routes,
            *(demo.routes if settings.demo_campaign else ()),
        ],  # the pages are for people, so the document for programs leaves them out
        middleware=[Middleware(Edge, retry_after_s_max=settings.retry_after_s_max)],
        exception_handlers={HTTPException: on_http_exception},
        lifespan=lifespan,
    )
    # A redirect names the scheme and Host of the request: behind a proxy that would send a token over plain HTTP.
    app.router.redirect_slashes = False
    app.state.document = cache(partial(document, routes, settings))
    app.state.new_desk = StoreDesk
    return app


async def _open(stack: AsyncExitStack, settings: Settings, credentials: Credentials, telemetry: Telemetry) -> Services:
    """Open the doors in order; *stack* closes them in reverse, so claims in flight are answered first."""
    stack.callback(telemetry.close)
    door = _door(settings)
    stack.push_async_callback(door.close)
    pool = _pool(settings)
    await pool.open()  # does not wait: claims go on without Postgres
    stack.push_async_callback(pool.close)
    pressure = Pressure(door.redis, settings.redis_memory_percent_max, telemetry)
    _beside(stack, pressure.watch())
    _beside(stack, _finish_open_changes(pool, door))
    if settings.jwt_keys_file:
        _beside(stack, follow(Path(settings.jwt_keys_file), credentials.use_keys))
    limiter = _limiter(stack, settings)
    probing = Probing(limiter, settings.code_failures_alarm)
    _beside(stack, probing.watch())
    link = Link(door.redis, settings.redis_call_ms_max)
    stack.push_async_callback(link.close)
    batcher = Batcher(link, settings, telemetry)
    stack.push_async_callback(batcher.close)
    catalog = Catalog(pool, door)
    calls = Calls(link, settings)
    stack.push_async_callback(calls.close)
    guessing = Guessing(limiter, probing, settings, telemetry)
    passwords, throttle, works = Passwords(), Throttle(settings, telemetry), Works(door.redis)
    stack.callback(passwords.close)
    stack.push_async_callback(throttle.close)
    resolver = Resolver(pool, catalog)
    redeeming = Redeeming(calls, resolver, guessing, catalog, pool)
    outward = Outward(settings.alert_networks)
    stack.push_async_callback(outward.close)
    sending = Sending(pool, settings, outward, telemetry)
    watch = Watch(pool, Figures(door, pool, telemetry, probing), settings)
    background = Background([*_works(pool, door, redeeming), watch, sending])
    for loop in background.loops():
        _beside(stack, loop)
    stack.push_async_callback(works.close)
    live = Live(Eyes(door, pool, telemetry).look)
    stack.push_async_callback(live.close)
    return Services(
        settings=settings,
        door=door,
        pool=pool,
        catalog=catalog,
        keys=KeyRing(pool, settings.api_key_cache_s),
        credentials=credentials,
        batcher=batcher,
        claims=Claims(batcher, pressure, settings, telemetry),
        pressure=pressure,
        guessing=guessing,
        people=People(pool, passwords),
        throttle=throttle,
        resolver=resolver,
        redeeming=redeeming,
        background=background,
        telemetry=telemetry,
        live=live,
        alerts=Alerts(pool, settings),
        receivers=Receivers(pool, settings, outward, sending),
        works=works,
        demo=Demo(settings, catalog, door, credentials, _limiter(stack, settings)),
    )


def _limiter(stack: AsyncExitStack, settings: Settings) -> Limiter:
    """One with connections of its own: who rushes one door must not keep another's limits from being counted."""
    made = Limiter(settings.redis_url, settings.code_limiter_ms_max)
    stack.push_async_callback(made.close)
    return made


def _door(settings: Settings) -> Door:
    return Door(
        connect(
            settings.redis_url,
            connections_max=64,
            call_ms_max=settings.redis_call_ms_max,
            connect_ms_max=settings.redis_connect_ms_max,
        )
    )


def _works(pool: AsyncConnectionPool[Any], door: Door, redeeming: Redeeming) -> list[Work]:
    """What is asked for, or left by a crash, and done beside the requests."""
    return [Making(pool, door), Revoking(pool, door), Recovery(pool, redeeming.stacks), Applying(pool, door)]


def _pool(settings: Settings) -> AsyncConnectionPool[Any]:
    """Connections in the gateway's role, none of them open yet."""
    seconds = settings.postgres_ms_max / 1000
    return AsyncConnectionPool(
        settings.postgres_url,
        min_size=0,
        max_size=settings.postgres_connections_max,
        timeout=seconds,
        max_waiting=256,
        open=False,
        kwargs={
            "autocommit": True,
            "row_factory": dict_row,
            "connect_timeout": max(2, round(seconds)),
            "options": f"-c role={POSTGRES_ROLE} -c statement_timeout={settings.postgres_ms_max}",
        },
    )


def _beside(stack: AsyncExitStack, work: Coroutine[Any, Any, None]) -> None:
    """Let *work* go on beside the requests, until the stack is closed."""
    stack.push_async_callback(_end, asyncio.create_task(work))


async def _finish_open_changes(pool: AsyncConnectionPool[Any], door: Door) -> None:
    """Finish what a crash left half done of any campaign; where a server is away, the next change finishes it."""
    try:
        finished, left = await Publisher(pool, Shards(door)).finish_all()
    except Refusal as refusal:
        log.warning("open changes of campaigns wait for their next change", extra={"reason": refusal.detail})
        return
    if left:
        log.warning("open changes of campaigns wait for their next change", extra={"campaigns": left})
    if finished:
        log.info("open changes of campaigns are finished", extra={"campaigns": finished})


async def _end(task: "asyncio.Task[None]") -> None:
    """End a background task, also one in which a library swallows a cancellation."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=CANCEL_AGAIN_S)
