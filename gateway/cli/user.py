"""`fairclaim user`: people who sign in to the console, straight in PostgreSQL: somebody has to make the first."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from gateway.cli.connections import with_books
from gateway.cli.flags import JsonFlag, settings_from
from gateway.cli.options import DataDir, PostgresUrl, ReadyFile, flag_of
from gateway.cli.output import CONFLICT, NOT_FOUND, USAGE, Fail, emit
from gateway.cli.password import KEEP_IT, new_password
from gateway.cli.ready import actor
from gateway.cli.tables import facts, table

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    from gateway.people.person import User
    from gateway.settings import Settings

T = TypeVar("T")

ROLES = "admin, marketer, store, finance, auditor or operator"

app = typer.Typer(no_args_is_help=True, help="People who sign in to the console: create, change, disable, list.")

Name = Annotated[str, typer.Argument(help="The name he signs in with.", show_default=False)]


def _roles_flag(command: str) -> Any:
    return flag_of(command, "--role", "-r", help=f"What he may do, once for each: {ROLES}.", show_default=False)


def _stdin_flag(command: str) -> Any:
    return flag_of(command, "--password-stdin", help="Read the password from standard input, one line.")


def _generate_flag(command: str) -> Any:
    return flag_of(command, "--generate", help="Make a password and show it, this once.")


def _must_change_flag(command: str) -> Any:
    return flag_of(
        command, "--must-change/--no-must-change", help="He has to choose another password when he signs in."
    )


@app.command()
def create(
    name: Name,
    roles: Annotated[list[str], _roles_flag("user create")],
    display: Annotated[str, flag_of("user create", "--display", help="What he is called; else his name.")] = "",
    password_stdin: Annotated[bool, _stdin_flag("user create")] = False,
    generate: Annotated[bool, _generate_flag("user create")] = False,
    must_change: Annotated[bool, _must_change_flag("user create")] = True,
    postgres_url: PostgresUrl = None,
    ready_file: ReadyFile = None,
    data_dir: DataDir = None,
    as_json: JsonFlag = False,
) -> None:
    """
    Make a user of the console.

    The password is asked for, read from standard input, or made and shown once; it is never an argument.

    \b
    Example:
      fairclaim user create ann --role finance --display "Ann Lee" --generate

    Exit codes: 0 done, 2 usage, 4 there is one of this name, 6 PostgreSQL can't be reached.
    """
    from gateway.people.passwords import hash_password
    from gateway.people.person import read_display, read_name, read_roles
    from gateway.people.store import create_user

    settings = settings_from(postgres_url=postgres_url, ready_file=ready_file, data_dir=data_dir)
    _valid(lambda: (read_name(name), read_roles(roles), read_display(display or name)))
    password = new_password(name, display, from_stdin=password_stdin, generate=generate)
    hashed = hash_password(password.text)
    user = _act(
        settings,
        lambda connection: create_user(connection, name, display, roles, hashed, actor(), must_change=must_change),
    )
    _told(user, as_json, password.shown)


@app.command("list")
def list_(
    postgres_url: PostgresUrl = None,
    ready_file: ReadyFile = None,
    data_dir: DataDir = None,
    as_json: JsonFlag = False,
) -> None:
    """
    List every user there ever was, without what proves the password.

    \b
    Example:
      fairclaim user list --json

    Exit codes: 0 done, 2 usage, 6 PostgreSQL can't be reached.
    """
    from gateway.people.store import list_users

    settings = settings_from(postgres_url=postgres_url, ready_file=ready_file, data_dir=data_dir)
    users = [_shown(user) for user in _act(settings, list_users)]
    columns = ("name", "display", "roles", "state", "created_by", "created, UTC@")
    lines = [
        [user["name"], user["display"], ", ".join(user["roles"]), _state(user), user["created_by"], user["created_at"]]
        for user in users
    ]
    emit({"items": users, "next": None}, as_json, lambda: table(columns, lines, none="no users"))


@app.command()
def show(
    name: Name,
    postgres_url: PostgresUrl = None,
    ready_file: ReadyFile = None,
    data_dir: DataDir = None,
    as_json: JsonFlag = False,
) -> None:
    """
    Show one user.

    \b
    Example:
      fairclaim user show ann

    Exit codes: 0 done, 2 usage, 3 no such user, 6 PostgreSQL can't be reached.
    """
    from gateway.people.store import find_user

    settings = settings_from(postgres_url=postgres_url, ready_file=ready_file, data_dir=data_dir)
    _told(_act(settings, lambda connection: find_user(connection, name)), as_json)


@app.command()
def roles(
    name: Name,
    roles: Annotated[list[str], _roles_flag("user roles")],
    postgres_url: PostgresUrl = None,
    ready_file: ReadyFile = None,
    data_dir: DataDir = None,
    as_json: JsonFlag = False,
) -> None:
    """
    Give a user these roles and no others; his sessions end.

    \b
    Example:
      fairclaim user roles ann --role finance --role auditor

    Exit codes: 0 done, 2 usage, 3 no such user, 4 nobody else is admin, 6 PostgreSQL can't be reached.
    """
    from gateway.people.store import set_roles

    settings = settings_from(postgres_url=postgres_url, ready_file=ready_file, data_dir=data_dir)
    _told(_act(settings, lambda connection: set_roles(connection, name, roles, actor())), as_json)


@app.command()
def password(
    name: Name,
    password_stdin: Annotated[bool, _stdin_flag("user password")] = False,
    generate: Annotated[bool, _generate_flag("user password")] = False,
    must_change: Annotated[bool, _must_change_flag("user password")] = True,
    postgres_url: PostgresUrl = None,
    ready_file: ReadyFile = None,
    data_dir: DataDir = None,
    as_json: JsonFlag = False,
) -> None:
    """
    Give a user another password; his sessions end.

    \b
    Example:
      fairclaim user password ann --generate

    Exit codes: 0 done, 2 usage, 3 no such user, 6 PostgreSQL can't be reached.
    """
    from gateway.people.passwords import hash_password
    from gateway.people.store import find_user, set_password

    settings = settings_from(postgres_url=postgres_url, ready_file=ready_file, data_dir=data_dir)
    user = _act(settings, lambda connection: find_user(connection, name))
    given = new_password(user.name, user.display, from_stdin=password_stdin, generate=generate)
    hashed = hash_password(given.text)

    async def change(connection: "AsyncConnection[Any]") -> "User":
        await set_password(connection, name, hashed, actor(), must_change=must_change)
        return await find_user(connection, name)

    _told(_act(settings, change), as_json, given.shown)


@app.command()
def disable(
    name: Name,
    postgres_url: PostgresUrl = None,
    ready_file: ReadyFile = None,
    data_dir: DataDir = None,
    as_json: JsonFlag = False,
) -> None:
    """
    Let a user sign in no more; his sessions end at once.

    \b
    Example:
      fairclaim user disable ann

    Exit codes: 0 disabled, now or before, 2 usage, 3 no such user, 4 nobody else is admin, 6 PostgreSQL can't be
    reached.
    """
    from gateway.people.store import set_disabled

    settings = settings_from(postgres_url=postgres_url, ready_file=ready_file, data_dir=data_dir)
    _told(_act(settings, lambda connection: set_disabled(connection, name, True, actor())), as_json)


@app.command()
def enable(
    name: Name,
    postgres_url: PostgresUrl = None,
    ready_file: ReadyFile = None,
    data_dir: DataDir = None,
    as_json: JsonFlag = False,
) -> None:
    """
    Let a user sign in again, with the password he had.

    \b
    Example:
      fairclaim user enable ann

    Exit codes: 0 enabled, now or before, 2 usage, 3 no such user, 6 PostgreSQL can't be reached.
    """
    from gateway.people.store import set_disabled

    settings = settings_from(postgres_url=postgres_url, ready_file=ready_file, data_dir=data_dir)
    _told(_act(settings, lambda connection: set_disabled(connection, name, False, actor())), as_json)


def _act(settings: "Settings", act: "Callable[[AsyncConnection[Any]], Awaitable[T]]") -> T:
    """Run *act* with PostgreSQL. Errors: Fail in place of what people/store.py raises."""
    from gateway.people.store import LastAdmin, NoUser, UserExists

    try:
        return _valid(lambda: with_books(settings, act))
    except NoUser as error:
        raise Fail(NOT_FOUND, "user_not_found", f"there is no user {str(error)!r}", "`fairclaim user list`") from None
    except UserExists as error:
        raise Fail(CONFLICT, "user_exists", f"there is a user {str(error)!r}") from None
    except LastAdmin as error:
        hint = "make somebody else admin first: fairclaim user roles NAME --role admin"
        raise Fail(CONFLICT, "last_admin", f"nobody but {error} is admin", hint) from None


def _valid(check: Callable[[], T]) -> T:
    from gateway.people.person import InvalidUser

    try:
        return check()
    except InvalidUser as error:
        raise Fail(USAGE, "bad_user", str(error)) from None


def _told(user: "User", as_json: bool, password: str | None = None) -> None:
    """Answer with *user*, and with the password where it was made here."""
    data = _shown(user) | ({} if password is None else {"password": password})
    lines = {**data, "roles": ", ".join(data["roles"])}
    kept = f"\n{KEEP_IT}" if password is not None else ""
    emit(data, as_json, lambda: facts([*lines.items()]) + kept)


def _shown(user: "User") -> dict[str, Any]:
    from gateway.wire import rfc3339, time_ms

    return {
        "name": user.name,
        "display": user.display,
        "roles": list(user.roles),
        "must_change": user.must_change,
        "created_at": rfc3339(time_ms(user.created_at)),
        "created_by": user.created_by,
        "changed_at": rfc3339(time_ms(user.changed_at)),
        "changed_by": user.changed_by,
        "disabled_at": rfc3339(time_ms(user.disabled_at)) if user.disabled_at else None,
        "disabled_by": user.disabled_by,
    }


def _state(user: dict[str, Any]) -> str:
    if user["disabled_at"]:
        return "disabled"
    return "has to change the password" if user["must_change"] else "active"
