"""
Users in PostgreSQL. Each change is one transaction with its line in the audit log, before and after, never a hash.

Whatever takes rights away, or gives another password, gives the user a new stamp: every session of his is over.
"""

from collections.abc import Iterable, Mapping
from secrets import token_urlsafe
from typing import Any, Literal

import msgspec
from psycopg import AsyncConnection

from gateway.people.person import THEMES, InvalidUser, Look, User, read_display, read_name, read_roles
from gateway.sql import load_queries, row, rows

_QUERIES = load_queries("people")
_STAMP_BYTES = 12

Connection = AsyncConnection[Any]
Way = Literal["name", "called", "changed"]


class Listed(User, frozen=True):
    """A user, and what he is sorted by before his name."""

    key: str


class NoUser(LookupError):
    """There is no user of this name."""


class UserExists(ValueError):
    """There is a user of this name."""


class LastAdmin(ValueError):
    """Nobody else could administer: nothing was changed."""


async def create_user(
    connection: Connection,
    name: str,
    display: str,
    roles: Iterable[str],
    password_hash: str,
    actor: str,
    *,
    must_change: bool,
) -> User:
    """
    Make a user; *must_change* has him choose a password of his own first.

    Errors: InvalidUser naming the field; UserExists.
    """
    name, display, listed = read_name(name), read_display(display or name), read_roles(roles)
    async with connection.transaction():
        values = {"name": name, "display": display, "roles": listed, "must_change": must_change, "actor": actor}
        made = await row(connection, _QUERIES["create_user"], password=password_hash, stamp=_stamp(), **values)
        if made is None:
            raise UserExists(name)
        after = {"display": display, "roles": listed, "must_change": must_change}
        await _audit(connection, actor, "user.created", name, None, after)
        return await find_user(connection, name)


async def find_user(connection: Connection, name: str) -> User:
    """The user of this name. Errors: NoUser."""
    found = await row(connection, _QUERIES["user_listed"], name=name)
    if found is None:
        raise NoUser(name)
    return msgspec.convert(found, User)


async def list_users(
    connection: Connection,
    *,
    text: str = "",
    role: str = "",
    by: Way = "name",
    down: bool = False,
    after: tuple[str, str] = ("", ""),
    limit: int = 1000,
) -> list[Listed]:
    """
    Users sorted *by* name or another thing; *text* is part of a name or display name, *role* one they have.

    *after* is the place (key, name) of the last one seen; two empty texts are the beginning.
    """
    asked = {"text": text, "role": role, "by": by, "down": down, "key": after[0], "after": after[1], "limit": limit}
    return msgspec.convert(await rows(connection, _QUERIES["list_users"], **asked), list[Listed])


async def has_users(connection: Connection) -> bool:
    """Whether there is any user, a disabled one too."""
    return await row(connection, _QUERIES["any_user"]) is not None


async def set_roles(
    connection: Connection, name: str, roles: Iterable[str], actor: str, *, display: str | None = None
) -> User:
    """
    Give a user these roles and no others, and another display name if one is given.

    Errors: InvalidUser, NoUser, LastAdmin.
    """
    listed, shown = read_roles(roles), None if display is None else read_display(display)
    async with connection.transaction():
        before = await _locked(connection, name)
        if "admin" not in listed:
            await _leave_an_admin(connection, before)
        values = {"roles": listed, "display": shown or before.display}
        if values == {"roles": list(before.roles), "display": before.display}:
            return before
        await rows(connection, _QUERIES["set_roles"], name=name, actor=actor, stamp=_stamp(), **values)
        was = {"roles": before.roles, "display": before.display}
        await _audit(connection, actor, "user.roles_changed", name, was, values)
        return await find_user(connection, name)


async def set_password(connection: Connection, name: str, password_hash: str, actor: str, *, must_change: bool) -> str:
    """Give a user another password; what comes back is the new stamp. Errors: NoUser."""
    stamp = _stamp()
    async with connection.transaction():
        before = await _locked(connection, name)
        values = {"password": password_hash, "must_change": must_change, "stamp": stamp}
        await rows(connection, _QUERIES["set_password"], name=name, actor=actor, **values)
        was, now = {"must_change": before.must_change}, {"must_change": must_change}
        await _audit(connection, actor, "user.password_changed", name, was, now)
    return stamp


async def set_disabled(connection: Connection, name: str, disabled: bool, actor: str) -> User:
    """Let a user sign in no more, or again; once is as good as twice. Errors: NoUser, LastAdmin."""
    async with connection.transaction():
        before = await _locked(connection, name)
        if (before.disabled_at is not None) == disabled:
            return before
        if disabled:
            await _leave_an_admin(connection, before)
        query, action = ("disable_user", "user.disabled") if disabled else ("enable_user", "user.enabled")
        await rows(connection, _QUERIES[query], name=name, actor=actor, stamp=_stamp())
        await _audit(connection, actor, action, name, {"disabled": not disabled}, {"disabled": disabled})
        return await find_user(connection, name)


async def end_sessions(connection: Connection, name: str) -> None:
    """Every session of a user is over, in every browser: he signed out."""
    async with connection.transaction():
        await rows(connection, _QUERIES["end_sessions"], name=name, stamp=_stamp())
        await note(connection, f"user:{name}", "signed_out", name, {})


async def note(connection: Connection, actor: str, act: str, name: str, told: Mapping[str, str]) -> None:
    """Something that changed nothing about a user, in the audit log; nothing where there is no such user."""
    detail = msgspec.json.encode(told).decode()
    values = {"actor": actor, "action": f"user.{act}", "subject": f"user:{name}", "detail": detail}
    await rows(connection, _QUERIES["audit_user"], name=name, **values)


async def set_look(connection: Connection, name: str, look: Look, actor: str) -> None:
    """Keep how a user wants the console to look; his sessions go on. Errors: InvalidUser, NoUser."""
    if look.theme not in THEMES:
        raise InvalidUser("theme", "light, dark or none")
    async with connection.transaction():
        before = await row(connection, _QUERIES["user_by_name"], name=name)
        if before is None:
            raise NoUser(name)
        was = {field: before[field] for field in Look._fields}
        if was != look._asdict():
            await rows(connection, _QUERIES["set_look"], name=name, actor=actor, **look._asdict())
            await _audit(connection, actor, "user.look_changed", name, was, look._asdict())


def _stamp() -> str:
    return token_urlsafe(_STAMP_BYTES)


async def _locked(connection: Connection, name: str) -> User:
    """The user as he is while nobody else changes one."""
    await rows(connection, _QUERIES["lock_users"])
    return await find_user(connection, name)


async def _leave_an_admin(connection: Connection, user: User) -> None:
    """Errors: LastAdmin where only *user* can administer."""
    if "admin" in user.roles and user.disabled_at is None:
        left = await row(connection, _QUERIES["admins_but"], name=user.name)
        if left is None or left["others"] == 0:
            raise LastAdmin(user.name)


async def _audit(
    connection: Connection,
    actor: str,
    action: str,
    name: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any],
) -> None:
    detail = msgspec.json.encode({"before": before, "after": after}).decode()
    await rows(connection, _QUERIES["audit"], actor=actor, action=action, subject=f"user:{name}", detail=detail)
