"""One worker's people: who signs in with a name and a password, and whose session a stamp is of."""

from typing import Any, NamedTuple

from psycopg_pool import AsyncConnectionPool

from gateway.people.passwords import Passwords
from gateway.people.person import Look, Person
from gateway.sql import load_queries, postgres, row

_QUERIES = load_queries("people")


class Known(NamedTuple):
    """A person who may sign in, as PostgreSQL has him now. *must_change*: he has to choose a password first."""

    person: Person
    stamp: str
    must_change: bool


class People:
    """Looks people up in PostgreSQL, each time: a change holds at once. Errors: Refusal not_ready, overloaded."""

    def __init__(self, pool: AsyncConnectionPool[Any], passwords: Passwords) -> None:
        self._pool, self.passwords = pool, passwords

    async def sign_in(self, name: str, password: str) -> Known | None:
        """
        Who that is; None for a wrong name, a wrong password and a disabled user.

        None takes the same time for each of them: something is hashed whoever it is.
        """
        found = await self._row(name)
        right = await self.passwords.is_password(found["password"] if found else None, password)
        return _known(found) if found is not None and right and found["disabled_at"] is None else None

    async def of_stamp(self, name: str, stamp: str) -> Known | None:
        """The person of a session; None where its sessions were ended, or he may not sign in any more."""
        found = await self._row(name)
        if found is None or found["disabled_at"] is not None or found["stamp"] != stamp:
            return None
        return _known(found)

    async def _row(self, name: str) -> dict[str, Any] | None:
        if "\0" in name:  # no text of PostgreSQL
            name = ""
        async with postgres(self._pool) as connection:
            return await row(connection, _QUERIES["user_by_name"], name=name)


def _known(found: dict[str, Any]) -> Known:
    look = Look(found["language"], found["theme"], found["zone"])
    person = Person(found["name"], tuple(found["roles"]), found["display"], look)
    return Known(person, found["stamp"], found["must_change"])
