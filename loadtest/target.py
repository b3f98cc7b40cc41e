"""The running system a load goes to: where it is, and the tokens and requests of its holders."""

import hashlib
import json
import os
import time
from binascii import b2a_base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

URLS_AND_KEYS = {
    "gateway_url": "FAIRCLAIM_GATEWAY_URL",
    "redis_url": "FAIRCLAIM_REDIS_URL",
    "postgres_url": "FAIRCLAIM_POSTGRES_URL",
    "admin_key": "FAIRCLAIM_API_KEY",
    "jwt": "FAIRCLAIM_JWT_KEYS",
}
"""What a ready file has, and the variable that says it in its place."""
TO_ASK = ("gateway_url", "admin_key", "jwt")
"""What it takes to be a crowd; to judge one, everything."""


class NoTarget(Exception):
    """Nothing says where the system is, or how to get in; the text says what to do."""


_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def _segment(data: bytes) -> bytes:
    return b2a_base64(data, newline=False).translate(_URL_SAFE).rstrip(b"=")


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
    def find(
        cls, ready_file: str = "", needs: tuple[str, ...] = TO_ASK, environment: Mapping[str, str] = os.environ
    ) -> "Target":
        """
        By the variables of the environment, else the ready file: *ready_file*, else FAIRCLAIM_READY_FILE, else that of
        `fairclaim up` in this folder. What is not in *needs* may be missing, and is empty then.

        Errors: NoTarget.
        """
        path = Path(ready_file or ready_file_named(environment))
        ready = {**_read(path), **_said(environment)}
        missing = [name for name in needs if not ready.get(name)]
        if missing:
            found = f"the ready file {path} does not say" if path.exists() else f"there is no ready file {path}, nor"
            variables = ", ".join(URLS_AND_KEYS[name] for name in missing)
            raise NoTarget(
                f"{found} {variables}: start `fairclaim up`, or name its ready file by --ready-file or"
                " FAIRCLAIM_READY_FILE"
            )
        try:
            return cls.of({**dict.fromkeys(URLS_AND_KEYS, ""), "jwt": {}, **ready})
        except TypeError as error:
            raise NoTarget(f"the ready file {path} is none: {error}") from error

    @classmethod
    def of(cls, ready: dict[str, Any]) -> "Target":
        """From what such a file holds. Errors: KeyError naming what is missing."""
        return cls(*(ready[name] for name in ("gateway_url", "redis_url", "postgres_url", "admin_key", "jwt")))

    def tokens(self, ttl_s: int = 3600) -> "TokenMint":
        """A mint of holder tokens good for *ttl_s* seconds."""
        return TokenMint(self.jwt, round(time.time()) + ttl_s)


def ready_file_named(environment: Mapping[str, str] = os.environ) -> str:
    """Where the ready file is when no argument says it."""
    folder = environment.get("FAIRCLAIM_DATA_DIR") or ".fairclaim"
    return environment.get("FAIRCLAIM_READY_FILE") or f"{folder}/ready.json"


def _read(path: Path) -> dict[str, Any]:
    try:
        ready = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise NoTarget(f"the ready file {path} can't be read: {error}") from error
    if not isinstance(ready, dict):
        raise NoTarget(f"the ready file {path} is none: it holds no object")
    return ready


def _said(environment: Mapping[str, str]) -> dict[str, Any]:
    said: dict[str, Any] = {
        name: environment[variable] for name, variable in URLS_AND_KEYS.items() if environment.get(variable)
    }
    if "jwt" in said:
        kid, _, secret = said["jwt"].partition(",")[0].partition("=")
        said["jwt"] = {
            "kid": kid,
            "secret": secret,
            "audience": environment.get("FAIRCLAIM_JWT_AUDIENCE") or "fairclaim",
            "issuer": environment.get("FAIRCLAIM_JWT_ISSUER") or "fairclaim",
        }
    return said


class TokenMint:
    """Makes HS256 tokens with a fixed head."""

    def __init__(self, jwt: dict[str, str], expires_s: int) -> None:
        # HMAC by its two halves, each begun once: a third of what hmac.digest takes, which begins anew for each token.
        secret = jwt["secret"].encode()
        block = (secret if len(secret) <= 64 else hashlib.sha256(secret).digest()).ljust(64, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))
        self._head = _segment(json.dumps({"alg": "HS256", "kid": jwt["kid"], "typ": "JWT"}).encode()) + b"."
        self._rest = f'","aud":"{jwt["audience"]}","iss":"{jwt["issuer"]}","exp":{expires_s}}}'

    def token(self, holder: str) -> str:
        """A token for *holder* (letters, digits and hyphens)."""
        signed = self._head + _segment(f'{{"sub":"{holder}{self._rest}'.encode())
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(signed)
        outer.update(inner.digest())
        return (signed + b"." + _segment(outer.digest())).decode()


def claim_request(campaign: str, token: str, key: str, body: bytes = b"{}") -> bytes:
    """The bytes of one claim."""
    head = (
        f"POST /v1/campaigns/{campaign}/claims HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        f"Idempotency-Key: {key}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
