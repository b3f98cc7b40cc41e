"""Users: who may sign in, and what each may do. For admins."""

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, NamedTuple

from starlette.responses import Response

from gateway.console.access import HOME
from gateway.console.locales import N_
from gateway.console.page import Page, Visit
from gateway.console.roles import ROLE_WORDS
from gateway.console.tables import Cell, Noted, Read, Sort, Table, csv_file, every_page
from gateway.console.words import Trouble
from gateway.errors import Refusal
from gateway.people.passwords import generate_password
from gateway.people.person import InvalidUser, User, read_display, read_name, read_roles
from gateway.people.store import (
    LastAdmin,
    Listed,
    NoUser,
    UserExists,
    create_user,
    find_user,
    list_users,
    set_disabled,
    set_password,
    set_roles,
)
from gateway.sql import postgres

USERS, NEW_USER = f"{HOME}/users", f"{HOME}/new-user"
EXPORT = f"{HOME}/users.csv"
ROWS_MAX = 50
SORTS = {
    "name": Sort(N_("Name")),
    "called": Sort(N_("Called")),
    "changed": Sort(N_("Changed"), falls=True),
}
_DONE = {
    "roles": N_("The roles are changed, and all sessions of this user are over."),
    "disabled": N_("This user can’t sign in any more, and all sessions are over."),
    "enabled": N_("This user may sign in again."),
}
_LAST_ADMIN = Trouble(
    N_("Nobody else could administer the console."), N_("Nothing was changed. Give somebody else the role Admin first.")
)
_NOT_YOURSELF = Trouble(N_("This is you."), N_("Nothing was changed. Ask another admin to do it."))


class _Place(NamedTuple):
    """After which user a page begins."""

    key: str
    name: str


async def show_list(visit: Visit) -> Response:
    """Users, filtered and sorted."""
    table = _table(visit)
    shown = await table.page(_reader(visit, table), _place, _Place, ROWS_MAX)
    return visit.render("users", roles=ROLE_WORDS, table=table, shown=shown)


def _table(visit: Visit) -> Table:
    role = visit.asked("role")
    return Table(visit, USERS, SORTS, {"text": visit.asked("text"), "role": role if role in ROLE_WORDS else ""}, EXPORT)


def _reader(visit: Visit, table: Table) -> Read[_Place, Listed]:
    async def read(after: _Place | None, limit: int) -> list[Listed]:
        asked: dict[str, Any] = {**table.filters, "by": table.by, "down": table.down}
        async with postgres(visit.here.pool) as connection:
            return await list_users(connection, **asked, after=after or ("", ""), limit=limit)

    return read


def _place(user: Listed) -> _Place:
    return _Place(user.key, user.name)


async def export(visit: Visit) -> Response:
    """Every user that the list has, as CSV with times in UTC, never a hash; who took it is in the audit log."""
    table = _table(visit)

    async def pages() -> AsyncIterator[Iterable[Sequence[Cell]]]:
        async for page in every_page(_reader(visit, table), _place):
            yield map(_cells, page)

    heads = ("name", "called", "roles", "state", "made_by", "made_at", "changed_by", "changed_at")
    return await csv_file(visit, "users", heads, pages(), Noted("users.exported", "users", dict(table.filters)))


def _cells(user: Listed) -> tuple[Cell, ...]:
    state = "disabled" if user.disabled_at else "must_change" if user.must_change else "active"
    told = (user.name, user.display, " ".join(user.roles), state)
    return (*told, user.created_by, user.created_at, user.changed_by, user.changed_at)


async def show_new(visit: Visit) -> Response:
    """The form for a new user."""
    return _new(visit)


async def create(visit: Visit) -> Response:
    """Make a user with a password that is shown once."""
    name, display, roles = visit.one("name"), visit.one("display"), visit.fields.get("role", [])
    errors: dict[str, str] = {}
    for field, check in (
        ("name", lambda: read_name(name)),
        ("display", lambda: read_display(display or name or "-")),
        ("roles", lambda: read_roles(roles)),
    ):
        try:
            check()
        except InvalidUser as error:
            errors[field] = _said(visit, error)
    if errors:
        return _new(visit, 400, errors=errors)
    password = generate_password()
    hashed = await visit.here.people.passwords.hash(password)
    try:
        async with postgres(visit.here.pool) as connection:
            user = await create_user(connection, name, display, roles, hashed, visit.who.actor, must_change=True)
    except UserExists:
        return _new(visit, 409, errors={"name": visit.words.say(N_("There is a user of this name."))})
    return visit.render("password", user=user, password=password, is_new=True)


def _said(visit: Visit, error: InvalidUser) -> str:
    if error.field == "roles":
        return visit.words.say(N_("Choose one role or more."))
    return visit.words.say(error.says, **error.values)


def _new(visit: Visit, status: int = 200, **values: Any) -> Response:
    typed = {"name": visit.one("name"), "display": visit.one("display"), "roles": visit.fields.get("role", [])}
    return visit.render("user_new", status, typed=typed, roles=ROLE_WORDS, **values)


async def show_user(visit: Visit) -> Response:
    """One user, and what can be changed about him."""
    done = _DONE.get(visit.asked("done"))
    return await _user(visit, done=visit.words.say(done) if done else None)


async def change(visit: Visit) -> Response:
    """Change his roles, disable or enable him, or give him another password. Errors: Refusal."""
    name, step, actor = _named(visit), visit.one("step"), visit.who.actor
    keeps = step == "roles" and "admin" in visit.fields.get("role", [])
    if name == visit.who.name and step in ("disable", "roles") and not keeps:
        return await _user(visit, 409, notice=_NOT_YOURSELF)
    try:
        match step:
            case "roles":
                return await _change_roles(visit, name)
            case "disable" | "enable":
                async with postgres(visit.here.pool) as connection:
                    await set_disabled(connection, name, step == "disable", actor)
                return visit.go(f"{USERS}/{name}?done={step}d")
            case "password":
                return await _new_password(visit, name)
            case _:
                raise Refusal("bad_request", "The form could not be read.")
    except NoUser:
        raise Refusal("not_found") from None
    except LastAdmin:
        return await _user(visit, 409, notice=_LAST_ADMIN)


async def _change_roles(visit: Visit, name: str) -> Response:
    roles, display = visit.fields.get("role", []), visit.one("display")
    try:
        async with postgres(visit.here.pool) as connection:
            await set_roles(connection, name, roles, visit.who.actor, display=display or name)
    except InvalidUser as error:
        return await _user(visit, 400, errors={error.field: _said(visit, error)})
    return visit.go(f"{USERS}/{name}?done=roles")


async def _new_password(visit: Visit, name: str) -> Response:
    password = generate_password()
    hashed = await visit.here.people.passwords.hash(password)
    async with postgres(visit.here.pool) as connection:
        await set_password(connection, name, hashed, visit.who.actor, must_change=True)
        user = await find_user(connection, name)
    return visit.render("password", user=user, password=password, is_new=False)


def _named(visit: Visit) -> str:
    """The name in the path; nobody's where PostgreSQL has no such text."""
    name: str = visit.request.path_params["name"]
    return "" if "\0" in name else name


async def _user(visit: Visit, status: int = 200, **values: Any) -> Response:
    """Errors: Refusal("not_found")."""
    try:
        async with postgres(visit.here.pool) as connection:
            user: User = await find_user(connection, _named(visit))
    except NoUser:
        raise Refusal("not_found") from None
    fields = visit.fields
    typed = {
        "typed_roles": fields.get("role", list(user.roles)),
        "typed_display": fields.get("display", [user.display])[0],
    }
    given = {"done": None, **typed, **values}
    return visit.render("user", status, user=user, roles=ROLE_WORDS, **given)


PAGES = (
    Page(path=USERS, show=show_list, roles=("admin",), menu=N_("Users"), section=N_("Administration")),
    Page(path=EXPORT, show=export, roles=("admin",), under=USERS),
    Page(path=NEW_USER, show=show_new, act=create, roles=("admin",), under=USERS),
    Page(path=f"{USERS}/{{name}}", show=show_user, act=change, roles=("admin",), under=USERS),
)
