"""fairclaim serve: gateway workers alone, against servers that run elsewhere."""

import asyncio
from typing import TYPE_CHECKING, Annotated

from gateway.cli.flags import JsonFlag, keys_from, setting_flag, settings_from
from gateway.cli.output import USAGE, Fail, emit

if TYPE_CHECKING:
    from gateway.settings import Settings
    from gateway.stack.supervisor import Supervisor


def serve(
    redis_url: Annotated[str | None, setting_flag("redis_url")] = None,
    postgres_url: Annotated[str | None, setting_flag("postgres_url")] = None,
    host: Annotated[str | None, setting_flag("host")] = None,
    port: Annotated[int | None, setting_flag("port", "--port", "-p")] = None,
    workers: Annotated[str | None, setting_flag("workers", "--workers", "-w")] = None,
    log_level: Annotated[str | None, setting_flag("log_level")] = None,
    as_json: JsonFlag = False,
) -> int:
    """
    Run gateway workers against a Redis and a PostgreSQL that run elsewhere.

    Needs both URLs and FAIRCLAIM_JWT_KEYS. Logs are JSON lines on stderr. The schema has to be there (`fairclaim
    migrate`), and a reconciler somewhere (`fairclaim reconcile`). A worker that crashes is started again.

    \b
    Example:
      export FAIRCLAIM_JWT_KEYS=k1=$SECRET
      fairclaim serve --redis-url redis://cache --postgres-url postgresql://db/fc

    Exit codes: 0 stopped, 1 a worker can't run, 2 usage, 4 the port is in use, 6 not ready in time, 130 Ctrl-C before
    it was ready.
    """
    from gateway.cli.running import say, supervised

    settings = settings_from(
        redis_url=redis_url, postgres_url=postgres_url, host=host, port=port, workers=workers, log_level=log_level
    )
    for name in ("redis_url", "postgres_url"):
        if not getattr(settings, name):
            raise Fail(USAGE, "bad_setting", f"FAIRCLAIM_{name.upper()} is not set; `fairclaim serve` needs it")
    if not keys_from(settings):
        message = "FAIRCLAIM_JWT_KEYS is not set, nor is FAIRCLAIM_JWT_KEYS_FILE; `fairclaim serve` needs one of them"
        raise Fail(USAGE, "bad_setting", message)

    return asyncio.run(supervised(lambda supervisor: _bring_up(settings, supervisor, as_json), say))


async def _bring_up(settings: "Settings", supervisor: "Supervisor", as_json: bool) -> None:
    from gateway.cli.running import await_ready
    from gateway.stack.preflight import listen_each
    from gateway.stack.programs import worker_programs
    from gateway.stack.ready import url_of

    await asyncio.to_thread(_check_schema, settings.postgres_url)
    sockets = listen_each(settings.host, settings.port, settings.workers)
    for listening in sockets:
        supervisor.before_stop(listening.close)
    await supervisor.start(*worker_programs(settings, sockets, logs=None))
    url = url_of(sockets[0])
    await await_ready(url, supervisor)
    emit({"gateway_url": url, "workers": settings.workers}, as_json, lambda: f"{settings.workers} workers serve {url}")


def _check_schema(url: str) -> None:
    """See to it that the books have the schema; a PostgreSQL that can't be asked is waited for. Errors: StackError."""
    from gateway.stack.processes import StackError
    from reconciler.migrations import MigrationError, pending

    try:
        missing = pending(url)
    except MigrationError:
        return  # it is away: claims go on without it; or it shows this user no migrations
    if missing:
        raise StackError(f"the database lacks {', '.join(missing)}; run `fairclaim migrate` first")
