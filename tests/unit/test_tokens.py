"""Holder tokens, checked against PyJWT and against everything a forger may try."""

import base64
import hmac
import json
import time
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Refusal
from gateway.tokens import TokenVerifier, mint_token, parse_keys

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


def refused(token: str, now: float = NOW) -> str:
    """Why *token* is refused."""
    with pytest.raises(Refusal) as caught:
        VERIFIER.verify(token, now)
    assert caught.value.code == "unauthenticated"
    return caught.value.detail


def test_a_token_of_another_library_is_accepted() -> None:
    """What PyJWT signs, with either key and any form of aud, names the holder."""
    assert VERIFIER.verify(a_token(), NOW) == "ann"
    assert VERIFIER.verify(a_token(secret=OTHER, headers={"kid": "k2"}), NOW) == "ann"
    assert VERIFIER.verify(a_token(aud=["other", "shop"], nbf=NOW, iat=NOW, name="more", sub="用户-1"), NOW) == "用户-1"


def test_our_token_is_accepted_by_another_library() -> None:
    """What we mint, PyJWT verifies with all its checks on."""
    token = mint_token(KEYS, "ann", audience="shop", issuer="us", ttl_s=60, now_s=time.time())
    claims = jwt.decode(token, SECRET, ["HS256"], audience="shop", issuer="us")

    assert claims["sub"] == "ann"
    assert jwt.get_unverified_header(token)["kid"] == "k1"


@pytest.mark.parametrize(
    ("claims", "says"),
    [
        ({"exp": NOW - 6}, "expired"),
        ({"exp": None}, "sub, exp, aud and iss"),
        ({"exp": "soon"}, "sub, exp, aud and iss"),
        ({"nbf": NOW + 6}, "not valid yet"),
        ({"aud": "shop2"}, "audience"),
        ({"aud": ["shop2"]}, "audience"),
        ({"aud": []}, "audience"),
        ({"aud": None}, "sub, exp, aud and iss"),
        ({"iss": "usurper"}, "issuer"),
        ({"iss": None}, "sub, exp, aud and iss"),
        ({"sub": None}, "sub, exp, aud and iss"),
        ({"sub": ""}, "sub has to be"),
        ({"sub": "a b"}, "sub has to be"),
        ({"sub": "a\n"}, "sub has to be"),
        ({"sub": "x" * 129}, "sub has to be"),
    ],
)
def test_a_token_that_says_the_wrong_thing_is_refused(claims: dict[str, Any], says: str) -> None:
    """Each claim that is missing, malformed, out of time or meant for others refuses the token and says which."""
    assert says in refused(a_token(**claims))


def test_leeway_forgives_exactly_its_seconds() -> None:
    """With 5 s of leeway a token is good until just before exp + 5 and from nbf - 5 on."""
    assert VERIFIER.verify(a_token(exp=NOW - 4, nbf=NOW + 5), NOW) == "ann"
    assert "expired" in refused(a_token(exp=NOW - 5))


@pytest.mark.parametrize(
    "head",
    [
        {"alg": "none", "kid": "k1"},
        {"alg": "None", "kid": "k1"},
        {"alg": "HS512", "kid": "k1"},
        {"alg": "RS256", "kid": "k1"},
        {"alg": "HS256"},
        {"alg": "HS256", "kid": "k3"},
        {"alg": "HS256", "kid": "../../dev/null"},
        {"alg": "HS256", "kid": ["k1"]},
        {"alg": "HS256", "kid": "k1", "crit": ["exp"]},
        {"alg": "HS256", "kid": "k1", "typ": "JWE"},
        [],
        "HS256",
    ],
)
def test_a_head_that_asks_for_something_else_is_refused(head: Any) -> None:
    """No algorithm but HS256, no key but a known one, no critical extension; with a valid signature or without."""
    signed = f"{part(head)}.{part({'sub': 'ann', 'aud': 'shop', 'iss': 'us', 'exp': NOW + 60})}"
    signature = part(hmac.digest(SECRET.encode(), signed.encode(), "sha256"))

    assert refused(f"{signed}.{signature}")
    assert refused(f"{signed}.")


def test_a_token_signed_with_another_key_is_refused() -> None:
    """The kid decides the key: k1's name on k2's signature is a forgery."""
    assert "signature" in refused(a_token(secret=OTHER))


@pytest.mark.parametrize("at", range(0, 40, 3))
def test_a_changed_token_is_refused(at: int) -> None:
    """Any character changed anywhere refuses the token."""
    token = a_token()
    place = at * len(token) // 40
    changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]

    assert refused(changed)


@pytest.mark.parametrize("token", ["", ".", "..", "a.b", "a.b.c.d", "é.é.é", "a" * 5000, "\x00.\x00.\x00", "=.=.="])
def test_what_is_no_token_is_refused(token: str) -> None:
    """Malformed text is a 401, never a failure."""
    assert refused(token)


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_no_text_makes_the_verifier_fail(head: str, body: str, signature: str) -> None:
    """Random segments, raw or encoded, are refused."""
    assert refused(f"{head}.{body}.{signature}")
    assert refused(f"{part(head)}.{part(body)}.{part(signature)}")


def test_the_refusal_never_repeats_the_token() -> None:
    """Nothing of a token comes back in the answer, so none can end in a log."""
    token = a_token(sub="secret-holder", exp=NOW - 60)

    assert "secret-holder" not in refused(token)


@pytest.mark.parametrize(
    ("text", "says"),
    [("k1", "key 1"), ("=x", "key 1"), (f"k1={SECRET},k1={SECRET}", "key 2"), ("k1=short", "32 bytes")],
)
def test_malformed_keys_are_refused_without_their_secret(text: str, says: str) -> None:
    """A key setting that can't be read names the key and not its secret."""
    with pytest.raises(ValueError, match=says) as caught:
        parse_keys(text)
    assert "short" not in str(caught.value)
