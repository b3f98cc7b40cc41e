"""
Holder tokens: compact HS256 JWTs, checked in a few microseconds.

Own code because this runs once a claim and a library's general path costs as much as the rest of the
claim. It accepts less than the standard allows: one
algorithm, a known kid, exp and sub and aud and iss always there. The tests check it against PyJWT.
"""

import hmac
import re
from base64 import urlsafe_b64encode
from binascii import Error as Base64Error
from binascii import a2b_base64

import msgspec

from gateway.errors import Refusal
from lua.keys import HolderId

SECRET_BYTES_MIN = 32
"""RFC 7518 §3.2: an HS256 key has at least as many bits as the hash."""
TOKEN_CHARS_MAX = 4096
HOLDER_BYTES_MAX = 128
_HEADS_KEPT_MAX = 64
_SEGMENT = re.compile(r"[A-Za-z0-9_-]+\Z")
_HOLDER = re.compile(r"[!-~\u00a1-\U0010ffff]+\Z")


class _Head(msgspec.Struct):
    alg: str
    kid: str
    typ: str = "JWT"
    crit: msgspec.Raw | None = None


class _Claims(msgspec.Struct):
    sub: str
    exp: int | float
    aud: str | list[str]
    iss: str
    nbf: int | float = 0


_read_head = msgspec.json.Decoder(_Head).decode
_read_claims = msgspec.json.Decoder(_Claims).decode


def parse_keys(text: str) -> dict[str, bytes]:
    """
    Read ``kid=secret,kid=secret``; the first one mints.

    Errors: ValueError saying which key is wrong, never its secret.
    """
    keys: dict[str, bytes] = {}
    for position, pair in enumerate(filter(None, text.split(",")), start=1):
        kid, equals, secret = pair.partition("=")
        if not equals or not kid or kid in keys:
            raise ValueError(f"key {position}: expected kid=secret with a kid of its own")
        if len(secret.encode()) < SECRET_BYTES_MIN:
            raise ValueError(f"key {kid!r}: the secret has to have at least {SECRET_BYTES_MIN} bytes")
        keys[kid] = secret.encode()
    return keys


def _bytes_of(segment: str) -> bytes:
    """Decode base64url without padding. Errors: ValueError for anything that is not exactly that."""
    if not _SEGMENT.match(segment):
        raise ValueError("not base64url")
    try:
        return a2b_base64(segment.replace("-", "+").replace("_", "/") + "=" * (-len(segment) % 4))
    except Base64Error:
        raise ValueError("not base64url") from None


def _segment_of(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


class TokenVerifier:
    """Checks tokens against *keys* (kid → secret). Leeway is seconds forgiven in exp and nbf."""

    def __init__(self, keys: dict[str, bytes], audience: str, issuer: str, leeway_s: int) -> None:
        self._keys, self._audience, self._issuer, self._leeway_s = keys, audience, issuer, leeway_s
        self._heads: dict[str, bytes] = {}  # head segment → secret: the same few heads come with every token

    def verify(self, token: str, now_s: float) -> HolderId:
        """
        The holder a token names.

        Errors: Refusal("unauthenticated") saying what is wrong with the token, never what is in it.
        """
        if len(token) > TOKEN_CHARS_MAX or token.count(".") != 2:
            raise Refusal("unauthenticated", "The token is not a compact JWS.")
        signed, _, signature = token.rpartition(".")
        head, _, body = signed.partition(".")
        secret = self._heads.get(head) or self._secret_for(head)
        try:
            given = _bytes_of(signature)
            expected = hmac.digest(secret, signed.encode("ascii"), "sha256")
            if not hmac.compare_digest(given, expected):
                raise Refusal("unauthenticated", "The token's signature is not ours.")
            claims = _read_claims(_bytes_of(body))
        except (ValueError, msgspec.DecodeError):  # UnicodeEncodeError and msgspec's ValidationError are ValueErrors
            raise Refusal("unauthenticated", "The token has to carry sub, exp, aud and iss.") from None
        return self._holder(claims, now_s)

    def _holder(self, claims: _Claims, now_s: float) -> HolderId:
        if not claims.exp > now_s - self._leeway_s:
            raise Refusal("unauthenticated", "The token has expired.")
        if not claims.nbf <= now_s + self._leeway_s:
            raise Refusal("unauthenticated", "The token is not valid yet.")
        audiences = [claims.aud] if isinstance(claims.aud, str) else claims.aud
        if self._audience not in audiences or claims.iss != self._issuer:
            raise Refusal("unauthenticated", "The token is for another audience or from another issuer.")
        if len(claims.sub.encode()) > HOLDER_BYTES_MAX or not _HOLDER.match(claims.sub):
            raise Refusal("unauthenticated", f"sub has to be 1 to {HOLDER_BYTES_MAX} bytes without blanks or controls.")
        return HolderId(claims.sub)

    def _secret_for(self, segment: str) -> bytes:
        try:
            head = _read_head(_bytes_of(segment))
        except (ValueError, msgspec.DecodeError):
            raise Refusal("unauthenticated", "The token's header has to name alg and kid.") from None
        secret = self._keys.get(head.kid)
        if head.alg != "HS256" or head.typ.upper() not in ("JWT", "AT+JWT") or head.crit is not None or secret is None:
            raise Refusal("unauthenticated", "The token has to be an HS256 JWT signed with a key that is known here.")
        if len(self._heads) < _HEADS_KEPT_MAX:
            self._heads[segment] = secret
        return secret


def mint_token(keys: dict[str, bytes], holder: str, *, audience: str, issuer: str, ttl_s: int, now_s: float) -> str:
    """A token for *holder*, signed with the first of *keys*, valid from now for *ttl_s* seconds."""
    kid, secret = next(iter(keys.items()))
    head = _segment_of(msgspec.json.encode({"alg": "HS256", "kid": kid, "typ": "JWT"}))
    claims = {"sub": holder, "aud": audience, "iss": issuer, "iat": int(now_s), "exp": int(now_s) + ttl_s}
    signed = f"{head}.{_segment_of(msgspec.json.encode(claims))}"
    return f"{signed}.{_segment_of(hmac.digest(secret, signed.encode(), 'sha256'))}"
