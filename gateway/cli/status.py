"""`fairclaim status`: how the sale goes, and whether Redis and the books are equal."""

from typing import Annotated

import typer

from gateway.cli.connections import run_with_postgres
from gateway.cli.flags import JsonFlag, settings_from
from gateway.cli.options import DataDir, PostgresUrl, ReadyFile, RedisUrl, flag_of
from gateway.cli.output import FAILURE
from gateway.cli.ready import server_urls


def status(
    watch: Annotated[
        bool, flag_of("status", "--watch", "-w", help="Refresh until Ctrl-C; with --json a line each.")
    ] = False,
    interval: Annotated[
        float, flag_of("status", "--interval", min=0.2, max=3600, help="Seconds between refreshes.")
    ] = 2.0,
    redis_url: RedisUrl = None,
    postgres_url: PostgresUrl = None,
    ready_file: ReadyFile = None,
    data_dir: DataDir = None,
    as_json: JsonFlag = False,
) -> None:
    """
    Show every campaign, and prove that Redis and PostgreSQL are equal; exit code 1 when something is wrong.

    \b
    Example:
      fairclaim status --watch

    Exit codes: 0 all is in order, 1 something is wrong, 2 usage, 6 a server can't be reached, 130 Ctrl-C.
    """
    from gateway.cli.status_screen import show_status

    settings = settings_from(redis_url=redis_url, postgres_url=postgres_url, ready_file=ready_file, data_dir=data_dir)
    redis, postgres = server_urls(settings, "redis_url", "postgres_url")
    shown = run_with_postgres(lambda: show_status(settings, redis, postgres, interval if watch else None, as_json))
    if not shown:
        raise typer.Exit(FAILURE)
