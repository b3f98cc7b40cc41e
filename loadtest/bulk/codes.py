"""Pure: codes of one shard, in bulk: 18 characters of Crockford base32, of which the last checks the others."""

import random

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
RANDOM_CHARS = 12
CODE_CHARS = 18


def _doubled(value: int) -> int:
    """Twice *value* in GF(32), modulo x^5 + x^2 + 1."""
    value <<= 1
    return value ^ 0b100101 if value & 32 else value


def _weighted(place: int) -> bytes:
    """What a random byte adds to the check at *place* of a code, from 0: 2^(place + 1) times its low five bits."""
    found = list(range(32))
    for _ in range(place + 1):
        found = [_doubled(value) for value in found]
    return bytes(found[byte & 31] for byte in range(256))


_WEIGHTED = [_weighted(place) for place in range(CODE_CHARS - 1)]
_CHARACTER = bytes(ord(ALPHABET[byte & 31]) for byte in range(256))


def head_of(campaign_number: int, shard_number: int) -> str:
    """The five characters that name a campaign and a shard."""
    return "".join(ALPHABET[campaign_number >> shift & 31] for shift in (15, 10, 5, 0)) + ALPHABET[shard_number]


def codes(head: str, count: int, seed: int) -> list[str]:
    """*count* codes that begin with *head*; the same for the same *seed*. One in 10^11 of them is there twice."""
    raw = random.Random(seed).randbytes(count * RANDOM_CHARS)  # noqa: S311 - reproducible, not secret
    made = bytearray(count * CODE_CHARS)
    check = 0
    for place, character in enumerate(head):
        made[place::CODE_CHARS] = character.encode() * count
        check ^= _WEIGHTED[place][ALPHABET.index(character)]
    checks = int.from_bytes(bytes([check]) * count, "big")
    for place in range(RANDOM_CHARS):
        column = raw[place * count : (place + 1) * count]
        made[len(head) + place :: CODE_CHARS] = column.translate(_CHARACTER)
        checks ^= int.from_bytes(column.translate(_WEIGHTED[len(head) + place]), "big")
    made[CODE_CHARS - 1 :: CODE_CHARS] = checks.to_bytes(count, "big").translate(_CHARACTER)
    text = made.decode("ascii")
    return [text[at : at + CODE_CHARS] for at in range(0, len(text), CODE_CHARS)]
