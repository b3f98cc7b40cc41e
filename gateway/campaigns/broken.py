"""A rule that a body does not keep: how it is found and how it is told. Pure."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from gateway.errors import Refusal

MINOR_MAX = (1 << 53) - 1
"""The largest amount: the largest whole number that Lua, JSON readers and spreadsheets agree on."""

CHANNEL_PATTERN = re.compile(r"[a-z0-9_-]{1,32}")
CHANNEL_RULE = "1 to 32 of a-z, 0-9, hyphen and underscore"

_UNPRINTED = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class Broken(NamedTuple):
    """A rule that does not hold: where, and what is allowed there."""

    field: str
    rule: str


Found = Iterator[Broken]


def is_text(text: str, chars_max: int) -> bool:
    """Is it 1 to *chars_max* characters that say something, without control characters or line breaks?"""
    return len(text) <= chars_max and bool(text.strip()) and not _UNPRINTED.search(text)


def text_rule(chars_max: int) -> str:
    """What is_text() asks for, in words."""
    return f"1 to {chars_max} characters, not only blanks, no control characters"


def refuse(code: str, broken: list[Broken]) -> Refusal:
    """A refusal that names every rule broken, its detail the first."""
    first = broken[0]
    errors = [{"field": each.field, "rule": each.rule} for each in broken]
    return Refusal(code, f"{first.field}: {first.rule}.", field=first.field, errors=errors)
