"""
Bodies in and out, and times on the wire. What a body may hold is a Struct beside the route that reads it.

Starlette is imported by what answers: the command line only writes times, and starts sooner without.
"""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from gateway.errors import Refusal

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

T = TypeVar("T")

IDEMPOTENCY_KEY_CHARS_MAX = 255
_NAMED = re.compile(r"Object (?:contains unknown|missing required) field `(.+)`", re.DOTALL)


def rfc3339(ms: int) -> str:
    """Milliseconds since the epoch as RFC 3339 UTC, to the millisecond: 2026-11-22T10:00:00.123Z."""
    whole, rest = divmod(ms, 1000)
    return f"{_second(whole)}.{rest:03d}Z"


@lru_cache(maxsize=64)
def _second(whole: int) -> str:
    """The part of a time that most of a rush's answers share."""
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}"


def time_ms(time: datetime) -> int:
    """An aware time as milliseconds since the epoch."""
    assert time.tzinfo is not None
    return round(time.timestamp() * 1000)


def read_json(data: bytes, kind: type[T]) -> T:
    """
    Decode *data* as *kind*.

    Errors: Refusal("bad_request") naming the field and what is allowed there.
    """
    try:
        return msgspec.json.decode(data or b"{}", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        text, at, path = str(error).rpartition(" - at `$")
        field, text = (path.rstrip("`").lstrip("."), text) if at else ("", str(error))
        about = f"{field}: {text}." if field else f"The body is not what is expected: {text}."
        named = _NAMED.fullmatch(text)
        if named:
            field = f"{field}.{named[1]}".lstrip(".")
        raise Refusal("bad_request", about, field=field) from None


async def body(request: "Request", kind: type[T], bytes_max: int) -> T:
    """
    Read and decode a JSON body of at most *bytes_max* bytes; no body is the empty object.

    Errors: Refusal too_large, unsupported_media_type, bad_request.
    """
    data = await body_bytes(request, bytes_max)
    check_media_type(request.headers.get("content-type"), data)
    return read_json(data, kind)


def check_media_type(media_type: str | None, data: bytes) -> None:
    """Refuse a body that says it is something else than JSON. A body without a Content-Type is read as JSON."""
    if data and media_type and media_type.partition(";")[0].strip().lower() not in ("application/json", ""):
        raise Refusal("unsupported_media_type", "Content-Type has to be application/json.")


async def body_bytes(request: "Request", bytes_max: int) -> bytes:
    """The body. Errors: Refusal("too_large") as soon as more than *bytes_max* bytes are announced or have come."""
    from starlette.requests import ClientDisconnect

    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > bytes_max:
        raise Refusal("too_large", f"The body may have at most {bytes_max} bytes.")
    data = bytearray()
    try:
        async for chunk in request.stream():
            data += chunk
            if len(data) > bytes_max:
                raise Refusal("too_large", f"The body may have at most {bytes_max} bytes.")
    except ClientDisconnect:
        raise Refusal("bad_request", "The body was cut off.") from None
    return bytes(data)


def idempotency_key(request: "Request") -> str:
    """The Idempotency-Key header. Errors: Refusal("bad_request") when missing, too long or not printable ASCII."""
    return check_idempotency_key(request.headers.getlist("idempotency-key"))


def check_idempotency_key(values: list[str]) -> str:
    """The one key among a request's header values; see idempotency_key."""
    if len(values) != 1:
        raise Refusal("bad_request", "Exactly one Idempotency-Key header is required.", field="Idempotency-Key")
    key = values[0]
    if not 1 <= len(key) <= IDEMPOTENCY_KEY_CHARS_MAX or not key.isascii() or not key.isprintable():
        raise Refusal(
            "bad_request",
            f"Idempotency-Key has to be 1 to {IDEMPOTENCY_KEY_CHARS_MAX} printable ASCII characters.",
            field="Idempotency-Key",
        )
    return key


def json_response(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> "Response":
    """A JSON answer, encoded by msgspec."""
    from starlette.responses import Response

    return Response(msgspec.json.encode(content), status, headers, "application/json")
