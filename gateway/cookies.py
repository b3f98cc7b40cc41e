"""
Sessions in signed cookies: no server remembers them.

    <version>.<kid>.<session>.<mac>

The session is base64url of msgpack. The MAC is over all that stands before it, under a key derived from the JWT secret
of that kid, as with tickets. The *form* of a session is a secret that every form of it carries: a page of somebody
else can neither read nor guess it.
"""

import hmac
from secrets import token_urlsafe
from typing import Generic, Protocol, TypeVar

import msgspec
from starlette.requests import Request

from gateway.signing import Mac, bytes_of, keyed, segment_of

SESSION_CHARS_MAX = 2048
_FORM_BYTES = 18


class Session(Protocol):
    """What a session is at least: a Struct that says until when it is good, in seconds since the epoch."""

    @property
    def expires_s(self) -> int:
        """Until when."""


T = TypeVar("T", bound=Session)


def new_form() -> str:
    """A secret for the forms of a new session."""
    return token_urlsafe(_FORM_BYTES)


def is_https(request: Request) -> bool:
    """Whether the browser speaks HTTPS, to us or to a proxy before us. Who says so wrongly loses his own cookie."""
    return request.url.scheme == "https" or request.headers.get("x-forwarded-proto", "") == "https"


class Seal(Generic[T]):
    """
    Signs sessions of *kind* with *keys* (kid → JWT secret), the first of which signs, and reads them again.

    *version* is what the cookies begin with, *purpose* what keeps them apart from everything else the keys sign.
    """

    def __init__(self, version: str, purpose: str, kind: type[T], keys: dict[str, bytes]) -> None:
        self._version, self._purpose, self._kind = version.encode(), purpose.encode(), kind
        self.use_keys(keys)

    def use_keys(self, keys: dict[str, bytes]) -> None:
        """From now on *keys* and no others."""
        self._macs: dict[bytes, Mac] = {
            segment_of(kid.encode()): keyed(hmac.digest(secret, self._purpose, "sha256"))
            for kid, secret in keys.items()
        }

    def seal(self, session: T) -> str:
        """The cookie of *session*."""
        kid, mac = next(iter(self._macs.items()))
        signed = b".".join((self._version, kid, segment_of(msgspec.msgpack.encode(session))))
        return (signed + b"." + mac(signed)).decode()

    def open(self, text: str, now_s: float) -> T | None:
        """The session in a cookie; None where there is none that is good now."""
        if len(text) > SESSION_CHARS_MAX or not text.isascii():
            return None
        signed, _, given = text.encode().rpartition(b".")
        fields = signed.split(b".")
        mac = self._macs.get(fields[1]) if len(fields) == 3 and fields[0] == self._version else None
        if mac is None or not hmac.compare_digest(mac(signed), given):
            return None
        session = msgspec.msgpack.decode(bytes_of(fields[2]), type=self._kind)  # as seal() wrote it
        return session if now_s < session.expires_s else None
