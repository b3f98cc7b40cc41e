"""The running system a load goes to: where it is, and the tokens and requests of its holders."""

import hmac
import json
import time
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def _segment(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass(frozen=True)
class Target:
    """What a ready file says."""

    gateway_url: str
    redis_url: str
    postgres_url: str
    admin_key: str
    jwt: dict[str, str]

    @classmethod
    def read(cls, path: Path) -> "Target":
        """From the file that ``fairclaim up --ready-file`` wrote."""
        return cls.of(json.loads(path.read_text()))

    @classmethod
    def of(cls, ready: dict[str, Any]) -> "Target":
        """From what such a file holds. Errors: KeyError naming what is missing."""
        return cls(*(ready[name] for name in ("gateway_url", "redis_url", "postgres_url", "admin_key", "jwt")))

    def tokens(self, ttl_s: int = 3600) -> "TokenMint":
        """A mint of holder tokens good for *ttl_s* seconds."""
        return TokenMint(self.jwt, round(time.time()) + ttl_s)


class TokenMint:
    """Makes HS256 tokens with a fixed head."""

    def __init__(self, jwt: dict[str, str], expires_s: int) -> None:
        self._secret = jwt["secret"].encode()
        self._head = _segment(json.dumps({"alg": "HS256", "kid": jwt["kid"], "typ": "JWT"}).encode())
        self._rest = f'","aud":"{jwt["audience"]}","iss":"{jwt["issuer"]}","exp":{expires_s}}}'

    def token(self, holder: str) -> str:
        """A token for *holder* (letters, digits and hyphens)."""
        claims = '{"sub":"' + holder + self._rest
        signed = f"{self._head}.{_segment(claims.encode())}"
        return f"{signed}.{_segment(hmac.digest(self._secret, signed.encode(), 'sha256'))}"


def claim_request(campaign: str, token: str, key: str, body: bytes = b"{}") -> bytes:
    """The bytes of one claim."""
    head = (
        f"POST /v1/campaigns/{campaign}/claims HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        f"Idempotency-Key: {key}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
