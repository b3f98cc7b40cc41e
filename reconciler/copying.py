"""
Pure: Python values → the text of COPY.

What PostgreSQL can't hold is a ValueError here, because a COPY that fails says nothing about its rows.
"""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec

BIGINT_MAX = 2**63 - 1
INTEGER_MAX = 2**31 - 1
TIME_MS_MAX = 253_370_764_800_000  # the year 9999, from where zones run out of dates
TEXT_CHARS_MAX = 512  # an index of PostgreSQL holds at most 2704 bytes a row
PLACE_CHARS_MAX = 256  # of a channel and of a store: both are in one index
JSON_CHARS_MAX = 1_000_000
NULL = "\\N"

_NUL_ESCAPE = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def timestamp(ms: int) -> str:
    """Milliseconds since the epoch as a timestamptz literal. Errors: ValueError."""
    if not 0 <= ms <= TIME_MS_MAX:
        raise ValueError(f"{ms} ms is out of range")
    second, rest = divmod(ms, 1000)
    return f"{_second(second)}.{rest:03d}+00"


@lru_cache(maxsize=128)  # the records of a batch are of few seconds
def _second(second: int) -> str:
    # Cheaper than strftime, and as good from 1970 on.
    return datetime.fromtimestamp(second, UTC).isoformat(" ")[:19]


def bigint(number: int) -> int:
    """*number*, if it fits. Errors: ValueError."""
    if not -BIGINT_MAX <= number <= BIGINT_MAX:
        raise ValueError(f"{number} is out of range")
    return number


def whole(text: str) -> int:
    """A decimal without a sign that fits into a bigint. Errors: ValueError."""
    if len(text) <= 19 and text.isdigit() and text.isascii() and (number := int(text)) <= BIGINT_MAX:
        return number
    raise ValueError(f"{text[:40]!r} is no whole number that fits")


def is_plain(texts: list[str]) -> bool:
    """Whether none of *texts* holds a character COPY gives a meaning: one scan of all of them."""
    text = "".join(texts)
    return not any(special in text for special in "\\\t\n\r\0")


def escape(text: str) -> str:
    """*text* as a column. Errors: ValueError for a NUL."""
    if text.isprintable() and "\\" not in text:  # nearly all of them: one look instead of five
        return text
    if "\0" in text:
        raise ValueError("a text holds a NUL")
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def optional(text: str | None) -> str:
    """*text* as a column, null where it is empty. Errors: ValueError for a NUL."""
    return escape(text) if text else NULL


def json_text(value: Any) -> str:
    """*value* as a column of type jsonb, which knows no NUL. Errors: ValueError."""
    text = msgspec.json.encode(value).decode()
    if "\\u0000" in text and _NUL_ESCAPE.search(text):
        raise ValueError("a text holds a NUL")
    if len(text) > JSON_CHARS_MAX:
        raise ValueError(f"a JSON value is longer than {JSON_CHARS_MAX} characters")
    return text.replace("\\", "\\\\")  # JSON escapes the other characters that COPY gives a meaning
