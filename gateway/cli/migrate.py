"""fairclaim migrate: bring the database up to the schema of this software."""

from typing import Annotated

import typer

from gateway.cli.flags import JsonFlag, setting_flag, settings_from
from gateway.cli.options import DataDir
from gateway.cli.output import FAILURE, UNAVAILABLE, Fail, emit
from gateway.settings import PREFIX


def migrate(
    postgres_url: Annotated[str | None, setting_flag("postgres_url")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", envvar=PREFIX + "DRY_RUN", help="Only list what would be applied.")
    ] = False,
    data_dir: DataDir = None,
    as_json: JsonFlag = False,
) -> None:
    """
    Apply the migrations that are missing, and list them.

    Safe to run again, and by several at once. Needs the owner of the database, with CREATEROLE the first time.
    `fairclaim up` does this by itself. Without a URL: the database of the `up` that runs on the data directory.

    \b
    Example:
      fairclaim migrate --postgres-url postgresql://owner@db/fairclaim --dry-run

    Exit codes: 0 done, 1 the database can't be migrated, 2 usage, 6 no database given and none running,
    or it does not answer.
    """
    import psycopg

    from gateway.cli.client import server_urls
    from reconciler.migrations import MigrationError, pending, schema_version
    from reconciler.migrations import migrate as apply

    (url,) = server_urls(settings_from(postgres_url=postgres_url, data_dir=data_dir), "postgres_url")
    try:
        names = pending(url) if dry_run else apply(url)
        version = schema_version(url)
    except MigrationError as error:
        if isinstance(error.__cause__, psycopg.OperationalError):
            raise Fail(UNAVAILABLE, "postgres", str(error), "check it with: fairclaim doctor") from None
        raise Fail(FAILURE, "not_migrated", str(error)) from None
    answer = {"applied": [] if dry_run else names, "pending": names if dry_run else [], "schema_version": version}
    done = "would be applied" if dry_run else "applied"
    lines = [f"{done}: {name}" for name in names] or ["nothing to apply"]
    emit(answer, as_json, lambda: "\n".join([*lines, f"schema version {version}"]))
