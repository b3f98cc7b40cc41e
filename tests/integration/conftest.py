"""Workers for the integration tests."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.http import Worker

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
