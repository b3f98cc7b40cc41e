"""What `up` does, in order; each step needs the ones before it."""

import asyncio
import os
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from gateway.cli.attached import await_attached
from gateway.cli.doctor import examine
from gateway.cli.flags import keys_from
from gateway.cli.output import emit
from gateway.cli.running import await_ready, say
from gateway.cli.screen import screen
from gateway.keys import keep_key, make_key
from gateway.people.first import FirstAdmin, keep_admin
from gateway.people.passwords import generate_password
from gateway.settings import Settings
from gateway.stack.demo import DEMO, publish_demo
from gateway.stack.findings import Finding, raise_fatal
from gateway.stack.logwatch import LogWatch
from gateway.stack.postgres import Postgres
from gateway.stack.preflight import hold_data_dir, listen_each
from gateway.stack.processes import StackError
from gateway.stack.programs import Program, worker_programs
from gateway.stack.ready import check_ready, describe, ready_paths, remove_ready, url_of, write_ready
from gateway.stack.secrets import Secrets, load_secrets
from gateway.stack.server import Server
from gateway.stack.supervisor import Supervisor
from gateway.stack.valkey import Valkey

ACTOR = "fairclaim up"


async def bring_up(settings: Settings, supervisor: Supervisor, as_json: bool) -> None:
    """Start everything, and return when it serves and the ready files are written. Errors: StackError."""
    data_dir = Path(settings.data_dir)
    lock = hold_data_dir(data_dir)
    supervisor.on_stop(lambda: os.close(lock))
    paths = ready_paths(settings)
    check_ready(paths)
    remove_ready(paths)  # left by an `up` that was killed: whoever waits for it would read of servers long gone
    sockets = listen_each(settings.host, settings.port, settings.workers)
    for listening in sockets:
        supervisor.before_stop(listening.close)  # else the kernel would go on accepting for us
    secrets = load_secrets(data_dir, lambda: make_key().text, generate_password)
    is_all_ours = not settings.redis_url and not settings.postgres_url
    settings = await _start_servers(settings, secrets, supervisor)
    raise_fatal(await _examine(settings))
    _migrate(settings.postgres_url)
    admin = await _keep_credentials(settings.postgres_url, secrets)

    if is_all_ours and not settings.no_demo and not settings.demo_campaign:  # anybody may claim there: else it is named
        settings = msgspec.structs.replace(settings, demo_campaign=DEMO)
    reconciler = Program("reconciler", ["reconcile"], settings, data_dir / "logs" / "reconciler.log")
    workers = worker_programs(settings, sockets, data_dir / "logs")
    clerk = Program("clerk", ["clerk"], settings, data_dir / "logs" / "clerk.log")
    _watch_logs([reconciler, *workers, clerk], supervisor)
    await supervisor.start(reconciler)
    await supervisor.start(*workers)
    await supervisor.start(clerk)
    url = url_of(sockets[0])
    await await_ready(url, supervisor)
    await await_attached(settings, supervisor)
    demo = None if settings.no_demo else await asyncio.to_thread(publish_demo, url, secrets.admin_key)

    ready = describe(_with_minting_key(settings), secrets, sockets[0], demo, admin.name if admin.is_good else None)
    emit(ready, as_json, lambda: screen(ready, settings, time.time(), admin.is_new))
    write_ready(ready, paths)  # last: whoever waits for the file finds all of it there, the screen too
    supervisor.before_stop(lambda: remove_ready(paths))


async def _start_servers(settings: Settings, secrets: Secrets, supervisor: Supervisor) -> Settings:
    """Start the servers that no URL was given for; the settings returned have every URL and JWT keys."""
    data_dir = Path(settings.data_dir)
    valkey = Valkey(
        data_dir / "valkey",
        memory_mb=settings.redis_memory_mb,
        fsync=settings.fsync,
        password=secrets.redis_password,
    )
    postgres = Postgres(data_dir / "postgres", password=secrets.postgres_password)
    wanted: list[Server] = []
    if not settings.redis_url:
        wanted.append(valkey)
    if not settings.postgres_url:
        wanted.append(postgres)
    await supervisor.start(*wanted)
    return msgspec.structs.replace(
        settings,
        redis_url=settings.redis_url or valkey.url,
        postgres_url=settings.postgres_url or postgres.url,
        jwt_keys=settings.jwt_keys or ("" if settings.jwt_keys_file else secrets.jwt_keys),
    )


def _with_minting_key(settings: Settings) -> Settings:
    """*settings* with the key that mints as the setting, also where the keys are in a file: the ready file names it."""
    kid, secret = next(iter(keys_from(settings).items()))
    return msgspec.structs.replace(settings, jwt_keys=f"{kid}={secret.decode()}", jwt_keys_file="")


async def _examine(settings: Settings) -> list[Finding]:
    """What doctor finds, its warnings told."""
    findings = await examine(settings)
    for finding in findings:
        if finding.level == "warn":
            say(f"warning: {finding.name}: {finding.found}; {finding.advice}")
    return findings


def _migrate(url: str) -> None:
    from reconciler.migrations import MigrationError, migrate

    try:
        migrate(url)
    except MigrationError as error:
        raise StackError(str(error)) from None


async def _keep_credentials(url: str, secrets: Secrets) -> FirstAdmin:
    """See to it that the API keys of this data directory are in the database, and somebody who may sign in."""
    import psycopg

    try:
        async with await psycopg.AsyncConnection.connect(
            url, autocommit=True, connect_timeout=10, options="-c role=fairclaim_gateway"
        ) as connection:
            for role in ("admin", "store", "finance"):
                await keep_key(connection, getattr(secrets, f"{role}_key"), f"{role} of up", role, ACTOR)
            return await keep_admin(connection, secrets.console_password, ACTOR)
    except psycopg.Error as error:
        raise StackError(f"PostgreSQL: {' '.join(str(error).split())}") from error


def _watch_logs(programs: list[Program], supervisor: Supervisor) -> None:
    """Show errors of the programs' logs on the screen, as long as the stack runs."""
    watch = LogWatch({program.title: program.log for program in programs if program.log}, say)
    following = asyncio.create_task(watch.follow())

    def end() -> None:
        following.cancel()
        with suppress(OSError):
            watch.look()

    supervisor.on_stop(end)
