"""Who is asking: holders by their token, staff by their API key. Never by the body."""

import time
from typing import NamedTuple

from starlette.requests import Request

from gateway.errors import Refusal
from gateway.keys import ApiKey
from gateway.services import services
from lua.keys import HolderId

API_KEY_PREFIX = "fck_"


class Caller(NamedTuple):
    """Exactly one of the two is set."""

    holder: HolderId | None
    key: ApiKey | None


def bearer(values: list[str]) -> str:
    """The credential of the one Authorization header. Errors: Refusal("unauthenticated")."""
    scheme, _, credential = values[0].partition(" ") if len(values) == 1 else ("", "", "")
    if scheme.lower() != "bearer" or not credential:
        raise Refusal("unauthenticated", "Send Authorization: Bearer <token or API key>.")
    return credential.strip()


async def caller(request: Request) -> Caller:
    """Whoever it is. Errors: Refusal("unauthenticated")."""
    credential = bearer(request.headers.getlist("authorization"))
    if credential.startswith(API_KEY_PREFIX):
        return Caller(None, await services(request).keys.authenticate(credential))
    return Caller(services(request).tokens.verify(credential, time.time()), None)


async def holder(request: Request) -> HolderId:
    """The holder. Errors: Refusal unauthenticated; forbidden for an API key, which holds no coupons."""
    who = await caller(request)
    if who.holder is None:
        raise Refusal("forbidden", "This is for holders: send a holder's token, not an API key.")
    return who.holder


async def staff(request: Request, *roles: str) -> ApiKey:
    """The API key, which has one of *roles* or is admin. Errors: Refusal unauthenticated, forbidden."""
    who = await caller(request)
    if who.key is None or who.key.role not in ("admin", *roles):
        raise Refusal("forbidden", f"This needs an API key with role {' or '.join(('admin', *roles))}.")
    return who.key
