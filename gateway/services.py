"""What a worker has open: made once by app.py's lifespan, found by every route."""

from dataclasses import dataclass
from typing import cast

from psycopg_pool import AsyncConnectionPool
from starlette.requests import Request

from gateway.alerts.alerts import Alerts
from gateway.alerts.receivers import Receivers
from gateway.background import Background
from gateway.batcher import Batcher
from gateway.catalog import Catalog
from gateway.claims import Claims
from gateway.console.books.work import Works
from gateway.console.live.live import Live
from gateway.console.throttle import Throttle
from gateway.credentials import Credentials
from gateway.demo.sale import Demo
from gateway.guessing import Guessing
from gateway.issuing.resolve import Resolver
from gateway.keys import KeyRing
from gateway.people.people import People
from gateway.pressure import Pressure
from gateway.redeeming.redeeming import Redeeming
from gateway.settings import Settings
from gateway.telemetry import Telemetry
from lua.door import Door


@dataclass(frozen=True)
class Services:
    """One worker's doors and services."""

    settings: Settings
    door: Door
    pool: AsyncConnectionPool
    catalog: Catalog
    keys: KeyRing
    credentials: Credentials
    batcher: Batcher
    claims: Claims
    pressure: Pressure
    guessing: Guessing
    people: People
    throttle: Throttle
    resolver: Resolver
    redeeming: Redeeming
    background: Background
    telemetry: Telemetry
    live: Live
    alerts: Alerts
    receivers: Receivers
    works: Works
    demo: Demo


def services(request: Request) -> Services:
    """The services of the worker that got *request*."""
    return cast(Services, request.app.state.services)
