"""Who is at the console: the session in the cookie, the person behind it, whether a form came from a page of ours."""

from starlette.requests import Request

from gateway.people.person import Person


class SignedOut(Exception):
    """Nobody is signed in, or no longer; the page to sign in is next."""


async def person(request: Request, *roles: str) -> Person:
    """
    Who asks, who has one of *roles* or is admin; with none given, anybody who is signed in.

    Errors: SignedOut; Refusal forbidden, not_ready.
    """
    raise SignedOut
