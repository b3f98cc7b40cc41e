"""
Holder tokens: compact HS256 JWTs, checked in a few microseconds; those found good are remembered.

Own code because this runs once a claim and a library's general path costs as much as the rest of the
claim. It accepts less than the standard allows: one algorithm, a known kid, exp and sub and aud and iss
always there, one spelling of a signature. The tests check it against PyJWT.
"""

import re
from hashlib import sha256
from hmac import compare_digest

import msgspec

from gateway.errors import Refusal
from gateway.signing import Mac, bytes_of, keyed, segment_of
from lua.keys import HolderId

SECRET_BYTES_MIN = 32
"""RFC 7518 §3.2: an HS256 key has at least as many bits as the hash."""
KID_BYTES_MAX = 128
TOKEN_CHARS_MAX = 4096
HOLDER_BYTES_MAX = 128
_HEADS_KEPT_MAX = 64
_HOLDER = re.compile(r"[!-~\u00a1-\U0010ffff]+\Z")

_Verified = tuple[HolderId, float, float]
"""Holder, not before, good until, the leeway in both. The garbage collector leaves plain tuples of these alone."""


class _Head(msgspec.Struct):
    alg: str
    kid: str
    typ: str = "JWT"
    crit: None = None  # names extensions that have to be understood; none is


class _Claims(msgspec.Struct):
    sub: HolderId
    exp: int | float
    aud: str | list[str]
    iss: str
    nbf: int | float = 0


_read_head = msgspec.json.Decoder(_Head).decode
_read_claims = msgspec.json.Decoder(_Claims).decode


def parse_keys(text: str) -> dict[str, bytes]:
    """
    Read ``kid=secret,kid=secret``; the first one mints.

    Errors: ValueError saying which key is wrong, and nothing of it: without its kid, a kid may be half of a secret.
    """
    keys: dict[str, bytes] = {}
    for position, pair in enumerate(filter(None, text.split(",")), start=1):
        kid, equals, secret = pair.partition("=")
        if not equals or not kid or kid in keys:
            raise ValueError(f"key {position}: expected kid=secret with a kid of its own")
        if len(kid.encode()) > KID_BYTES_MAX:
            raise ValueError(f"key {position}: the kid may have at most {KID_BYTES_MAX} bytes")
        if len(secret.encode()) < SECRET_BYTES_MIN:
            raise ValueError(f"key {position}: the secret has to have at least {SECRET_BYTES_MIN} bytes")
        keys[kid] = secret.encode()
    return keys


class TokenVerifier:
    """
    Checks tokens against *keys* (kid → secret), and remembers those that were good.

    Units: *leeway_s* seconds are forgiven in exp and nbf; at most *cache_max* tokens are remembered, by their hash.
    """

    def __init__(
        self, keys: dict[str, bytes], audience: str, issuer: str, leeway_s: int, *, cache_max: int = 0
    ) -> None:
        self._audience, self._issuer, self._leeway_s = audience, issuer, leeway_s
        # Two generations: a full young one becomes the old one, whose tokens are forgotten unless they come again.
        # So a hit is one look-up, and no order of last use has to be kept. A token is remembered when it comes the
        # second time: in a rush most come once, and those are not worth a SHA-256.
        self._generation_max, self._met_max = cache_max // 2, cache_max // 2 * 2
        self.use_keys(keys)

    def use_keys(self, keys: dict[str, bytes]) -> None:
        """From now on *keys* and no others; nothing that was found good with the ones before is remembered."""
        self._macs = {kid: keyed(secret) for kid, secret in keys.items()}
        self._heads: dict[bytes, Mac] = {}  # head segment → its key's MAC: the same few heads come with every token
        self._met: set[int] = set()
        self._young: dict[bytes, _Verified] = {}
        self._old: dict[bytes, _Verified] = {}

    @property
    def remembered(self) -> int:
        """How many tokens are remembered now."""
        return len(self._young) + len(self._old)

    def verify(self, token: str, now_s: float) -> HolderId:
        """
        The holder a token names.

        Errors: Refusal("unauthenticated") saying what is wrong with the token, never what is in it.
        """
        if len(token) > TOKEN_CHARS_MAX or not token.isascii():
            raise Refusal("unauthenticated", "The token is not a compact JWS.")
        text, met = token.encode(), hash(token)
        if met not in self._met:
            holder, _, _ = self._check(text, now_s)
            if len(self._met) >= self._met_max:
                self._met.clear()
            if self._met_max:
                self._met.add(met)
            return holder
        holder, not_before_s, good_until_s = self._recall(text, now_s)
        if not not_before_s <= now_s < good_until_s:
            raise _out_of_time(now_s, good_until_s)
        return holder

    def _recall(self, text: bytes, now_s: float) -> _Verified:
        """What is remembered of a token, by its hash; else check it and remember it. Errors: as verify()."""
        digest = sha256(text).digest()
        found = self._young.get(digest)
        if found is None:
            found = self._old.pop(digest, None) or self._check(text, now_s)
            if len(self._young) >= self._generation_max:
                self._old, self._young = self._young, {}
            self._young[digest] = found
        return found

    def _check(self, text: bytes, now_s: float) -> _Verified:
        signed, _, signature = text.rpartition(b".")
        head, dot, body = signed.partition(b".")
        if not dot:
            raise Refusal("unauthenticated", "The token is not a compact JWS.")
        mac = self._heads.get(head) or self._mac_for(head)
        if not compare_digest(mac(signed), signature):
            raise Refusal("unauthenticated", "The token's signature is not ours.")
        if len(self._heads) < _HEADS_KEPT_MAX:  # only now: else a stranger could fill it
            self._heads[head] = mac
        try:
            claims = _read_claims(bytes_of(body))
        except (ValueError, msgspec.DecodeError, RecursionError):
            raise Refusal("unauthenticated", "The token has to carry sub, exp, aud and iss.") from None
        not_before_s, good_until_s = claims.nbf - self._leeway_s, claims.exp + self._leeway_s
        if not not_before_s <= now_s < good_until_s:
            raise _out_of_time(now_s, good_until_s)
        audiences = [claims.aud] if isinstance(claims.aud, str) else claims.aud
        if self._audience not in audiences or claims.iss != self._issuer:
            raise Refusal("unauthenticated", "The token is for another audience or from another issuer.")
        if len(claims.sub.encode()) > HOLDER_BYTES_MAX or not _HOLDER.match(claims.sub):
            raise Refusal("unauthenticated", f"sub has to be 1 to {HOLDER_BYTES_MAX} bytes without blanks or controls.")
        return claims.sub, not_before_s, good_until_s

    def _mac_for(self, segment: bytes) -> Mac:
        try:
            head = _read_head(bytes_of(segment))
        except (ValueError, msgspec.DecodeError, RecursionError):
            raise Refusal("unauthenticated", "The token's header has to name alg and kid.") from None
        mac = self._macs.get(head.kid)
        if head.alg != "HS256" or head.typ.upper() not in ("JWT", "AT+JWT") or mac is None:
            raise Refusal("unauthenticated", "The token has to be an HS256 JWT signed with a key that is known here.")
        return mac


def _out_of_time(now_s: float, good_until_s: float) -> Refusal:
    return Refusal("unauthenticated", f"The token {'has expired' if now_s >= good_until_s else 'is not valid yet'}.")


def mint_token(keys: dict[str, bytes], holder: str, *, audience: str, issuer: str, ttl_s: int, now_s: float) -> str:
    """A token for *holder*, signed with the first of *keys*, valid from now for *ttl_s* seconds."""
    kid, secret = next(iter(keys.items()))
    head = segment_of(msgspec.json.encode({"alg": "HS256", "kid": kid, "typ": "JWT"}))
    claims = {"sub": holder, "aud": audience, "iss": issuer, "iat": int(now_s), "exp": int(now_s) + ttl_s}
    signed = head + b"." + segment_of(msgspec.json.encode(claims))
    return (signed + b"." + keyed(secret)(signed)).decode()
