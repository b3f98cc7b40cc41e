"""
Pages of a list: {"items": […], "next": cursor or null}, and the cursor that leads to the next one.

A cursor is the place of the last row shown, so rows that come in meanwhile neither repeat nor shift
what follows. It is opaque and good for the list it came from only: a digest of that is in it. It is no
secret and gives no right; whoever forges one pages through what he may see anyway.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b
from typing import Any, Generic, TypeVar

import msgspec
from starlette.requests import Request

from gateway.errors import Refusal

T = TypeVar("T")


class Page(msgspec.Struct, Generic[T]):
    """A page of a list; *next* is the cursor of the page after it, null where there is none."""

    items: list[T]
    next: str | None


_CURSOR_CHARS_MAX = 1024
"""A name of 100 signs of four bytes, and an id or another name, fit in."""
_DIGEST_BYTES = 6


def page_limit(request: Request, rows_max: int) -> int:
    """The limit asked for, *rows_max* where none is. Errors: Refusal("bad_request") naming limit."""
    text = query_value(request, "limit")
    if text is None:
        return rows_max
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and 1 <= int(text) <= rows_max):
        raise Refusal("bad_request", f"limit: a whole number from 1 to {rows_max}.", field="limit")
    return int(text)


def query_value(request: Request, name: str) -> str | None:
    """
    The query parameter *name*.

    Errors: Refusal("bad_request") when it comes more than once, or with a zero byte, which PostgreSQL takes in no text.
    """
    values = request.query_params.getlist(name)
    if len(values) > 1:
        raise Refusal("bad_request", f"{name}: once at most.", field=name)
    if values and "\0" in values[0]:
        raise Refusal("bad_request", f"{name}: no zero byte.", field=name)
    return values[0] if values else None


def make_cursor(place: Any, of_list: str) -> str:
    """A cursor for the rows after *place* of the list *of_list*."""
    body = msgspec.msgpack.encode(place)
    return urlsafe_b64encode(_digest(body, of_list) + body).decode().rstrip("=")


def read_cursor(request: Request, kind: type[T], of_list: str) -> T | None:
    """The place in the request's cursor, None without one. Errors: Refusal("bad_request") naming cursor."""
    text = query_value(request, "cursor")
    if text is None:
        return None
    try:
        if not text.isascii() or len(text) > _CURSOR_CHARS_MAX:
            raise ValueError("no cursor of ours")
        data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        body = data[_DIGEST_BYTES:]
        if data[:_DIGEST_BYTES] != _digest(body, of_list) or make_cursor_text(data) != text:
            raise ValueError("another list's, or changed")
        return msgspec.msgpack.decode(body, type=kind)
    except (ValueError, binascii.Error, msgspec.DecodeError):
        raise Refusal("bad_request", "cursor: take it from next of the page before.", field="cursor") from None


def make_cursor_text(data: bytes) -> str:
    """The one way *data* is written as a cursor."""
    return urlsafe_b64encode(data).decode().rstrip("=")


def _digest(body: bytes, of_list: str) -> bytes:
    return blake2b(body, digest_size=_DIGEST_BYTES, key=blake2b(of_list.encode(), digest_size=32).digest()).digest()
