"""
Claims without a gateway: asks of holders nobody has seen yet, packed as calls of lua/claim.lua before the clock starts.

Columns of random bytes are made at once and for all asks, so that making ten million of them is not the longer part.
"""

import os
from collections.abc import Iterator

import msgspec

from loadtest.bench.script_wire import resp

ALPHABET = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ"
BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
CODE_CHARS, RANDOM_CHARS, IDEM_CHARS, HOLDER_CHARS = 18, 12, 12, 12
ASK_PARTS = 4

_pack = msgspec.msgpack.Encoder().encode
_CHARACTER_OF = bytes(ALPHABET[byte & 31] for byte in range(256))
_BASE64_OF = bytes(BASE64[byte & 63] for byte in range(256))


def _doubled(value: int) -> int:
    """Twice *value* in GF(32), modulo x^5 + x^2 + 1."""
    return value << 1 ^ (0b100101 if value & 16 else 0)


def _weighted() -> list[bytes]:
    """For each of the first 17 places of a code: byte → what its character adds to the check."""
    tables, weighted = [], list(range(32))
    for _ in range(CODE_CHARS - 1):
        weighted = [_doubled(value) for value in weighted]
        tables.append(bytes(weighted[byte & 31] for byte in range(256)))
    return tables


_WEIGHTED = _weighted()


def codes(campaign_number: int, shard_number: int, count: int) -> list[str]:
    """*count* new coupon codes of a shard, their check character right."""
    head = [campaign_number >> shift & 31 for shift in (15, 10, 5, 0)] + [shard_number]
    columns = [bytes([value]) * count for value in head] + [os.urandom(count) for _ in range(RANDOM_CHARS)]
    check = 0
    for table, column in zip(_WEIGHTED, columns, strict=True):
        check ^= int.from_bytes(column.translate(table), "big")
    columns.append(check.to_bytes(count, "big"))
    return _rows([column.translate(_CHARACTER_OF) for column in columns])


def idems(count: int) -> list[str]:
    """*count* hashes of idempotency keys as the gateway makes them: 12 characters of base64."""
    return _rows([os.urandom(count).translate(_BASE64_OF) for _ in range(IDEM_CHARS)])


def holders(first: int, count: int) -> list[str]:
    """Holders *first*, *first* + 1 … by name, 12 characters each."""
    return [f"h{number:0{HOLDER_CHARS - 1}d}" for number in range(first, first + count)]


def _rows(columns: list[bytes]) -> list[str]:
    width, count = len(columns), len(columns[0])
    table = bytearray(width * count)
    for at, column in enumerate(columns):
        table[at::width] = column
    text = table.decode()
    return [text[at : at + width] for at in range(0, len(text), width)]


def asks(first: int, count: int, campaign_number: int = 1, shard_number: int = 0) -> list[str]:
    """*count* asks of new holders, flat as claim.lua takes them; no channel."""
    flat = [""] * (ASK_PARTS * count)
    flat[0::ASK_PARTS] = holders(first, count)
    flat[1::ASK_PARTS] = idems(count)
    flat[2::ASK_PARTS] = codes(campaign_number, shard_number, count)
    return flat


def packed_calls(digest: str, keys: list[str], server: str, flat: list[str], claims_per_call: int) -> Iterator[bytes]:
    """The asks of *flat* as calls of the script with *digest*, in RESP, ready for the socket."""
    step = ASK_PARTS * claims_per_call
    for at in range(0, len(flat), step):
        yield resp("EVALSHA", digest, len(keys), *keys, server, _pack(flat[at : at + step]))
