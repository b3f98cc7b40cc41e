"""
What the pages of the console take on large books: wall, processor time of the worker, PostgreSQL, what Redis was asked.

    python -m loadtest.bulk --postgres-url URL --coupons 400000 --campaigns 40
    python -m tests.page_times --redis-url URL --postgres-url URL /console/books/reports/performance /console/campaigns

Without paths it is each page that names nothing, and each report. Of five tries the medians; a busy machine falsifies
the wall most. Redis has to be one that may be written to: a user signs in. PostgreSQL is asked by pg_stat_statements,
which has to be among its shared_preload_libraries.
"""

import argparse
import asyncio
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any, NamedTuple

import psycopg

from gateway.console.page import SIGN_IN
from gateway.console.routes import PAGES
from reconciler.reports.catalog import REPORTS
from tests.http import Worker
from tests.integration.consoling import Browser, add_user, signed_in

WHO = "page-times"
TRIES = 5
FILES = ("/file", ".csv", "-stream")


class Took(NamedTuple):
    """One answer: milliseconds, and how many commands Redis ran, those of scripts too."""

    wall_ms: float
    cpu_ms: float
    postgres_ms: float
    redis_commands: float


def usual_paths() -> list[str]:
    """Each page that needs no name, and each report as it is first opened."""
    pages = [page.path for page in PAGES if not page.is_open and "{" not in page.path]
    return [path for path in pages if not path.endswith(FILES) and path != "/console/sign-out"] + [
        f"/console/books/reports/{name}" for name in REPORTS
    ]


async def ask(browser: Browser, path: str, books: psycopg.Connection[Any]) -> Took:
    """Open *path* once. Errors: AssertionError where it is no page."""
    redis: Any = browser.worker.services.door.redis
    books.execute("SELECT pg_stat_statements_reset()")
    commands = (await redis.info("stats"))["total_commands_processed"]
    began, before = perf_counter(), process_time()
    answer = await browser.get(path)
    wall_s, cpu_s = perf_counter() - began, process_time() - before
    assert answer.status_code == 200, (path, answer.status_code)
    asked = (await redis.info("stats"))["total_commands_processed"] - commands - 1
    [(postgres_ms,)] = books.execute(
        "SELECT coalesce(sum(total_exec_time + total_plan_time), 0) FROM pg_stat_statements"
    ).fetchall()
    return Took(wall_s * 1000, cpu_s * 1000, postgres_ms, asked)


async def measure(redis_url: str, postgres_url: str, paths: list[str], folder: Path) -> None:
    """Print a line a page."""
    with psycopg.connect(postgres_url, autocommit=True) as books:
        books.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        books.execute("ANALYZE")
        async with Worker(redis_url, postgres_url, folder) as worker:
            if not books.execute("SELECT FROM users WHERE name = %s", [WHO]).fetchall():
                await add_user(worker, WHO, "admin")
            browser = await signed_in(worker, WHO)
            for path in paths or usual_paths():
                await ask(browser, path, books)
                tries = [await ask(browser, path, books) for _ in range(TRIES)]
                took = Took(*map(median, zip(*tries, strict=True)))
                print(
                    f"{took.wall_ms:7.0f} ms {took.cpu_ms:6.0f} ms here {took.postgres_ms:7.0f} ms PostgreSQL "
                    f"{took.redis_commands:6.0f} of Redis  {path}",
                    flush=True,
                )


def main() -> None:
    """As the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("--redis-url", required=True)
    parser.add_argument("--postgres-url", required=True, help="as the owner of a migrated database")
    parser.add_argument("paths", nargs="*", help=f"below the root, such as {SIGN_IN}")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(asked.redis_url, asked.postgres_url, asked.paths, Path(folder)))


if __name__ == "__main__":
    main()
