"""Forms that browsers post: their fields, and whether a page of ours sent them."""

from hmac import compare_digest
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request

from gateway.errors import Refusal
from gateway.wire import body_bytes

Fields = dict[str, list[str]]
"""Name → values, in their order."""
Errors = dict[str, str]
"""Field → what to do about it, in the order of the form."""


class NotOurs(Refusal):
    """A form that no page of ours sent, or one of another session."""

    def __init__(self) -> None:
        super().__init__("forbidden", "This form is not from this page, or too old; nothing was done.")


async def read_fields(request: Request, bytes_max: int, fields_max: int) -> Fields:
    """The fields of a posted form. Errors: Refusal too_large, unsupported_media_type, bad_request."""
    data = await body_bytes(request, bytes_max)
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/x-www-form-urlencoded":
        raise Refusal("unsupported_media_type", "This page takes forms only.")
    try:
        pairs = parse_qsl(data.decode(), keep_blank_values=True, errors="strict", max_num_fields=fields_max)
    except ValueError:
        raise Refusal("bad_request", "The form could not be read.") from None
    fields: Fields = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return fields


def one(fields: Fields, name: str) -> str:
    """The one value of a field, without blanks around it; empty where it is not there."""
    return fields.get(name, [""])[0].strip()


def check_ours(request: Request, given: str, form: str) -> None:
    """
    See to it that a page of the session whose secret is *form* sent this request, which says *given*.

    Errors: NotOurs for a request of anybody else.
    """
    if is_from_elsewhere(request) or not compare_digest(given.encode(), form.encode()):
        raise NotOurs


def is_from_elsewhere(request: Request) -> bool:
    """Does a browser say that a page of another site sent *request*?"""
    # A browser that says where a request comes from says so itself; no page can make it say otherwise.
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = request.headers.get("origin")  # what older browsers say
    return origin is not None and urlsplit(origin).netloc != request.headers.get("host", "")
