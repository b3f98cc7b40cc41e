"""fairclaim up: everything on one machine, supervised, until Ctrl-C."""

import asyncio
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from gateway.cli.flags import JsonFlag, keys_from, setting_flag, settings_from


def up(
    data_dir: Annotated[Path | None, setting_flag("data_dir")] = None,
    host: Annotated[str | None, setting_flag("host")] = None,
    port: Annotated[int | None, setting_flag("port", "--port", "-p")] = None,
    workers: Annotated[str | None, setting_flag("workers", "--workers", "-w")] = None,
    redis_url: Annotated[str | None, setting_flag("redis_url")] = None,
    postgres_url: Annotated[str | None, setting_flag("postgres_url")] = None,
    redis_memory_mb: Annotated[int | None, setting_flag("redis_memory_mb")] = None,
    fsync: Annotated[str | None, setting_flag("fsync")] = None,
    ready_file: Annotated[Path | None, setting_flag("ready_file")] = None,
    no_demo: Annotated[bool | None, setting_flag("no_demo", "--no-demo/--demo")] = None,
    log_level: Annotated[str | None, setting_flag("log_level")] = None,
    as_json: JsonFlag = False,
) -> int:
    """
    Run the whole system: Valkey, PostgreSQL, gateway workers, reconciler, clerk, and a demo campaign.

    Servers that are not given by URL are started here, on this machine alone, with their data under --data-dir. When
    everything answers, a claim to paste is printed and the ready file is written. Ctrl-C answers what is in flight,
    drains the streams into the books and stops; the next `up` goes on from there. A second Ctrl-C waits less.

    \b
    Example:
      fairclaim up --port 0 --data-dir /var/lib/fairclaim --ready-file ready.json

    Exit codes: 0 stopped, 1 a part can't run, 2 usage, 4 the port or the data directory is in use, 6 not ready in
    time, 130 Ctrl-C before everything was up.
    """
    settings = settings_from(
        data_dir=data_dir and str(data_dir),
        host=host,
        port=port,
        workers=workers,
        redis_url=redis_url,
        postgres_url=postgres_url,
        redis_memory_mb=redis_memory_mb,
        fsync=fsync,
        ready_file=ready_file and str(ready_file),
        no_demo=no_demo,
        log_level=log_level,
    )
    keys_from(settings)  # a file that can't be read is told before anything starts
    settings = msgspec.structs.replace(settings, data_dir=str(Path(settings.data_dir).absolute()))
    from gateway.cli.running import say, supervised
    from gateway.cli.stack import bring_up

    if not as_json:
        typer.echo("Starting …", err=True)
    return asyncio.run(supervised(lambda supervisor: bring_up(settings, supervisor, as_json), say))
