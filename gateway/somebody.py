"""
Who of the staff is asking, whatever way in: an API key (keys.py) or somebody who is signed in (people/person.py).

A person is told by the name: two API keys of one name, or a key and a user of one name, are one person.
"""

import unicodedata
from collections.abc import Collection
from typing import Protocol

from gateway.errors import Refusal


class Somebody(Protocol):
    """*actor* is how the audit log calls him; *roles* are what he may do, and admin is everything."""

    @property
    def name(self) -> str:
        """His name."""
        ...

    @property
    def roles(self) -> Collection[str]:
        """His roles."""
        ...

    @property
    def actor(self) -> str:
        """Who it was."""
        ...


def fold_name(name: str) -> str:
    """*name* as it is compared: case, width and blanks tell nobody from himself."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def name_in(actor: str) -> str:
    """The name in *actor*, folded: ``key:<id> <name>`` or ``user:<name>``."""
    kind, _, rest = actor.partition(":")
    return fold_name(rest.partition(" ")[2] if kind == "key" else rest)


def may(who: Somebody, roles: Collection[str]) -> bool:
    """Whether *who* has one of *roles*, or is admin."""
    return "admin" in who.roles or any(role in roles for role in who.roles)


def second_person_needed(kind: str) -> Refusal:
    """The refusal of what *kind* of proposal asks for, where FAIRCLAIM_TWO_PEOPLE is on."""
    detail = f"This moves money and takes two people: propose it (POST /v1/proposals, kind {kind})."
    return Refusal("second_person_needed", detail)
