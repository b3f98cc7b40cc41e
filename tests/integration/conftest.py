"""Workers for the integration tests."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.telemetry import Telemetry
from lua.door import connect
from lua.link import Link
from tests.http import Worker
from tests.integration.batching import Desk, NewDesk
from tests.integration.drained import Drained

collect_ignore = [] if os.geteuid() == 0 else ["test_stack_privilege.py"]


@pytest.fixture
async def worker(redis_url: str, postgres_url: str, tmp_path: Path) -> AsyncIterator[Worker]:
    """One worker on an emptied Redis and a fresh database."""
    async with Worker(redis_url, postgres_url, tmp_path) as worker:
        yield worker


@pytest.fixture
async def second_worker(worker: Worker, tmp_path: Path) -> AsyncIterator[Worker]:
    """Another worker beside the first, on the same servers."""
    settings = worker.settings
    async with Worker(settings.redis_url, settings.postgres_url, tmp_path, slot=1) as second:
        yield second


@pytest.fixture
async def new_desk(tmp_path: Path) -> AsyncIterator[NewDesk]:
    """Makes desks, and closes what they opened."""
    telemetry = Telemetry(tmp_path, 0)
    links: list[Link] = []
    desks: list[Desk] = []

    def make(url: str, call_ms_max: int = 30_000, **settings: int) -> Desk:
        links.append(Link(connect(url, connections_max=8, call_ms_max=call_ms_max, connect_ms_max=30_000), call_ms_max))
        # A machine that stands still for a second is no shard that is asked for more than it decides.
        desks.append(Desk(links[-1], telemetry, **{"claim_wait_ms_max": 30_000, **settings}))
        return desks[-1]

    yield make
    for desk in desks:
        await desk.batcher.close()
    for link in links:
        await link.close()
    telemetry.close()


@pytest.fixture
def drained(postgres_url: str) -> Drained:
    """Writes into the books."""
    return Drained(postgres_url)
