"""A worker beside the books of three months, and people who may read them: one for a module of the console's tests."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path

from gateway.stack.postgres import Postgres
from gateway.stack.valkey import Valkey
from tests.conftest import fresh_database
from tests.http import Worker
from tests.integration.consoling import add_user
from tests.integration.draining import Books
from tests.integration.reporting import post
from tests.integration.yearbook import write

Lines = Sequence[tuple[str, str, str, int]]
"""Of a manual journal: debit, credit, commodity, minor units."""


@asynccontextmanager
async def open_year(redis: Valkey, server: Postgres, folder: Path, manual: Sequence[Lines]) -> AsyncIterator[Worker]:
    """
    The worker; *manual* are the journals of 20 November 2026 that people made.

    fay is of finance, aud an auditor, max a marketer. Exports are in *folder*/exports.
    """
    exports = str(folder / "exports")
    with fresh_database(server) as url:
        async with Worker(redis.url, url, folder, exports_dir=exports) as worker:
            with Books(url) as books:
                await write(books)
                for number, lines in enumerate(manual):
                    id_ = f"mj_{number:016x}"
                    assert await asyncio.to_thread(post, books, id_, date(2026, 11, 20), *lines) == "posted"
            for name, role in (("fay", "finance"), ("aud", "auditor"), ("max", "marketer")):
                await add_user(worker, name, role)
            yield worker
