"""fairclaim clerk: what is made and looked after beside the drain, in the foreground."""

import asyncio
import signal
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Annotated

import msgspec

from gateway.cli.flags import setting_flag, settings_from
from gateway.cli.options import DataDir

if TYPE_CHECKING:
    from gateway.settings import Settings
    from reconciler.clerk import Work


def clerk(
    redis_url: Annotated[str | None, setting_flag("redis_url")] = None,
    postgres_url: Annotated[str | None, setting_flag("postgres_url")] = None,
    exports_dir: Annotated[str | None, setting_flag("exports_dir")] = None,
    data_dir: DataDir = None,
) -> None:
    """
    Do the paperwork of the books, until stopped: take stock, make the exports asked for, keep each day's head.

    It takes no part in claims or in the drain. Several may run: one of them takes stock, each export is one's at a
    time. They need the same --exports-dir, and so do the gateways that hand the files out. SIGTERM or Ctrl-C ends it at
    once: what it was at is gone on with by the next one. Logs are JSON lines on stderr. Without URLs: the servers of
    the `fairclaim up` that runs on the data directory.

    \b
    Example:
      fairclaim clerk --postgres-url postgresql://db/fc --exports-dir /srv/exports

    Exit codes: 0 stopped, 2 usage, 6 no servers given and none running.
    """
    from gateway.cli.client import server_urls
    from gateway.logs import configure

    settings = settings_from(redis_url=redis_url, postgres_url=postgres_url, exports_dir=exports_dir, data_dir=data_dir)
    redis, postgres = server_urls(settings, "redis_url", "postgres_url")
    configure(settings.log_level)
    asyncio.run(_work(msgspec.structs.replace(settings, redis_url=redis, postgres_url=postgres)))


async def _work(settings: "Settings") -> None:
    from reconciler.clerk import run

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        await run(_works(settings, stack), stop, retry_ms_max=settings.drain_retry_ms_max)


def _works(settings: "Settings", stack: AsyncExitStack) -> "list[Work]":
    """What a clerk does; *stack* closes what it has open."""
    from reconciler.books.register import FOLDER, Register
    from reconciler.exports.work import Exporting, ExportOptions
    from reconciler.stocktake.continuous import Stocktaking

    exporting = Exporting(
        ExportOptions(
            postgres_url=settings.postgres_url,
            folder=settings.exports_folder.absolute(),
            rows_part=settings.exports_rows_part,
            keep_days=settings.exports_keep_days,
            connect_ms_max=settings.redis_connect_ms_max,
            postgres_ms_max=settings.postgres_ms_max,
        )
    )
    stack.push_async_callback(exporting.close)
    stocktaking = Stocktaking(
        settings.redis_url,
        settings.postgres_url,
        every_s=settings.stocktake_s,
        samples=settings.stocktake_samples,
        call_ms_max=settings.redis_call_ms_max,
        connect_ms_max=settings.redis_connect_ms_max,
    )
    stack.push_async_callback(stocktaking.close)
    heads = settings.exports_folder.absolute() / FOLDER
    register = Register(settings.postgres_url, heads, connect_ms_max=settings.redis_connect_ms_max)
    return [exporting, stocktaking, register]
