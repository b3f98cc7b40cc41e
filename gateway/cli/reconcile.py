"""fairclaim reconcile: one reconciler in the foreground, or the quarantine once more."""

import asyncio
import signal
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from gateway.cli.flags import JsonFlag, setting_flag, settings_from
from gateway.cli.options import DataDir
from gateway.cli.output import FAILURE, UNAVAILABLE, USAGE, Fail, emit
from gateway.settings import PREFIX

if TYPE_CHECKING:
    from gateway.settings import Settings


def reconcile(
    redis_url: Annotated[str | None, setting_flag("redis_url")] = None,
    postgres_url: Annotated[str | None, setting_flag("postgres_url")] = None,
    replay_quarantine: Annotated[
        bool,
        typer.Option(
            "--replay-quarantine",
            envvar=PREFIX + "REPLAY_QUARANTINE",
            help="Try the quarantined entries again, and end.",
        ),
    ] = False,
    shard: Annotated[
        str | None,
        typer.Option("--shard", envvar=PREFIX + "SHARD", help="With --replay-quarantine: only this one."),
    ] = None,
    data_dir: DataDir = None,
    as_json: JsonFlag = False,
) -> None:
    """
    Bring what the streams hold into the books, until stopped.

    Several may run: each stream has one owner. SIGTERM or Ctrl-C drains to the tail and ends. Logs are JSON lines on
    stderr. Without URLs: the servers of the `fairclaim up` that runs on the data directory.

    \b
    Example:
      fairclaim reconcile --redis-url redis://cache --postgres-url postgresql://db/fc
      fairclaim reconcile --replay-quarantine

    Exit codes: 0 stopped or replayed, 1 entries stay in quarantine, 2 usage, 6 no servers given and none
    running, or PostgreSQL does not answer.
    """
    from gateway.cli.client import server_urls
    from gateway.logs import configure

    settings = settings_from(redis_url=redis_url, postgres_url=postgres_url, data_dir=data_dir)
    if replay_quarantine:
        (postgres,) = server_urls(settings, "postgres_url")
        _replay(postgres, shard, as_json)
        return
    redis, postgres = server_urls(settings, "redis_url", "postgres_url")
    configure(settings.log_level)
    asyncio.run(_drain(msgspec.structs.replace(settings, redis_url=redis, postgres_url=postgres)))


async def _drain(settings: "Settings") -> None:
    from reconciler.drain import run
    from reconciler.options import DrainOptions
    from reconciler.sweeper import SweeperOptions

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    options = DrainOptions(
        redis_url=settings.redis_url,
        postgres_url=settings.postgres_url,
        entries_max=settings.drain_entries_max,
        block_ms=settings.drain_block_ms,
        shards_max=settings.drain_shards_max,
        retry_ms_max=settings.drain_retry_ms_max,
        call_ms_max=settings.redis_call_ms_max,
        connect_ms_max=settings.redis_connect_ms_max,
        postgres_ms_max=settings.postgres_ms_max,
        stop_ms_max=settings.stop_s_max * 1000,
        sweeper=SweeperOptions(codes_max=settings.sweep_codes_max, pause_ms=settings.sweep_pause_ms),
    )
    await run(options, stop)


def _replay(postgres_url: str, shard: str | None, as_json: bool) -> None:
    import psycopg

    from reconciler.quarantine import replay

    try:
        report = replay(postgres_url, shard)
    except ValueError as error:
        raise Fail(USAGE, "bad_shard", f"--shard: {error}", "it is written campaign/number, such as demo/0") from None
    except psycopg.Error as error:
        raise Fail(UNAVAILABLE, "postgres", f"PostgreSQL: {' '.join(str(error).split())}") from None
    counts = f"{report.replayed} replayed, {report.remaining} remain in quarantine"
    told = [(f"{one.shard} {one.entry_id}", one.outcome, one.reason) for one in report.records]
    lines = [": ".join(filter(None, each)) for each in told]
    data = {"records": report.records, "replayed": report.replayed, "remaining": report.remaining}
    emit(data, as_json, lambda: "\n".join([*lines, counts]))
    if report.remaining:
        raise typer.Exit(FAILURE)
