"""What is remembered of the tokens that were good: how long, how many, and when it is forgotten."""

from typing import Any

import pytest

from gateway.signing import Mac
from gateway.tokens import TokenVerifier
from tests.tokens import KEYS, NOW, OTHER, a_token, part, refused


class Counting(TokenVerifier):
    """Counts what has to be worked out, so that a test sees what is remembered."""

    checks = heads = 0

    def _check(self, text: bytes, now_s: float) -> Any:
        self.checks += 1
        return super()._check(text, now_s)

    def _mac_for(self, segment: bytes) -> Mac:
        self.heads += 1
        return super()._mac_for(segment)


def remembering(cache_max: int) -> Counting:
    """A verifier that remembers up to *cache_max* tokens."""
    return Counting(KEYS, "shop", "us", 5, cache_max=cache_max)


def test_a_token_that_comes_again_is_not_checked_again() -> None:
    """The second time a token is remembered, from then on it is known; without a cache it is checked each time."""
    for cache_max, checks in ((100, 2), (0, 4)):
        verifier, token = remembering(cache_max), a_token()

        assert [verifier.verify(token, NOW) for _ in range(4)] == ["ann"] * 4
        assert verifier.checks == checks


def test_a_remembered_token_is_good_no_longer_than_it_says() -> None:
    """Past exp and before nbf, the leeway forgiven, a token that was good a moment ago is refused, as a new one is."""
    verifier, token = remembering(100), a_token(exp=NOW + 60, nbf=NOW - 60)
    for _ in range(2):
        verifier.verify(token, NOW)

    for now, says in ((NOW + 65, "expired"), (NOW - 66, "not valid yet")):
        assert says in refused(token, now, verifier)
        assert refused(token, now, verifier) == refused(token, now)
    assert [verifier.verify(token, now) for now in (NOW + 64, NOW - 65)] == ["ann", "ann"]
    assert verifier.checks == 2


def test_only_what_was_good_is_remembered() -> None:
    """A refused token takes no place, and is refused again; a forgery of a remembered token is another token."""
    verifier = remembering(100)
    for token in (a_token(exp=NOW - 60), a_token(nbf=NOW + 60), a_token(secret=OTHER), a_token(aud="x"), "a.b.c"):
        assert refused(token, verifier=verifier) == refused(token, verifier=verifier)
    assert verifier.remembered == 0

    for _ in range(2):
        verifier.verify(a_token(), NOW)
    assert refused(a_token()[:-1], verifier=verifier)
    assert refused(a_token() + "A", verifier=verifier)
    assert verifier.remembered == 1


@pytest.mark.parametrize("cache_max", [0, 1, 2, 7, 100])
def test_no_more_tokens_are_remembered_than_may_be(cache_max: int) -> None:
    """However many tokens come, at most cache_max are remembered, and each is still answered right."""
    verifier, tokens = remembering(cache_max), {name: a_token(sub=name) for name in map(str, range(120))}

    for name, token in tokens.items():
        for _ in range(3):
            assert verifier.verify(token, NOW) == name
            assert verifier.remembered <= cache_max
    assert verifier.remembered >= cache_max // 2


def test_a_token_that_keeps_coming_stays_remembered() -> None:
    """A token in use is seldom checked, while a thousand others come and go in a cache of a hundred."""
    verifier, mine = remembering(100), a_token(sub="mine")
    for number in range(1000):
        verifier.verify(a_token(sub=str(number)), NOW)
        verifier.verify(mine, NOW)

    assert verifier.checks <= 1020


def test_a_change_of_keys_forgets_everything() -> None:
    """A remembered token of a key that is gone is refused, one of a key that stays is good, one of a new key too."""
    verifier, gone, stays = remembering(100), a_token(), a_token(secret=OTHER, headers={"kid": "k2"})
    for token in (gone, gone, stays, stays):
        verifier.verify(token, NOW)
    assert verifier.remembered == 2
    verifier.use_keys({"k2": OTHER.encode(), "k3": b"n" * 32})

    assert verifier.remembered == 0
    assert "key that is known" in refused(gone, verifier=verifier)
    assert verifier.verify(stays, NOW) == "ann"
    assert verifier.verify(a_token(secret="n" * 32, headers={"kid": "k3"}), NOW) == "ann"
    verifier.use_keys({"k2": b"another secret of the same kid: 32"})
    assert "signature" in refused(stays, verifier=verifier)


def test_a_change_of_keys_forgets_both_generations() -> None:
    """A token that was remembered longest, and the one remembered last: both are refused when their key is gone."""
    verifier, tokens = remembering(2), [a_token(sub="older"), a_token(sub="younger")]
    for token in tokens:
        for _ in range(2):
            verifier.verify(token, NOW)
    assert verifier.remembered == 2
    verifier.use_keys({"k2": OTHER.encode()})

    assert all("key that is known" in refused(token, verifier=verifier) for token in tokens)


def test_a_stranger_can_not_crowd_out_the_heads_in_use() -> None:
    """After a thousand forgeries, each with a head of its own, a good token's head is still read only once."""
    verifier = Counting(KEYS, "shop", "us", 5)
    for number in range(1000):
        head = {"alg": "HS256", "kid": "k1", "n": number}
        assert refused(f"{part(head)}.{part({})}.{part(b'forged')}", verifier=verifier)
    for _ in range(3):
        verifier.verify(a_token(), NOW)

    assert verifier.heads == 1001
