"""`fairclaim key`: API keys, straight in PostgreSQL, because somebody has to make the first one."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.connections import with_books
from gateway.cli.flags import JsonFlag, settings_from
from gateway.cli.options import DataDir, PostgresUrl, ReadyFile, flag_of
from gateway.cli.output import NOT_FOUND, USAGE, Fail, emit
from gateway.cli.ready import actor
from gateway.cli.tables import facts, table

if TYPE_CHECKING:
    from gateway.keys import ListedKey

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
        made = with_books(settings, lambda connection: create_key(connection, name, role, actor()))
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
    keys = [_listed(key) for key in with_books(settings, list_keys)]
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
    if not with_books(settings, lambda connection: revoke_key(connection, key_id, actor())):
        raise Fail(NOT_FOUND, "key_not_found", f"there is no key {key_id!r}", "`fairclaim key list` shows them")
    emit({"id": key_id, "revoked": True}, as_json, lambda: f"{key_id} is revoked")


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
