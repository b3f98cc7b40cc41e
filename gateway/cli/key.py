"""`fairclaim key`: API keys, straight in PostgreSQL, because somebody has to make the first one."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from gateway.cli.flags import JsonFlag, settings_from
from gateway.cli.options import DataDir, PostgresUrl, ReadyFile, flag_of
from gateway.cli.output import NOT_FOUND, UNAVAILABLE, USAGE, Fail, emit
from gateway.cli.ready import actor, server_urls
from gateway.cli.tables import facts, table
from gateway.settings import Settings

if TYPE_CHECKING:
    import psycopg

    from gateway.keys import ListedKey

T = TypeVar("T")
ROLES = "admin, marketer, store, finance or auditor"

app = typer.Typer(no_args_is_help=True, help="API keys of the staff: create, list, revoke.")


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Whose key it is, or what for.", show_default=False)],
    role: Annotated[str, flag_of("key create", "--role", "-r", help=f"What it may do: {ROLES}.", show_default=False)],
    postgres_url: PostgresUrl = None,
    ready_file: ReadyFile = None,
    data_dir: DataDir = None,
    as_json: JsonFlag = False,
) -> None:
    """
    Make an API key and show it, this once.

    \b
    Example:
      fairclaim key create "till 7" --role store

    Exit codes: 0 done, 2 usage, 6 PostgreSQL can't be reached.
    """
    from gateway.keys import InvalidKey, create_key

    settings = settings_from(postgres_url=postgres_url, ready_file=ready_file, data_dir=data_dir)
    try:
        made = with_postgres(settings, lambda connection: create_key(connection, name, role, actor()))
    except InvalidKey as error:
        raise Fail(USAGE, "bad_key", str(error)) from None
    data = {"id": made.id, "name": name, "role": role, "key": made.text}
    emit(data, as_json, lambda: facts([*data.items()]) + "\nKeep the key: it is not shown again.")


@app.command("list")
def list_(
    postgres_url: PostgresUrl = None,
    ready_file: ReadyFile = None,
    data_dir: DataDir = None,
    as_json: JsonFlag = False,
) -> None:
    """
    List every key there ever was, without what proves it.

    \b
    Example:
      fairclaim key list --json

    Exit codes: 0 done, 2 usage, 6 PostgreSQL can't be reached.
    """
    from gateway.keys import list_keys

    settings = settings_from(postgres_url=postgres_url, ready_file=ready_file, data_dir=data_dir)
    keys = [_listed(key) for key in with_postgres(settings, list_keys)]
    columns = ("id", "name", "role", "created_by", "created, UTC@", "revoked, UTC@")
    names = ("id", "name", "role", "created_by", "created_at", "revoked_at")
    emit(
        {"items": keys, "next": None},
        as_json,
        lambda: table(columns, [[key[name] for name in names] for key in keys], none="no keys"),
    )


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `list` shows it.", show_default=False)],
    postgres_url: PostgresUrl = None,
    ready_file: ReadyFile = None,
    data_dir: DataDir = None,
    as_json: JsonFlag = False,
) -> None:
    """
    Revoke a key: gateways refuse it within FAIRCLAIM_API_KEY_CACHE_S seconds.

    \b
    Example:
      fairclaim key revoke k4x7n2qa

    Exit codes: 0 revoked, now or before, 2 usage, 3 no such key, 6 PostgreSQL can't be reached.
    """
    from gateway.keys import revoke_key

    settings = settings_from(postgres_url=postgres_url, ready_file=ready_file, data_dir=data_dir)
    if not with_postgres(settings, lambda connection: revoke_key(connection, key_id, actor())):
        raise Fail(NOT_FOUND, "key_not_found", f"there is no key {key_id!r}", "`fairclaim key list` shows them")
    emit({"id": key_id, "revoked": True}, as_json, lambda: f"{key_id} is revoked")


def with_postgres(settings: Settings, act: "Callable[[psycopg.AsyncConnection[dict[str, Any]]], Awaitable[T]]") -> T:
    """Run *act* on a connection in the gateway's role. Errors: Fail(UNAVAILABLE)."""
    import psycopg
    from psycopg.rows import dict_row

    (url,) = server_urls(settings, "postgres_url")

    async def run() -> T:
        async with await psycopg.AsyncConnection.connect(
            url,
            autocommit=True,
            row_factory=dict_row,
            connect_timeout=10,
            options=f"-c role=fairclaim_gateway -c statement_timeout={settings.postgres_ms_max}",
        ) as connection:
            return await act(connection)

    try:
        return asyncio.run(run())
    except psycopg.Error as error:
        raise postgres_fail(error) from None


def postgres_fail(error: Exception) -> Fail:
    """PostgreSQL does not do its part, as a person needs to hear it: its first line, without the statement."""
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return Fail(UNAVAILABLE, "postgres", f"PostgreSQL: {reason}", "check it with: fairclaim doctor")


def _listed(key: "ListedKey") -> dict[str, Any]:
    from gateway.wire import rfc3339, time_ms

    return {
        "id": key.id,
        "name": key.name,
        "role": key.role,
        "created_at": rfc3339(time_ms(key.created_at)),
        "created_by": key.created_by,
        "revoked_at": rfc3339(time_ms(key.revoked_at)) if key.revoked_at else None,
    }
