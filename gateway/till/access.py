"""Who is at the till: the session in the cookie, the key behind it, and whether a form came from a page of ours."""

import time
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from gateway.cookies import is_https
from gateway.forms import Fields, check_ours, one, read_fields
from gateway.keys import ApiKey
from gateway.services import services
from gateway.till.forms import FIELDS_MAX
from gateway.till.sessions import COOKIE, Session

ROLES = ("admin", "store")


class SignedOut(Exception):
    """There is no session that is good, or no longer; the page to sign in is next."""


class Teller(NamedTuple):
    """A till that is signed in."""

    session: Session
    key: ApiKey


def session_of(request: Request) -> Session:
    """The session of the cookie, or a new one that is not signed in."""
    sessions, now_s = services(request).credentials.sessions, time.time()
    return sessions.open(request.cookies.get(COOKIE, ""), now_s) or sessions.visit(now_s)


def visit_of(request: Request) -> Session:
    """The session of the cookie as one that is not signed in: a new one where it is, or was until its key went."""
    session = session_of(request)
    return services(request).credentials.sessions.visit(time.time()) if session.key_id else session


async def teller(request: Request) -> Teller:
    """The till that asks. Errors: SignedOut, also where its key has been revoked; Refusal not_ready."""
    session = session_of(request)
    if not session.key_id:
        raise SignedOut
    key = await services(request).keys.of_id(session.key_id)
    if key is None or key.role not in ROLES:
        raise SignedOut
    return Teller(session, key)


async def posted(request: Request, session: Session) -> Fields:
    """
    The fields of a form that a page of this *session* sent.

    Errors: Refusal("forbidden") for a form of anybody else; as read_fields().
    """
    fields = await read_fields(request, services(request).settings.body_bytes_max, FIELDS_MAX)
    check_ours(request, one(fields, "form"), session.form)
    return fields


def keep(request: Request, response: Response, session: Session) -> Response:
    """*response* with the cookie of *session*, good for as long again."""
    text = services(request).credentials.sessions.seal(session, time.time())
    response.set_cookie(COOKIE, text, path="/till", secure=is_https(request), httponly=True, samesite="strict")
    return response


def drop(response: Response) -> Response:
    """*response* that ends the session in this browser."""
    response.delete_cookie(COOKIE, path="/till", httponly=True, samesite="strict")
    return response
