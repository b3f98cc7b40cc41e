"""Holder tokens, checked against PyJWT and against everything a forger may try."""

import base64
import hmac
import json
import re
import time
from typing import Any

import jwt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.signing import bytes_of, keyed, segment_of
from gateway.tokens import TokenVerifier, mint_token, parse_keys
from tests.tokens import KEYS, NOW, OTHER, SECRET, VERIFIER, a_token, part, refused


def signed_by_hand(head: bytes, body: bytes) -> str:
    """A token of k1 whose segments are exactly these bytes."""
    signed = f"{part(head)}.{part(body)}"
    return f"{signed}.{part(hmac.digest(SECRET.encode(), signed.encode(), 'sha256'))}"


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
    body = json.dumps({"sub": "ann", "aud": "shop", "iss": "us", "exp": NOW + 60}).encode()
    token = signed_by_hand(json.dumps(head).encode(), body)

    assert refused(token)
    assert refused(token.rpartition(".")[0] + ".")


def test_a_token_signed_with_another_key_is_refused() -> None:
    """The kid decides the key: k1's name on k2's signature is a forgery."""
    assert "signature" in refused(a_token(secret=OTHER))


def test_a_changed_token_is_refused() -> None:
    """Any character changed anywhere refuses it, the last one too, of whose bits two say nothing; known or not."""
    token, knowing = a_token(), TokenVerifier(KEYS, "shop", "us", 5, cache_max=100)
    knowing.verify(token, NOW)
    for place, was in enumerate(token):
        for other in {"A", "B", chr(ord(was) ^ 1), chr(ord(was) ^ 2)} - {was}:
            changed = token[:place] + other + token[place + 1 :]
            assert refused(changed) == refused(changed, verifier=knowing)


@pytest.mark.parametrize("depth", [200, 2800])
def test_a_token_as_deep_as_it_is_long_is_refused(depth: int) -> None:
    """Nesting without end, in a head that anybody can send or in a signed body, is a refusal and not a failure."""
    nested = b',"x":' + b"[" * depth

    assert refused(signed_by_hand(b'{"alg":"HS256","kid":"k1"' + nested, b"{}"))
    assert refused(signed_by_hand(b'{"alg":"HS256","kid":"k1"}', b'{"sub":"ann"' + nested))


TIMES = st.sampled_from([-1000, 1000])


@given(
    st.fixed_dictionaries(
        {"sub": st.text("aé用-1", min_size=1, max_size=9)},
        optional={
            "exp": TIMES, "nbf": TIMES, "iat": st.just(-1000), "more": st.integers(),
            "aud": st.sampled_from(["shop", "other", ["shop"], ["other", "shop"], ["other"], []]),
            "iss": st.sampled_from(["us", "usurper"]),
        },
    ),
    st.sampled_from([SECRET, OTHER]), st.sampled_from(["k1", "k2"]),
)  # fmt: skip
def test_pyjwt_accepts_the_same_tokens(claims: dict[str, Any], secret: str, kid: str) -> None:
    """Tokens of any mix of good and bad claims and keys are accepted exactly where PyJWT accepts them."""
    now = int(time.time())
    absolute: dict[str, Any] = {name: now + claims[name] for name in ("exp", "nbf", "iat") if name in claims}
    token = jwt.encode({**claims, **absolute}, secret, "HS256", {"kid": kid})
    required: Any = {"require": ["sub", "exp", "aud", "iss"]}
    try:
        theirs = jwt.decode(token, KEYS[kid], ["HS256"], required, audience="shop", issuer="us", leeway=5)["sub"]
    except jwt.InvalidTokenError:
        assert refused(token, now)
    else:
        assert VERIFIER.verify(token, now) == theirs


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


def test_a_key_without_its_kid_is_refused_without_repeating_it() -> None:
    """Of a secret given alone, whose base64 ends in =, nothing is in the error, though it looks like a kid."""
    with pytest.raises(ValueError, match="key 1") as caught:
        parse_keys("c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA==")
    assert "c2Vj" not in str(caught.value)


def test_a_kid_has_a_bound() -> None:
    """A kid of 128 bytes is taken, one of 129 is not."""
    assert list(parse_keys(f"{'k' * 128}={SECRET}")) == ["k" * 128]
    with pytest.raises(ValueError, match="128 bytes"):
        parse_keys(f"{'k' * 129}={SECRET}")


@given(st.binary(max_size=200), st.binary(max_size=300))
@example(b"k" * 64, b"of a block")
@example(b"k" * 65, b"longer than a block")
def test_the_mac_is_hmac_sha256(secret: bytes, message: bytes) -> None:
    """Under any key and of any message, the prepared MAC is the standard library's."""
    assert keyed(secret)(message) == segment_of(hmac.digest(secret, message, "sha256"))


@given(st.binary(max_size=60) | st.text("ABab01-_+/= \n", max_size=12).map(str.encode))
def test_only_base64url_is_decoded(segment: bytes) -> None:
    """Nothing but base64url without padding is decoded, and then as the standard library decodes it."""
    assert bytes_of(segment_of(segment)) == segment
    try:
        found = bytes_of(segment)
    except ValueError:
        return
    assert re.fullmatch(rb"[A-Za-z0-9_-]*", segment)
    assert found == base64.urlsafe_b64decode(segment + b"=" * (-len(segment) % 4))
