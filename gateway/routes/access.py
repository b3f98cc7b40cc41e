"""Who is asking: holders by their token, or a ticket where they claim; staff by their API key. Never by the body."""

import time

from starlette.requests import Request

from gateway.callers import Caller
from gateway.errors import Refusal
from gateway.keys import ApiKey
from gateway.services import services
from gateway.somebody import second_person_needed
from lua.keys import HolderId

API_KEY_PREFIX = "fck_"


def bearer(values: list[str]) -> str:
    """The credential of the one Authorization header. Errors: Refusal("unauthenticated")."""
    scheme, _, credential = values[0].partition(" ") if len(values) == 1 else ("", "", "")
    if scheme.lower() != "bearer" or not credential:
        raise Refusal("unauthenticated", "Send Authorization: Bearer <token, ticket or API key>.")
    return credential.strip()


async def caller(request: Request) -> Caller:
    """Whoever it is. Errors: Refusal("unauthenticated")."""
    credential = bearer(request.headers.getlist("authorization"))
    if credential.startswith(API_KEY_PREFIX):
        return Caller(None, await services(request).keys.authenticate(credential))
    return Caller(services(request).credentials.holder(credential, time.time()), None)


async def holder(request: Request) -> HolderId:
    """The holder. Errors: Refusal unauthenticated; forbidden for an API key, which holds no coupons."""
    who = await caller(request)
    if who.holder is None:
        raise _not_a_holder()
    return who.holder


async def claimant(request: Request) -> HolderId:
    """The holder who claims from the campaign in the path, by a token or a ticket of it. Errors: as holder()."""
    credential = bearer(request.headers.getlist("authorization"))
    if credential.startswith(API_KEY_PREFIX):
        await services(request).keys.authenticate(credential)
        raise _not_a_holder()
    return services(request).credentials.claimant(credential, request.path_params["campaign"], time.time())


def _not_a_holder() -> Refusal:
    return Refusal("forbidden", "This is for holders: send a holder's token, not an API key.")


async def staff(request: Request, *roles: str) -> ApiKey:
    """The API key, which has one of *roles* or is admin. Errors: Refusal unauthenticated, forbidden."""
    who = await caller(request)
    if who.key is None or who.key.role not in ("admin", *roles):
        raise Refusal("forbidden", f"This needs an API key with role {' or '.join(('admin', *roles))}.")
    return who.key


def alone(request: Request, kind: str) -> None:
    """Let one person do what *kind* of proposal asks for. Errors: Refusal("second_person_needed") by the setting."""
    if services(request).settings.two_people:
        raise second_person_needed(kind)
