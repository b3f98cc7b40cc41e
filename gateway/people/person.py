"""Who somebody at the console is, and what his name, his display name and his roles may be."""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

import msgspec

ROLES = ("admin", "marketer", "store", "finance", "auditor", "operator")
"""As they are listed everywhere. An admin may do what every role may."""
THEMES = ("", "light", "dark")
"""The first is as the browser has it."""
NAME_CHARS_MAX = 64
DISPLAY_CHARS_MAX = 100
_NAME = re.compile(r"[a-z0-9._-]{1,64}")


class InvalidUser(ValueError):
    """
    A user can't be like that; the text names the field and what is allowed.

    *says* and *values* are that text before it is put together, so that it can be said in other languages.
    """

    def __init__(self, field: str, says: str, **values: object) -> None:
        super().__init__(f"{field}: {says % values}")
        self.field, self.says, self.values = field, says, values


class Look(NamedTuple):
    """How the console shows itself to somebody: an empty text is as his browser has it. *zone* is an IANA name."""

    language: str = ""
    theme: str = ""
    zone: str = ""


class Person(NamedTuple):
    """Somebody who is signed in."""

    name: str
    roles: tuple[str, ...]
    display: str
    look: Look = Look()

    @property
    def actor(self) -> str:
        """Who it was, for the audit log and whatever else remembers who did something."""
        return f"user:{self.name}"

    def may(self, *roles: str) -> bool:
        """Whether he has one of *roles*, or is admin; with none given anybody may."""
        return not roles or "admin" in self.roles or any(role in self.roles for role in roles)


class User(msgspec.Struct, frozen=True):
    """A user as listed: without what proves the password, and without the stamp of the sessions."""

    name: str
    display: str
    roles: tuple[str, ...]
    must_change: bool
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str
    disabled_at: datetime | None
    disabled_by: str | None


def read_name(text: str) -> str:
    """*text* as a user's name. Errors: InvalidUser."""
    if not _NAME.fullmatch(text) or not text.strip("._-"):  # "..", in the path of a page, would be another page
        raise InvalidUser(
            "name",
            "1 to %(chars)s of a-z, 0-9, dot, underscore and hyphen, one of them a letter or a digit",
            chars=NAME_CHARS_MAX,
        )
    return text


def read_display(text: str) -> str:
    """*text* as what a person is called. Errors: InvalidUser."""
    if not text.strip() or len(text) > DISPLAY_CHARS_MAX or not text.isprintable():
        raise InvalidUser("display", "1 to %(chars)s printable characters", chars=DISPLAY_CHARS_MAX)
    return text.strip()


def read_roles(roles: Iterable[str]) -> list[str]:
    """*roles*, each once and in the order of ROLES. Errors: InvalidUser."""
    given = set(roles)
    if not given or not given <= set(ROLES):
        raise InvalidUser("roles", "one or more of %(roles)s", roles=", ".join(ROLES))
    return [role for role in ROLES if role in given]
