"""
Coupon codes: 18 characters of Crockford base32 that name their campaign and shard.

    CCCC S RRRRRRRRRRRR K    campaign number (20 bits), shard (5), random (60), check (5)

Shown as 6-6-6 with hyphens; read in any case, with O for 0 and I or L for 1, hyphens and blanks
ignored. The check character is a weighted sum over GF(32): it finds every single wrong character
and every swap of two neighbours (and of any two characters, as all weights differ).
"""

import os
from typing import NamedTuple

from lua.keys import SHARDS_MAX, CouponCode

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
RANDOM_CHARS = 12
CODE_CHARS = 18
RANDOM_BITS = 5 * RANDOM_CHARS
CAMPAIGN_NUMBER_MAX = (1 << 20) - 1
STOCK_MAX = (1 << RANDOM_BITS) // 1_000_000
"""Coupons a campaign may have: a guess then hits one in fewer than 1e-6 of the tries."""

_VALUES = {character: value for value, character in enumerate(ALPHABET)}
_READ: dict[int, str | None] = {ord(read): meant for read, meant in zip("OILoil", "011011", strict=True)}
_READ.update({ord(character): character.upper() for character in "abcdefghjkmnpqrstvwxyz"})
_READ.update(dict.fromkeys(map(ord, "- ")))


class ParsedCode(NamedTuple):
    """A code as it is stored, and what it says of itself."""

    code: CouponCode
    campaign_number: int
    shard_number: int


def _times(left: int, right: int) -> int:
    """Product in GF(32), modulo x^5 + x^2 + 1."""
    product = 0
    while right:
        if right & 1:
            product ^= left
        left <<= 1
        if left & 32:
            left ^= 0b100101
        right >>= 1
    return product


def _weights() -> list[int]:
    weights, weight = [], 1
    for _ in range(CODE_CHARS - 1):
        weight = _times(weight, 2)
        weights.append(weight)
    return weights


_WEIGHTED = [{character: _times(weight, value) for character, value in _VALUES.items()} for weight in _weights()]


def _check_value(characters: str) -> int:
    value = 0
    for weighted, character in zip(_WEIGHTED, characters, strict=True):
        value ^= weighted[character]
    return value


# Two characters a step: their text, and what they add to the check, at each place of the random part.
_PAIRS = [first + second for first in ALPHABET for second in ALPHABET]
_PAIR_CHECKS = [
    [_WEIGHTED[5 + at][pair[0]] ^ _WEIGHTED[6 + at][pair[1]] for pair in _PAIRS] for at in range(0, RANDOM_CHARS, 2)
]
_BUFFER_CODES = 512


class CodeMaker:
    """Makes codes for one shard, from a buffer of random bytes of the OS that is refilled in bulk."""

    def __init__(self, campaign_number: int, shard_number: int) -> None:
        assert 1 <= campaign_number <= CAMPAIGN_NUMBER_MAX
        assert 0 <= shard_number < SHARDS_MAX
        self._head = (
            "".join(ALPHABET[campaign_number >> shift & 31] for shift in (15, 10, 5, 0)) + ALPHABET[shard_number]
        )
        self._head_check = _check_value(self._head + "0" * RANDOM_CHARS)
        self._random, self._at = b"", 0

    def make(self) -> CouponCode:
        """One new code. 60 of its bits are random; the script refuses the one in 10^11 that is taken."""
        if self._at == len(self._random):
            self._random, self._at = os.urandom(8 * _BUFFER_CODES), 0
        bits = int.from_bytes(self._random[self._at : self._at + 8], "big")
        self._at += 8
        a, b, c = bits & 1023, bits >> 10 & 1023, bits >> 20 & 1023
        d, e, f = bits >> 30 & 1023, bits >> 40 & 1023, bits >> 50 & 1023
        checks = _PAIR_CHECKS
        check = (
            self._head_check
            ^ checks[0][a] ^ checks[1][b] ^ checks[2][c]
            ^ checks[3][d] ^ checks[4][e] ^ checks[5][f]
        )  # fmt: skip
        pairs = _PAIRS
        return CouponCode(
            self._head + pairs[a] + pairs[b] + pairs[c] + pairs[d] + pairs[e] + pairs[f] + ALPHABET[check]
        )


def parse_code(text: str) -> ParsedCode | None:
    """Read a code as a person typed it; None if it is not one (wrong length, character or check)."""
    code = text.translate(_READ) if len(text) <= 64 else ""
    if len(code) != CODE_CHARS or any(character not in _VALUES for character in code):
        return None
    if ALPHABET[_check_value(code[:-1])] != code[-1]:
        return None
    number = 0
    for character in code[:4]:
        number = number << 5 | _VALUES[character]
    return ParsedCode(CouponCode(code), number, _VALUES[code[4]]) if number else None


def show_code(code: str) -> str:
    """The code as people read it: three groups of six."""
    return f"{code[:6]}-{code[6:12]}-{code[12:]}"
