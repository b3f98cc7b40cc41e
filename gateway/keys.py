"""
API keys: who of the staff is asking, and in what role.

    fck_<8 id>_<52 secret><6 checksum>      base32 in lower case, the checksum in hex

The secret is 32 bytes of the operating system's randomness; the checksum (CRC-32, 24 bits) tells a
mistyped key from an unknown one without a look-up. Postgres keeps SHA-256 of the whole text: 256
random bits need no slow hash.
"""

import re
from base64 import b32encode
from collections import OrderedDict
from datetime import datetime
from hashlib import sha256
from hmac import compare_digest
from secrets import token_bytes
from time import monotonic
from typing import Any, NamedTuple
from zlib import crc32

import msgspec
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from gateway.errors import Refusal
from gateway.sql import load_queries, postgres, row, rows

ROLES = ("admin", "marketer", "store", "finance", "auditor")

NAME_CHARS_MAX = 100
_CACHED_MAX = 1024
_KEY = re.compile(r"(fck_([a-z2-7]{8})_[a-z2-7]{52})([0-9a-f]{6})")
_QUERIES = load_queries("keys")


class ApiKey(NamedTuple):
    """Who presents a key that is good."""

    id: str
    name: str
    role: str

    @property
    def actor(self) -> str:
        """Who it was, for audit_log and campaign_versions."""
        return f"key:{self.id} {self.name}"

    @property
    def roles(self) -> tuple[str, ...]:
        """Its role, as everybody's roles are had."""
        return (self.role,)


class NewKey(NamedTuple):
    """A key just made. *text* is the only copy there is; *digest* is what is kept."""

    id: str
    text: str
    digest: bytes


class ListedKey(msgspec.Struct, frozen=True):
    """A key in a list."""

    id: str
    name: str
    role: str
    created_at: datetime
    created_by: str
    revoked_at: datetime | None


class InvalidKey(ValueError):
    """A key can't be made like that; the text names the field and what is allowed."""


def make_key() -> NewKey:
    """A new key that nobody knows yet."""
    key_id, secret = _base32(token_bytes(5)), _base32(token_bytes(32))
    body = f"fck_{key_id}_{secret}"
    text = body + _checksum(body)
    return NewKey(key_id, text, _digest(text))


def _base32(data: bytes) -> str:
    return b32encode(data).decode().rstrip("=").lower()


def _checksum(body: str) -> str:
    return f"{crc32(body.encode()) & 0xFFFFFF:06x}"


def _digest(text: str) -> bytes:
    return sha256(text.encode()).digest()


def key_id(text: str) -> str | None:
    """The id in a well-formed key whose checksum is right; None for anything else."""
    match = _KEY.fullmatch(text)
    return match[2] if match and compare_digest(_checksum(match[1]), match[3]) else None


class _Known(NamedTuple):
    key: ApiKey
    digest: bytes


class KeyRing:
    """
    Tells whose key a text is.

    Units: *cache_s* seconds is how long an answer of Postgres is believed, so how long a revoked key may still work.
    """

    def __init__(self, pool: AsyncConnectionPool[Any], cache_s: float) -> None:
        self._pool, self._cache_s = pool, cache_s
        self._cached: OrderedDict[str, tuple[float, _Known | None]] = OrderedDict()

    async def authenticate(self, text: str) -> ApiKey:
        """
        The key that *text* is.

        Errors: Refusal unauthenticated (malformed, unknown or revoked, without saying which); not_ready when
        Postgres can't be asked.
        """
        known_id = key_id(text)
        known = await self._known(known_id) if known_id is not None else None
        # An unknown id is compared too, so that the time taken does not tell it from a wrong secret.
        if not compare_digest(known.digest if known else bytes(32), _digest(text)) or known is None:
            raise Refusal("unauthenticated", "This API key is not valid.")
        return known.key

    async def of_id(self, known_id: str) -> ApiKey | None:
        """
        The key of this id, for whoever showed it before; None where it is unknown or revoked.

        Errors: Refusal("not_ready") when Postgres can't be asked.
        """
        known = await self._known(known_id)
        return known.key if known is not None else None

    async def _known(self, known_id: str) -> _Known | None:
        cached = self._cached.get(known_id)
        if cached is not None and monotonic() - cached[0] < self._cache_s:
            return cached[1]
        asked_at = monotonic()  # before the question: an answer is no younger than that
        async with postgres(self._pool) as connection:
            found = await row(connection, _QUERIES["key_by_id"], id=known_id)
        known = None
        if found is not None and found["revoked_at"] is None:
            known = _Known(ApiKey(found["id"], found["name"], found["role"]), bytes(found["digest"]))
        self._cached[known_id] = (asked_at, known)
        self._cached.move_to_end(known_id)
        while len(self._cached) > _CACHED_MAX:
            self._cached.popitem(last=False)
        return known


async def create_key(connection: AsyncConnection[Any], name: str, role: str, actor: str) -> NewKey:
    """
    Make and keep a key; its text is shown once and kept nowhere.

    Errors: InvalidKey naming the field.
    """
    if role not in ROLES:
        raise InvalidKey(f"role: one of {', '.join(ROLES)}")
    if not name.strip() or len(name) > NAME_CHARS_MAX or not name.isprintable():
        raise InvalidKey(f"name: 1 to {NAME_CHARS_MAX} printable characters")
    made = make_key()
    async with connection.transaction():
        await rows(
            connection, _QUERIES["create_key"], id=made.id, name=name, role=role, digest=made.digest, actor=actor
        )
        await _audit(connection, actor, "key.created", made.id, {"name": name, "role": role})
    return made


async def keep_key(connection: AsyncConnection[Any], text: str, name: str, role: str, actor: str) -> bool:
    """
    Keep a key that make_key() made earlier; False, and nothing changes, when it is kept already (or revoked since).

    Errors: InvalidKey when *text* is not a key.
    """
    kept_id = key_id(text)
    if kept_id is None:
        raise InvalidKey("text: not an API key, or mistyped")
    async with connection.transaction():
        if await row(connection, _QUERIES["key_exists"], id=kept_id) is not None:
            return False
        await rows(
            connection, _QUERIES["create_key"], id=kept_id, name=name, role=role, digest=_digest(text), actor=actor
        )
        await _audit(connection, actor, "key.created", kept_id, {"name": name, "role": role})
    return True


async def list_keys(connection: AsyncConnection[Any]) -> list[ListedKey]:
    """Every key there ever was, oldest first, without what proves it."""
    return [ListedKey(**found) for found in await rows(connection, _QUERIES["list_keys"])]


async def revoke_key(connection: AsyncConnection[Any], revoked_id: str, actor: str) -> bool:
    """Revoke a key, once; False when there is none of this id."""
    async with connection.transaction():
        if await row(connection, _QUERIES["revoke_key"], id=revoked_id) is not None:
            await _audit(connection, actor, "key.revoked", revoked_id, {})
            return True
        return await row(connection, _QUERIES["key_exists"], id=revoked_id) is not None


async def _audit(connection: AsyncConnection[Any], actor: str, action: str, key: str, detail: dict[str, str]) -> None:
    text = msgspec.json.encode(detail).decode()
    await rows(connection, _QUERIES["audit"], actor=actor, action=action, subject=f"key:{key}", detail=text)
