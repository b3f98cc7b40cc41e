"""The first admin, whom `fairclaim up` makes: somebody has to let the others in."""

from typing import Any, NamedTuple

from psycopg import AsyncConnection

from gateway.people.passwords import hash_password, is_password
from gateway.people.store import UserExists, create_user, has_users
from gateway.sql import load_queries, row

NAME = "admin"
_QUERIES = load_queries("people")


class FirstAdmin(NamedTuple):
    """*is_new*: made just now. *is_good*: the password that was given lets him in."""

    name: str
    is_new: bool
    is_good: bool


async def keep_admin(connection: AsyncConnection[Any], password: str, actor: str) -> FirstAdmin:
    """
    Make the user admin with *password* where there is no user at all; else tell whether it is his still.

    He need not change it: it is as random as a key, and kept like one.
    """
    if not await has_users(connection):
        try:
            await create_user(connection, NAME, NAME, ["admin"], hash_password(password), actor, must_change=False)
        except UserExists:  # by another `up` on the same database, at this moment
            return await _known(connection, password)
        return FirstAdmin(NAME, True, True)
    return await _known(connection, password)


async def _known(connection: AsyncConnection[Any], password: str) -> FirstAdmin:
    found = await row(connection, _QUERIES["user_by_name"], name=NAME)
    good = found is not None and found["disabled_at"] is None and is_password(found["password"], password)
    return FirstAdmin(NAME, False, good)
