"""
What tokens and tickets are made of: base64url text, and HMAC-SHA256 under a key that is prepared once.

The standard library keys an HMAC anew for every message, which costs more than the hashing. Here both
padded halves of the key are hashed once and copied for each message (RFC 2104 §4); the tests check it
against the standard library.
"""

from binascii import a2b_base64, b2a_base64
from collections.abc import Callable
from hashlib import sha256

Mac = Callable[[bytes], bytes]
"""A message → its HMAC-SHA256 as base64url text."""

MAC_CHARS = 43
_BLOCK_BYTES = 64
_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))
_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_+/=", b"+/\0\0\0")  # what is not of base64url becomes what strict decoding refuses
_PADDING = (b"", b"===", b"==", b"=")


def bytes_of(segment: bytes) -> bytes:
    """Decode base64url without padding. Errors: ValueError for anything that is not exactly that."""
    return a2b_base64(segment.translate(_FROM_URL) + _PADDING[len(segment) % 4], strict_mode=True)


def segment_of(data: bytes) -> bytes:
    """Encode as base64url without padding."""
    return b2a_base64(data, newline=False).translate(_TO_URL).rstrip(b"=")


def keyed(secret: bytes) -> Mac:
    """The MAC under *secret*. Compare what it gives with hmac.compare_digest, as text: there is one text for a MAC."""
    key = (secret if len(secret) <= _BLOCK_BYTES else sha256(secret).digest()).ljust(_BLOCK_BYTES, b"\0")
    new_inner, new_outer = sha256(key.translate(_INNER)).copy, sha256(key.translate(_OUTER)).copy

    def mac(message: bytes) -> bytes:
        inner, outer = new_inner(), new_outer()
        inner.update(message)
        outer.update(inner.digest())
        return b2a_base64(outer.digest(), newline=False).translate(_TO_URL)[:MAC_CHARS]

    return mac
