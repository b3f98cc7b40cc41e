"""Who is at the console: the session in the cookie, the person behind it, whether a form came from a page of ours."""

import re
import time
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from gateway.console.sessions import COOKIE, Session
from gateway.cookies import is_https
from gateway.errors import Refusal
from gateway.forms import Fields, check_ours, one, read_fields
from gateway.people.people import Known
from gateway.people.person import Person
from gateway.services import services

HOME = "/console"
FIELDS_MAX = 500
FORM_HEADER = "x-form"
"""Where htmx says the secret of the session; a form says it in its field ``form``."""
_INSIDE = re.compile(r"/console(?:[/?][\w.~%!$&'()*+,;=:@/?-]*)?", re.ASCII)


class SignedOut(Exception):
    """Nobody is signed in, or no longer; the page to sign in is next."""


class Entered(NamedTuple):
    """A browser that is signed in, and whom as."""

    session: Session
    known: Known


async def entered(request: Request) -> Entered:
    """Who is signed in. Errors: SignedOut, also where his sessions were ended; Refusal not_ready."""
    session = session_of(request)
    known = await services(request).people.of_stamp(session.name, session.stamp) if session.name else None
    if known is None:
        raise SignedOut
    return Entered(session, known)


async def person(request: Request, *roles: str) -> Person:
    """
    Who asks, who has one of *roles* or is admin; with none given, anybody who is signed in.

    Errors: SignedOut; Refusal forbidden, also where he has to choose a password first; not_ready.
    """
    found = (await entered(request)).known
    if found.must_change:
        raise Refusal("forbidden", "Choose a password of your own first.")
    check_role(found.person, *roles)
    return found.person


def check_role(who: Person, *roles: str) -> None:
    """Errors: Refusal("forbidden") where *who* has none of *roles*."""
    if not who.may(*roles):
        raise Refusal("forbidden", f"This needs the role {' or '.join(dict.fromkeys((*roles, 'admin')))}.")


def session_of(request: Request) -> Session:
    """The session of the cookie, or a new one that is not signed in."""
    sessions, now_s = services(request).credentials.console, time.time()
    return sessions.open(request.cookies.get(COOKIE, ""), now_s) or sessions.visit(now_s)


async def posted(request: Request) -> Fields:
    """The fields of a form, whoever sent it. Errors: Refusal, as read_fields()."""
    return await read_fields(request, services(request).settings.body_bytes_max, FIELDS_MAX)


def check_form(request: Request, session: Session, fields: Fields) -> None:
    """Errors: NotOurs for a form that no page of this *session* sent."""
    check_ours(request, request.headers.get(FORM_HEADER) or one(fields, "form"), session.form)


def without_zeros(fields: Fields, *, shown: bool) -> Fields:
    """
    *fields* without U+0000, of which PostgreSQL has no text and for which no page of ours asks.

    Where they are *shown* again it is U+0001, which no field takes. Errors: Refusal("bad_request") where they are not.
    """
    if not any("\0" in value for values in fields.values() for value in values):
        return fields
    if not shown:
        raise Refusal("bad_request", "The form could not be read.")
    return {name: [value.replace("\0", "\1") for value in values] for name, values in fields.items()}


def keep(request: Request, response: Response, session: Session) -> Response:
    """*response* with the cookie of *session*, good for as long again."""
    text = services(request).credentials.console.seal(session, time.time())
    # Lax and not Strict: a link in a mail or a chat has to find whoever is signed in.
    response.set_cookie(COOKIE, text, path=HOME, secure=is_https(request), httponly=True, samesite="lax")
    return response


def drop(request: Request, response: Response) -> Response:
    """*response* that ends the session in this browser."""
    response.delete_cookie(COOKIE, path=HOME, secure=is_https(request), httponly=True, samesite="lax")
    return response


def inside(address: str) -> str:
    """*address* where it is one of the console, with its query; else the console's first page."""
    path = address.partition("?")[0].lower().replace("%2e", ".")  # to a browser %2e%2e is .. too
    good = _INSIDE.fullmatch(address) and not path.startswith(("/console/sign-in", "/console/sign-out"))
    return address if good and "//" not in address and "/." not in path else HOME
