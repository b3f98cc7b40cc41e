"""Tokens made by another library, and why ours refuses one."""

import base64
import json
from typing import Any

import jwt
import pytest

from gateway.errors import Refusal
from gateway.tokens import TokenVerifier, parse_keys

SECRET, OTHER = "s" * 32, "o" * 32
KEYS = parse_keys(f"k1={SECRET},k2={OTHER}")
NOW = 1_800_000_000.0
VERIFIER = TokenVerifier(KEYS, "shop", "us", leeway_s=5)


def a_token(
    *, secret: str = SECRET, headers: dict[str, Any] | None = None, algorithm: str = "HS256", **claims: Any
) -> str:
    """A token PyJWT made; claims given as None are left out."""
    merged = {"sub": "ann", "aud": "shop", "iss": "us", "exp": NOW + 60, **claims}
    kept = {name: value for name, value in merged.items() if value is not None}
    return jwt.encode(kept, secret, algorithm, headers={"kid": "k1"} if headers is None else headers)


def part(value: Any) -> str:
    """One segment of a token made by hand."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def refused(token: str, now: float = NOW, verifier: TokenVerifier = VERIFIER) -> str:
    """Why *token* is refused."""
    with pytest.raises(Refusal) as caught:
        verifier.verify(token, now)
    assert caught.value.code == "unauthenticated"
    return caught.value.detail
