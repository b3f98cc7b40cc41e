"""
Coupon codes: 18 characters of Crockford base32 that name their campaign and shard.

    CCCC S RRRRRRRRRRRR K    campaign number (20 bits), shard (5), random (60), check (5)

Shown as 6-6-6 with hyphens; read in any case, with O for 0 and I or L for 1, hyphens and blanks
ignored. The check character is a weighted sum over GF(32): it finds every single wrong character
and every swap of two neighbours (and of any two characters, as all weights differ).

A named code is any other: one that many share, or one brought from elsewhere. It says nothing of itself,
so Postgres knows where it is (issuing/resolve.py). None is read as a code of the first sort.
"""

import os
import re
from typing import NamedTuple

from lua.keys import SHARDS_MAX, CouponCode

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
RANDOM_CHARS = 12
CODE_CHARS = 18
RANDOM_BITS = 5 * RANDOM_CHARS
NAMED_CHARS_MAX = 64
CAMPAIGN_NUMBER_MAX = (1 << 20) - 1
STOCK_MAX = (1 << RANDOM_BITS) // 1_000_000
"""Coupons a campaign may have: a guess then hits one in fewer than 1e-6 of the tries."""

DECOY = CouponCode(CODE_CHARS * ALPHABET[0])
"""A code that nobody ever has, as its campaign number is 0: what is looked up in place of what is no code."""

_TYPED_CHARS_MAX = 2 * NAMED_CHARS_MAX  # of any code, with hyphens and blanks
_NAMED = re.compile(rf"[A-Z0-9][A-Z0-9_.]{{3,{NAMED_CHARS_MAX - 1}}}")
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


# A random byte as a character, and as what it adds to the check at each place of the random part.
_TO_CHARACTER = bytes(ord(ALPHABET[byte & 31]) for byte in range(256))
_TO_CHECK = [bytes(weighted[ALPHABET[byte & 31]] for byte in range(256)) for weighted in _WEIGHTED[-RANDOM_CHARS:]]
_BULK_CODES = 512


class CodeMaker:
    """Makes codes for one shard, hundreds at a time: one draw of the OS's randomness, and no loop over characters."""

    def __init__(self, campaign_number: int, shard_number: int) -> None:
        assert 1 <= campaign_number <= CAMPAIGN_NUMBER_MAX
        assert 0 <= shard_number < SHARDS_MAX
        self._head = (
            "".join(ALPHABET[campaign_number >> shift & 31] for shift in (15, 10, 5, 0)) + ALPHABET[shard_number]
        )
        self._head_check = _check_value(self._head + "0" * RANDOM_CHARS)
        self._ready: list[CouponCode] = []

    def take(self, count: int) -> list[CouponCode]:
        """*count* new codes. 60 bits of each are random; the script refuses the one in 10^11 that is taken."""
        while len(self._ready) < count:
            self._ready += self._bulk()
        taken = self._ready[-count:]
        del self._ready[-count:]
        return taken

    def _bulk(self) -> list[CouponCode]:
        """_BULK_CODES codes, character by character of all of them: bytes.translate and one XOR of long integers."""
        random, codes = os.urandom(_BULK_CODES * RANDOM_CHARS), bytearray(_BULK_CODES * CODE_CHARS)
        for place, character in enumerate(self._head):
            codes[place::CODE_CHARS] = character.encode() * _BULK_CODES
        check = int.from_bytes(bytes([self._head_check]) * _BULK_CODES, "big")
        for place in range(RANDOM_CHARS):
            column = random[place * _BULK_CODES : (place + 1) * _BULK_CODES]
            codes[len(self._head) + place :: CODE_CHARS] = column.translate(_TO_CHARACTER)
            check ^= int.from_bytes(column.translate(_TO_CHECK[place]), "big")
        codes[CODE_CHARS - 1 :: CODE_CHARS] = check.to_bytes(_BULK_CODES, "big").translate(_TO_CHARACTER)
        text = codes.decode("ascii")
        return [CouponCode(text[at : at + CODE_CHARS]) for at in range(0, len(text), CODE_CHARS)]


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


def fold_code(text: str) -> CouponCode | None:
    """
    A named code as it is kept: upper case, without hyphens and blanks; None for what can't be one.

    What parse_code() reads is none.
    """
    if len(text) > _TYPED_CHARS_MAX or not text.isascii():
        return None
    code = text.upper().replace("-", "").replace(" ", "")
    return CouponCode(code) if _NAMED.fullmatch(code) and parse_code(code) is None else None


def read_code(text: str) -> CouponCode | None:
    """Read a code of any sort as a person typed it; None if it can be none."""
    parsed = parse_code(text)
    return fold_code(text) if parsed is None else parsed.code


def show_code(code: str) -> str:
    """The code as people read it: three groups of six. A named code stays as it is kept."""
    if len(code) != CODE_CHARS or parse_code(code) is None:
        return code
    return f"{code[:6]}-{code[6:12]}-{code[12:]}"
