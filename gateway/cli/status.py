"""`fairclaim status`: how the sale goes, and whether Redis and the books are equal."""

import asyncio
from typing import Annotated

import typer

from gateway.cli.flags import JsonFlag, settings_from
from gateway.cli.options import DataDir, PostgresUrl, ReadyFile, RedisUrl, flag_of
from gateway.cli.output import FAILURE, UNAVAILABLE, USAGE, Fail
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
    import psycopg
    from redis.exceptions import RedisError

    from gateway.cli.key import postgres_fail
    from gateway.cli.status_screen import show_status
    from lua.door import DoorError

    settings = settings_from(redis_url=redis_url, postgres_url=postgres_url, ready_file=ready_file, data_dir=data_dir)
    redis, postgres = server_urls(settings, "redis_url", "postgres_url")
    try:
        ok = asyncio.run(show_status(settings, redis, postgres, interval if watch else None, as_json))
    except psycopg.Error as error:
        raise postgres_fail(error) from None
    except (DoorError, RedisError, OSError) as error:
        reason = " ".join(str(error).split())
        raise Fail(UNAVAILABLE, "redis", f"Redis: {reason}", "check it with: fairclaim doctor") from None
    except ValueError as error:
        raise Fail(USAGE, "bad_setting", f"FAIRCLAIM_REDIS_URL: {error}") from None
    if not ok:
        raise typer.Exit(FAILURE)
