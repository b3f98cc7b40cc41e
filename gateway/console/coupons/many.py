"""Revoking many coupons at once: proposed here, decided by somebody else on the page Waiting."""

from secrets import token_urlsafe
from typing import Any

from starlette.responses import Response

from gateway.console.access import HOME
from gateway.console.coupons.words import TROUBLES
from gateway.console.locales import N_
from gateway.console.page import Visit
from gateway.errors import Refusal
from gateway.issuing.revocations import REASON_CHARS_MAX
from gateway.proposals.asked import MassRevocation
from gateway.proposals.deciding import Proposals

REVOKE_MANY = f"{HOME}/revoke-coupons"
_WRONG = {
    "campaign": N_("The id of a campaign, or nothing: then a holder is needed."),
    "holder": N_("A holder, or nothing: then a campaign is needed."),
    "reason": N_("Say why, in 1 to %(chars)s characters."),
}


async def show(visit: Visit) -> Response:
    """The form; the address may fill it in."""
    return _render(visit, typed={name: visit.asked(name) for name in _WRONG})


async def propose(visit: Visit) -> Response:
    """Propose it. Errors: Refusal."""
    typed, here = {name: visit.one(name) for name in _WRONG}, visit.here
    if not typed["campaign"] and not typed["holder"]:
        return _render(visit, 400, typed=typed, errors={"campaign": _said(visit, "campaign")})
    asked = MassRevocation(reason=typed["reason"], campaign=typed["campaign"] or None, holder=typed["holder"] or None)
    try:
        await Proposals(here.pool, here.door, here.settings).make(visit.one("key") or "none", asked, visit.who)
    except Refusal as refusal:
        if refusal.code == "bad_request":
            field = str(refusal.context.get("field", "reason"))
            field = field if field in _WRONG else "reason"
            return _render(visit, 400, typed=typed, errors={field: _said(visit, field)})
        if refusal.code not in TROUBLES:
            raise
        return _render(visit, refusal.status, typed=typed, notice=TROUBLES[refusal.code])
    return visit.go(f"{HOME}/waiting")


def _said(visit: Visit, field: str) -> str:
    return visit.words.say(_WRONG[field]) % {"chars": REASON_CHARS_MAX}


def _render(visit: Visit, status: int = 200, **values: Any) -> Response:
    key = visit.one("key") or f"console-{token_urlsafe(18)}"
    return visit.render("coupons_revoke", status, key=key, **values)
