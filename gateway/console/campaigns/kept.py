"""
What was typed into a form as a text for an address, and back: so a step of the wizard is a page that can be read again,
gone back to and sent on, and nothing is lost where a session ends. Pure.
"""

import binascii
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping

import msgspec

KEPT_CHARS_MAX = 4000
"""A request has it up to three times, as its address and in Referer and HX-Current-URL, in 16 kB of headers at most."""

_BYTES_MAX = 256 * 1024


def write_kept(typed: Mapping[str, str]) -> str:
    """The text; empty where it would be longer than KEPT_CHARS_MAX."""
    told = msgspec.json.encode({name: value for name, value in typed.items() if value})
    text = urlsafe_b64encode(zlib.compress(told, 9)).decode().rstrip("=")
    return text if len(text) <= KEPT_CHARS_MAX else ""


def read_kept(text: str) -> dict[str, str] | None:
    """What was typed, without what was left empty; None for a text that write_kept() did not make."""
    try:
        if not text.isascii() or not 0 < len(text) <= KEPT_CHARS_MAX:
            return None
        inflate = zlib.decompressobj()
        told = inflate.decompress(urlsafe_b64decode(text + "=" * (-len(text) % 4)), _BYTES_MAX)
        typed = msgspec.json.decode(told, type=dict[str, str]) if inflate.eof else None
    except (zlib.error, binascii.Error, ValueError):
        return None
    # U+0000 is in nothing that a form brings this far (without_zeros), and in no text of PostgreSQL.
    return None if typed is not None and any("\0" in value for value in typed.values()) else typed
